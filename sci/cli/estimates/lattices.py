"""Needs of the potential of a finite crystal on a grid: a part of it computed, and scaled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.potentials import PIECES, SLAB, WRITE_SPEED
from sci.cli.estimates.trial import attempt
from sci.potentials import LatticePotential

__all__ = ["lattice_needs"]

TRIED = 600_000
"""Points of the part of the grid that is computed, at most."""


def lattice_needs(phi: LatticePotential, axes: Sequence[np.ndarray] | None, ranks: int = 1) -> Needs:
    """Return the needs of the potential at sites, and of a grid over a window of a crystal.

    Parameters
    ----------
    phi : LatticePotential
    axes : three (n,) float64, optional
        Of the grid.
    ranks : int
        Processes that share the parts of the grid.
    """
    sites = attempt(lambda: phi.at_site(0, tuple(n // 2 for n in phi.repeats)), memory=True)
    checked = attempt(lambda: phi.measured_error("potential"), memory=True)
    least, seconds = max(sites.peak, checked.peak), {"sites": sites.seconds, "error": checked.seconds}
    if axes is None:
        return Needs(least, seconds)
    x, y, z = axes
    few, part = _cut(len(x), len(y), len(z))
    middle = len(z) // 2

    def computed(count: int) -> np.ndarray:
        return np.asarray(phi.on_grid(x, y, z[middle : middle + count]))

    fewer = max(1, few // 2)
    thin = attempt(lambda: computed(fewer), repeats=2)
    thick = attempt(lambda: computed(few), repeats=2, memory=True)
    slope = max(0.0, thick.seconds - thin.seconds) / max(1, few - fewer)
    points = len(x) * len(y) * len(z)
    seconds |= {
        "grid": len(z) / part * (thick.seconds + slope * (part - few)) / ranks,
        "write": 8 * points / WRITE_SPEED,
    }
    slab = 8.0 * len(x) * len(y)
    # The part and its two copies, one of them in the order of the file, on top of what it takes to compute it.
    return Needs(max(least, thick.peak + slab * max(0, 3 * part - few)), seconds)


def _cut(nx: int, ny: int, nz: int) -> tuple[int, int]:
    """Return the points along z that are tried at once, and those of a part of the grid as it is written."""
    part = max(1, min(-(-nz // PIECES), SLAB // (8 * nx * ny)))
    return max(1, min(part, nz - nz // 2, TRIED // (nx * ny))), part
