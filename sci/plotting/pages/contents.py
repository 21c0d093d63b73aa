"""Contents of a file, read when a chart asks for them, and never more than a chart can show."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sci.errors import FileFormatError
from sci.io import describe, load, load_results, read_slabs

__all__ = ["Contents", "Volume", "thinned"]

PLANE_POINTS, PLANES = 84, 36
"""Points a side of a plane, and planes, that are read of a grid."""


class Volume(NamedTuple):
    """Values (nx, ny, nz) on three axes, and the stride along each that they were read with."""

    values: np.ndarray
    axes: tuple[np.ndarray, np.ndarray, np.ndarray]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Contents:
    """A file of the library, for those who draw it.

    Parameters
    ----------
    path : Path
    truth : Path, optional
        A file of the same kind to compare with.

    Examples
    --------
    >>> from pathlib import Path
    >>> from sci.plotting import Contents
    >>> from sci.io import save
    >>> from sci.potentials import Particles
    >>> save("pair.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    >>> Contents(Path("pair.h5")).path.name
    'pair.h5'
    """

    path: Path
    truth: Path | None = None

    def __repr__(self) -> str:
        """Return the kind and the name."""
        return f"Contents({self.kind!r}, {str(self.path)!r})"

    @functools.cached_property
    def header(self) -> dict[str, Any]:
        """Root attributes, size, and every dataset's shape, dtype and units."""
        return describe(self.path)

    @property
    def kind(self) -> str:
        """The kind that the header names."""
        return str(self.header["kind"])

    @functools.cached_property
    def results(self) -> Mapping[str, Any]:
        """Results beside the object: numbers, arrays, texts and mappings of them."""
        return load_results(self.path)

    @functools.cached_property
    def object(self) -> Any:
        """The object of the file."""
        return load(self.path)

    def units(self, dataset: str, default: str = "") -> str:
        """Return the units of a dataset as the file says."""
        return str(self.header["datasets"].get(dataset, {}).get("units", default))

    def grid(self) -> tuple[Volume, str] | None:
        """Return the grid of the file, thinned while it is read slab by slab, and its units; None if it has none."""
        try:
            slabs = read_slabs(self.path)
        except FileFormatError:
            return None
        limits = (PLANE_POINTS, PLANE_POINTS, PLANES)
        sx, sy, sz = (stride(n, limit) for n, limit in zip(slabs.shape, limits))
        planes: list[np.ndarray] = []
        at = 0
        for slab in slabs:
            first = -at % sz
            planes += [np.asarray(plane, "f4") for plane in _planes(slab.values[::sx, ::sy, first::sz])]
            at += slab.shape[2]
        axes = [o + h * np.arange(n) for o, h, n in zip(slabs.origin, slabs.spacing, slabs.shape)]
        values = np.stack(planes, axis=2)
        return Volume(values, (axes[0][::sx], axes[1][::sy], axes[2][::sz]), (sx, sy, sz)), slabs.units


def stride(n: int, limit: int) -> int:
    """Return the smallest stride that leaves at most `limit` of n points."""
    return max(1, -(-n // limit))


def thinned(values: np.ndarray, limits: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return every s-th value along each axis, at most `limits` of them, and the strides.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.plotting.pages.contents import thinned
    >>> thinned(np.arange(10), (4,))
    (array([0, 3, 6, 9]), (3,))
    """
    strides = tuple(stride(n, limit) for n, limit in zip(values.shape, limits))
    return values[tuple(slice(None, None, s) for s in strides)], strides


def _planes(values: np.ndarray) -> Iterator[np.ndarray]:
    return (values[:, :, k] for k in range(values.shape[2]))
