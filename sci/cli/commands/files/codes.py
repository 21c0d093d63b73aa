"""`sci compress --codebook` and `sci decompress --codebook`: fields as codes of a fixed rate."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sci import io
from sci.cli.common import load_as, parent_of
from sci.cli.estimates.compression import coding_needs, decoding_needs
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.outcome import size_in_words, tell
from sci.cli.sharing import on_first_alone
from sci.compression import CodedFields, MultiScaleVQ, encode_fields
from sci.errors import InvalidValueError
from sci.io.codecs.compressed.rules import read_block
from sci.io.core.atomic_write import replacing

__all__ = ["OTHERS", "decode", "encode", "is_coded", "only_field"]

OTHERS = ("tol", "bound", "absolute", "method", "chunk")
"""Options of `sci compress` that a codebook, whose rate is fixed, does not take."""


def is_coded(path: Path) -> bool:
    """Whether a file holds fields as codes."""
    return path.suffix.lower() != ".npy" and io.read_header(path).kind == "coded_fields"


@on_first_alone
def encode(a: argparse.Namespace) -> None:
    """Write an array of fields as codes of a codebook."""
    start = time.perf_counter()
    if given := [name for name in OTHERS if getattr(a, name) is not None]:
        raise InvalidValueError(
            f"--{given[0]} and --codebook were given; codes have a fixed rate: leave out one of them"
        )
    quantizer = load_as(a.codebook, MultiScaleVQ, "a codebook, a MultiScaleVQ, of train_vector_quantizer")
    one = only_field(a, "a codebook encodes")
    shape = _as_fields(one.shape, quantizer, f"{a.input}: {one.name or 'the array'}")
    if 0 in shape:
        raise InvalidValueError(f"{a.input}: the fields have shape {shape}; expected one number or more")
    own = quantizer.with_grid(shape[2:])  # refuses grids that patches do not fill
    codes = own.bits * own.n_codes * shape[0] / 8
    if not goes_on(
        a,
        lambda: coding_needs(quantizer, _read(a, one, shape)),
        bound=8.0 * one.nbytes * own.codebook.itemsize,
        disk=file_bytes(1.1 * codes + 40 * shape[0] * shape[1], 4 + len(own.scales)),
        outputs=[a.output],
        remedy="take fewer fields",
        about={"fields": list(shape), "codes": own.n_codes, "bits": own.bits},
    ):
        return
    coded = replace(encode_fields(quantizer, _read(a, one, shape)), shape=one.shape)
    io.save(a.output, coded, command=a.command, parent_uuid=parent_of(a.input), overwrite=True)
    tell(a, *_report(a, one, coded, time.perf_counter() - start))


def only_field(a: argparse.Namespace, what: str) -> io.StoredField:
    """Return the only field of the input, or of those that are named.

    Raises
    ------
    InvalidValueError
        For none or several; `what` begins the message.
    """
    found = [one for one in io.stored_fields(a.input, datasets=a.datasets) if not one.reason]
    if len(found) != 1:
        names = ", ".join(one.name for one in found) or "none"
        raise InvalidValueError(
            f"{a.input}: {what} one array of fields, and there are {len(found)} ({names}); name one by --datasets"
        )
    return found[0]


def _as_fields(shape: tuple[int, ...], quantizer: MultiScaleVQ, name: str) -> tuple[int, ...]:
    """Return a shape as (n, channels, *grid): the axes of samples and of a single channel may be missing."""
    axes, channels = len(quantizer.patch), quantizer.channels
    if len(shape) == axes + 2 and shape[1] == channels:
        return shape
    if len(shape) == axes + 1 and channels == 1:
        return (shape[0], 1, *shape[1:])
    if len(shape) == axes + (channels > 1) and (channels == 1 or shape[0] == channels):
        return (1, *shape) if channels > 1 else (1, 1, *shape)
    patch = " x ".join(map(str, quantizer.patch))
    raise InvalidValueError(
        f"{name} has shape {shape}; expected fields (n, {channels}, *grid) on {axes} axes, for patches of {patch} cells"
    )


def _read(a: argparse.Namespace, one: io.StoredField, shape: tuple[int, ...]) -> np.ndarray:
    return read_block(a.input, one.name, (slice(None),) * len(one.shape)).reshape(shape)


def _report(
    a: argparse.Namespace, one: io.StoredField, coded: CodedFields, seconds: float
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    worst, after = float(coded.relative_errors.max()), a.output.stat().st_size
    ratio, whole = one.nbytes / coded.nbytes, one.nbytes / after
    report = {
        "input": str(a.input),
        "output": str(a.output),
        "field": one.name,
        "shape": list(one.shape),
        "codebook": coded.codebook,
        "bytes_before": one.nbytes,
        "codes": coded.nbytes,
        "bytes": after,
        "ratio": ratio,
        "error": {"relative": worst, "worst": float(coded.maximum_errors.max())},
        "seconds": seconds,
    }
    rows = [
        ("file", f"{a.output}, {size_in_words(after)} of {size_in_words(one.nbytes)}, {whole:.3g} to 1"),
        (one.name or "array", f"{ratio:.3g} to 1 without the header; relative error up to {worst:.2e} in L2"),
        ("codebook", f"{a.codebook}, {coded.codebook[:8]}: needed to decompress"),
        ("seconds", f"{seconds:.2f}"),
    ]
    return report, rows


def decode(a: argparse.Namespace) -> None:
    """Write the fields of codes as .npy, in the shape that they were given in."""
    start = time.perf_counter()
    if a.codebook is None:
        raise InvalidValueError(f"{a.input} holds codes; give the --codebook that they were made with")
    if a.output.suffix.lower() != ".npy":
        raise InvalidValueError(f"{a.output}: codes decompress to one array; name a .npy file")
    coded = load_as(a.input, CodedFields, "a file of sci compress --codebook")
    quantizer = load_as(a.codebook, MultiScaleVQ, "the codebook, a MultiScaleVQ, that the codes were made with")
    shape = tuple(coded.shape)
    n_bytes = float(math.prod(shape) * quantizer.codebook.itemsize)
    if not goes_on(
        a,
        lambda: decoding_needs(quantizer, coded),
        bound=8 * n_bytes,
        disk=file_bytes(n_bytes),
        outputs=[a.output],
        remedy="free some",
        about={"fields": list(shape)},
    ):
        return
    found = coded.decode(quantizer).reshape(shape)
    with replacing(a.output, int(n_bytes), overwrite=True) as temporary, open(temporary, "wb") as file:
        np.save(file, found)
    report: dict[str, Any] = {"input": str(a.input), "output": str(a.output), "shape": list(shape)}
    report |= {"bytes": a.output.stat().st_size, "seconds": time.perf_counter() - start}
    tell(a, report, [("file", f"{a.output}, {size_in_words(a.output.stat().st_size)}"), ("shape", str(shape))])
