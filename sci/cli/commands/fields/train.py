"""`sci fields train SAMPLES.h5 -o MODEL.h5`: a next-scale model of fields, given others on the same domain."""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sci.cli.commands.operators.operator import fields, require_axes
from sci.cli.common import chosen_namespace, load_as, saver_of, write_trained
from sci.cli.estimates.needs import PICTURE, file_bytes, goes_on
from sci.cli.estimates.networks.fields import training_bound, training_needs
from sci.cli.outcome import require_writable, tell_figures
from sci.cli.sharing import from_first
from sci.compression import MultiScaleVQ, train_vector_quantizer
from sci.distributed import agreed, rank_of, size, split
from sci.errors import InvalidValueError
from sci.generative import NextScaleConfig, NextScaleModel, ScaleTokens, train_next_scale
from sci.io import load_samples, save
from sci.nn import AdamW, Checkpoint, count_parameters

__all__ = ["run", "scales_of"]


@dataclass(frozen=True)
class _Data:
    """What the first rank reads: x and y of the training and of the tests, a checkpoint, and the codebook."""

    x: np.ndarray
    y: np.ndarray
    tests: dict[str, tuple[np.ndarray, np.ndarray]]
    resume: Checkpoint | None
    quantizer: MultiScaleVQ | None


def run(a: argparse.Namespace) -> None:
    """Train a codebook, unless there is one, and a model of its codes, and write them."""
    chosen_namespace(a, on_device=False)
    fresh = from_first(a.comm, lambda: not os.path.exists(a.codebook))
    outputs = [p for p in (a.output, a.checkpoint, a.plot, a.codebook if fresh else None) if p]
    inputs = [a.input, *a.test, *([] if fresh else [a.codebook])]
    require_writable(outputs, inputs, overwrite=a.overwrite, continued=[a.resume], comm=a.comm)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)
    data = from_first(a.comm, lambda: _read(a, fresh))
    with agreed(a.comm, "the model"):
        if data.quantizer is not None:
            _require_asked(a, data.quantizer)
        a.codes, a.patch, a.rounds = a.codes or 128, a.patch or 2, a.rounds or 15
        quantizer = data.quantizer or _drawn(a, data.y)
        config = _config(a, quantizer, data.x)
        model = NextScaleModel.create(config, seed=a.seed)
    if not _fits(a, model, quantizer, data, fresh):
        return

    start = time.perf_counter()
    if fresh:
        quantizer = _trained(a, data.y, quantizer)
        config = _config(a, quantizer, data.x)
        model = NextScaleModel.create(config, seed=a.seed)
    tokens = ScaleTokens.of(config, quantizer, data.y, context=data.x)
    tests = {name: ScaleTokens.of(config, quantizer, y, context=x) for name, (x, y) in data.tests.items()}
    trained, history = train_next_scale(
        *(model, tokens),
        epochs=a.epochs,
        batch_size=a.batch,
        optimizer=AdamW(a.learning_rate),
        drop=a.drop,
        tests=tests,
        seed=a.seed,
        save=saver_of(a),
        resume=data.resume,
        comm=a.comm,
    )
    if not write_trained(a, trained, history):
        return
    report: dict[str, Any] = {
        "model": str(a.output),
        "codebook": str(a.codebook),
        "fields": len(data.y),
        "codes": config.length,
        "parameters": count_parameters(trained.parameters),
        "error_of_the_codes": float(np.sqrt(np.mean(quantizer.relative_errors(data.y, quantizer.encode(data.y)) ** 2))),
        "steps": history.step,
        "nats": float(history.losses[-1]),
        **{name: float(values[-1]) for name, values in history.metrics.items()},
        "seconds": time.perf_counter() - start,
    }
    tell_figures(a, report)


