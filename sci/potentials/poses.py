"""Rigid poses: the energies of one molecule at many places and orientations in the potential of another."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, ArrayLike, as_finite, as_points, namespace
from sci.distributed import Comm, agreed, allgather_rows, split
from sci.errors import DeviceMismatchError, InvalidValueError, ShapeError
from sci.potentials.particles import Particles, without_overflow

__all__ = ["Potential", "interaction_energy", "rotation_matrices"]

BLOCK_POINTS = 1 << 19
"""Atoms that are placed at once: 12 MB of places, three times that in all, and what the potential takes."""
ORTHOGONAL = 1e-6


class Potential(Protocol):
    """Whatever gives potentials (m,) at points (m, 3): of a molecule, a crystal, a periodic cell."""

    def __call__(self, points: ArrayLike) -> Array:
        """Return the potential at `points`."""


@entry
def rotation_matrices(quaternions: ArrayLike) -> Array:
    """Return the rotations (n, 3, 3) of quaternions (n, 4) = (w, x, y, z), which need not have unit length.

    Parameters
    ----------
    quaternions : (n, 4) array
        In the order w, x, y, z.

    Returns
    -------
    (n, 3, 3) array
        Proper rotations: `positions @ R.T` turns rows of places.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        Also for a quaternion of length zero.
    """
    q = as_finite(quaternions, "quaternions", shape=(None, 4))
    xp = namespace(q)
    length = xp.linalg.norm(q, axis=1)
    if bool((length == 0).any()):
        raise InvalidValueError(f"quaternion {int(xp.argmin(length))} has length zero; expected a rotation")
    w, x, y, z = (q / length[:, None]).T
    rows = [
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return xp.stack([xp.stack(row, axis=1) for row in rows], axis=1)


@collective_entry
def interaction_energy(
    phi: Potential, ligand: Particles, rotations: ArrayLike, translations: ArrayLike, *, comm: Comm = None
) -> Array:
    """Return the energy of a rigid molecule in the potential `phi`, for each of n poses.

    E_p = sum_i q_i phi(R_p x_i + t_p).

    Parameters
    ----------
    phi : callable
        A RangeSeparatedPotential, LatticePotential, PeriodicPotential, or any function of points (m, 3). A
        RangeSeparatedPotential is fast within its box: build it with a `padding` that the ligand does not leave, and
        with `expected_targets` of n times the ligand's size.
    ligand : Particles
        m charges. Rotations turn it about the origin of its coordinates: center it first.
    rotations : (n, 3, 3) or (n, 4) float64
        Matrices, or quaternions (w, x, y, z) of any length.
    translations : (n, 3) float64, angstrom
    comm : mpi4py communicator, optional
        The poses, the same on all ranks, are shared out; every rank gets all energies.

    Returns
    -------
    (n,) float64, e^2/angstrom

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        Also for matrices that are not rotations; on every rank.

    Notes
    -----
    Collective over `comm`. Poses go through in blocks of half a million atoms. Memory: at most 38 MB, what phi takes,
    and 256 bytes a pose. The energy does not depend on the number of ranks, but for rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import Particles, RangeSeparatedPotential, interaction_energy
    >>> phi = RangeSeparatedPotential(Particles([[0.0, 0.0, 0.0]], [1.0]), 1e-8, padding=20.0)
    >>> dipole = Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]], [1.0, -1.0])
    >>> turned = interaction_energy(phi, dipole, np.array([[1.0, 0, 0, 0], [0.0, 1, 0, 0]]), [[0.0, 0, 4]] * 2)
    >>> bool(np.allclose(turned, [1 / 4 - 1 / 6, 1 / 4 - 1 / 2]))
    True
    """
    with agreed(comm, "interaction_energy") as agreement:
        rotations, translations = _poses(ligand, rotations, translations)
        agreement.same(ligand=(ligand.positions, ligand.charges), rotations=rotations, translations=translations)
    mine = split(len(translations), comm)
    with agreed(comm, "interaction_energy"):
        energies = _energies(phi, ligand, rotations[mine], translations[mine])
    return allgather_rows(energies, comm)


def _poses(ligand: Particles, rotations: ArrayLike, translations: ArrayLike) -> tuple[Array, Array]:
    xp = namespace(ligand.positions)
    translations = as_points(translations, "translations", xp=xp)
    n = len(translations)
    rotations = as_finite(rotations, "rotations", xp=xp)
    if namespace(rotations) is not xp or namespace(translations) is not xp:
        raise DeviceMismatchError("the poses and the ligand lie on different devices; move one of them first")
    if rotations.shape == (n, 4):
        return rotation_matrices(rotations), translations
    if rotations.shape != (n, 3, 3):
        raise ShapeError(
            f"rotations has shape {tuple(rotations.shape)}; expected ({n}, 3, 3) or quaternions ({n}, 4), as there are "
            f"{n} translations"
        )
    if n:
        wrong = xp.abs(rotations @ xp.swapaxes(rotations, 1, 2) - xp.eye(3)).max(axis=(1, 2)) > ORTHOGONAL
        wrong |= xp.linalg.det(rotations) < 0
        if bool(wrong.any()):
            raise InvalidValueError(
                f"{int(wrong.sum())} of {n} matrices are no rotations, the first at index {int(xp.argmax(wrong))}; "
                "expected orthogonal matrices of determinant 1"
            )
    return rotations, translations


@np.errstate(over="ignore", invalid="ignore")  # told by `without_overflow`
def _energies(phi: Potential, ligand: Particles, rotations: ArrayLike, translations: ArrayLike) -> Array:
    xp = namespace(ligand.positions)
    energies = xp.empty(len(translations))
    step = max(1, BLOCK_POINTS // ligand.n)
    for start in range(0, len(translations), step):
        block = slice(start, start + step)
        placed = xp.matmul(ligand.positions, xp.swapaxes(rotations[block], 1, 2)) + translations[block, None, :]
        values = phi(xp.ascontiguousarray(placed.reshape(-1, 3)))
        energies[block] = values.reshape(-1, ligand.n) @ ligand.charges
    return without_overflow(energies, "the energies")
