"""`sci compress FILE -o SMALL.h5`: a file in few bytes; what it holds decides how."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sci import io
from sci.cli.commands.files.codebook import refuse_alone, train
from sci.cli.commands.files.codes import encode
from sci.cli.commands.operators.codes import CODES, MODELS, compress_operator, kind_in
from sci.cli.common import chosen_namespace
from sci.cli.estimates.compression import field_needs
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.outcome import require_writable, size_in_words, tell
from sci.cli.parsers.compression import OPTIONS
from sci.cli.sharing import from_first
from sci.compression.chunks.plans import chunk_edges
from sci.compression.fields.header import METHODS
from sci.distributed import rank_of
from sci.errors import InvalidValueError

__all__ = ["require_options", "run"]

COPIES = 16.0
"""Chunks in double precision that the compression of one holds at most."""


def run(a: argparse.Namespace) -> None:
    """Compress the file by what it holds."""
    chosen_namespace(a, on_device=False)
    require_writable([a.output], [a.input, *([a.calibrate] if a.calibrate else [])], overwrite=a.overwrite, comm=a.comm)
    if a.codebook is not None or a.train_codebook is not None:
        require_options(a, "fields")
        train(a) if a.train_codebook is not None else encode(a)
        return
    refuse_alone(a)
    what = from_first(a.comm, lambda: _contents(a.input))
    require_options(a, what)
    _COMPRESS[what](a)


def _contents(path: Path) -> str:
    """Return the key of `OPTIONS` of what a file holds."""
    kind = kind_in(path)
    if kind == CODES:
        raise InvalidValueError(f"{path}: the model is compressed already; `sci decompress` it first")
    return "models" if kind in MODELS else "fields"


def require_options(a: argparse.Namespace, what: str) -> None:
    """Refuse options of `sci compress` that go with other contents than the input has.

    Raises
    ------
    InvalidValueError
    """
    for other, names in OPTIONS.items():
        for name in names if other != what else ():
            if getattr(a, name) is not None:
                raise InvalidValueError(f"--{name} goes with a file of {other}; {a.input} holds {what}: leave it out")


def _compress_fields(a: argparse.Namespace) -> None:
    start = time.perf_counter()
    if a.tol is None:
        raise InvalidValueError(f"{a.input} holds fields; give --tol, the largest error, like --tol 1e-3")
    found = from_first(a.comm, lambda: io.stored_fields(a.input, datasets=a.datasets))
    fields = [one for one in found if not one.reason]
    exact = [one for one in found if one.reason]
    if not fields:
        raise InvalidValueError(f"{a.input}: holds no field to compress; name arrays by --datasets: {_names(exact)}")
    chunk = None if a.chunk is None else tuple(a.chunk)
    edges = {one.name: chunk_edges(one.shape, chunk) for one in fields}
    settings = {"bound": a.bound or "l2", "relative": not a.absolute}
    settings |= {"methods": tuple(a.method) if a.method else METHODS, "chunk": chunk}
    largest = max(8.0 * _numbers(edges[one.name], one.shape) for one in fields)
    if not goes_on(
        a,
        lambda: field_needs(a.input, found, a.tol, **settings),
        bound=COPIES * largest,
        disk=file_bytes(sum(one.nbytes for one in found), 4 * len(found)),
        outputs=[a.output],
        remedy="choose a smaller --chunk, or a larger --tol",
        about={"fields": [_shown(one) for one in fields], "exact": [f"{_shown(one)}: {one.reason}" for one in exact]},
    ):
        return
    options = {**settings, "datasets": a.datasets, "command": a.command}
    done = io.compress_file(a.input, a.output, a.tol, **options, overwrite=True, comm=a.comm)
    if rank_of(a.comm) == 0:
        tell(a, *_report(a, found, done, time.perf_counter() - start))


_COMPRESS: dict[str, Callable[[argparse.Namespace], None]] = {"fields": _compress_fields, "models": compress_operator}


def _numbers(edges: Any, shape: tuple[int, ...]) -> int:
    """Return the numbers of the largest chunk."""
    count = 1
    for axis, n in enumerate(shape):
        count *= max(b - a for a, b in zip(edges[axis], edges[axis][1:])) if axis < len(edges) else n
    return count


def _shown(one: io.StoredField) -> str:
    return f"{one.name or 'array'} {' x '.join(map(str, one.shape))} {one.dtype}"


def _names(exact: list[io.StoredField]) -> str:
    return ", ".join(one.name for one in exact if one.dtype.startswith("float")) or "it has none"


def _report(
    a: argparse.Namespace,
    found: tuple[io.StoredField, ...],
    done: tuple[io.CompressedDataset, ...],
    seconds: float,
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    before, after = a.input.stat().st_size, a.output.stat().st_size
    packed = {one.name for one in done}
    exact = {one.name: one.reason or "integers alone" for one in found if one.name not in packed}
    report = {
        "input": str(a.input),
        "output": str(a.output),
        "tol": a.tol,
        "bound": a.bound or "l2",
        "relative": not a.absolute,
        "bytes_before": before,
        "bytes": after,
        "fields": [_entry(one) for one in done],
        "exact": exact,
        "seconds": seconds,
    }
    rows = [("file", f"{a.output}, {size_in_words(after)} of {size_in_words(before)}, {before / after:.3g} to 1")]
    for one in done:
        errors = f"error {one.relative_l2_error:.1e} in L2, {one.relative_maximum_error:.1e} of the range at worst"
        chunks = f", {one.chunks} chunks" if one.chunks > 1 else ""
        rows.append((one.name or "array", f"{one.ratio:.3g} to 1 by {' and '.join(one.methods)}{chunks}; {errors}"))
    rows += [("" if k else "copied exactly", f"{name}: {why}") for k, (name, why) in enumerate(exact.items())]
    return report, [*rows, ("seconds", f"{seconds:.2f}")]


def _entry(one: io.CompressedDataset) -> dict[str, Any]:
    return {
        "name": one.name,
        "shape": list(one.shape),
        "dtype": one.dtype,
        "bytes_before": one.nbytes,
        "bytes": one.stored,
        "ratio": one.ratio,
        "chunks": one.chunks,
        "methods": list(one.methods),
        "error": {"relative": one.relative_l2_error, "worst": one.relative_maximum_error},
        "l2_error": one.l2_error,
        "maximum_error": one.maximum_error,
    }
