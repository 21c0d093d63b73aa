"""How periodic and lattice potentials lie in a file."""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np

from sci.errors import FileFormatError
from sci.io.codecs.tensors import read_particles, write_particles
from sci.io.core.hdf5 import Group, read_array, read_text, write_array, write_text
from sci.potentials.lattice.defects import Defect, Interstitial, Substitution, Vacancy

__all__ = ["read_lattice", "read_periodic", "write_lattice", "write_periodic"]


def write_periodic(group: Group, potential: Any) -> None:
    """Write the particles, the split and the Fourier modes, from which the potential is rebuilt without the sums."""
    write_particles(group.create_group("particles"), potential.particles)
    write_array(group, "tol", np.float64(potential.tol))
    write_array(group, "alpha", np.float64(potential.alpha), "1/angstrom")
    write_array(group, "modes", potential.modes, "e/angstrom")


def read_periodic(group: Group) -> Any:
    """Return the PeriodicPotential in `group`."""
    from sci.potentials.periodic import PeriodicPotential  # reading other kinds needs no kernels

    particles = read_particles(_particles(group))
    tol, alpha = float(read_array(group, "tol")), float(read_array(group, "alpha"))
    return PeriodicPotential.from_parts(particles, tol, alpha, read_array(group, "modes", (None,) * 3, ("c16",)))


def write_lattice(group: Group, potential: Any) -> None:
    """Write what the potential was built from: the sums over the lattice take less time than reading them would."""
    write_particles(group.create_group("particles"), potential.particles)
    write_array(group, "repeats", np.array(potential.repeats, dtype=np.int64))
    write_array(group, "tol", np.float64(potential.tol))
    write_array(group, "alpha", np.float64(potential.split.alpha), "1/angstrom")
    write_array(group, "reach", np.float64(potential.reach), "angstrom")
    write_array(group, "domain", np.array(potential.domain, dtype=np.float64), "angstrom")
    write_text(group, "weights", potential.weights)
    write_text(group, "defects", json.dumps([_plain(defect) for defect in potential.defects]))


def read_lattice(group: Group) -> Any:
    """Return the LatticePotential in `group`."""
    from sci.potentials.lattice.potential import LatticePotential

    tol, alpha, reach = (float(read_array(group, name)) for name in ("tol", "alpha", "reach"))
    return LatticePotential(
        read_particles(_particles(group)),
        read_array(group, "repeats", (3,), ("i8",)).tolist(),
        defects=[_defect(entry) for entry in json.loads(read_text(group, "defects"))],
        tol=tol,
        weights=read_text(group, "weights"),
        domain=read_array(group, "domain", (3, 2)).tolist(),
        alpha=alpha,
        reach=reach,
    )


def _particles(group: Group) -> Group:
    found = group.get("particles")
    if not isinstance(found, h5py.Group):
        raise FileFormatError(f"the group {group.name}/particles is missing; the file is damaged: make it again")
    return found


def _plain(defect: Defect) -> list[Any]:
    if isinstance(defect, Interstitial):
        return ["interstitial", *map(float, defect.position), float(defect.charge)]
    site = [int(defect.particle), *map(int, defect.cell)]
    return ["vacancy", *site] if isinstance(defect, Vacancy) else ["substitution", *site, float(defect.charge)]


def _defect(entry: Any) -> Defect:
    match entry:
        case ["interstitial", x, y, z, charge]:
            return Interstitial((x, y, z), charge)
        case ["vacancy", particle, i, j, k]:
            return Vacancy(particle, (i, j, k))
        case ["substitution", particle, i, j, k, charge]:
            return Substitution(particle, (i, j, k), charge)
    raise FileFormatError(f"the defect {entry!r} is unknown; the file is damaged, or of a newer version")
