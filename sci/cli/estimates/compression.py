"""Needs of a compression: one chunk of the largest field, compressed for real."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sci.cli.estimates.needs import Needs, file_bytes
from sci.cli.estimates.trial import attempt
from sci.compression import CodedFields, MultiScaleVQ, compress_grid, encode_fields
from sci.compression.chunks.plans import blocks_of, chunk_edges
from sci.io import StoredField, read_compressed
from sci.io.codecs.compressed.rules import read_block

__all__ = ["coding_needs", "decoding_needs", "decompression_needs", "field_needs"]

SPREAD = 1.3
"""Part by which other chunks may need more bytes than the one that was tried."""


def field_needs(path: Path, found: Sequence[StoredField], tol: float, **settings: Any) -> Needs:
    """Return the needs of one process that compresses the fields of a file, by a trial on a chunk in the middle."""
    fields = [one for one in found if not one.reason]
    chunk = settings.pop("chunk")
    largest = max(fields, key=lambda one: one.nbytes)
    places = list(blocks_of(largest.shape, chunk_edges(largest.shape, chunk)))
    reading = attempt(lambda: read_block(path, largest.name, places[len(places) // 2]))
    values = reading.result
    trial = attempt(lambda: compress_grid(values, tol, chunk=values.shape, **settings), memory=True)
    again = attempt(lambda: compress_grid(values, tol, chunk=values.shape, **settings))
    factor = sum(math.prod(one.shape) for one in fields) / values.size
    part = trial.result.nbytes / values.nbytes
    exact = sum(one.nbytes for one in found if one.reason)
    disk = file_bytes(SPREAD * part * sum(one.nbytes for one in fields) + exact, 3 * len(fields) + len(found))
    seconds = {"reading": 2 * factor * reading.seconds, "compression": factor * again.seconds}
    return Needs(trial.peak + 2.0 * values.nbytes, seconds, disk)


def decompression_needs(path: Path, fields: Sequence[StoredField]) -> Needs:
    """Return the needs of a process that decompresses the fields of a file, by a trial on the first chunk of one."""
    largest = max(fields, key=lambda one: one.nbytes)
    grid = read_compressed(path, largest.name or None)
    trial = attempt(lambda: grid[: grid.edges[0][1]], memory=True)
    again = attempt(lambda: grid[: grid.edges[0][1]])
    factor = sum(one.nbytes for one in fields) / max(1, trial.result.nbytes)
    return Needs(trial.peak + 2.0 * trial.result.nbytes, {"decompression": 1.2 * factor * again.seconds})


def coding_needs(quantizer: MultiScaleVQ, fields: np.ndarray) -> Needs:
    """Return the needs of a process that encodes fields, by a trial on the first."""
    trial = attempt(lambda: encode_fields(quantizer, fields[:1]), memory=True)
    again = attempt(lambda: encode_fields(quantizer, fields[:1]))
    together = min(len(fields), max(1, 2**22 // max(1, fields[:1].size)))
    return Needs(SPREAD * together * trial.peak + fields.nbytes, {"encoding": 1.2 * len(fields) * again.seconds})


def decoding_needs(quantizer: MultiScaleVQ, coded: CodedFields) -> Needs:
    """Return the needs of a process that decodes fields, by a trial on a cell of the first."""
    whole = [slice(0, n) for n in coded.grid]
    trial = attempt(lambda: coded.block(quantizer, 0, whole), memory=True)
    again = attempt(lambda: coded.block(quantizer, 0, whole))
    n = len(coded.rms)
    together = min(n, max(1, 2**22 // max(1, trial.result.size)))
    return Needs(SPREAD * together * trial.peak + n * trial.result.nbytes, {"decoding": 1.2 * n * again.seconds})
