"""Needs of the benchmark of attention: shorter sequences, and scaled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.trial import attempt

__all__ = ["bench_needs"]

TRIAL_TOKENS = 512


def bench_needs(run: Callable[[int], Sequence[dict[str, Any]]], tokens: int, repeats: int, ranks: int = 1) -> Needs:
    """Return the needs of the benchmark.

    Parameters
    ----------
    run : callable
        `run(n)` times each method once on n tokens, and returns the seconds forward and with gradients.
    tokens, repeats, ranks : int
        Of the benchmark; the softmax takes time in the square of the tokens, the other methods in proportion.
    """
    n = min(tokens, TRIAL_TOKENS)
    run(n)
    trial = attempt(lambda: run(n), memory=True)
    ratio = tokens / n
    seconds = {}
    for found in trial.result:
        growth = ratio**2 if found["method"] == "softmax" else ratio
        once = found["forward_seconds"] + found["backward_seconds"]
        seconds[found["method"]] = (repeats + 1) * growth * once / ranks
    return Needs(trial.peak * ratio, seconds)
