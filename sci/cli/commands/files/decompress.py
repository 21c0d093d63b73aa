"""`sci decompress SMALL.h5 -o FILE`: a compressed file with plain datasets again."""

from __future__ import annotations

import argparse
import time
from typing import Any

from sci import io
from sci.cli.commands.files.codes import decode, is_coded
from sci.cli.commands.operators.codes import CODES, decompress_operator, kind_in
from sci.cli.common import chosen_namespace
from sci.cli.estimates.compression import decompression_needs
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.outcome import require_writable, size_in_words, tell
from sci.cli.sharing import on_first_alone
from sci.errors import InvalidValueError
from sci.io.codecs.compressed.unpacking import compressed_fields

__all__ = ["run"]


@on_first_alone
def run(a: argparse.Namespace) -> None:
    """Decompress the file."""
    start = time.perf_counter()
    chosen_namespace(a, on_device=False)
    require_writable([a.output], [a.input], overwrite=a.overwrite)
    if is_coded(a.input):
        decode(a)
        return
    if a.codebook is not None:
        raise InvalidValueError(f"{a.input} holds no codes; leave out --codebook")
    if kind_in(a.input) == CODES:
        decompress_operator(a)
        return
    fields = compressed_fields(a.input, a.output)
    n_bytes = float(sum(one.nbytes for one in fields))
    if not goes_on(
        a,
        lambda: decompression_needs(a.input, fields),
        bound=4 * n_bytes,
        disk=file_bytes(n_bytes + a.input.stat().st_size),
        outputs=[a.output],
        remedy="free some",
        about={"fields": [f"{one.name or 'array'} {' x '.join(map(str, one.shape))} {one.dtype}" for one in fields]},
    ):
        return
    io.decompress_file(a.input, a.output, overwrite=True)
    tell(a, *_report(a, fields, time.perf_counter() - start))


def _report(
    a: argparse.Namespace, fields: tuple[io.StoredField, ...], seconds: float
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    before, after = a.input.stat().st_size, a.output.stat().st_size
    report = {
        "input": str(a.input),
        "output": str(a.output),
        "bytes_before": before,
        "bytes": after,
        "fields": [{"name": one.name, "shape": list(one.shape), "dtype": one.dtype} for one in fields],
        "seconds": seconds,
    }
    rows = [("file", f"{a.output}, {size_in_words(after)} of {size_in_words(before)}")]
    rows += [(one.name or "array", f"{' x '.join(map(str, one.shape))} {one.dtype}") for one in fields]
    return report, [*rows, ("seconds", f"{seconds:.2f}")]
