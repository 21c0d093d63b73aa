"""The check of a potential while it is built: what its tolerance holds for, at a few places."""

from __future__ import annotations

import numpy as np

from sci.backend import Array, to_host
from sci.potentials.measured.error import MeasuredError
from sci.potentials.measured.measure import PAIRS, Measured, measure

__all__ = ["quick_errors", "share"]

QUICK_SHARE, QUICK_VALUES = 1 / 4, 2048
"""Pairs over those of a full measurement, and places whose values give a mean square."""
UNEVEN, ENERGY_SHARE = 5.0, 3.0
"""A charge so many times the root mean square one has the energy checked, to so many times the tolerance."""


def quick_errors(phi: Measured, accuracy: str) -> list[MeasuredError]:
    """Return the errors of what the tolerance of `phi` holds for, at a few places.

    Parameters
    ----------
    phi : Measured
    accuracy : "potential" or "forces"

    Returns
    -------
    list of MeasuredError
        The energy is among them where single charges decide it.
    """
    quantities = ["potential"] if accuracy == "potential" else ["potential", "field", "forces"]
    if _uneven(phi.scene().charges):
        quantities.append("energy")
    return [measure(phi, quantity, int(PAIRS * QUICK_SHARE), QUICK_VALUES) for quantity in quantities]


def share(error: MeasuredError) -> float:
    """Return an error in units of what is aimed at: that of the energy may be `ENERGY_SHARE` times larger."""
    return error.relative / ENERGY_SHARE if error.quantity == "energy" else error.relative


def _uneven(charges: Array) -> bool:
    """Return True if single charges are so large that their energies decide the sum."""
    sizes = np.abs(to_host(charges))
    sizes /= float(sizes.max()) or 1.0
    return bool(UNEVEN**2 * np.mean(sizes**2) < 1.0)
