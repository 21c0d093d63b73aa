"""Sizes of scales and patches, and what codes, latents and smoothings must be for them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sci.backend import Array, as_finite, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = [
    "check_sizes",
    "checked_codes",
    "checked_smoothing",
    "latent_sizes",
    "require_level",
    "require_one_batch",
    "smoothing_of",
    "vectors_of",
]

_Sizes = Sequence[Sequence[int]]


def check_sizes(scales: _Sizes, patch: Sequence[int], codebook: tuple[int, ...]) -> None:
    """Raise ShapeError or InvalidValueError unless scales, patch and the shape of the codebook fit each other."""
    c, axes = codebook[-1], len(scales[0]) if scales else 0
    if not 1 <= axes <= 3 or any(len(s) != axes or min(s) < 1 for s in scales):
        raise ShapeError(f"scales are {scales}; expected sizes of 1 or more, along one to three axes each")
    if any(n > last for size in scales for n, last in zip(size, scales[-1])):
        raise InvalidValueError(f"scales are {scales}; expected none larger than the last, that of the latent")
    if len(codebook) == 3 and codebook[0] != len(scales):
        raise ShapeError(f"{codebook[0]} codebooks for {len(scales)} scales; expected one for each")
    if len(patch) != axes or min(patch) < 1 or c % math.prod(patch):
        raise ShapeError(
            f"a patch of {patch} cells and codes of {c} numbers; expected {axes} lengths of 1 or more, and numbers "
            "that are a multiple of the cells"
        )


def checked_smoothing(weights: Array, biases: Array, codebook: Array, axes: int) -> tuple[Array, Array]:
    """Return the convolutions of a smoothing as finite arrays of the dtype of the codebook."""
    c, xp, dtype = codebook.shape[-1], namespace(codebook), codebook.dtype
    weights = as_finite(weights, "smoothing: weights", shape=(None, c, c, *(3,) * axes), dtype=dtype, xp=xp)
    biases = as_finite(biases, "smoothing: biases", shape=(len(weights), c), dtype=dtype, xp=xp)
    if not len(weights):
        raise ShapeError("smoothing has no convolution; expected one or more, or None")
    return weights, biases


def latent_sizes(grid: tuple[int, ...], patch: Sequence[int]) -> tuple[int, ...]:
    """Return the cells of the latent of fields on a grid.

    Raises
    ------
    ShapeError
    """
    if len(grid) != len(patch):
        raise ShapeError(f"a grid of {grid}; expected {len(patch)} axes, as the patch of {tuple(patch)} has")
    if any(n < p for n, p in zip(grid, patch)):
        raise ShapeError(f"a grid of {grid} is smaller than the patch of {tuple(patch)}; expected one patch or more")
    if any(n % p for n, p in zip(grid, patch)):
        raise ShapeError(f"a grid of {grid} is no multiple of the patch of {tuple(patch)}; crop or pad the fields")
    return tuple(n // p for n, p in zip(grid, patch))


def smoothing_of(level: int, levels: int, n: int) -> int:
    """Return the number of the convolution, of n, whose tick is nearest to the place of a scale between 0 and 1.

    The ticks lie in the middle of n equal parts; four are those of the paper's program, 1/12 from the ends.
    """
    inset = 1 / (3 * n) if n == 4 else 1 / (2 * n)
    return int(np.argmin(np.abs(np.linspace(inset, 1 - inset, n) - level / max(1, levels - 1))))


def vectors_of(latent: Array) -> Array:
    """Return the cells of a latent (batch, C, *p) as rows of C numbers; zeros if all their squares would vanish."""
    xp, limits = namespace(latent), np.finfo(latent.dtype)
    rows = xp.ascontiguousarray(xp.moveaxis(latent, 1, -1)).reshape(-1, latent.shape[1])
    low = (float(limits.tiny) / float(limits.eps) ** 2) ** 0.5
    return xp.zeros_like(rows) if rows.size and float(abs(rows).max()) < low else rows


def require_level(level: int, levels: int) -> None:
    """Raise InvalidValueError unless there is such a scale."""
    if not 0 <= level < levels:
        raise InvalidValueError(f"scale {level} of {levels}; expected 0 to {levels - 1}")


def require_one_batch(codes: Sequence[Array]) -> None:
    """Raise ShapeError unless there are as many fields at each scale."""
    if len({len(c) for c in codes}) != 1:
        raise ShapeError(f"codes of {[len(c) for c in codes]} fields at the scales; expected as many at each")


def checked_codes(codes: Array, level: int, size: tuple[int, ...], vocabulary: int) -> Array:
    """Return codes (batch, *size) of a scale.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    """
    if codes.dtype.kind not in "iu":
        raise DTypeError(f"codes of scale {level} of dtype {codes.dtype}; expected integers")
    if codes.ndim != len(size) + 1 or tuple(codes.shape[1:]) != size:
        raise ShapeError(
            f"codes of scale {level} of shape {tuple(codes.shape)}; expected (batch, {', '.join(map(str, size))})"
        )
    if codes.size and not (int(codes.min()) >= 0 and int(codes.max()) < vocabulary):
        raise InvalidValueError(
            f"codes of scale {level} from {int(codes.min())} to {int(codes.max())}; expected 0 to {vocabulary - 1}, "
            "those of the codebook"
        )
    return codes
