"""Models of `sci operator` whose weights are codes: `sci compress` and `sci decompress` of them, and predictions."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from sci.cli.common import load_as, parent_of
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.estimates.networks.codes import compression_needs
from sci.cli.outcome import size_in_words, tell
from sci.cli.sharing import from_first
from sci.compression import CompressedModel, compress_model
from sci.distributed import agreed, rank_of
from sci.errors import FileFormatError, InvalidValueError, with_article
from sci.io import load, load_inputs, read_header, save
from sci.io.codecs.compressed.rules import NUMPY
from sci.operators import TrainedOperator, as_fields
from sci.operators.fno.base import Operator

__all__ = ["CODES", "MODELS", "compress_operator", "decompress_operator", "kind_in", "predicting"]

MODELS = ("trained_operator", "fno", "tfno", "sfno", "uno")
"""Kinds of files of models that can be compressed."""
CODES = "compressed_model"
"""Kind of a file of a compressed model."""
_COPIES = 40.0
"""Bytes that the compression of a model holds for each of its own, at most for codes of 4 bits."""


def kind_in(path: Path) -> str:
    """Return the kind that the header of a file names; no text for files of others."""
    try:
        return read_header(path).kind
    except FileFormatError:
        return ""


def compress_operator(a: argparse.Namespace) -> None:
    """Compress a model and write it; ranks share the samples."""
    start = time.perf_counter()
    for name in ("bits", "calibrate"):
        if getattr(a, name) is None:
            raise InvalidValueError(f"{a.input} holds a model; give --{name}, like --bits 4 --calibrate samples.h5")
    operator, x = from_first(a.comm, lambda: _inputs(a))
    groups = 4 if a.groups is None else a.groups
    n_bytes = float(operator.model.nbytes)
    if not goes_on(
        a,
        lambda: compression_needs(operator, a.bits, x, groups),
        bound=_COPIES * n_bytes + 20.0 * x.nbytes,
        disk=file_bytes(n_bytes * a.bits / 16, 8),
        outputs=[a.output],
        remedy="use fewer samples or bits",
        about={"parameters": operator.model.n_parameters, "samples": len(x)},
    ):
        return
    small = compress_model(operator, a.bits, x, groups=groups, comm=a.comm)
    with agreed(a.comm, "the model"):
        if rank_of(a.comm) > 0:
            return
        save(a.output, small, command=a.command, parent_uuid=parent_of(a.input), overwrite=True)
        tell(a, *_report(a, small, len(x), time.perf_counter() - start))


def _inputs(a: argparse.Namespace) -> tuple[TrainedOperator, np.ndarray]:
    """Read the model and the calibration samples."""
    found = load(a.input)
    operator = TrainedOperator(found) if isinstance(found, Operator) else found
    if not isinstance(operator, TrainedOperator):
        raise FileFormatError(
            f"{a.input}: holds {with_article(type(found).__name__)}; expected a model of sci operator"
        )
    samples, config = load_inputs(a.calibrate), operator.model.config
    if samples.grid_axes not in (None, config.dim):
        raise InvalidValueError(
            f"{a.calibrate}: samples on grids of {samples.grid_axes} axes; the model takes {config.dim}"
        )
    x = as_fields(samples.x, config.dim, f"{a.calibrate}: x")
    if x.shape[1] != config.in_channels:
        raise InvalidValueError(
            f"{a.calibrate}: x has {x.shape[1]} channels; {a.input} takes {config.in_channels}; give inputs of it"
        )
    return operator, x.astype(np.complex64 if config.complex_data else np.float32, copy=False)


def _report(
    a: argparse.Namespace, small: CompressedModel, samples: int, seconds: float
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    before, after = a.input.stat().st_size, a.output.stat().st_size
    report = {
        "model": str(a.output),
        "bits": a.bits,
        "bytes_before": before,
        "bytes": after,
        "parameter_bytes_before": small.dense_nbytes,
        "parameter_bytes": small.nbytes,
        "ratio": small.ratio,
        "output_error": small.output_error,
        "weights": {name: {"start_error": r.start_error, "error": r.error} for name, r in small.reports.items()},
        "samples": samples,
        "seconds": seconds,
    }
    rows = [
        ("file", f"{a.output}, {size_in_words(after)} of {size_in_words(before)}"),
        ("parameters", f"{small.nbytes:,} of {small.dense_nbytes:,} bytes, {small.ratio:.3g} to 1, {a.bits} bits"),
        ("outputs", f"moved by {small.output_error:.1e} of their size, on {samples} samples"),
        *(("" if k else "weights", f"{name}: {r!r}") for k, (name, r) in enumerate(small.reports.items())),
    ]
    return report, [*rows, ("seconds", f"{seconds:.2f}")]


def decompress_operator(a: argparse.Namespace) -> None:
    """Write the dense model of a file of codes."""
    start = time.perf_counter()
    if a.output.suffix.lower() == NUMPY:
        raise InvalidValueError(f"{a.output}: expected a name like {a.output.stem}.h5, for a model")
    small = load_as(a.input, CompressedModel, "a model of sci compress")
    if not goes_on(
        a,
        lambda: compression_needs(None, 1, np.zeros(0), 1, n_bytes=small.dense_nbytes),
        bound=4.0 * small.dense_nbytes,
        disk=file_bytes(float(small.dense_nbytes), len(small.reports) + 8),
        outputs=[a.output],
        remedy="free some",
        about={"ratio": small.ratio},
    ):
        return
    save(a.output, small.fold(), command=a.command, parent_uuid=parent_of(a.input), overwrite=True)
    before, after = a.input.stat().st_size, a.output.stat().st_size
    report = {"model": str(a.output), "bytes_before": before, "bytes": after, "seconds": time.perf_counter() - start}
    tell(a, report, [("file", f"{a.output}, {size_in_words(after)} of {size_in_words(before)}")])


def predicting(path: Path) -> TrainedOperator:
    """Return the operator of a file, whose weights may be codes.

    Raises
    ------
    FileFormatError
    """
    found = load(path)
    model = found.model if isinstance(found, CompressedModel) else found
    if not isinstance(model, TrainedOperator):
        raise FileFormatError(f"{path}: holds {with_article(type(model).__name__)}; expected a model of sci operator")
    return model
