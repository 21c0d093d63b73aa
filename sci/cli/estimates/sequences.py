"""Needs of the benchmark of attention: shorter sequences, and scaled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.trial import attempt, line

__all__ = ["bench_needs"]

TRIAL_TOKENS = 512


def bench_needs(run: Callable[[int], Any], tokens: int, repeats: int, ranks: int = 1) -> Needs:
    """Return the needs of the benchmark.

    Parameters
    ----------
    run : callable
        `run(n)` computes each method twice on n tokens.
    tokens, repeats, ranks : int
        Of the benchmark, whose time grows with the square of the tokens.
    """
    small = min(tokens, TRIAL_TOKENS)
    large = min(tokens, 2 * small)
    run(small)
    few = attempt(lambda: run(small))
    more = attempt(lambda: run(large), memory=True)
    ratio = (large / small) ** 2
    both = line(few.seconds, more.seconds, ratio, (tokens / small) ** 2) if large > small else few.seconds
    return Needs(more.peak * tokens / large, {"attention": both * (repeats + 1) / 2 / ranks})
