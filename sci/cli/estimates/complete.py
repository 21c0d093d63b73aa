"""Needs of the completion of a field: a few sweeps of the fit itself."""

from __future__ import annotations

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.trial import attempt
from sci.completion import Components, FunctionalCP, Observations, functional_cp
from sci.distributed import size

__all__ = ["completion_needs"]

FEW, MORE = 1, 5
"""Sweeps of the trials: length scales move every second sweep, so that two moves lie between them."""
CELLS, FIELD_BYTES = 20_000, 150.0
"""Cells of a trial of the field, and bytes that a cell takes: places, indices, mean and deviation."""


def completion_needs(
    seen: Observations, components: Components, smoothness: float, restarts: int, maxiter: int, cells: int
) -> Needs:
    """Return the needs of a fit of one process and of its field in cells, by trials of few sweeps on its own entries.

    The first rank tries alone: the entries of the others are missing in its sums, not in the shapes of its arrays.
    """
    ranks = size(seen.comm)
    alone = Observations(
        *(seen.axes, seen.index, seen.values, seen.weights, seen.offset, seen.scale, len(seen.values)),
    )

    def fit(sweeps: int, count: int) -> FunctionalCP:
        return functional_cp(alone, components, smoothness=smoothness, restarts=count, maxiter=sweeps, tol=0.0)

    own = -(-restarts // ranks)
    whole = attempt(lambda: fit(FEW, restarts), memory=True)  # also what only a first fit takes
    short, longer = (attempt(lambda n=n: fit(n, own)).seconds for n in (FEW, MORE))  # type: ignore[misc]
    sweep = max(0.0, longer - short) / (MORE - FEW)
    seconds = {"start and calibration": max(0.0, short - sweep), "sweeps": maxiter * sweep}
    memory = whole.peak
    if cells:
        index = np.zeros((min(cells, CELLS), len(seen.shape)), np.int64)
        seconds["field"] = attempt(lambda: whole.result.entries(index)).seconds * cells / len(index)
        memory = max(memory, whole.peak / 2 + FIELD_BYTES * cells)
    return Needs(memory, seconds)
