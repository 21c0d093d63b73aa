"""Needs of the potential of a finite crystal on a grid: small grids computed, and scaled."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.potentials import SLAB, WRITE_SPEED
from sci.cli.estimates.trial import attempt
from sci.potentials import LatticePotential

__all__ = ["lattice_needs"]

SMALL, LARGE = 16, 40
"""Points along an axis of the grids that are computed."""


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
    if axes is None:
        return Needs(sites.peak, {"sites": sites.seconds * phi.particles.n})
    small, large = ([np.linspace(v[0], v[-1], min(n, len(v))) for v in axes] for n in (SMALL, LARGE))
    few = attempt(lambda: phi.on_grid(*small))
    more = attempt(lambda: phi.on_grid(*large), memory=True)
    tried = [math.prod(min(n, len(v)) for v in axes) for n in (SMALL, LARGE)]
    points = math.prod(map(len, axes))
    parts = max(16, math.ceil(8 * points / SLAB)) if points > tried[1] else 1
    each = max(0.0, more.seconds - few.seconds) / max(1, tried[1] - tried[0])
    seconds = {
        "sites": sites.seconds,
        "grid": (few.seconds * min(parts, len(axes[2])) + each * points) / ranks,
        "write": 8 * points / WRITE_SPEED,
    }
    return Needs(max(sites.peak, more.peak + 4 * min(SLAB, 8 * points)), seconds)
