"""`sci compress --train-codebook`: a codebook of fields, trained on those of all ranks."""

from __future__ import annotations

import argparse
import math
import time
from functools import partial
from typing import Any

import numpy as np

from sci import io
from sci.cli.commands.files.codes import OTHERS, only_field
from sci.cli.common import parent_of
from sci.cli.estimates.compression import SPREAD
from sci.cli.estimates.needs import Needs, file_bytes, goes_on
from sci.cli.estimates.trial import attempt
from sci.cli.outcome import size_in_words, tell
from sci.cli.sharing import from_first
from sci.compression import MultiScaleVQ, train_smoothing, train_vector_quantizer, unit_rms
from sci.distributed import agreed, rank_of, size, split
from sci.errors import InvalidValueError
from sci.io.codecs.compressed.rules import read_block

__all__ = ["TRAINING", "refuse_alone", "train"]

TRAINING = ("patch", "stages", "rounds", "smoothing")
"""Options that go with --train-codebook alone."""

_PATCH, _STAGES, _ROUNDS = 4, 2, 20
_TRIED, _LONGER = 8, 4
"""Fields and rounds of short trials."""
_MORE = 1 << 16
"""Numbers of the fields of longer ones, about, where these are more."""


def refuse_alone(a: argparse.Namespace) -> None:
    """Refuse options of a training where there is none.

    Raises
    ------
    InvalidValueError
    """
    for name in TRAINING:
        if getattr(a, name) is not None:
            raise InvalidValueError(f"--{name} goes with --train-codebook: give that too, or leave --{name} out")


