"""Needs of diffusions of crystals: time from steps on few crystals, memory from the same."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.trial import attempt
from sci.generative import CrystalDiffusion, Crystals, CrystalTraining, fingerprint, train_crystals

__all__ = [
    "generation_bound",
    "generation_needs",
    "measuring_bound",
    "measuring_needs",
    "training_bound",
    "training_needs",
]

BATCH = 16
"""Draws that a model gets at once."""


def _of_a_pass(model: CrystalDiffusion, batch: int) -> float:
    """Return more bytes than a pass over a batch takes, with its derivatives."""
    config, width = model.config, float(model.features.width)
    if config.network == "perceptron":
        return 8.0 * batch * (12 * width + 8 * config.widths[0] * (config.depth + 2))
    cells = float(np.prod(model.network.grid))  # type: ignore[union-attr]
    return 8.0 * batch * cells * 40 * max(config.widths) * (config.depth + 1)


def training_bound(model: CrystalDiffusion, crystals: Crystals, batch: int) -> float:
    """Return more bytes than a training takes.

    Parameters
    ----------
    model : CrystalDiffusion
    crystals : Crystals
    batch : int
    """
    held = 24.0 * len(crystals) * model.features.width
    return held + 64.0 * model.n_parameters + _of_a_pass(model, min(batch, len(crystals)))


def training_needs(model: CrystalDiffusion, crystals: Crystals, training: CrystalTraining, ranks: int = 1) -> Needs:
    """Return the needs of a training, from steps on few crystals.

    Parameters
    ----------
    model : CrystalDiffusion
    crystals : Crystals
    training : CrystalTraining
    ranks : int
        Processes that share every batch.
    """

    n = max(1, -(-min(training.batch_size, len(crystals)) // ranks))
    some = Crystals(crystals.configurations[:n])

    def epochs(count: int) -> None:
        train_crystals(model, some, replace(training, epochs=count, batch_size=n))

    epochs(1)  # kernels are loaded
    few, more = (attempt(partial(epochs, count)).seconds for count in (1, 6))
    step = max(0.0, more - few) / 5
    start = max(0.0, few - step) * len(crystals) / n
    steps = training.epochs * -(-len(crystals) // training.batch_size)
    memory = attempt(partial(epochs, 1), memory=True).peak + 24.0 * len(crystals) * model.features.width
    return Needs(memory, {"start": start, "training": steps * step})


def generation_bound(model: CrystalDiffusion, number: int) -> float:
    """Return more bytes than drawing takes.

    Parameters
    ----------
    model : CrystalDiffusion
    number : int
    """
    return 40.0 * number * model.features.width + _of_a_pass(model, BATCH)


def generation_needs(model: CrystalDiffusion, number: int, passes: int, ranks: int = 1) -> Needs:
    """Return the needs of draws, from one pass of the network.

    Parameters
    ----------
    model : CrystalDiffusion
    number, passes : int
        Draws, and denoisings of each.
    ranks : int
        Processes that share the batches of draws.
    """
    rows = min(number, BATCH)
    occupied = np.ones((rows, model.features.slots), bool)

    def once() -> None:
        x = np.array([np.random.default_rng([0, k]).standard_normal(model.features.width) for k in range(rows)])
        model(x.astype(next(iter(model.parameters.values())).dtype), 1, occupied)

    once()
    shown, watched = attempt(once, repeats=2), attempt(once, memory=True)
    batches = -(-number // BATCH)
    seconds = passes * shown.seconds * -(-batches // ranks) * (number / (batches * rows) if batches == 1 else 1.0)
    return Needs(watched.peak + 24.0 * number * model.features.width, {"draws": seconds})


def measuring_bound(crystals: Crystals, training: Crystals | None) -> float:
    """Return more bytes than measures of crystals take.

    Parameters
    ----------
    crystals, training : Crystals
    """
    whole = [*crystals.numbers, *(training.numbers if training else ())]
    largest = max(map(len, whole))
    return 4e5 * largest + 4000.0 * len(whole)


def measuring_needs(crystals: Crystals, training: Crystals | None, ranks: int = 1) -> Needs:
    """Return the needs of measures, from the fingerprint of a crystal of middle size.

    Parameters
    ----------
    crystals, training : Crystals
    ranks : int
        Processes that share the fingerprints.
    """
    every = [*crystals, *(training or ())]
    order = sorted(every, key=lambda one: one.n)
    tried = order[:: max(1, len(order) // 8)]
    clock = time.process_time()
    for one in tried:
        fingerprint(one)
    seconds = (time.process_time() - clock) * len(every) / len(tried) / ranks
    peak = attempt(lambda: fingerprint(order[-1]), memory=True).peak
    return Needs(peak + 2000.0 * len(every), {"measures": 1.5 * seconds})
