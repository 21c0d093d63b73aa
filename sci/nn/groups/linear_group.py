"""The groups GL+(n) and SL(n) in polar coordinates, and samples with weights of the Haar measure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, Device, namespace, namespace_of, require_finite, to_device, to_host
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.linalg import polar, symmetric_eigen, symmetric_function
from sci.nn.spd.layers import logeig

__all__ = ["GroupSamples", "LinearGroup", "left_polar"]


@entry
@dataclass(frozen=True, eq=False, repr=False)
class GroupSamples:
    """Elements of a group with weights: sum_i weights_i f(elements_i) estimates the integral of f over the group.

    Parameters
    ----------
    elements : (s, n, n) array
    weights : (s,) array
        Positive.

    Raises
    ------
    ShapeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import GroupSamples
    >>> GroupSamples(np.eye(2)[None], np.ones(1))
    GroupSamples(1 element of order 2, effective number 1.0)
    """

    elements: Array
    weights: Array

    def __post_init__(self) -> None:
        shape = tuple(self.elements.shape)
        if len(shape) != 3 or shape[1] != shape[2] or tuple(self.weights.shape) != shape[:1]:
            raise ShapeError(
                f"elements have shape {shape} and weights {tuple(self.weights.shape)}; expected (s, n, n) and (s,)"
            )
        require_finite(self.elements, "elements")
        require_finite(self.weights, "weights")
        if not bool((self.weights > 0).all()):
            raise InvalidValueError(f"weights go down to {float(self.weights.min())}; expected positive numbers")

    def __repr__(self) -> str:
        count, n = self.elements.shape[:2]
        return f"GroupSamples({count} element{'s' * (count != 1)} of order {n}, effective number {self.effective:.1f})"

    def __len__(self) -> int:
        return int(self.elements.shape[0])

    @property
    def effective(self) -> float:
        """Number of equal weights that would have the same variance: (sum w)^2 / sum w^2."""
        unit = self.weights / self.weights.max() if len(self) else self.weights
        return float(unit.sum() ** 2 / (unit * unit).sum()) if len(self) else 0.0


@entry
@dataclass(frozen=True)
class LinearGroup:
    """GL+(n), the linear maps of space with a positive determinant, or SL(n), those that keep volumes.

    Every element is g = P R by one stretch P, symmetric positive definite, and one rotation R. The pairs (log P, R) are
    all of the group, where the exponential of matrices misses elements like diag(-2, -1/2) of SL(2).

    Parameters
    ----------
    n : int
        1, 2 or 3, the axes of space.
    special : bool
        True for SL(n).

    Raises
    ------
    InvalidValueError

    References
    ----------
    M. Mironenco and P. Forre, "Lie Group Decompositions for Equivariant Neural Networks", ICLR 2024 (arXiv 2310.11366).
    Ours differs: samples carry the weights of the Haar measure, and the coordinates for kernels have no seam.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import LinearGroup
    >>> group = LinearGroup(2)
    >>> group, group.dimension
    (LinearGroup(n=2, special=False), 4)
    >>> group.coordinates(np.array([[0.0, -2.0], [1.0, 0.0]])).round(6)  # log P: xx, sqrt 2 xy, yy; angle
    array([0.693147, 0.      , 0.      , 1.570796])
    """

    n: int
    special: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.n <= 3 or (self.special and self.n == 1):
            raise InvalidValueError(f"{self!r}; expected n of 1 to 3, and of 2 or 3 for the special group")

    @property
    def dimension(self) -> int:
        """Dimension of the group."""
        return self.n * self.n - self.special

    def sample(
        self,
        count: int,
        seed: int | np.random.Generator = 0,
        *,
        spread: float = 0.5,
        dtype: Any = np.float64,
        device: Device = "cpu",
    ) -> GroupSamples:
        """Draw elements and the weights that make sums over them integrals by the Haar measure.

        Parameters
        ----------
        count : int
        seed : int or numpy.random.Generator
        spread : float
            Standard deviation of log P in each direction. Integrands have to fall off faster than exp(-|log P|^2 /
            (4 spread^2)), or the variance of their estimates is infinite.
        dtype : float32 or float64
        device : "cpu" or "cuda"

        Returns
        -------
        GroupSamples
            Their sums converge as count^(-1/2).

        Raises
        ------
        InvalidValueError, DTypeError

        Notes
        -----
        X = log P is normal and R uniform on SO(n). The Haar measure is dX prod_{i < j} sinh(x_i - x_j) / (x_i - x_j),
        x the eigenvalues of X, times the uniform probability of R; dX is the volume in the norm of Frobenius. The
        weight of a sample is that density over the one it was drawn from, over `count`.

        References
        ----------
        A. Terras, Harmonic Analysis on Symmetric Spaces II, Springer 2016, section 1.1, for the measure.
        """
        if count < 1 or not 0 < spread < math.inf:
            raise InvalidValueError(f"count {count} and spread {spread}; expected at least 1, and a positive number")
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise DTypeError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")
        rng, n = np.random.default_rng(seed), self.n
        free = rng.normal(0.0, spread, (count, n, n))
        logs = (free + free.swapaxes(1, 2)) / 2  # off the diagonal of deviation spread / sqrt 2, as in an isometry
        if self.special:
            logs -= np.trace(logs, axis1=1, axis2=2)[:, None, None] * np.eye(n) / n
        x = symmetric_eigen(logs).values
        i, j = np.triu_indices(n, 1)
        gaps = x[:, j] - x[:, i]
        safe = np.where(gaps > 0, gaps, 1.0)
        # log(sinh(x) / x) in a form that neither overflows nor cancels.
        log_measure = np.where(gaps > 0, gaps + np.log(-np.expm1(-2 * safe) / (2 * safe)), 0.0).sum(axis=1)
        directions = n * (n + 1) // 2 - self.special
        norm = directions * math.log(spread * math.sqrt(2 * math.pi))
        log_drawn = -(logs**2).sum(axis=(1, 2)) / (2 * spread**2) - norm
        logs_of_weights = log_measure - log_drawn - math.log(count)
        largest = float(logs_of_weights.max())
        if largest > math.log(float(np.finfo(dtype).max)):
            raise InvalidValueError(
                f"spread is {spread}: the weights reach exp({largest:.0f}), which {np.dtype(dtype)} cannot hold; "
                "expected a smaller spread"
            )
        weights = np.exp(logs_of_weights)
        elements = symmetric_function(logs, "exp") @ _rotations(rng, count, n)
        xp = namespace_of(device)
        return GroupSamples(*(to_device(a.astype(dtype), xp) for a in (elements, weights)))

    def coordinates(self, elements: ArrayLike) -> Array:
        """Return log P as a vector, followed by the logarithm of R.

        The upper triangle of log P row by row, off the diagonal times sqrt 2; for n = 2 the angle of R in (-pi, pi],
        for n = 3 its rotation vector of length 0 to pi.

        Parameters
        ----------
        elements : (..., n, n) float32 or float64
            With a positive determinant.

        Returns
        -------
        (..., n^2) array
            0 for the identity alone. The logarithm of R jumps at half turns: kernels take `features`.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            InvalidValueError names the first matrix that is singular or turns space inside out.
        """
        stretch, rotation = left_polar(self._checked(elements))
        xp, logs = namespace(stretch), logeig(stretch)
        if self.n == 1:
            return logs
        if self.n == 2:
            return xp.concatenate([logs, xp.arctan2(rotation[..., 1, 0], rotation[..., 0, 0])[..., None]], axis=-1)
        flat = to_host(rotation).reshape(-1, 3, 3).astype(np.float64)
        turns = to_device(_rotation_vectors(flat).astype(logs.dtype), xp)
        return xp.concatenate([logs, turns.reshape(*logs.shape[:-1], 3)], axis=-1)

    def features(self, elements: ArrayLike) -> Array:
        """Return log P as a vector, followed by the entries of R - I: coordinates that are smooth everywhere.

        Parameters
        ----------
        elements : (..., n, n) float32 or float64

        Returns
        -------
        (..., n (n + 1) / 2 + n^2) array
            0 for the identity alone.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            As `coordinates`.
        """
        stretch, rotation = left_polar(self._checked(elements))
        xp = namespace(stretch)
        rest = (rotation - xp.eye(self.n, dtype=rotation.dtype)).reshape(*rotation.shape[:-2], self.n**2)
        return xp.concatenate([logeig(stretch), rest], axis=-1)

    @property
    def n_features(self) -> int:
        """Length of `features`."""
        return self.n * (self.n + 1) // 2 + self.n**2

    def _checked(self, elements: ArrayLike) -> Array:
        found = elements if hasattr(elements, "dtype") else np.asarray(elements)
        if tuple(found.shape[-2:]) != (self.n, self.n):
            raise ShapeError(f"elements have shape {tuple(found.shape)}; expected (..., {self.n}, {self.n})")
        if self.special and found.size:
            off = abs(namespace(found).linalg.det(found) - 1)
            bound = 1e3 * float(np.finfo(found.dtype).eps) if found.dtype.kind == "f" else 0.0
            if bool((off > bound * abs(found).max() ** self.n).any()):
                raise InvalidValueError(
                    f"elements have determinants that differ from 1 by up to {float(off.max()):.3g}; expected "
                    "elements of SL(n), whose determinant is 1"
                )
        return found


def left_polar(matrices: ArrayLike) -> tuple[Array, Array]:
    """Decompose g = P R into a symmetric positive definite stretch and a rotation.

    Parameters
    ----------
    matrices : (..., n, n) float32 or float64
        With a positive determinant.

    Returns
    -------
    stretch, rotation : (..., n, n)

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        InvalidValueError names the first matrix that is singular or turns space inside out.
    """
    given = matrices if hasattr(matrices, "dtype") else np.asarray(matrices)
    turned, stretch = polar(given.swapaxes(-1, -2) if given.ndim > 1 else given)
    rotation = turned.swapaxes(-1, -2)
    flipped = namespace(rotation).linalg.det(rotation) < 0 if rotation.size else np.zeros(0, bool)
    if bool(flipped.any()):
        index = tuple(int(k) for k in np.argwhere(to_host(flipped))[0]) if flipped.ndim else ()
        raise InvalidValueError(
            f"matrices{list(index) if index else ''} has a negative determinant; expected a positive one: a stretch "
            "and a rotation, without a reflection"
        )
    return stretch, namespace(rotation).ascontiguousarray(rotation)


def _rotations(rng: np.random.Generator, count: int, n: int) -> np.ndarray:
    """Return rotations (count, n, n) that are uniform on SO(n)."""
    q, r = np.linalg.qr(rng.normal(size=(count, n, n)))
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    q[:, :, 0] *= np.sign(np.linalg.det(q))[:, None]
    return np.asarray(q)


def _rotation_vectors(rotations: np.ndarray) -> np.ndarray:
    """Return axis times angle of rotations (b, 3, 3): from the unit quaternion of the largest entry."""
    m = rotations
    diagonal = np.stack([m[:, k, k] for k in range(3)], axis=1)
    signs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    squares = 1 + diagonal @ signs.T  # 4 times the squares of w, x, y, z
    best = squares.argmax(axis=1)
    w = np.stack([m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], axis=1)  # 4 w (x, y, z)
    table = np.zeros((len(m), 4, 4))
    table[:, 0, 1:], table[:, 1:, 0] = w, w
    table[:, 1:, 1:] = m + m.swapaxes(1, 2)
    table[:, np.arange(4), np.arange(4)] = squares
    q = table[np.arange(len(m)), best]
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    q *= np.where(q[:, :1] < 0, -1, 1)
    length = np.linalg.norm(q[:, 1:], axis=1, keepdims=True)
    angle = 2 * np.arctan2(length, q[:, :1])
    return np.asarray(q[:, 1:] * np.where(length > 0, angle / np.where(length > 0, length, 1), 2))