def train(a: argparse.Namespace) -> None:
    """Train a codebook on an array of fields, each rank on its share, and write it."""
    start = time.perf_counter()
    if given := [name for name in (*OTHERS, "codebook") if getattr(a, name) is not None]:
        raise InvalidValueError(f"--{given[0]} and --train-codebook were given; leave out one of them")
    one = from_first(a.comm, lambda: only_field(a, "a codebook is trained on"))
    shape, patch = _as_samples(one, a.patch or [_PATCH])
    latent = tuple(n // p for n, p in zip(shape[2:], patch))
    scales = [latent] * (a.stages or _STAGES)
    if not goes_on(
        a,
        lambda: _needs(
            a, shape, scales, patch, _values(a, one, shape, slice(0, max(_TRIED, _MORE // math.prod(shape[1:]))))
        ),
        bound=40.0 * one.nbytes / size(a.comm),
        disk=file_bytes(8.0 * a.train_codebook * len(scales) * shape[1] * math.prod(patch), 6),
        outputs=[a.output],
        remedy="take fewer fields, or more ranks",
        about={"fields": list(shape), "scales": [list(s) for s in scales]},
    ):
        return
    with agreed(a.comm, "the fields"):
        fields = unit_rms(_values(a, one, shape, split(shape[0], a.comm)))[0]
    book, losses = _train(a, fields, scales, patch, a.comm)
    if rank_of(a.comm) == 0:
        io.save(a.output, book, command=a.command, parent_uuid=parent_of(a.input), overwrite=True)
        tell(a, *_report(a, one, book, losses, time.perf_counter() - start))


def _train(
    a: argparse.Namespace, fields: np.ndarray, scales: list[tuple[int, ...]], patch: tuple[int, ...], comm: Any
) -> tuple[MultiScaleVQ, list[float]]:
    """Return the codebook, and the relative errors of the fields after its training and that of its smoothing."""
    options = {"patch": patch, "one_each": True, "rounds": a.rounds or _ROUNDS, "seed": 0, "comm": comm}
    book, history = train_vector_quantizer(fields, scales, a.train_codebook, **options)
    found = [float(history.losses[-1])]
    if a.smoothing:
        book, losses = train_smoothing(book, fields, convolutions=min(a.smoothing, len(scales)), comm=comm)
        found.append(float(losses[-1]))
    return book, [math.sqrt(loss) for loss in found]


def _as_samples(one: io.StoredField, patch: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return a shape as (n, channels, *grid), and the patch along each axis of the grid.

    One length stands for all axes: then an array of three axes or fewer is samples on a grid, one of more has channels.
    """
    shape, ndim = one.shape, len(one.shape)
    axes = len(patch) if len(patch) > 1 else max(1, ndim - (1 if ndim <= 3 else 2))
    cells = tuple(patch) if len(patch) == axes else tuple(patch) * axes
    if not 1 <= axes <= 3 or ndim not in (axes + 1, axes + 2):
        raise InvalidValueError(
            f"{one.name or 'the array'} has shape {shape}; expected samples (n, *grid) or (n, channels, *grid) on "
            f"{axes} axes, for patches of {' x '.join(map(str, cells))} cells"
        )
    whole = shape if ndim == axes + 2 else (shape[0], 1, *shape[1:])
    if 0 in whole or any(n % p for n, p in zip(whole[2:], cells)):
        raise InvalidValueError(
            f"{one.name or 'the array'} has shape {shape}; expected samples on a grid of multiples of the patch of "
            f"{' x '.join(map(str, cells))} cells: choose another --patch"
        )
    return whole, cells


def _values(a: argparse.Namespace, one: io.StoredField, shape: tuple[int, ...], part: slice) -> np.ndarray:
    found = read_block(a.input, one.name, (part, *(slice(None),) * (len(one.shape) - 1)))
    return found.reshape(-1, *shape[1:])


def _needs(
    a: argparse.Namespace,
    shape: tuple[int, ...],
    scales: list[tuple[int, ...]],
    patch: tuple[int, ...],
    some: np.ndarray,
) -> Needs:
    """Return the needs of one process, by few rounds on few of the fields, and on more."""
    own, fields = -(-shape[0] // size(a.comm)), unit_rms(some)[0]
    few = min(len(fields), _TRIED)
    codes = min(a.train_codebook, max(2, few * math.prod(scales[-1]) // 4))

    def trained(n: int, rounds: int) -> Any:
        short = argparse.Namespace(**{**vars(a), "rounds": rounds, "train_codebook": codes})
        return _train(short, fields[:n], scales, patch, None)

    trial = attempt(lambda: trained(few, 1), memory=True)
    tried = [(n, r) for n in sorted({few, len(fields)}) for r in (1, _LONGER)]
    seconds = {(n, r): attempt(partial(trained, n, r)).seconds for n, r in tried}
    whole = expected_seconds(seconds, own, a.rounds or _ROUNDS)
    return Needs(SPREAD * own / few * trial.peak, {"training": a.train_codebook / codes * whole})


def expected_seconds(tried: dict[tuple[int, int], float], fields: int, rounds: int) -> float:
    """Return the seconds of a training from those of trials: they grow with fields, rounds and their product.

    Parameters
    ----------
    tried : dict of (fields, rounds) to seconds
        For one or two numbers of fields, each with the same two numbers of rounds.
    fields, rounds : int
        Of the training.
    """
    sizes, (short, long) = sorted({n for n, _ in tried}), sorted({r for _, r in tried})
    once = {n: max(0.0, tried[n, long] - tried[n, short]) / (long - short) for n in sizes}
    before = {n: max(0.0, tried[n, short] - short * once[n]) for n in sizes}

    def at(values: dict[int, float]) -> float:
        low, high = sizes[0], sizes[-1]
        if low == high:
            return values[low] * max(1.0, fields / low)
        slope = max(0.0, values[high] - values[low]) / (high - low)
        return values[high] + slope * max(0, fields - high)

    return at(before) + rounds * at(once)


def _report(
    a: argparse.Namespace, one: io.StoredField, book: MultiScaleVQ, losses: list[float], seconds: float
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    report = {
        "input": str(a.input),
        "output": str(a.output),
        "field": one.name,
        "shape": list(one.shape),
        "codebook": book.fingerprint,
        "ratio": book.ratio,
        "error": {"relative": losses[-1], "without_smoothing": losses[0]},
        "ranks": size(a.comm),
        "seconds": seconds,
    }
    smoothed = f", {losses[0]:.2e} without the smoothing" if len(losses) > 1 else ""
    rows = [
        ("file", f"{a.output}, {size_in_words(a.output.stat().st_size)}, codebook {book.fingerprint[:8]}"),
        ("codebook", repr(book)),
        ("rate", f"{book.ratio:.3g} to 1 of float32; relative error {losses[-1]:.2e} in L2 on these fields{smoothed}"),
        ("seconds", f"{seconds:.2f}"),
    ]
    return report, rows
