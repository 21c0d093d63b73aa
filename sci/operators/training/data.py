"""Samples as fields, and their symmetric images."""

from __future__ import annotations

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, require_finite
from sci.errors import ShapeError
from sci.operators.training.config import TrainingConfig

__all__ = ["SquareSymmetries", "as_fields", "with_transposed"]


@entry
def as_fields(array: Array, dim: int, name: str = "the samples") -> Array:
    """Return samples (n, *grid) or (n, channel, *grid) as (n, channel, *grid), in single precision unless in double.

    Parameters
    ----------
    array : array
        On the host or on a device.
    dim : int
        Axes of the grid.
    name : str
        How an error names it.

    Returns
    -------
    (n, channel, *grid) array
        Float32 or complex64; float64 or complex128 where it was that.

    Raises
    ------
    ShapeError, InvalidValueError
    """
    if array.ndim == dim + 1:
        array = array[:, None]
    if array.ndim != dim + 2 or 0 in array.shape:
        raise ShapeError(
            f"{name} has shape {tuple(array.shape)}; expected (n, *grid) or (n, channel, *grid), {dim} axes"
        )
    single = np.complex64 if array.dtype.kind == "c" else np.float32
    result = array if array.dtype in (np.float64, np.complex128) else array.astype(single)
    require_finite(result, name)
    return result


@entry
def with_transposed(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the samples followed by themselves with the two grid axes swapped, for equations that do not tell them.

    Parameters
    ----------
    x : (n, channel, m, m) array
        Inputs on square grids.
    y : (n, channel, m, m) array
        Outputs.

    Returns
    -------
    (array, array)

    Raises
    ------
    ShapeError
        Unless the grids are square.
    """
    if x.ndim != 4 or x.shape[2] != x.shape[3] or y.ndim != 4 or y.shape[2] != y.shape[3]:
        raise ShapeError(f"samples of shapes {x.shape} and {y.shape} cannot be transposed; expected square grids")
    xp = namespace(x, y)
    doubled = [xp.concatenate([a, xp.swapaxes(a, 2, 3)]) for a in (x, y)]
    return doubled[0], doubled[1]


class SquareSymmetries:
    """All passes over the samples as one, each sample in a symmetry of the square that the seed draws."""

    def __init__(self, x: Array, y: Array, config: TrainingConfig, seed: int) -> None:
        if x.ndim != 4 or x.shape[2] != x.shape[3] or y.ndim != 4 or y.shape[2:] != x.shape[2:]:
            raise ShapeError(f"samples of shapes {x.shape} and {y.shape} have not the symmetries of a square grid")
        rng, n = np.random.default_rng(seed), len(x)
        passes = [rng.permutation(n) if config.shuffle else np.arange(n) for _ in range(config.epochs)]
        self.fields, self.order = (x, y), np.concatenate(passes)
        self.kinds = rng.integers(0, 8, len(self.order))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, indices: np.ndarray) -> tuple[Array, ...]:
        xp, kinds = namespace(*self.fields), self.kinds[indices]
        batches = []
        for field in self.fields:
            batch = field[xp.asarray(self.order[indices])]
            back = xp.asarray(-np.arange(field.shape[2]) % field.shape[2])
            for bit in range(3):
                images = (batch[:, :, back], batch[:, :, :, back], xp.swapaxes(batch, 2, 3))
                chosen = xp.asarray(((kinds >> bit) & 1 == 1)[:, None, None, None])
                batch = xp.where(chosen, images[bit], batch)
            batches.append(batch)
        return tuple(batches)
