"""Periodic and lattice potentials in files."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from sci.errors import FileFormatError
from sci.io.core.datasets import Group, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec, read_member, write_member
from sci.potentials.lattice.defects import Defect, Interstitial, Substitution, Vacancy
from sci.potentials.lattice.potential import LatticePotential
from sci.potentials.particles import Particles
from sci.potentials.periodic import PeriodicPotential
from sci.potentials.radial.kernels import Yukawa

_UNITS = "angstrom, e, e/angstrom"


@codec(PeriodicPotential, kind="periodic", units=_UNITS)
class _PeriodicCodec:
    """Group `particles`; `tol`, `alpha` and, of screened charges, `kappa` (1/angstrom); attribute `slab` of one with
    two periods; `modes` (2 m1 + 1, 2 m2 + 1, m3 + 1, complex): Fourier coefficients of the long range; rebuilt without
    the sums."""

    @staticmethod
    def write(group: Group, potential: PeriodicPotential) -> None:
        write_member(group, "particles", potential.particles)
        write_array(group, "tol", np.float64(potential.tol), "1")
        write_array(group, "alpha", np.float64(potential.alpha), "1/angstrom")
        write_array(group, "modes", potential.modes, "e/angstrom", ("mode_a", "mode_b", "mode_c"))
        if potential.kernel.kappa > 0:
            write_array(group, "kappa", np.float64(potential.kernel.kappa), "1/angstrom")
        if potential.slab:
            write_text(group, "slab", "first two periods")

    @staticmethod
    def read(group: Group) -> PeriodicPotential:
        particles = read_member(group, "particles", Particles)
        tol, alpha = float(read_array(group, "tol")), float(read_array(group, "alpha"))
        modes = read_array(group, "modes", (None,) * 3, ("c16",))
        kernel = Yukawa(float(read_array(group, "kappa"))) if "kappa" in group else None
        slab = "slab" in group.attrs
        return PeriodicPotential.from_parts(particles, tol, alpha, modes, kernel=kernel, slab=slab)

    @staticmethod
    def n_bytes(potential: PeriodicPotential) -> int:
        """Return the size of the charges and of the modes."""
        return 32 * potential.particles.n + int(potential.modes.nbytes)


@codec(LatticePotential, kind="lattice", units=_UNITS)
class _LatticeCodec:
    """Group `particles` of one cell; `repeats` (3), `tol`, `alpha` (1/angstrom), `reach` (angstrom), `domain` (3, 2);
    attributes `weights`, `defects` (JSON). Built again when loaded: reading the sums would take longer."""

    @staticmethod
    def write(group: Group, potential: LatticePotential) -> None:
        write_member(group, "particles", potential.particles)
        write_array(group, "repeats", np.array(potential.repeats, dtype=np.int64), "1", ("axis",))
        write_array(group, "tol", np.float64(potential.tol), "1")
        write_array(group, "alpha", np.float64(potential.split.alpha), "1/angstrom")
        write_array(group, "reach", np.float64(potential.reach), "angstrom")
        write_array(group, "domain", np.array(potential.domain, dtype=np.float64), "angstrom", ("axis", "bound"))
        write_text(group, "weights", potential.weights)
        write_text(group, "defects", json.dumps([_plain(defect) for defect in potential.defects]))

    @staticmethod
    def read(group: Group) -> LatticePotential:
        tol, alpha, reach = (float(read_array(group, name)) for name in ("tol", "alpha", "reach"))
        return LatticePotential(
            read_member(group, "particles", Particles),
            read_array(group, "repeats", (3,), ("i8",)).tolist(),
            defects=[_defect(entry) for entry in json.loads(read_text(group, "defects"))],
            tol=tol,
            weights=read_text(group, "weights"),
            domain=read_array(group, "domain", (3, 2)).tolist(),
            alpha=alpha,
            reach=reach,
        )

    @staticmethod
    def n_bytes(potential: LatticePotential) -> int:
        """Return the size of the charges of one cell."""
        return 32 * potential.particles.n


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
