"""Patches of images of random scale: the annealed schedule of EpiGRAF, and the coordinates of a patch."""

from __future__ import annotations

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["expected_scale", "patch_beta", "patch_coordinates", "sample_patches"]


@entry
def patch_beta(part: float, *, start: float = 1e-3, stop: float = 0.8) -> float:
    """Return beta of the distribution of scales after a part of the annealing: linear from `start` to `stop`.

    Parameters
    ----------
    part : float
        Of the annealing that is done, from 0; `stop` from 1 on.
    start, stop : float
        Positive: 0.001 makes nearly all patches whole images, 1 makes all scales equally likely.

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError

    References
    ----------
    Skorokhodov et al., arXiv:2206.10535, section 3.3.

    Examples
    --------
    >>> from sci.fields import patch_beta
    >>> patch_beta(0.0), round(patch_beta(0.5), 4), patch_beta(2.0)
    (0.001, 0.4005, 0.8)
    """
    if not (part >= 0 and start > 0 and stop > 0):
        raise InvalidValueError(f"part {part}, start {start}, stop {stop}; expected a part from 0 and positive betas")
    return float(start + (stop - start) * min(part, 1.0))


@entry
def expected_scale(beta: float, smallest: float) -> float:
    """Return the mean scale of a patch, smallest + (1 - smallest) / (1 + beta).

    Parameters
    ----------
    beta : float
        As of `patch_beta`.
    smallest : float
        Patch over image, in (0, 1].

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.fields import expected_scale
    >>> round(expected_scale(0.001, 0.25), 5), round(expected_scale(0.8, 0.25), 5)
    (0.99925, 0.66667)
    """
    if not (beta > 0 and 0 < smallest <= 1):
        raise InvalidValueError(f"beta {beta}, smallest {smallest}; expected a positive beta and a scale in (0, 1]")
    return float(smallest + (1 - smallest) / (1 + beta))


@entry
def sample_patches(
    n: int, beta: float, smallest: float, *, seed: int | np.random.Generator = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw scales s = smallest + (1 - smallest) x, x ~ Beta(1, beta), and offsets uniform in [0, 1 - s]^2.

    x = 1 - u^(1 / beta) with u uniform in (0, 1].

    Parameters
    ----------
    n : int
    beta : float
        As of `patch_beta`.
    smallest : float
        Patch over image, in (0, 1].
    seed : int or numpy Generator

    Returns
    -------
    scales : (n,) array
    offsets : (n, 2) array
        Of the left and the lower edge, in sides of the image.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.fields import sample_patches
    >>> scales, offsets = sample_patches(1000, 0.8, 0.25)
    >>> bool((scales >= 0.25).all() and (offsets + scales[:, None] <= 1).all())
    True
    """
    if n < 0:
        raise InvalidValueError(f"{n} patches; expected none or more")
    expected_scale(beta, smallest)
    rng = np.random.default_rng(seed)
    u = 1.0 - rng.random(n)
    scales = smallest + (1 - smallest) * -np.expm1(np.log(u) / beta)
    return scales, rng.random((n, 2)) * (1 - scales[:, None])


@entry
def patch_coordinates(size: int, scale: float, offset: tuple[float, float]) -> np.ndarray:
    """Return the coordinates in [-1, 1]^2 of the pixels of a patch, row by row from the top: (size, size, 2).

    With c from -1 to 1 over the patch, (c + 1) s - 1 + 2 o: corners of the patch are pixels, as those of the image.

    Parameters
    ----------
    size : int
        Pixels along a side, at least 2.
    scale : float
        Side of the patch over that of the image.
    offset : (float, float)
        Of the left and of the lower edge; y grows upwards.

    Returns
    -------
    (size, size, 2) array
        x and y.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.fields import patch_coordinates
    >>> patch_coordinates(2, 0.5, (0.5, 0.0))[0]
    array([[0., 0.],
           [1., 0.]])
    """
    x, y = offset
    if size < 2 or not 0 < scale <= 1 or not all(o >= 0 and o + scale <= 1 + 1e-12 for o in (x, y)):
        raise InvalidValueError(f"a patch of {size} pixels, scale {scale} at {offset}; expected one within the image")
    line = np.linspace(0, 2, size) * scale - 1
    return np.stack(np.meshgrid(line + 2 * x, line[::-1] + 2 * y), axis=-1)
