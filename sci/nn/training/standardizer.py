"""Shift and scale of data to zero mean and unit deviation, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, namespace, to_device
from sci.distributed import Comm, agreed, allreduce_sum, form
from sci.errors import InvalidValueError, ShapeError

__all__ = ["Standardizer"]


@entry
@dataclass(frozen=True, repr=False)
class Standardizer:
    """The map y = (x - mean) / (std + eps) and its inverse.

    Parameters
    ----------
    mean, std : arrays that broadcast against the data
        (1, channel, 1, ...) for statistics of channels, (1, channel, *grid) for those of every point.
    eps : float
        0, but for models of older versions, which added 1e-7 in the units of the data.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Standardizer
    >>> x = 3 + 2 * np.random.default_rng(0).normal(size=(100, 1, 8, 8))
    >>> n = Standardizer.fit(x)
    >>> y = n.encode(x)
    >>> round(float(y.std()), 6)
    1.0
    >>> bool(np.allclose(n.decode(y), x, rtol=1e-14))
    True
    """

    mean: Array
    std: Array
    eps: float = 0.0

    def __repr__(self) -> str:
        """Return the shape of the statistics, those of channels or of every point, and their dtype."""
        return f"Standardizer(of {tuple(self.mean.shape[1:])}, {self.mean.dtype})"

    @classmethod
    @collective_entry
    def fit(cls, data: Array, *, pointwise: bool = False, comm: Comm = None) -> Standardizer:
        """Return the standardizer of `data` (n, channel, *grid).

        Parameters
        ----------
        data : array
            This rank's samples; at least one over all ranks. Complex ones have the deviation of their magnitude from
            the mean.
        pointwise : bool
            Statistics of every grid point over the samples (unit Gaussian), instead of every channel over all.
        comm : mpi4py communicator, optional

        Raises
        ------
        ShapeError, InvalidValueError

        Notes
        -----
        Collective over `comm`. Three passes in float64; the deviation divides by the count. The result scales with the
        units of the data. Data that are constant to rounding are divided by their magnitude, zeros by 1.
        """
        with agreed(comm, "Standardizer.fit") as agreement:
            if data.ndim < 2:
                raise ShapeError(f"Standardizer.fit of shape {data.shape}; expected (n, channel, *grid)")
            agreement.same(pointwise=pointwise, data=form(data, free=[0]))
        xp = namespace(data)
        axes = (0,) if pointwise else (0, *range(2, data.ndim))
        count = float(allreduce_sum(np.array([float(np.prod([data.shape[a] for a in axes]))]), comm)[0])
        if count == 0:
            raise InvalidValueError(
                f"Standardizer.fit of shape {tuple(data.shape)}; expected one sample or more, over all ranks"
            )
        wide = np.result_type(data.dtype, np.float64)
        mean = allreduce_sum(data.sum(axis=axes, keepdims=True, dtype=wide), comm) / count
        # Squares of numbers near the ends of the range overflow or vanish: in units of the mean deviation they do not.
        deviations = xp.abs(data - mean)
        unit = allreduce_sum(deviations.sum(axis=axes, keepdims=True, dtype=np.float64), comm) / count
        unit = xp.where(unit > 0, unit, 1.0)
        squares = ((deviations / unit) ** 2).sum(axis=axes, keepdims=True, dtype=np.float64)
        std = xp.sqrt(allreduce_sum(squares, comm) / count) * unit
        if not bool(xp.isfinite(mean).all() & xp.isfinite(std).all()):
            raise InvalidValueError("Standardizer.fit: the data hold NaN or infinite values, or overflow")
        size = xp.abs(mean)
        constant = std <= 8 * np.finfo(data.dtype).eps * size
        std = xp.where(constant, xp.where(size > 0, size, 1.0), std)
        return cls(mean.astype(data.dtype), std.astype(data.real.dtype))

    def _parts(self, like: Array) -> tuple[Array, Array]:
        xp = namespace(like)
        mean, scale = (to_device(a, xp).astype(like.dtype, copy=False) for a in (self.mean, self.std + self.eps))
        return mean, scale

    def encode(self, data: Array) -> Array:
        """Return (data - mean) / (std + eps), in the dtype and on the device of `data`."""
        mean, scale = self._parts(data)
        return (data - mean) / scale

    def decode(self, data: Array) -> Array:
        """Return data (std + eps) + mean, the inverse of `encode` to rounding."""
        mean, scale = self._parts(data)
        return data * scale + mean

    def decode_options(self, like: Array) -> dict[str, Any]:
        """Return the options of the op `scale_shift` that decodes variables: `scale_shift(y, **options)`."""
        mean, scale = self._parts(like)
        return {"scale": scale, "shift": mean}
