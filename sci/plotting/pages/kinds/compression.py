"""Charts of compressed fields: what they hold, and what each chunk costs and errs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sci.compression import CompressedField, CompressedGrid
from sci.plotting.pages.charts import lines
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.kinds.fields import field_panel
from sci.plotting.pages.panels import Panel, Table
from sci.plotting.pages.registry import figures_of

__all__: list[str] = []


@figures_of("compressed_field")
def _field(contents: Contents) -> Iterator[Panel]:
    field = contents.object
    yield _table(field, field.method, 1)
    yield from _middle(field.decompress())


@figures_of("compressed_grid")
def _grid(contents: Contents) -> Iterator[Panel]:
    grid = contents.object
    methods = sorted({chunk.method for chunk in grid.chunks})
    yield _table(grid, " and ".join(methods) or "none", len(grid.chunks))
    if not len(grid.chunks):
        return
    number = (np.arange(len(grid.chunks)), "chunk")
    sizes = np.array([chunk.nbytes for chunk in grid.chunks])
    errors = np.array([chunk.l2_error if grid.bound == "l2" else chunk.maximum_error for chunk in grid.chunks])
    yield lines("Bytes of each chunk", number, {"bytes": sizes}, "bytes")
    yield lines(f"Error of each chunk ({grid.bound})", number, {"error": errors}, "error (units of the field)")
    first = len(grid.shape) > 2
    yield from _middle(grid[len(grid) // 2] if first else grid.decompress())


def _table(found: CompressedField | CompressedGrid, methods: str, chunks: int) -> Table:
    kind = "of the norm" if found.bound == "l2" else "of the range"
    return Table(
        "Compressed field",
        [
            ("shape", f"{' x '.join(map(str, found.shape))} {found.dtype}"),
            ("ratio", f"{found.ratio:.4g} to 1, {found.nbytes} bytes"),
            ("tolerance", f"{found.tol:.3g} {kind if found.relative else 'in the units of the field'}"),
            ("error in L2", f"{found.relative_l2_error:.3e} of the norm"),
            ("error at worst", f"{found.relative_maximum_error:.3e} of the range"),
            ("methods", methods),
            ("chunks", str(chunks)),
        ],
    )


def _middle(values: np.ndarray) -> Iterator[Panel]:
    """Draw a field of one to three axes, or the middle of one of more."""
    while values.ndim > 3:
        values = values[len(values) // 2]
    if values.ndim == 1:
        yield lines("Decoded", _places(values.shape), {"value": values}, "value")
    else:
        yield field_panel("Decoded", values, "value")


def _places(shape: Sequence[int]) -> tuple[np.ndarray, str]:
    return np.arange(shape[0]), "point"