def scales_of(grid: tuple[int, ...], patch: int, given: list[int] | None) -> list[tuple[int, ...]]:
    """Return the cells of each scale: those that are asked for, along each axis, or 1, 2, 4, ... up to all patches.

    Raises
    ------
    InvalidValueError
        For a grid that patches do not divide, and scales that do not end at the patches.
    """
    if any(n % patch for n in grid):
        raise InvalidValueError(f"--patch {patch} does not divide the grid {grid}; expected a divisor of all sides")
    cells = tuple(n // patch for n in grid)
    sides = given or [*(2**k for k in range(math.ceil(math.log2(max(cells))))), max(cells)]
    found = [tuple(min(k, n) for n in cells) for k in sides]
    if found[-1] != cells or sides != sorted(set(sides)):
        raise InvalidValueError(
            f"--scales {' '.join(map(str, sides))} for {' x '.join(map(str, cells))} patches; expected rising numbers, "
            f"the last one {max(cells)}"
        )
    return found


def _read(a: argparse.Namespace, fresh: bool) -> _Data:
    """Read the samples, the tests, the checkpoint to go on from, and a codebook that there is."""
    if a.resume and fresh:
        raise InvalidValueError(f"{a.codebook} is missing; --resume needs the codebook that its training has written")
    samples = load_samples(a.input)
    axes = samples.grid_axes
    if axes is None:
        raise InvalidValueError(
            f"{a.input} does not record the number of grid axes; write it by sci.io.save_samples(..., grid_axes=)"
        )
    require_axes(a.input, samples, axes)
    x, y = (fields(v, axes, f"{a.input}: {n}") for n, v in zip("xy", samples))
    tests = {}
    for path in a.test:
        others = load_samples(path)
        require_axes(path, others, axes)
        tests[path.stem] = (fields(others.x, axes, f"{path}: x"), fields(others.y, axes, f"{path}: y"))
    resume = load_as(a.resume, Checkpoint, "a checkpoint of a training") if a.resume else None
    quantizer = None if fresh else load_as(a.codebook, MultiScaleVQ, "a codebook of train_vector_quantizer")
    return _Data(x, y, tests, resume, quantizer)


def _require_asked(a: argparse.Namespace, quantizer: MultiScaleVQ) -> None:
    """Raise unless a codebook that there is has the sizes that are asked for.

    Raises
    ------
    InvalidValueError
    """
    axes = len(quantizer.patch)
    sizes = {
        "codes": (a.codes, a.codes, quantizer.vocabulary),
        "patch": (a.patch, (a.patch,) * axes, tuple(quantizer.patch)),
        "scales": (
            a.scales and " ".join(map(str, a.scales)),
            [tuple(min(k, n) for n in quantizer.scales[-1]) for k in a.scales or ()],
            list(map(tuple, quantizer.scales)),
        ),
    }
    for name, (given, asked, found) in sizes.items():
        if given is not None and asked != found:
            raise InvalidValueError(
                f"--{name} {given}, and {a.codebook}, which exists, has {found}; leave --{name} out, or name one "
                "that does not exist, which is then trained"
            )


def _drawn(a: argparse.Namespace, y: np.ndarray) -> MultiScaleVQ:
    """Return a codebook of the sizes that are asked for, of random numbers: what a trial needs."""
    scales = scales_of(y.shape[2:], a.patch, a.scales)
    numbers = y.shape[1] * a.patch ** (y.ndim - 2)
    book = np.random.default_rng(0).normal(size=(len(scales), a.codes, numbers)) * (float(y.std()) or 1.0)
    return MultiScaleVQ(book.astype(np.float32), scales, patch=(a.patch,) * (y.ndim - 2))


def _trained(a: argparse.Namespace, y: np.ndarray, like: MultiScaleVQ) -> MultiScaleVQ:
    """Train the codebook on all fields, of which each rank takes some, and write it."""
    own = y[split(len(y), a.comm)]
    options: dict[str, Any] = {"patch": like.patch, "one_each": True, "rounds": a.rounds, "seed": a.seed}
    quantizer, _ = train_vector_quantizer(own, like.scales, a.codes, comm=a.comm, **options)
    with agreed(a.comm, "the codebook"):
        if rank_of(a.comm) == 0:
            save(a.codebook, quantizer, command=a.command, overwrite=a.overwrite)
    return quantizer


def _config(a: argparse.Namespace, quantizer: MultiScaleVQ, x: np.ndarray) -> NextScaleConfig:
    """Return the choices of the model."""
    axes = (0, *range(2, x.ndim))
    return NextScaleConfig.of(
        quantizer,
        width=a.width,
        heads=a.heads,
        layers=a.layers,
        context=x.shape[1],
        context_mean=x.mean(axis=axes, dtype=np.float64).tolist(),
        context_std=[s or 1.0 for s in x.std(axis=axes, dtype=np.float64).tolist()],
    )


def _fits(a: argparse.Namespace, model: NextScaleModel, quantizer: MultiScaleVQ, data: _Data, fresh: bool) -> bool:
    """Return True if the training fits into memory and disk and is to be done."""
    weights = float(sum(p.nbytes for p in model.parameters.values()))
    book = file_bytes(float(quantizer.codebook.nbytes)) if fresh else 0.0
    checkpoint = file_bytes(3 * weights, 3 * len(model.parameters)) * min(a.epochs, 2) if a.checkpoint else 0.0
    return goes_on(
        a,
        lambda: training_needs(model, quantizer, data.x, data.y, a.epochs, a.batch, a.rounds * fresh, size(a.comm)),
        bound=training_bound(model, data.x, data.y, a.batch),
        disk=file_bytes(weights, len(model.parameters)) + book + checkpoint + PICTURE * bool(a.plot),
        outputs=[a.output, a.checkpoint, a.plot, Path(a.codebook) if fresh else None],
        remedy="use a smaller --batch or --width, fewer --codes, or fewer samples",
        about={"parameters": count_parameters(model.parameters), "fields": len(data.y), "codes": model.config.length},
    )
