"""LoLDU: a weight through the first pivots of its LU factorization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, to_device, to_host
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.maps.changes import WeightChange, as_on, given_arrays, require_gradient, require_weight

__all__ = ["LoLDU"]


@entry
class LoLDU:
    """A matrix W = W0 + L diag(scale z - d) U with z and the one number `scale` trained: rank + 1 numbers.

    L (m, rank), d (rank,) and U (rank, n) come from `rank` steps of Gaussian elimination of W0 with partial pivoting: L
    has ones at the pivots' rows, U in their columns, and W0 - L diag(d) U is the Schur complement that is left, with
    rows and columns of zeros. z starts at d and `scale` at 1, so that W = W0 to the last bit.

    Parameters
    ----------
    weight : (m, n) array
        float32 or float64. The elimination is done in float64.
    rank : int
        At most the rank of the weight.
    pivots : (rank, 2) int, optional
        Rows and columns of the pivots, in their order; chosen unless given. A delta holds them, so that the rounding of
        another machine cannot choose others. A column without a pivot is passed over.

    Attributes
    ----------
    left, diagonal, right : arrays
        L, d and U in the precision of the weight; rows of L are those of the weight, its permutation is in `pivots`.
    pivots : (rank, 2) int64

    Raises
    ------
    ShapeError, DTypeError
        For weights that are no real matrices.
    InvalidValueError
        Also if the rank of the weight is less than `rank`.

    Notes
    -----
    The factors cost 2 rank m n flops, a weight or its gradient the same. With G = dL/dW and c_k = (L' G U')_kk the
    gradients are scale c for z, and z . c for `scale`. The weight is formed in every step: for fields, with many points
    a sample, this is cheaper than two thin products beside the one with W0. A truncation by the order of the pivots is
    not the best approximation of that rank.

    References
    ----------
    LoLDU, arXiv:2410.13618. Only the permutation is orthogonal there, L and U are not; the factor alpha / r of other
    adapters is part of `scale`. The frozen residual is not formed here: W0 itself is kept, without its rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import LoLDU
    >>> weight_map = LoLDU(np.array([[1.0, 2.0], [4.0, 2.0]]), 1)
    >>> weight_map.pivots, weight_map.left.ravel(), weight_map.diagonal, weight_map.right
    (array([[1, 0]]), array([0.25, 1.  ]), array([4.]), array([[1. , 0.5]]))
    """

    def __init__(self, weight: Array, rank: int, *, pivots: Array | None = None) -> None:
        if getattr(weight, "ndim", 2) != 2:
            raise ShapeError(f"LoLDU: weight has shape {tuple(weight.shape)}; expected a matrix (m, n)")
        self.weight = require_weight(weight, "LoLDU", "f")
        if not 1 <= rank <= min(weight.shape):
            raise InvalidValueError(
                f"LoLDU: rank is {rank} for a weight of shape {tuple(weight.shape)}; expected 1 to {min(weight.shape)}"
            )
        given = None if pivots is None else _checked(pivots, rank, weight.shape)
        left, diagonal, right, self.pivots = _eliminate(weight, rank, given)
        self.left, self.diagonal, self.right = (a.astype(weight.dtype) for a in (left, diagonal, right))
        self.nbytes = int(self.left.nbytes + self.right.nbytes + self.diagonal.nbytes + self.pivots.nbytes)

    def __repr__(self) -> str:
        return f"LoLDU({tuple(self.weight.shape)}, {self.weight.dtype}, rank={len(self.pivots)})"

    def start(self) -> dict[str, Array]:
        """Return z (rank,), and the scale without axes."""
        return {"z": self.diagonal.copy(), "scale": namespace(self.weight).ones((), self.weight.dtype)}

    def forward(self, arrays: Mapping[str, Array]) -> tuple[Array, Any]:
        """Return the weight, and z and the scale for `vjp`."""
        z, scale = given_arrays(arrays, self._like())
        return self.weight + (self.left * (scale * z - self.diagonal)) @ self.right, (z, scale)

    def vjp(self, dweight: Array, residuals: Any) -> dict[str, Array]:
        """Return the gradients of z and of the scale."""
        z, scale = residuals
        require_gradient(dweight, self.weight)
        c = ((self.left.T @ dweight) * self.right).sum(1)
        return {"z": scale * c, "scale": (z * c).sum().reshape(())}

    def fold(self, arrays: Mapping[str, Array]) -> Array:
        """Return the weight."""
        return self.forward(arrays)[0]

    def change(self, arrays: Mapping[str, Array]) -> WeightChange:
        """Return z, the scale and the pivots as the change "loldu"."""
        z, scale = given_arrays(arrays, self._like())
        return WeightChange("loldu", {"z": z, "scale": scale, "pivots": self.pivots})

    @classmethod
    def from_change(cls, weight: Array, change: WeightChange) -> tuple[LoLDU, dict[str, Array]]:
        """Return map and arrays of a change."""
        if set(change.arrays) != {"z", "scale", "pivots"}:
            raise InvalidValueError(f"{change!r}; expected z, scale and pivots; the file is damaged")
        found = cls(weight, len(change.arrays["pivots"]), pivots=change.arrays["pivots"])
        return found, {name: as_on(change.arrays[name], weight, weight.dtype) for name in ("z", "scale")}

    def _like(self) -> dict[str, Array]:
        return {"z": self.diagonal, "scale": np.zeros((), self.weight.dtype)}


def _checked(pivots: Array, rank: int, shape: tuple[int, ...]) -> np.ndarray:
    host = np.asarray(to_host(pivots))
    if host.dtype.kind not in "iu":
        raise DTypeError(f"LoLDU: pivots has dtype {host.dtype}; expected integers")
    if host.shape != (rank, 2):
        raise ShapeError(f"LoLDU: pivots has shape {host.shape}; expected ({rank}, 2)")
    distinct = all(len(set(column.tolist())) == rank for column in host.T)
    if not distinct or host.min() < 0 or (host >= np.array(shape)).any():
        raise InvalidValueError(f"LoLDU: pivots hold rows or columns twice, or outside of {shape[0]} x {shape[1]}")
    return host.astype(np.int64)


def _eliminate(weight: Array, rank: int, given: np.ndarray | None) -> tuple[Array, Array, Array, np.ndarray]:
    """Return L, d, U and the pivots of `rank` steps of elimination in float64."""
    xp = namespace(weight)
    rest = weight.astype(np.float64)
    (m, n), small = weight.shape, _rounding(weight)
    left, diagonal, right = xp.zeros((m, rank)), np.zeros(rank), xp.zeros((rank, n))
    pivots, column = np.zeros((rank, 2), np.int64), -1
    for k in range(rank):
        row, column = _next_pivot(rest, column + 1, small, k, rank) if given is None else given[k].tolist()
        pivot = float(rest[row, column])
        if abs(pivot) <= small:
            raise InvalidValueError(f"LoLDU: pivot {k} is {pivot:.3g}; expected the pivots of this very weight")
        own, pivots[k], diagonal[k] = rest[row].copy(), (row, column), pivot
        left[:, k], right[k] = rest[:, column] / pivot, own / pivot
        rest -= left[:, k, None] * own
        rest[:, column] = 0.0
    return left, to_device(diagonal, xp), right, pivots


def _rounding(weight: Array) -> float:
    """Return up to where an entry of a Schur complement may be rounding of the weight's entries."""
    eps, largest = float(np.finfo(weight.dtype).eps), float(abs(weight).max())
    return float(max(weight.shape)) * eps * largest


def _next_pivot(rest: Array, column: int, small: float, k: int, rank: int) -> tuple[int, int]:
    """Return row and column of the largest entry in the first column, from `column` on, that is not all rounding."""
    for found in range(column, rest.shape[1]):
        sizes = abs(rest[:, found])
        row = int(sizes.argmax())
        if float(sizes[row]) > small:
            return row, found
    raise InvalidValueError(f"LoLDU: rank is {rank}, and the weight has rank {k}; expected at most that")
