"""Shift and scale of data to zero mean and unit deviation, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.distributed import Comm, allreduce_sum
from sci.errors import InvalidValueError, ShapeError

__all__ = ["Normalizer"]


@dataclass(frozen=True)
class Normalizer:
    """The map y = (x - mean) / (std + eps) and its inverse.

    Parameters
    ----------
    mean, std : arrays that broadcast against the data
        (1, channel, 1, ...) for statistics of channels, (1, channel, *grid) for those of every point.
    eps : float
        Keeps constant channels finite.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Normalizer
    >>> x = 3 + 2 * np.random.default_rng(0).normal(size=(100, 1, 8, 8))
    >>> n = Normalizer.fit(x)
    >>> y = n.encode(x)
    >>> round(float(y.std()), 6)
    1.0
    >>> bool(np.allclose(n.decode(y), x, rtol=1e-14))
    True
    """

    mean: Array
    std: Array
    eps: float = 1e-7

    @classmethod
    def fit(cls, data: Array, *, pointwise: bool = False, eps: float = 1e-7, comm: Comm = None) -> Normalizer:
        """Return the normalizer of `data` (n, channel, *grid).

        Parameters
        ----------
        data : array
            This rank's samples; at least one over all ranks.
        pointwise : bool
            Statistics of every grid point over the samples (unit Gaussian), instead of every channel over all.
        eps : float
        comm : mpi4py communicator, optional

        Raises
        ------
        ShapeError, InvalidValueError

        Notes
        -----
        Collective over `comm`. Two passes in float64 (mean, then deviations); the deviation divides by the count.
        """
        if data.ndim < 2:
            raise ShapeError(f"Normalizer.fit of shape {data.shape}; expected (n, channel, *grid)")
        xp = namespace(data)
        axes = (0,) if pointwise else (0, *range(2, data.ndim))
        count = float(allreduce_sum(np.array([float(np.prod([data.shape[a] for a in axes]))]), comm)[0])
        if count == 0:
            raise InvalidValueError("Normalizer.fit of no samples")
        mean = allreduce_sum(data.sum(axis=axes, keepdims=True, dtype=np.float64), comm) / count
        squares = ((data - mean) ** 2).sum(axis=axes, keepdims=True, dtype=np.float64)
        std = xp.sqrt(allreduce_sum(squares, comm) / count)
        if not bool(xp.isfinite(mean).all() & xp.isfinite(std).all()):
            raise InvalidValueError("Normalizer.fit: the data hold NaN or infinite values, or overflow")
        return cls(mean.astype(data.dtype), std.astype(data.dtype), eps)

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
