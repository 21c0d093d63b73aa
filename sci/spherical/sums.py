"""Sums over the coefficients of a coupling that are not zero: tables, the kernel, its reference, and the arguments."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import numpy as np

from sci.backend import Array, as_finite, device_number, namespace, to_device
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.spherical.coupling import MAX_COUPLED, Entries, coupled_entries
from sci.spherical.wigner import degree_of

__all__ = ["Kind", "coupled_sum", "features", "path_sums", "require_coupled"]

Kind = Literal["gaunt", "even", "odd"]
_FILE = "spherical/gaunt.cu"
_AXES = {"z": (0, 1, 2), "x": (2, 1, 0), "y": (0, 2, 1)}
"""Places of the two factors and of the sum, for the product and its two gradients: out, x, y of the kernel."""


@dataclass(frozen=True, eq=False)
class Table:
    """What the kernel reads: entries in the order of the sums, segments of one path each, and where they end.

    Parameters
    ----------
    entries : (n, 2) int32 array
    values : (n,) array
    starts : (segments + 1,) int64 array
    paths : (segments,) int64 array
    ends : (outs,) int64 array
    unit : (paths, 1) array
        Weights of 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.spherical.sums import table
    >>> table((4, 4, 4), "gaunt", "z", "float64", np, 0)
    Table(1158 entries, 25 sums)
    """

    entries: Array
    values: Array
    starts: Array
    paths: Array
    ends: Array
    unit: Array

    def __repr__(self) -> str:
        return f"Table({len(self.values)} entries, {len(self.ends)} sums)"


def require_coupled(*degrees: int) -> None:
    """Raise InvalidValueError for degrees that have no table."""
    for degree in degrees:
        if not 0 <= degree <= MAX_COUPLED:
            raise InvalidValueError(f"degree is {degree}; expected 0 to {MAX_COUPLED} in a product")


def features(*arrays: tuple[str, Array]) -> tuple[list[Array], tuple[int, ...], int]:
    """Return named features as (batch, coefficients, channels), their leading axes, and channels, all broadcast.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    """
    xp = namespace(*(array for _, array in arrays))
    dtypes = {np.dtype(array.dtype) for _, array in arrays}
    if len(dtypes) > 1:
        raise DTypeError(
            f"features of dtypes {' and '.join(sorted(map(str, dtypes)))}; expected one: convert by x.astype(y.dtype)"
        )
    for name, array in arrays:
        require_coupled(degree_of(array, name))
    dtype = np.float32 if dtypes == {np.dtype(np.float32)} else np.float64
    checked = [as_finite(array, name, dtype=dtype) for name, array in arrays]
    try:
        lead = np.broadcast_shapes(*(a.shape[:-2] for a in checked))
        channels = np.broadcast_shapes(*(a.shape[-1:] for a in checked))[0]
    except ValueError as error:
        shapes = " and ".join(str(tuple(a.shape)) for a in checked)
        raise ShapeError(
            f"features of shapes {shapes}; expected leading axes and channels that are equal, or 1, along each axis"
        ) from error
    batch, found = math.prod(lead), []
    for array in checked:
        whole = xp.broadcast_to(array, (*lead, array.shape[-2], channels))
        found.append(xp.ascontiguousarray(whole).reshape(batch, array.shape[-2], channels))
    return found, lead, channels


def coupled_sum(x: Array, y: Array, degrees: Sequence[int], kind: Kind, of: str, weights: Array | None = None) -> Array:
    """Return a product of features (batch, coefficients, channels), unchecked, or one of its two gradients.

    Of "z" it is z_c = sum C_abc x_a y_b; of "x" the gradient sum C_abc dz_c y_b, for which dz takes the place of `x`;
    of "y" it is sum C_abc x_a dz_c, for which dz takes that of `y`. `degrees` are those of x, y and z.
    """
    xp = namespace(x, y)
    found = table(tuple(degrees), kind, of, np.dtype(x.dtype).name, xp, device_number(x))
    given = found.unit if weights is None else xp.ascontiguousarray(weights)
    kernel = get_kernel(_FILE, "coupled_sum", x.dtype)
    if not use_compiled(kernel, x):
        return coupled_sum_reference(x, y, found, given)
    (batch, nx, channels), nout = x.shape, len(found.ends)
    out = xp.empty((batch, nout, channels), x.dtype)
    tables = (found.entries, found.values, found.starts, found.paths, found.ends, given)
    numbers = (batch, channels, nx, y.shape[1], nout, given.shape[1])
    launch(kernel, -(-batch * channels // block_size(x)), x, y, *tables, out, *numbers)
    return out


def coupled_sum_reference(x: Array, y: Array, found: Table, weights: Array) -> Array:
    """Return the sums of the kernel, one sum at a time by array calls."""
    xp = namespace(x, y)
    out = xp.zeros((len(x), len(found.ends), x.shape[2]), x.dtype)
    starts, paths, first = found.starts.tolist(), found.paths.tolist(), 0
    for c, end in enumerate(found.ends.tolist()):
        for segment in range(first, end):
            part = slice(starts[segment], starts[segment + 1])
            a, b = found.entries[part].T
            terms = x[:, a] * y[:, b] * found.values[part, None]
            out[:, c] += weights[paths[segment]] * terms.sum(axis=1)
        first = end
    return out


def path_sums(x: Array, y: Array, z: Array, degrees: Sequence[int], kind: Kind, paths: int) -> Array:
    """Return sum C_abc x_a y_b z_c over the entries of each path: (batch, paths, channels), unchecked."""
    xp = namespace(x, y, z)
    entries, values, starts = _by_path(tuple(degrees), kind, np.dtype(x.dtype).name, xp, device_number(x))
    kernel = get_kernel(_FILE, "path_sums", x.dtype)
    out = xp.zeros((len(x), paths, x.shape[2]), x.dtype)
    if not use_compiled(kernel, x):
        edges = starts.tolist()
        for p, (first, last) in enumerate(itertools.pairwise(edges)):
            a, b, c = entries[first:last].T
            out[:, p] = (x[:, a] * y[:, b] * z[:, c] * values[first:last, None]).sum(axis=1)
        return out
    batch, nx, channels = x.shape
    launch(
        kernel,
        -(-batch * channels // block_size(x)),
        *(x, y, z, entries, values, starts, out, batch, channels, nx, y.shape[1], z.shape[1], paths),
    )
    return out


@functools.lru_cache(maxsize=64)
def table(degrees: tuple[int, int, int], kind: Kind, of: str, dtype: str, xp: ModuleType, device: int) -> Table:
    """Return the table of a sum on a device."""
    first, second, axis = _AXES[of]
    found = coupled_entries(*degrees, kind).sorted_by(axis)
    sums, n = found.places[:, axis], len(found.values)
    begins = np.flatnonzero(np.diff(sums, prepend=-1) | np.diff(found.paths, prepend=-1)) if n else np.zeros(0, int)
    outs = (degrees[axis] + 1) ** 2
    ends = np.searchsorted(sums[begins], np.arange(outs), side="right")
    parts = (
        np.ascontiguousarray(found.places[:, [first, second]], np.int32),
        found.values.astype(dtype),
        np.append(begins, n).astype(np.int64),
        found.paths[begins].astype(np.int64),
        ends.astype(np.int64),
        np.ones((found.paths.max(initial=0) + 1, 1), dtype),
    )
    return Table(*(to_device(part, xp) for part in parts))


@functools.lru_cache(maxsize=32)
def _by_path(
    degrees: tuple[int, int, int], kind: Kind, dtype: str, xp: ModuleType, device: int
) -> tuple[Array, Array, Array]:
    """Return entries in the order of their paths, values, and where each path begins."""
    found: Entries = coupled_entries(*degrees, kind)  # made path by path
    starts = np.searchsorted(found.paths, np.arange(found.paths.max(initial=-1) + 2))
    parts = (np.ascontiguousarray(found.places, np.int32), found.values.astype(dtype), starts.astype(np.int64))
    entries, values, edges = (to_device(part, xp) for part in parts)
    return entries, values, edges
