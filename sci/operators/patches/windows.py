"""Multi-grid patches: a field as small windows, each with coarser and wider views of its surroundings as channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn import op
from sci.operators.coordinates import grid_coordinates

__all__ = ["MultigridPatches", "crop_patches", "stitch_patches"]


@entry
@dataclass(frozen=True)
class MultigridPatches:
    """A field cut into 2^levels patches along each axis, with `levels` coarser views of the field around each.

    A patch has a core of h = N / 2^levels points along an axis and a halo of q = round(padding N) points on both
    sides. Its window at level 0 is core and halo. At level l it has as many points, 2^l apart, about the same center,
    so that at the last level it sees at least the whole field. Levels become channels. The coordinates of the whole
    field are channels of it before it is cut, so that a patch knows its place.

    Parameters
    ----------
    levels : int
        0 is one patch, the whole field.
    padding : float
        Halo over the length of the whole field, at each side.
    boundary : "circular" or "clamped"
        Beyond its ends the field is continued periodically, or by its last values.
    positional_grid : bool
        Append the coordinates i_j / N_j of the whole field to its channels before the cut. The model then has
        `positional_grid=False`: coordinates that it appends itself are the same in every patch.

    Raises
    ------
    InvalidValueError

    References
    ----------
    Kossaifi et al., arXiv:2310.00120, section 4. Clamped halos, and grids of any length that the number of patches
    divides, are not in it.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.operators import MultigridPatches
    >>> cut = MultigridPatches(levels=1, padding=0.125)
    >>> x = np.arange(2 * 16 * 12.0).reshape(1, 2, 16, 12)
    >>> patches = cut.split(x)
    >>> patches.shape, cut.channels(2, dim=2)
    ((4, 8, 12, 10), 8)
    >>> bool((cut.stitch(cut.crop(patches[:, :2], x.shape[2:]), x.shape[2:]) == x).all())
    True
    """

    levels: int = 1
    padding: float = 0.0
    boundary: str = "circular"
    positional_grid: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.levels, int) or not 0 <= self.levels <= 16:
            raise InvalidValueError(f"levels is {self.levels!r}; expected an integer from 0 to 16")
        if not 0 <= self.padding <= 1:
            raise InvalidValueError(f"padding is {self.padding!r}; expected a fraction from 0 to 1")
        if self.boundary not in ("circular", "clamped"):
            raise InvalidValueError(f"boundary is {self.boundary!r}; expected 'circular' or 'clamped'")

    @property
    def per_axis(self) -> int:
        """Patches along each axis."""
        return 1 << self.levels

    def core(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Return the points of a patch without its halo.

        Raises
        ------
        ShapeError
            If the number of patches does not divide the grid.
        """
        if any(n % self.per_axis or n == 0 for n in grid):
            raise ShapeError(
                f"a grid of {tuple(grid)} cannot be cut into {self.per_axis} patches along each axis; expected lengths "
                "that this number divides"
            )
        return tuple(n // self.per_axis for n in grid)

    def halo(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Return the points of the halo at each side of a patch."""
        return tuple(round(self.padding * n) for n in grid)

    def window(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Return the points of a patch with its halo."""
        return tuple(h + 2 * q for h, q in zip(self.core(grid), self.halo(grid)))

    def count(self, grid: Sequence[int]) -> int:
        """Return the number of patches of one field."""
        count: int = self.per_axis ** len(grid)
        return count

    def channels(self, channels: int, dim: int) -> int:
        """Return the channels of the patches of fields with `channels` channels and `dim` grid axes."""
        return (channels + dim * self.positional_grid) * (self.levels + 1)

    def indices(self, n: int, level: int) -> np.ndarray:
        """Return the indices of the points of every patch along an axis of `n` points: (patches, points)."""
        (h,), (q,), (w,) = self.core((n,)), self.halo((n,)), self.window((n,))
        stride = 2**level
        start = h * np.arange(self.per_axis) - q - ((stride - 1) * w) // 2
        places = start[:, None] + stride * np.arange(w)
        wrapped: np.ndarray = places % n if self.boundary == "circular" else np.clip(places, 0, n - 1)
        return wrapped

    def split(self, x: Array) -> Array:
        """Return the patches of `x` (batch, channel, *grid): (batch patches, `channels`, *window).

        The patches of a sample follow each other, the last axis fastest; the channels of level 0 come first, the
        fields before their coordinates.
        """
        xp, grid = namespace(x), x.shape[2:]
        if self.positional_grid:
            x = xp.concatenate([x, grid_coordinates(x)], axis=1)
        views = []
        for level in range(self.levels + 1):
            view = x
            for axis, n in enumerate(grid):
                places = xp.asarray(self.indices(n, level).reshape(-1))
                view = xp.take(view, places, axis=2 + axis)
            views.append(_to_patches(view, self.per_axis))
        return xp.concatenate(views, axis=1)

    def targets(self, y: Array) -> Array:
        """Return the cores of the patches of `y`, with which cropped outputs are compared."""
        self.core(y.shape[2:])
        return _to_patches(y, self.per_axis)

    def crop(self, patches: Array, grid: Sequence[int]) -> Array:
        """Return patches of a field on `grid` without their halos."""
        return crop_patches(patches, cut=self, grid=tuple(grid))

    def stitch(self, cores: Array, grid: Sequence[int]) -> Array:
        """Return the field on `grid` whose patches, without halos, are given: the inverse of `targets`."""
        return stitch_patches(cores, cut=self, grid=tuple(grid))


def _to_patches(x: Array, n: int) -> Array:
    """Cut (batch, channel, n w_1, ..., n w_d) into (batch n^d, channel, w_1, ..., w_d)."""
    dim = x.ndim - 2
    widths = [length // n for length in x.shape[2:]]
    parted = x.reshape(*x.shape[:2], *(k for w in widths for k in (n, w)))
    order = (0, *range(2, 2 + 2 * dim, 2), 1, *range(3, 3 + 2 * dim, 2))
    return parted.transpose(order).reshape(x.shape[0] * n**dim, x.shape[1], *widths)


def _from_patches(patches: Array, n: int) -> Array:
    dim, (channels, *widths) = patches.ndim - 2, patches.shape[1:]
    batch = patches.shape[0] // n**dim
    parted = patches.reshape(batch, *(n,) * dim, channels, *widths)
    order = (0, 1 + dim, *(k for j in range(dim) for k in (1 + j, 2 + dim + j)))
    return parted.transpose(order).reshape(batch, channels, *(n * w for w in widths))


def _crop_patches_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `crop_patches`: zero in the halos."""
    inner, shape = residuals
    gradient = namespace(dout).zeros(shape, dout.dtype)
    gradient[inner] = dout
    return (gradient,)


@op(vjp=_crop_patches_vjp)
def crop_patches(patches: Array, *, cut: MultigridPatches, grid: tuple[int, ...]) -> tuple[Array, Any]:
    """Return patches (count, channel, *window) without their halos (an op)."""
    if patches.shape[2:] != cut.window(grid):
        raise ShapeError(f"patches of {patches.shape[2:]} points; expected {cut.window(grid)} for a grid of {grid}")
    inner = (..., *(slice(q, q + h) for q, h in zip(cut.halo(grid), cut.core(grid))))
    return patches[inner], (inner, patches.shape)


def _stitch_patches_vjp(dout: Array, cut: Any) -> tuple[Array]:
    """Return the gradient of `stitch_patches`: the patches of `dout`."""
    return (_to_patches(dout, cut.per_axis),)


@op(vjp=_stitch_patches_vjp)
def stitch_patches(cores: Array, *, cut: MultigridPatches, grid: tuple[int, ...]) -> tuple[Array, Any]:
    """Return the field that cores (batch patches, channel, *core) make up (an op)."""
    count = cut.count(grid)
    if cores.shape[2:] != cut.core(grid) or cores.shape[0] % count:
        raise ShapeError(
            f"cores of shape {tuple(cores.shape)}; expected a multiple of {count} of {cut.core(grid)} points"
        )
    return _from_patches(cores, cut.per_axis), cut
