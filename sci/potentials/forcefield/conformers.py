"""Energies and forces of many conformers: the same charges at many sets of places, with one plan."""

from __future__ import annotations

from dataclasses import replace

from sci.arguments import collective_entry
from sci.backend import Array, ArrayLike, as_finite, namespace
from sci.distributed import Comm, agreed, allgather_rows, split
from sci.errors import InvalidValueError
from sci.potentials.particles import Particles
from sci.potentials.trajectory import FramePlan, energy_and_forces, plan_frames

__all__ = ["conformer_energies_and_forces"]


@collective_entry
def conformer_energies_and_forces(
    particles: Particles,
    positions: ArrayLike,
    plan: FramePlan | None = None,
    *,
    tol: float = 1e-6,
    comm: Comm = None,
) -> tuple[Array, Array]:
    """Return the energies and forces of conformers, each as `energy_and_forces` gives them.

    Parameters
    ----------
    particles : Particles
        Charges, exclusions and, for periodic conformers, the cell that all of them have.
    positions : (b, n, 3) float64, angstrom
        One set of places for each conformer.
    plan : FramePlan, optional
        From `plan_frames`; that of the first conformer, with forces to `tol`, unless given.
    tol : float
        Relative L2 error of the forces, 1e-11 to 0.1, where no plan is given.
    comm : mpi4py communicator, optional
        The conformers, the same on all ranks, are shared out; every rank gets all results.

    Returns
    -------
    energies : (b,) float64, e^2/angstrom
    forces : (b, n, 3) float64, e^2/angstrom^2

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank; errors of a conformer name its number.

    Notes
    -----
    Collective over `comm`. Splits, and plans of cells, are made once. Results do not depend on the number of ranks.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import Particles, conformer_energies_and_forces
    >>> pair = Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [1.0, -1.0])
    >>> stretched = pair.positions * np.array([1.0, 2.0, 4.0])[:, None, None]
    >>> conformer_energies_and_forces(pair, stretched)[0]
    array([-1.  , -0.5 , -0.25])
    """
    xp = namespace(particles.positions)
    with agreed(comm, "conformer_energies_and_forces") as agreement:
        places = as_finite(positions, "positions", shape=(None, particles.n, 3), xp=xp)
        agreement.same(charges=particles.charges, positions=places, plan=plan, tol=tol)
        listed = particles.exclusions
        agreement.same(cell=particles.cell, exclusions=None if listed is None else (listed.pairs, listed.scales))
        if len(places) and plan is None:
            plan = plan_frames(replace(particles, positions=places[0]), tol, accuracy="forces")
    mine = split(len(places), comm)
    with agreed(comm, "conformer_energies_and_forces"):
        rows = xp.empty((mine.stop - mine.start, 1 + 3 * particles.n))
        for row, number in enumerate(range(mine.start, mine.stop)):
            assert plan is not None
            try:
                energy, forces = energy_and_forces(replace(particles, positions=places[number]), plan)
            except InvalidValueError as error:
                raise InvalidValueError(f"conformer {number}: {error}") from error
            rows[row, 0], rows[row, 1:] = energy, forces.ravel()
    found = allgather_rows(rows, comm)
    return found[:, 0], found[:, 1:].reshape(-1, particles.n, 3)
