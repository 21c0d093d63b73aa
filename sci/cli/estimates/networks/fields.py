"""Needs of next-scale models: time and memory of a training from steps on few fields, of draws from a few of them."""

from __future__ import annotations

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.networks.steps import peak_of_steps, seconds_of_steps
from sci.cli.estimates.trial import attempt
from sci.compression import MultiScaleVQ
from sci.generative import NextScaleModel, Sampling, ScaleTokens, train_next_scale

__all__ = ["generation_bound", "generation_needs", "training_bound", "training_needs"]

BATCH = 32
"""Fields that a model draws at once."""
LEAST_SQUARES = 2.0
"""Time of a round of a codebook over that of an encoding of all fields, with what follows it."""


def _of_a_pass(model: NextScaleModel, batch: int, derivatives: bool) -> float:
    """Return more bytes than a pass over a batch takes."""
    config = model.config
    wide = config.layers * (12 * config.width + 3 * int(config.hidden or 0)) + 4 * config.vocabulary
    pairs = config.layers * config.heads * config.length
    return float(8 * batch * config.length * (wide + pairs) * (2 if derivatives else 1))


def training_bound(model: NextScaleModel, x: np.ndarray, y: np.ndarray, batch: int) -> float:
    """Return more bytes than a training takes.

    Parameters
    ----------
    model : NextScaleModel
    x, y : (n, channel, *grid) arrays
    batch : int
    """
    config = model.config
    tokens = 8.0 * len(y) * config.length * (2 + 2 * config.channels + config.context)
    coding = 8.0 * min(len(y), 4096) * max(config.blocks) * config.vocabulary
    return float(
        6.0 * (x.nbytes + y.nbytes)
        + tokens
        + coding
        + 64.0 * sum(p.size for p in model.parameters.values())
        + _of_a_pass(model, batch, True)
    )


def training_needs(
    model: NextScaleModel,
    quantizer: MultiScaleVQ,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    batch: int,
    rounds: int,
    ranks: int = 1,
) -> Needs:
    """Return the needs of a training, and of `rounds` of a codebook before it, from few fields.

    Parameters
    ----------
    model : NextScaleModel
    quantizer : MultiScaleVQ
        Of the sizes of that of the training.
    x, y : (n, channel, *grid) arrays
    epochs, batch, rounds : int
    ranks : int
        Processes that share every batch.
    """
    few = min(len(y), 16)
    quantizer.encode(y[:few])  # kernels are loaded
    coding, watched = (attempt(lambda: quantizer.encode(y[:few]), memory=m) for m in (False, True))

    def step(n: int) -> None:
        rows = np.arange(n) % len(y)
        train_next_scale(
            model, ScaleTokens.of(model.config, quantizer, y[rows], context=x[rows]), epochs=1, batch_size=n
        )

    seconds = seconds_of_steps(step, len(y), batch, epochs=epochs, ranks=ranks)
    config = model.config
    held = 8.0 * len(y) * config.length * (2 + 2 * config.channels + config.context) + 2.0 * (x.nbytes + y.nbytes)
    peak = max(peak_of_steps(step, len(y), batch, ranks=ranks), watched.peak * len(y) / few) + held
    each = coding.seconds * len(y) / few
    phases = {"codebook": LEAST_SQUARES * rounds * each / ranks, "codes": 2 * each, "training": seconds}
    return Needs(peak, {name: value for name, value in phases.items() if value})


def generation_bound(model: NextScaleModel, quantizer: MultiScaleVQ, x: np.ndarray, number: int) -> float:
    """Return more bytes than draws take.

    Parameters
    ----------
    model : NextScaleModel
    quantizer : MultiScaleVQ
    x : (n, channel, *grid) array
    number : int
        Draws.
    """
    each = x.nbytes / len(x) * 3 + 16.0 * (model.config.length + quantizer.channels * np.prod(quantizer.grid) * 4)
    return number * each + 2 * _of_a_pass(model, min(BATCH, number), False)


def generation_needs(
    model: NextScaleModel, quantizer: MultiScaleVQ, x: np.ndarray, number: int, rule: Sampling, ranks: int = 1
) -> Needs:
    """Return the needs of draws, from a batch of them.

    Parameters
    ----------
    model : NextScaleModel
    quantizer : MultiScaleVQ
    x : (n, channel, *grid) array
    number : int
        Draws.
    rule : Sampling
    ranks : int
        Processes that share the batches.
    """
    few = min(number, BATCH)
    rows = x[np.arange(few) % len(x)]

    def once() -> None:
        quantizer.decode(model.sample(quantizer, few, context=rows, sampling=rule))

    once()
    shown, watched = attempt(once), attempt(once, memory=True)
    batches = -(-number // BATCH)
    held = number * (x.nbytes / len(x) * 2 + 16.0 * model.config.length + 4 * watched.peak / few / 8)
    share = number / few if batches == 1 else float(-(-batches // ranks))
    return Needs(watched.peak + held, {"draws": shown.seconds * share})
