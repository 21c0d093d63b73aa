"""Charts of compressed fields: what they hold, and what each chunk costs and errs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sci.backend import to_host
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


@figures_of("coded_fields")
def _coded(contents: Contents) -> Iterator[Panel]:
    coded = contents.object
    sizes = ", ".join(" x ".join(map(str, size)) for size in coded.scales)
    yield Table(
        "Fields as codes",
        [
            ("fields", f"{len(coded.rms)} of {' x '.join(map(str, (coded.rms.shape[1], *coded.grid)))}"),
            ("bytes", f"{coded.nbytes}, {coded.bits} bits a code"),
            ("scales", f"{sizes}; patches of {' x '.join(map(str, coded.patch))}"),
            ("codebook", coded.codebook[:8]),
        ],
    )
    if len(coded.rms):
        number = (np.arange(len(coded.rms)), "field")
        yield lines("Relative error of each field in L2", number, {"error": coded.relative_errors}, "relative error")


@figures_of("vector_quantizer")
def _quantizer(contents: Contents) -> Iterator[Panel]:
    quantizer = contents.object
    yield Table(
        "Codebook",
        [
            ("quantizer", repr(quantizer)),
            ("fields", f"{quantizer.channels} x {' x '.join(map(str, quantizer.grid))}"),
            ("codes of a field", f"{quantizer.n_codes} of {quantizer.bits} bits, {quantizer.ratio:.4g} to 1"),
            ("fingerprint", quantizer.fingerprint[:8]),
        ],
    )
    book = to_host(quantizer.codebook)
    norms = np.sort(np.linalg.norm(book.reshape(-1, *book.shape[-2:]), axis=-1), axis=-1)
    names = ["all scales"] if book.ndim == 2 else [f"scale {k}" for k in range(len(norms))]
    yield lines("Norms of codes, ascending", (np.arange(book.shape[-2]), "code"), dict(zip(names, norms)), "norm")


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
