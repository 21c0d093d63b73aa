"""Bundles of rays, and where they are sampled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array, as_finite, require_finite
from sci.errors import InvalidValueError, ShapeError
from sci.fields.planes import Box, box_ends

__all__ = ["Rays", "parallel_rays"]


@entry
@dataclass(frozen=True, eq=False)
class Rays:
    """Rays x = origin + t direction, with the values of t at which they are sampled and the lengths of the steps.

    Parameters
    ----------
    origins, directions : (rays, 3) arrays
        Directions of length 1, so that t is a length.
    places, lengths : (rays, steps) arrays

    Raises
    ------
    ShapeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.fields import Rays
    >>> Rays.through_box(np.zeros((1, 3)), np.array([[1.0, 0, 0]]), ((-1, -1, -1), (1, 1, 1)), steps=4).places
    array([[-0.75, -0.25,  0.25,  0.75]])
    """

    origins: Real
    directions: Real
    places: Real
    lengths: Real

    def __post_init__(self) -> None:
        n = len(self.origins)
        steps = self.places.shape[1] if np.ndim(self.places) == 2 else 0
        shapes = [np.shape(a) for a in (self.origins, self.directions, self.places, self.lengths)]
        if shapes != [(n, 3), (n, 3), (n, steps), (n, steps)]:
            raise ShapeError(
                f"origins, directions, places and lengths have shapes {shapes}; expected (rays, 3) twice and "
                "(rays, steps) twice"
            )
        for name in ("origins", "directions", "places", "lengths"):
            require_finite(getattr(self, name), name)
        if n and abs(float((self.directions**2).sum(axis=1).max()) - 1) > 1e-4:
            raise InvalidValueError("a direction does not have length 1; divide directions by their lengths")

    def __repr__(self) -> str:
        return f"Rays({len(self)} rays of {self.places.shape[1]} steps)"

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: Array) -> Rays:
        """Return some of the rays, by numbers or by a slice."""
        return Rays(self.origins[index], self.directions[index], self.places[index], self.lengths[index])

    def astype(self, dtype: Any) -> Rays:
        """Return the rays in another precision."""
        return Rays(*(np.asarray(a, dtype) for a in (self.origins, self.directions, self.places, self.lengths)))

    def points(self) -> np.ndarray:
        """Return the sampled points, (rays, steps, 3)."""
        return np.asarray(self.origins[:, None] + self.places[..., None] * self.directions[:, None])

    def jittered(self, seed: int | np.random.Generator) -> Rays:
        """Return the rays with each place drawn anew within its step."""
        moved = np.random.default_rng(seed).uniform(-0.5, 0.5, self.places.shape).astype(self.places.dtype)
        return replace(self, places=self.places + moved * self.lengths)

    @classmethod
    def through_box(
        cls,
        origins: Real,
        directions: Real,
        box: Box,
        *,
        steps: int,
    ) -> Rays:
        """Return rays sampled in the middles of equal steps on their way through a box.

        Parameters
        ----------
        origins, directions : (rays, 3) arrays
        box : two triples of float
            Low and high ends.
        steps : int
            A ray that misses the box has steps of length 0.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        starts, along = as_finite(origins, "origins", shape=(None, 3)), as_finite(directions, "directions")
        low, high = box_ends(box)
        if steps < 1:
            raise InvalidValueError(f"{steps} steps; expected one or more")
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.stack([(low - starts) / along, (high - starts) / along])
        near, far = np.nanmin(ends, axis=0), np.nanmax(ends, axis=0)
        parallel = along == 0
        inside = (starts >= low) & (starts <= high)
        near = np.where(parallel, np.where(inside, -np.inf, np.inf), near).max(axis=1)
        far = np.where(parallel, np.where(inside, np.inf, -np.inf), far).min(axis=1)
        hit = far > near
        near, far = np.where(hit, near, 0.0), np.where(hit, far, 0.0)
        length = (far - near) / steps
        places = near[:, None] + (np.arange(steps) + 0.5) * length[:, None]
        return cls(starts, along, places, np.repeat(length[:, None], steps, axis=1))


@entry
def parallel_rays(
    angles: Real,
    size: tuple[int, int],
    box: Box,
    *,
    steps: int = 64,
) -> Rays:
    """Return the rays of views by parallel beams that turn about the axis z: views x rows x columns of a detector.

    View a has the direction (cos a, sin a, 0), columns along (-sin a, cos a, 0) and rows along z; pixels are of equal
    size and centered, and the detector is as wide as the smaller side of the box and as high as the box.

    Parameters
    ----------
    angles : (views,) array
        In radians.
    size : (rows, columns)
        Pixels of the detector.
    box : two triples of float
    steps : int
        Samples of a ray.

    Returns
    -------
    Rays
        In the order (view, row, column).

    Raises
    ------
    InvalidValueError, ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.fields import parallel_rays
    >>> parallel_rays(np.array([0.0, np.pi / 2]), (8, 16), ((-1, -1, -1), (1, 1, 1)), steps=32)
    Rays(256 rays of 32 steps)
    """
    turns = as_finite(angles, "angles", shape=(None,))
    low, high = box_ends(box)
    rows, columns = size
    if rows < 1 or columns < 1:
        raise InvalidValueError(f"a detector of {size} pixels; expected positive numbers")
    width, center = (high - low)[:2].min(), (low + high) / 2
    across = ((np.arange(columns) + 0.5) / columns - 0.5) * width
    up = ((np.arange(rows) + 0.5) / rows - 0.5) * (high - low)[2]
    cosine, sine = np.cos(turns), np.sin(turns)
    zero = np.zeros_like(turns)
    directions = np.stack([cosine, sine, zero], axis=1)
    sideways = np.stack([-sine, cosine, zero], axis=1)
    origins = center + sideways[:, None, None] * across[:, None] + np.array([0, 0, 1.0]) * up[:, None, None]
    beams = np.broadcast_to(directions[:, None, None], origins.shape)
    return Rays.through_box(origins.reshape(-1, 3), np.ascontiguousarray(beams).reshape(-1, 3), box, steps=steps)
