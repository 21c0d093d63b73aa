"""Needs of neural operators and of their samples: memory from shapes, time from steps on few samples, and scaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sci.backend import shape_array
from sci.cli.estimates.needs import Needs
from sci.cli.estimates.networks.steps import COPIES, FEW, MORE, peak_of_steps, seconds_of_steps
from sci.cli.estimates.potentials import WRITE_SPEED
from sci.cli.estimates.trial import attempt, line
from sci.nn import AdamW
from sci.operators import TrainedOperator, TrainingConfig, adapt_operator, relative_errors, train_operator
from sci.operators.fno.base import Operator
from sci.operators.spectral.convolution import as_dtype
from sci.operators.training.loop import batch_loss
from sci.problems import darcy_flow, navier_stokes
from sci.scaling import TrainingMemory, training_memory

__all__ = [
    "adaptation_needs",
    "generation_needs",
    "prediction_needs",
    "step_memory",
    "train_on",
    "training_needs",
    "whole_memory",
]

TRIAL_GRID, TRIAL_STEPS = 64, 20
"""Largest grid of the Darcy sample, and steps of the Navier-Stokes sample, that are computed."""

SOLVER_MEMORY = 6.0
"""Memory of the factors of a sparse matrix, which tracing does not see, over the arrays that it does."""


def training_needs(
    model: Operator, x: np.ndarray, y: np.ndarray, config: TrainingConfig, tests: Mapping[str, Any], ranks: int = 1
) -> Needs:
    """Return the needs of a training: memory from the shapes of a step, time from steps on few samples.

    Parameters
    ----------
    model : FNO, TFNO, SFNO or UNO
    x, y : (n, channel, *grid) arrays
    config : TrainingConfig
    tests : dict of (x, y)
    ranks : int
        Processes that share every batch.
    """
    step = partial(train_on, model, x, y, config)
    each = seconds_of_steps(step, len(x), config.batch_size, epochs=config.epochs, ranks=ranks)
    taken = step_memory(model, config, -(-min(config.batch_size, len(x)) // ranks), x.shape[2:], x.dtype)
    memory = whole_memory(taken, x.nbytes + y.nbytes)
    seconds = {"training": each}
    for a, b in tests.values():
        shown = attempt(partial(_predict_and_compare, model, a[:1], b[:1], config), memory=True)
        seconds["tests"] = seconds.get("tests", 0.0) + config.epochs * len(a) * shown.seconds
        memory = max(memory, COPIES * (x.nbytes + y.nbytes) + 64 * shown.peak + 3 * b.nbytes)
    return Needs(memory, seconds)


def adaptation_needs(
    operator: TrainedOperator,
    x: np.ndarray,
    y: np.ndarray,
    config: TrainingConfig,
    settings: Mapping[str, Any],
    ranks: int = 1,
) -> Needs:
    """Return the needs of an adaptation, from steps on few samples.

    Parameters
    ----------
    operator : TrainedOperator
    x, y : (n, channel, *grid) arrays
    config : TrainingConfig
    settings : dict
        `rank` and `head` of `adapt_operator`.
    ranks : int
        Processes that share every batch.
    """

    def step(n: int) -> None:
        adapt_operator(operator, _first(x, n), _first(y, n), replace(config, epochs=1, batch_size=n), **settings)

    each = seconds_of_steps(step, len(x), config.batch_size, epochs=config.epochs, ranks=ranks)
    memory = peak_of_steps(step, len(x), config.batch_size, ranks=ranks) + COPIES * (x.nbytes + y.nbytes)
    shown = attempt(lambda: operator(x[:1]), memory=True)
    return Needs(memory, {"training": each, "errors": 2 * len(x) * shown.seconds})


def whole_memory(step: TrainingMemory, data: float) -> float:
    """Return the bytes of a training on so many bytes of samples, by those of a step of it."""
    # Beside those of the step there are the parameters that it starts from, and those of the last checkpoint.
    return step.peak + 2 * step.parameters + COPIES * data


def step_memory(
    model: Operator, config: TrainingConfig, batch: int, grid: Sequence[int], dtype: Any = np.float32
) -> TrainingMemory:
    """Return memory and multiply-adds of a step of a training, from the model's code on shapes.

    Parameters
    ----------
    model : Operator
        With numbers or without: `FNO.of(config, ...)` takes `sci.backend.shape_array`s.
    config : TrainingConfig
    batch : int
        Samples of the step, of one process.
    grid : sequence of int
    dtype : dtype
        Of the samples.
    """
    x, y = (
        shape_array((batch, channels, *grid), dtype)
        for channels in (model.config.in_channels, model.config.out_channels)
    )
    optimizer = AdamW(config.learning_rate, eps=config.eps, weight_decay=config.weight_decay)
    return training_memory(batch_loss(model, config, None), as_dtype(model.parameters, dtype), (x, y), optimizer)


def train_on(model: Operator, x: np.ndarray, y: np.ndarray, config: TrainingConfig, n: int) -> None:
    """Take one step on `n` samples."""
    train_operator(model, _first(x, n), _first(y, n), replace(config, epochs=1, batch_size=n, patience=None))


def _first(array: np.ndarray, n: int) -> np.ndarray:
    """Return `n` samples, the first ones again if there are fewer."""
    return array[np.arange(n) % len(array)]


def _predict_and_compare(model: Operator, x: np.ndarray, y: np.ndarray, config: TrainingConfig) -> None:
    relative_errors(TrainedOperator(model)(x), y, periodic=config.periodic)


def prediction_needs(
    operator: TrainedOperator, x: np.ndarray, batch: int, truth: np.ndarray | None, ranks: int = 1
) -> Needs:
    """Return the needs of predictions, from those for one sample and for three."""
    operator(x[:1])
    few, more = (attempt(partial(operator, _first(x, n)), memory=True) for n in (FEW, MORE))
    ratio, at = MORE / FEW, min(batch, len(x)) / FEW
    each = line(few.seconds, more.seconds, ratio, at) / min(batch, len(x))
    written = x.nbytes + few.result.nbytes * len(x)
    memory = line(few.peak, more.peak, ratio, at) + 2 * few.result.nbytes * len(x)
    if truth is not None:
        memory += 3 * truth.nbytes
    return Needs(memory, {"prediction": each * len(x) / ranks, "write": written / WRITE_SPEED})


def generation_needs(equation: str, samples: int, grid: int, subsample: int, settings: Mapping[str, Any]) -> Needs:
    """Return the needs of training data, from a coarse sample or from the first steps of one.

    Parameters
    ----------
    equation : "darcy" or "navier-stokes"
    samples : int
        Of this process.
    grid, subsample : int
    settings : dict
        Of `darcy_flow` or `navier_stokes`.
    """
    kept = 16.0 * samples * (-(-grid // subsample)) ** 2
    if equation == "darcy":
        small = min(grid, TRIAL_GRID)
        darcy_flow(1, small, **settings)
        trial = attempt(lambda: darcy_flow(1, small, **settings), memory=True)
        # A direct solution of a plane problem takes n^1.5 operations and n log n numbers for n unknowns.
        each, memory = trial.seconds * (grid / small) ** 3, trial.peak * (grid / small) ** 2 * SOLVER_MEMORY
    else:
        steps = max(1.0, settings["time"] / settings["time_step"])
        navier_stokes(1, grid, **{**settings, "time": settings["time_step"]})
        few, more = (
            attempt(partial(navier_stokes, 1, grid, **{**settings, "time": n * settings["time_step"]}), memory=n > 1)
            for n in (1, TRIAL_STEPS)
        )
        each, memory = line(few.seconds, more.seconds, TRIAL_STEPS, steps), more.peak
    return Needs(memory + 2 * kept, {"samples": samples * each, "write": kept / WRITE_SPEED})
