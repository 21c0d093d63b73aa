"""Stress of a periodic cell of charges: the derivative of its energy by strain."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import erfc

from sci.arguments import entry
from sci.backend import to_host
from sci.errors import InvalidValueError
from sci.potentials.periodic import PeriodicPotential

__all__ = ["periodic_stress"]

BLOCK = 256
"""Particles whose neighbors are looked for at once."""


@entry
def periodic_stress(phi: PeriodicPotential) -> np.ndarray:
    r"""Return the stress of the cell of a periodic potential, positive where stretching costs energy.

    sigma_ab = (1 / V) dE / d eps_ab at fixed fractional coordinates, E the energy of one cell. With f(r) =
    erfc(alpha r) / r within the cutoff and e_k the energy of the mode k,

    V sigma = 1/2 sum_{i, j, n} q_i q_j f'(r) r_a r_b / r + sum_k e_k [2 k_a k_b (1 / k^2 + 1 / (4 alpha^2)) - delta_ab]
    - delta_ab E_background.

    Parameters
    ----------
    phi : PeriodicPotential

    Returns
    -------
    (3, 3) float64, e^2/angstrom^4
        On the host; multiply by `sci.units.COULOMB` for eV/angstrom^3.

    Raises
    ------
    DTypeError
        For anything but a `PeriodicPotential`.

    Notes
    -----
    Not collective. The pairs within the cutoff are visited on one core; memory is that of the neighbors of 256
    particles.

    References
    ----------
    Nosé and Klein, Mol. Phys. 50 (1983) 1055, eq. A4; with the sign of the stress and a net charge.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import Particles, PeriodicPotential, periodic_stress
    >>> cscl = Particles([[0.0, 0.0, 0.0], [1.5, 1.5, 1.5]], [1.0, -1.0], cell=3.0 * np.eye(3))
    >>> phi = PeriodicPotential(cscl, 1e-10)
    >>> bool(np.isclose(np.trace(periodic_stress(phi)), -phi.energy() / phi.volume))
    True
    """
    background = 0.5 * phi.particles.total_charge * phi.background
    virial = _long_range(phi) + _short_range(phi) - background * np.eye(3)
    stress: np.ndarray = virial / phi.volume
    if not np.isfinite(stress).all():
        raise InvalidValueError("the stress overflows float64; pass the charges in another unit")
    return stress


def _long_range(phi: PeriodicPotential) -> np.ndarray:
    """Return the sum over modes: |mode|^2 over its influence is twice the energy, with both signs of n3 in one."""
    modes = to_host(phi.modes)
    m1, m2, m3 = phi.n_modes
    orders = np.meshgrid(np.arange(-m1, m1 + 1), np.arange(-m2, m2 + 1), np.arange(m3 + 1), indexing="ij")
    k = 2 * math.pi * np.stack(orders, axis=-1) @ np.linalg.inv(to_host(phi.particles.cell)).T
    k2 = (k * k).sum(axis=-1)
    chosen = np.abs(modes) > 0
    k, k2 = k[chosen], k2[chosen]
    influence = np.exp(-k2 / (4 * phi.alpha**2)) / k2 * (4 * math.pi / phi.volume)
    influence *= np.where(orders[2][chosen] > 0, 2.0, 1.0)
    energies = 0.5 * np.abs(modes[chosen]) ** 2 / influence
    weights = 2 * energies * (1 / k2 + 1 / (4 * phi.alpha**2))
    found: np.ndarray = np.einsum("n,na,nb->ab", weights, k, k) - energies.sum() * np.eye(3)
    return found


def _short_range(phi: PeriodicPotential) -> np.ndarray:
    """Return the sum over pairs of the cell with all others within the cutoff."""
    total = np.zeros((3, 3))
    for left, vectors, right in _pairs(phi):
        r2 = (vectors**2).sum(axis=1)
        r = np.sqrt(r2)
        slope = -(erfc(phi.alpha * r) / r2 + 2 * phi.alpha / math.sqrt(math.pi) * np.exp(-(phi.alpha**2) * r2) / r)
        total += np.einsum("n,na,nb->ab", 0.5 * left * right * slope / r, vectors, vectors)
    return total


def _pairs(phi: PeriodicPotential) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield charges of particles of the cell, vectors to others within the cutoff, and their charges, in blocks."""
    cell, charges = to_host(phi.particles.cell), to_host(phi.particles.charges)
    inverse, cutoff = np.linalg.inv(cell), phi.split.cutoff
    fractions = to_host(phi.particles.positions) @ inverse
    fractions -= np.floor(fractions)
    margin = cutoff * np.linalg.norm(inverse, axis=0)  # in fractions: the cutoff over the heights of the cell
    shells = np.ceil(margin).astype(int)
    places, owners = [], []
    for shift in np.ndindex(*(2 * shells + 1)):
        moved = fractions + (np.array(shift) - shells)
        near = np.flatnonzero(((moved >= -margin) & (moved <= 1 + margin)).all(axis=1))
        places.append(moved[near] @ cell)
        owners.append(near)
    others, numbers = np.concatenate(places), np.concatenate(owners)
    tree, home = cKDTree(others), fractions @ cell
    for start in range(0, len(home), BLOCK):
        block = home[start : start + BLOCK]
        found = tree.query_ball_point(block, cutoff)
        left = np.repeat(np.arange(len(block)), [len(f) for f in found])
        right = np.concatenate([np.asarray(f, dtype=np.int64) for f in found])
        vectors = others[right] - block[left]
        apart = (vectors**2).sum(axis=1) > 1e-16 * cutoff**2  # a particle is among its own neighbors
        left, right = left[apart], right[apart]
        yield charges[start + left], vectors[apart], charges[numbers[right]]
