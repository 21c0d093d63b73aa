"""The Tucker format: a small core times one matrix an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sci.arguments import entry
from sci.backend import Array, ArrayLike, namespace
from sci.errors import ShapeError
from sci.tensor.contraction.network import BATCH, Step
from sci.tensor.formats.modes import as_tensor, mode_products
from sci.tensor.formats.protocol import tucker_ranks

__all__ = ["Tucker"]

_CORE = "defghj"


@entry
@dataclass(frozen=True, eq=False)
class Tucker:
    """A tensor A = core x_1 factors[0] x_2 factors[1] ... x_d factors[d-1].

    Parameters
    ----------
    core : (r_1, ..., r_d) real or complex
    factors : sequence of (n_l, r_l)
        Decompositions return orthonormal columns; the class does not ask for them.

    Raises
    ------
    ShapeError
        If core and factors do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> a = Tucker(np.ones((1, 1, 1)), (np.ones((4, 1)), np.ones((5, 1)), np.ones((6, 1))))
    >>> a.shape, a.tucker_ranks, round(a.norm() ** 2, 12)
    ((4, 5, 6), (1, 1, 1), 120.0)
    """

    core: ArrayLike
    factors: tuple[ArrayLike, ...]

    def __post_init__(self) -> None:
        namespace(self.core, *self.factors)
        core = as_tensor(self.core, "core")
        factors = tuple(as_tensor(f, f"factors[{axis}]", 2) for axis, f in enumerate(self.factors))
        if core.ndim < 2 or len(factors) != core.ndim:
            raise ShapeError(f"core has {core.ndim} axes and there are {len(factors)} factors; expected one an axis")
        for axis, factor in enumerate(factors):
            if factor.shape[1] != core.shape[axis]:
                raise ShapeError(f"factors[{axis}] has shape {factor.shape}; expected (n, {core.shape[axis]})")
        object.__setattr__(self, "core", core)
        object.__setattr__(self, "factors", factors)

    def __repr__(self) -> str:
        return f"Tucker(shape={self.shape}, tucker_ranks={self.tucker_ranks}, dtype={self.dtype}, {self.nbytes} bytes)"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the full tensor."""
        return tuple(int(f.shape[0]) for f in self.factors)

    @property
    def tucker_ranks(self) -> tuple[int, ...]:
        """Shape of the core."""
        return tuple(int(r) for r in self.core.shape)

    @property
    def dtype(self) -> Any:
        """Common dtype of core and factors."""
        return namespace(self.core).result_type(self.core, *self.factors)

    @property
    def nbytes(self) -> int:
        """Bytes of core and factors."""
        return int(self.core.nbytes) + sum(int(f.nbytes) for f in self.factors)

    def to_dense(self, out: Array | None = None) -> Array:
        """Return the dense tensor, by matrix products in the cheapest order."""
        return mode_products(self.core, self.factors, out)

    def orthogonalized(self) -> Tucker:
        """Return the same tensor with orthonormal factors: QR of each, R pushed into the core."""
        xp = namespace(self.core)
        pairs = [xp.linalg.qr(f) for f in self.factors]
        return Tucker(mode_products(self.core, [r for _, r in pairs]), tuple(q for q, _ in pairs))

    def norm(self) -> float:
        """Return the Frobenius norm, without forming the tensor."""
        xp = namespace(self.core)
        return float(xp.linalg.norm(self.orthogonalized().core.ravel()))

    def inner(self, other: Tucker) -> complex | float:
        """Return the Frobenius inner product <self, other>, conjugate linear in self."""
        if self.shape != other.shape:
            raise ShapeError(f"inner product of shapes {self.shape} and {other.shape}; expected equal shapes")
        xp = namespace(self.core, other.core)
        crossed = [xp.conj(mine).T @ theirs for mine, theirs in zip(self.factors, other.factors)]
        return contract(self.core, other.core, crossed)

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays by name: "core", and "factor_0" to "factor_<d-1>"."""
        return {"core": self.core, **{f"factor_{j}": factor for j, factor in enumerate(self.factors)}}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Tucker:
        """Return the tensor of the arrays "core" and "factor_0" to "factor_<d-1>"."""
        return cls(arrays["core"], tuple(arrays[f"factor_{j}"] for j in range(len(arrays) - 1)))

    @staticmethod
    def count_ranks(order: int) -> int:
        """Return `order`: one rank an axis."""
        return order

    @staticmethod
    def ranks_for(shape: Sequence[int], fraction: float) -> tuple[int, ...]:
        """Return ranks with which core and factors have about `fraction` of the dense parameters."""
        return tucker_ranks(shape, fraction)

    @staticmethod
    def array_shapes(shape: Sequence[int], ranks: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """Return the shapes of core and factors by name."""
        return {"core": tuple(ranks), **{f"factor_{j}": pair for j, pair in enumerate(zip(shape, ranks))}}

    @staticmethod
    def factor_axis(axis: int) -> int:
        """Return 0: rows of a factor run along its axis."""
        return 0

    @staticmethod
    def contraction(n_batch: int, selected: bool = False) -> tuple[Step, ...]:
        """Return the contractions of `TensorFormat.contraction`.

        The core is expanded along the batch axes; the inputs are projected on it, mixed, and brought to the outputs.
        """
        k, first, name = BATCH[:n_batch], int(selected), "core_0" if selected else "core"
        core = _CORE[:n_batch]
        steps = [("core_0", "factor_0", "core", f"a,apq{core}->pq{core}")] if selected else []
        for axis in reversed(range(n_batch)):
            before, after, made = core[: axis + 1], k[axis + 1 :], f"expanded_{axis}"
            target = f"pq{core[:axis]}{k[axis:]}" if axis else f"{k}pq"
            indices = f"pq{before}{after},{k[axis]}{core[axis]}->{target}"
            steps.append((made, name, f"factor_{axis + 2 + first}", indices))
            name = made
        steps += [
            ("projected", "X", f"factor_{first}", f"{k}bi,ip->{k}bp"),
            ("mixed", "projected", name, f"{k}bp,{k}pq->{k}bq"),
            ("Y", "mixed", f"factor_{first + 1}", f"{k}bq,oq->{k}bo"),
        ]
        return tuple(steps)


def contract(core: Array, other_core: Array, crossed: Sequence[Array]) -> complex | float:
    """Return <core, other_core x_l crossed[l]> for matrices (r_l, other r_l)."""
    xp = namespace(core, other_core)
    total = (xp.conj(core) * mode_products(other_core, crossed)).sum()
    return complex(total) if total.dtype.kind == "c" else float(total)
