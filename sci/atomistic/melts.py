"""Molten salt: Fumi and Tosi's potential of sodium chloride, and configurations of its dynamics as training data."""

from __future__ import annotations

import math

import numpy as np

from sci.arguments import entry
from sci.atomistic.configuration import Configuration
from sci.atomistic.neighbors import neighbor_pairs
from sci.atomistic.network.radial import envelope
from sci.atomistic.potential import Prediction
from sci.errors import InvalidValueError
from sci.potentials import Particles, PeriodicPotential, ewald_sum, periodic_stress
from sci.units import COULOMB

__all__ = ["ionic_melt", "salt_energy"]

SPECIES = ("Na", "Cl")
SHORT_CUTOFF = 8.0
"""Angstrom; where repulsion and dispersion end."""
REPULSION = 0.2110 * np.array([[1.25, 1.0], [1.0, 0.75]])
"""eV: b c_ij."""
CONTACT = np.array([[2.340, 2.755], [2.755, 3.170]])
"""Angstrom: the sums of the radii of two ions."""
SOFTNESS = 0.317
DISPERSION_6 = np.array([[1.05, 6.99], [6.99, 72.4]])
"""eV angstrom^6."""
DISPERSION_8 = np.array([[0.50, 8.68], [8.68, 145.4]])
"""eV angstrom^8."""
MASSES = np.array([22.98977, 35.453])
"""Dalton."""
DALTON = 103.642697
"""One dalton angstrom^2 / fs^2 in eV."""
BOLTZMANN = 8.617333262e-5
"""eV/kelvin."""
PAIR_MASS, AVOGADRO = 58.443, 0.602214076
"""Gram/mol of NaCl, and the number that takes g/cm^3 to gram/mol/angstrom^3."""
CLOSE = 1.2
"""Angstrom; below it dispersion wins over repulsion, where no ions of a melt are."""


@entry
def salt_energy(configuration: Configuration, *, tol: float = 1e-8) -> Prediction:
    r"""Return energy, forces and stress of sodium and chloride ions by Fumi and Tosi's potential.

    u(r) = q_i q_j / r + [A_ij exp((s_ij - r) / 0.317) - C_ij / r^6 - D_ij / r^8] f(r / 8), with Coulomb's part summed
    over all images and the rest ended at 8 angstrom by f(u) = 1 - 28 u^6 + 48 u^7 - 21 u^8.

    Parameters
    ----------
    configuration : Configuration
        Of the species Na and Cl, periodic along three axes.
    tol : float
        Relative error of Coulomb's forces.

    Returns
    -------
    Prediction

    Raises
    ------
    InvalidValueError
        For other species, another number of periodic axes, or ions closer than 1.2 angstrom, where the potential has
        no meaning.

    References
    ----------
    Tosi and Fumi, J. Phys. Chem. Solids 25 (1964) 45; the factor f is ours.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.atomistic import Configuration, salt_energy
    >>> sites = np.array([(i, j, k) for i in range(2) for j in range(2) for k in range(2)])
    >>> species = ["Na" if sum(s) % 2 == 0 else "Cl" for s in sites]
    >>> crystal = Configuration(species, 2.8 * sites, 5.6 * np.eye(3))
    >>> round(salt_energy(crystal).energy / 4, 1)  # eV a pair; 8.0 was measured for the lattice energy
    -8.1
    """
    odd = sorted(set(configuration.species) - set(SPECIES))
    if odd:
        raise InvalidValueError(f"the species {', '.join(odd)} are no ions of this salt; expected Na and Cl")
    volume = configuration.volume
    kinds = np.array([SPECIES.index(name) for name in configuration.species])
    charges = 1.0 - 2.0 * kinds
    phi = PeriodicPotential(Particles(configuration.positions, charges, cell=configuration.cell), tol)
    energy, forces = phi.energy_and_forces()
    own, pulls, virial = _short_range(configuration, kinds)
    stress = COULOMB * periodic_stress(phi) + virial / volume
    return Prediction(COULOMB * energy + own, COULOMB * forces + pulls, stress)


