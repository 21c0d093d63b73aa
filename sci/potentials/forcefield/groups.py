"""Energies within and between groups of atoms, long range and short range alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, TypeAlias

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, to_device, to_host
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.potentials.direct import direct_sum_packed, pack
from sci.potentials.forcefield.corrections import apply_exclusions
from sci.potentials.interacting import Interacting
from sci.potentials.mesh.particle_mesh import LEAST_TOL, NoMeshError, ParticleMesh
from sci.potentials.particles import Particles, without_overflow
from sci.potentials.periodic import PeriodicPotential
from sci.potentials.radial.split import COINCIDENT
from sci.potentials.trajectory import DIRECT_PAIR, LEAST_SECONDS

__all__ = ["group_energies"]

Labels: TypeAlias = Annotated[np.ndarray, "labels"]
"""One integer for each atom."""


@entry
def group_energies(phi: Interacting, groups: Labels) -> np.ndarray:
    r"""Return the energies within and between groups of atoms, which sum to the energy of all.

    E_ab = 1/2 \sum_{i in a} q_i phi_b(y_i), phi_b the potential of the charges of group b: the interaction of two
    groups is E_ab + E_ba. In a cell, charges act on their own images within their group, and a net charge of a group
    has its own neutralizing background.

    Parameters
    ----------
    phi : PeriodicPotential or RangeSeparatedPotential
        Its exclusions hold within and between groups.
    groups : (n,) int
        Number of the group of each atom, from 0.

    Returns
    -------
    (g, g) float64, e^2/angstrom
        Symmetric to the error of phi, on the host.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        For another number of labels than of atoms, labels that are no integers, or a group without atoms.

    Notes
    -----
    Not collective. A cell is evaluated once for each group, to the tolerance of phi relative to the potential of the
    group. Isolated charges are summed over all pairs, exactly and in O(n^2) whatever the number of groups, or each
    group by a `ParticleMesh` of the tolerance of phi, O(g n log n), where the cost model finds that faster.

    Examples
    --------
    >>> from sci.potentials import Particles, RangeSeparatedPotential, group_energies
    >>> three = Particles([[0.0, 0, 0], [0, 0, 1.0], [0, 0, 3.0]], [1.0, -1.0, 2.0])
    >>> group_energies(RangeSeparatedPotential(three, 1e-6), [0, 0, 1]).round(6).tolist()
    [[-1.0, -0.166667], [-0.166667, 0.0]]
    """
    particles = phi.particles
    if particles is None:
        raise InvalidValueError("this rank has no particles; expected a potential of all of them on one rank")
    labels = _as_labels(groups, particles.n)
    xp, count = namespace(particles.positions), int(labels.max()) + 1
    found, on_mesh = np.empty((count, count)), _mesh_is_faster(phi, particles, count)
    for group in range(count):
        members = to_device(np.flatnonzero(labels == group), xp)
        if on_mesh:
            charges = xp.where(to_device(labels == group, xp), particles.charges, 0.0)
            values = ParticleMesh(replace(particles, charges=charges), phi.tol).potentials()
        else:
            values = _potential_of(phi, particles, members)
        terms = to_host(0.5 * particles.charges * values)
        found[:, group] = np.bincount(labels, weights=terms, minlength=count)
    return np.asarray(without_overflow(found, "the energies"))


def _mesh_is_faster(phi: Interacting, particles: Particles, groups: int) -> bool:
    """Return True if meshes of all groups of isolated charges take less time than the sum over their pairs."""
    direct = DIRECT_PAIR * particles.n**2
    if particles.cell is not None or phi.kernel.kappa > 0 or phi.tol < LEAST_TOL or direct < groups * LEAST_SECONDS:
        return False
    try:
        return groups * (LEAST_SECONDS + ParticleMesh(particles, phi.tol).first_plan.seconds) < direct
    except NoMeshError:
        return False


def _potential_of(phi: Interacting, particles: Particles, members: Array) -> Array:
    """Return the potential of some of the particles at all of them, (n,), less what exclusions leave out."""
    part = Particles(
        particles.positions[members],
        particles.charges[members],
        cell=particles.cell,
        exclusions=None if particles.exclusions is None else particles.exclusions.of_atoms(to_host(members).tolist()),
    )
    if isinstance(phi, PeriodicPotential):
        evaluate = PeriodicPotential(part, phi.tol, kernel=phi.kernel, slab=phi.slab, alpha=phi.alpha).evaluate
    else:
        packed = pack(part)

        def evaluate(points: Array, gradient: bool, apart: float = COINCIDENT) -> Array:
            return direct_sum_packed(points, packed, phi.kernel, gradient, apart)

    charges = namespace(particles.charges).zeros_like(particles.charges)
    charges[members] = part.charges
    found = evaluate(particles.positions, False)
    return apply_exclusions(found, replace(particles, charges=charges), phi.kernel, evaluate)[:, 0]


def _as_labels(groups: Labels, n: int) -> np.ndarray:
    labels = np.asarray(to_host(groups) if hasattr(groups, "dtype") else groups)
    if labels.shape != (n,):
        raise ShapeError(f"groups has shape {labels.shape}; expected the group of each of {n} atoms, ({n},)")
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"groups has dtype {labels.dtype}; expected integers, the numbers of groups from 0")
    sizes = np.bincount(labels) if labels.min() >= 0 and labels.max() < n else np.zeros(1)
    if not sizes.all():
        raise InvalidValueError(
            f"groups holds numbers from {labels.min()} to {labels.max()}, of which {np.count_nonzero(sizes)} occur; "
            "expected 0, 1, ... and atoms in each group"
        )
    return labels.astype(np.int64)
