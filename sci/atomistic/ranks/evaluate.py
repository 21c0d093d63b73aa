"""Energy, forces and stress of one large configuration whose atoms lie on many ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.atomistic.configuration import Configuration, Names
from sci.atomistic.long_range import charges_of, coulomb_on_rows
from sci.atomistic.potential import AtomisticPotential, Prediction
from sci.atomistic.ranks.boxes import Boxes, LocalAtoms, local_atoms, send_back
from sci.backend import ArrayLike, as_finite, as_points
from sci.distributed import Comm, agreed, allreduce_sum, size
from sci.errors import InvalidValueError

__all__ = ["predict_on_ranks"]


@collective_entry
def predict_on_ranks(
    potential: AtomisticPotential,
    species: Names,
    positions: ArrayLike,
    *,
    cell: ArrayLike | None = None,
    periodic: Sequence[bool] | None = None,
    charges: ArrayLike | None = None,
    comm: Comm = None,
) -> Prediction:
    """Return energy, forces and stress of atoms that lie on many ranks, each with some of them.

    Parameters
    ----------
    potential : AtomisticPotential
        The same on all ranks.
    species : sequence of str
        Of this rank's atoms; there may be none.
    positions : (n, 3) float64, angstrom
        Of this rank's atoms, anywhere.
    cell : (3, 3) float64, angstrom, optional
    periodic : (bool, bool, bool), optional
        As in `Configuration`; the same on all ranks.
    charges : (n,) float64, e, optional
        Of this rank's atoms, for a potential that takes those of the configuration; learned charges sum to theirs.
    comm : mpi4py communicator, optional

    Returns
    -------
    Prediction
        Energy and stress of all atoms, the same on all ranks, and the forces on this rank's atoms.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank; as `AtomisticPotential`.

    Notes
    -----
    Collective over `comm`. The cell is cut into one box a rank. Each box gets copies of the atoms within `layers` times
    the cutoff of it, computes the energies of its own, and sends the forces on copies back. The sums differ from those
    of one process by rounding alone. Every rank holds all charges, and sums Coulomb's part at its own atoms.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration, predict_on_ranks
    >>> potential = AtomisticPotential(AtomisticConfig(["H"], cutoff=3.0, channels=2))
    >>> places, cell = np.array([[0.0, 0.0, 0.0], [1.5, 0.2, 0.1]]), 4.0 * np.eye(3)
    >>> shared = predict_on_ranks(potential, ["H", "H"], places, cell=cell)
    >>> bool(np.allclose(shared.forces, potential(Configuration(["H", "H"], places, cell)).forces))
    True
    """
    with agreed(comm, "predict_on_ranks") as agreement:
        points = as_points(positions, "positions", xp=np)
        frame = _frame(cell, periodic)
        names = tuple(str(name) for name in species)
        if len(names) != len(points):
            raise InvalidValueError(f"species has {len(names)} names for {len(points)} atoms; expected one for each")
        own = Configuration(names, points, frame.cell, frame.periodic, charges) if names else None
        numbers = np.zeros(0, np.int64) if own is None else potential.numbers(own)
        agreement.gather(len(points))
        if size(comm) > 1:
            agreement.same(potential=potential.config, parameters=potential.parameters, cell=frame.cell)
            agreement.same(periodic=frame.periodic, statistics=potential.statistics)
    if agreement.table[:, 0].sum() == 0:
        raise InvalidValueError("there are no atoms on any rank; expected one or more")
    axes = np.array(frame.periodic)
    boxes = Boxes.of(points, None if frame.cell is None else np.asarray(frame.cell), axes, comm)
    local = local_atoms(numbers, points, boxes, potential.config.cutoff, potential.config.layers, comm)
    if potential.config.charges == "learned":
        net = 0.0 if own is None or own.charges is None else float(np.sum(own.charges))
        sums, forces = _with_learned_charges(potential, local, net, frame, comm)
    else:
        with agreed(comm, "the boxes of atoms"):
            sums, forces = _of_box(potential, local)
    forces = send_back(local, forces, comm)
    if potential.config.charges not in (None, "learned"):
        with agreed(comm, "Coulomb's energy"):
            own_charges = np.zeros(0) if own is None else charges_of(own, potential.config)
        long, pulls, _ = coulomb_on_rows(points, own_charges, potential.config, frame, comm)
        sums, forces = sums + long, forces + pulls
    total = allreduce_sum(sums, comm)
    stress = total[1:].reshape(3, 3) / frame.volume if all(frame.periodic or ()) else None
    return Prediction(float(total[0]), forces, stress)


def _frame(cell: ArrayLike | None, periodic: Sequence[bool] | None) -> Configuration:
    """Return one atom in the cell of all ranks: what checks the cell."""
    given: Any = None if cell is None else as_finite(cell, "cell", shape=(3, 3), xp=np)
    return Configuration(("X",), np.zeros((1, 3)), given, periodic)


def _with_learned_charges(
    potential: AtomisticPotential, local: LocalAtoms, net: float, frame: Configuration, comm: Comm
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums and forces of a box, with Coulomb's energy of the charges that the network makes (collective)."""
    with agreed(comm, "the boxes of atoms"):
        made = np.zeros(0)
        if local.own:
            made = potential.network_charges(potential.parameters, local.near)[: local.own, 0].astype(np.float64)
    missing, count = allreduce_sum(np.array([net - made.sum(), float(local.own)]), comm)
    charges = made + missing / count
    long, pulls, slopes = coulomb_on_rows(local.positions, charges, potential.config, frame, comm)
    slopes = slopes - allreduce_sum(np.array([slopes.sum()]), comm)[0] / count
    with agreed(comm, "the boxes of atoms"):
        every = np.zeros((local.near.counts[-1], 1))  # 0 for copies of atoms of other boxes
        every[: local.own, 0] = slopes
        sums, forces = _of_box(potential, local, every.astype(potential.dtype))
        sums[0] -= float(slopes @ made)
        forces[: local.own] += pulls
    return sums + long, forces


def _of_box(
    potential: AtomisticPotential, local: LocalAtoms, charge_slopes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return energy and virial of the atoms of a box in one array, and the forces on all atoms it has."""
    near = local.near
    if local.own == 0:
        return np.zeros(10), np.zeros((len(near.species), 3))
    energy, forces, virials = potential.forward(potential.parameters, near, charge_slopes)
    own = near.species[: len(near.owner)][near.owner >= 0]
    total = float(energy[0]) + float(potential.statistics["shift"][own].sum())
    return np.concatenate([[total], virials[0].ravel()]).astype(np.float64), forces.astype(np.float64)