def _short_range(configuration: Configuration, kinds: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return energy, forces and virial of repulsion and dispersion."""
    positions, cell = np.asarray(configuration.positions), np.asarray(configuration.cell)
    first, second, shifts = neighbor_pairs(positions, SHORT_CUTOFF, cell=cell)
    vectors = positions[second] + shifts @ cell - positions[first]
    r = np.sqrt((vectors**2).sum(axis=1))
    if len(r) and r.min() < CLOSE:
        at = int(np.argmin(r))
        raise InvalidValueError(
            f"ions {first[at]} and {second[at]} (counted from 0) are {r[at]:.3g} angstrom apart; expected at least "
            f"{CLOSE}"
        )
    pair = kinds[first], kinds[second]
    wall = REPULSION[pair] * np.exp((CONTACT[pair] - r) / SOFTNESS)
    six, eight = DISPERSION_6[pair] / r**6, DISPERSION_8[pair] / r**8
    value, slope = wall - six - eight, -wall / SOFTNESS + (6 * six + 8 * eight) / r
    ending, falling = envelope(r / SHORT_CUTOFF)
    slope = slope * ending + value * falling / SHORT_CUTOFF
    value = value * ending
    pulls = (slope / r)[:, None] * vectors  # dE by the vector from first to second, of both orders of a pair
    forces = np.zeros_like(positions)
    np.add.at(forces, first, pulls)
    return 0.5 * float(value.sum()), forces, 0.5 * vectors.T @ pulls


@entry
def ionic_melt(
    pairs: int,
    configurations: int,
    *,
    density: float = 1.5,
    temperature: float = 1300.0,
    between: int = 50,
    start: int = 400,
    time_step: float = 2.0,
    seed: int = 0,
) -> list[Configuration]:
    """Return configurations of molten sodium chloride with energies, forces and stresses of `salt_energy`.

    Parameters
    ----------
    pairs : int
        Sodium ions, and as many chloride ions.
    configurations : int
    density : float, g/cm^3
        1.5 is that of the melt at 1,100 K; far below it is a gas of ions, whose forces come from far.
    temperature : float, kelvin
    between, start : int
        Steps of Langevin dynamics between two configurations, and before the first.
    time_step : float, fs
    seed : int

    Returns
    -------
    list of Configuration

    Raises
    ------
    InvalidValueError

    Notes
    -----
    The ions start on drawn sites of a rock-salt lattice. Friction is 0.01 / fs; a step is half a kick, half a drift,
    friction with noise, half a drift, half a kick.

    References
    ----------
    Leimkuhler and Matthews, Appl. Math. Res. Express (2013) 34 (the scheme BAOAB).

    Examples
    --------
    >>> from sci.atomistic import ionic_melt
    >>> ionic_melt(4, 2, between=2, start=2)[1]
    Configuration(8 atoms: Cl 4, Na 4; periodic along 3 axes; charges, energy, forces, stress)
    """
    numbers = {"pairs": pairs, "configurations": configurations, "between": between}
    for name, number in {**numbers, "density": density, "temperature": temperature, "time_step": time_step}.items():
        if not 0 < number < math.inf:
            raise InvalidValueError(f"{name} is {number}; expected a positive number")
    if start < 0:
        raise InvalidValueError(f"start is {start}; expected a number of steps from 0")
    rng = np.random.default_rng(seed)
    species, positions, edge = _lattice(pairs, density, rng)
    charges = np.array([1.0 if name == "Na" else -1.0 for name in species])
    masses = DALTON * np.array([MASSES[SPECIES.index(name)] for name in species])[:, None]
    velocities = np.sqrt(BOLTZMANN * temperature / masses) * rng.normal(size=positions.shape)
    cell = edge * np.eye(3)
    forces = _pulls(species, positions, cell, charges)
    keep = math.exp(-0.01 * time_step)
    heat = np.sqrt((1 - keep**2) * BOLTZMANN * temperature / masses)
    found: list[Configuration] = []
    for step in range(1, start + between * (configurations - 1) + 1 + (start == 0)):
        velocities += 0.5 * time_step * forces / masses
        positions = positions + 0.5 * time_step * velocities
        velocities = keep * velocities + heat * rng.normal(size=positions.shape)
        positions = positions + 0.5 * time_step * velocities
        forces = _pulls(species, positions, cell, charges)
        velocities += 0.5 * time_step * forces / masses
        if step >= max(start, 1) and (step - max(start, 1)) % between == 0:
            found.append(_labelled(species, positions, cell, charges))
    return found


def _pulls(species: tuple[str, ...], positions: np.ndarray, cell: np.ndarray, charges: np.ndarray) -> np.ndarray:
    """Return the forces of a step of the dynamics, by the sum that is quickest for few ions."""
    slope = ewald_sum(Particles(positions, charges, cell=cell), positions, tol=1e-5, gradient=True)[1]
    own = _short_range(Configuration(species, positions, cell), (charges < 0).astype(np.int64))[1]
    found: np.ndarray = own - COULOMB * charges[:, None] * slope
    return found


def _labelled(species: tuple[str, ...], positions: np.ndarray, cell: np.ndarray, charges: np.ndarray) -> Configuration:
    plain = Configuration(species, positions, cell)
    exact = salt_energy(plain)
    return Configuration(
        species, positions, cell, charges=charges, energy=exact.energy, forces=exact.forces, stress=exact.stress
    )


def _lattice(pairs: int, density: float, rng: np.random.Generator) -> tuple[tuple[str, ...], np.ndarray, float]:
    """Return species, positions and the edge of the cell: ions at drawn sites of a lattice of alternating charges."""
    edge = (pairs * PAIR_MASS / AVOGADRO / density) ** (1 / 3)
    n = 2 * math.ceil(pairs ** (1 / 3))
    while True:
        sites = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        even = sites.sum(axis=1) % 2 == 0
        if even.sum() >= pairs and (~even).sum() >= pairs:
            break
        n += 1
    chosen = [rng.permutation(np.flatnonzero(kind))[:pairs] for kind in (even, ~even)]
    order = np.concatenate(chosen)
    return ("Na",) * pairs + ("Cl",) * pairs, sites[order] * (edge / n), edge
