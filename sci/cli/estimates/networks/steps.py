"""Steps of a training on few samples, tried, and the needs of the whole training by them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sci.cli.estimates.trial import attempt, line

__all__ = ["COPIES", "FEW", "MORE", "peak_of_steps", "seconds_of_steps"]

FEW, MORE = 1, 3
"""Samples of the two steps that are tried."""
COPIES = 2.5
"""Times that samples are in memory beside those that were read: standardized, in order, and a batch of them."""


def seconds_of_steps(
    step: Callable[[int], None], samples: int, batch_size: int, *, epochs: int = 1, ranks: int = 1
) -> float:
    """Return the seconds of a training whose `step(n)` takes one step on n samples."""
    step(FEW)  # kernels are loaded
    few, more = (attempt(partial(step, n)).seconds for n in (FEW, MORE))
    return epochs * -(-samples // batch_size) * _of_a_batch(few, more, samples, batch_size, ranks)


def peak_of_steps(step: Callable[[int], None], samples: int, batch_size: int, *, ranks: int = 1) -> float:
    """Return the bytes of a step on a batch, of one of the processes that share it, at its peak."""
    few, more = (attempt(partial(step, n), memory=True).peak for n in (FEW, MORE))
    return _of_a_batch(few, more, samples, batch_size, ranks)


def _of_a_batch(few: float, more: float, samples: int, batch_size: int, ranks: int) -> float:
    share = max(1.0, min(batch_size, samples) / ranks)
    return line(few, more, MORE / FEW, share / FEW)
