"""Minima of energies and Poisson-Boltzmann potentials in files: the function, the history of the steps, the ions."""

from __future__ import annotations

import json
from dataclasses import asdict

from sci.applications import Electrolyte, PoissonBoltzmann
from sci.backend import to_host
from sci.errors import FileFormatError
from sci.io.codecs.models import read_dict
from sci.io.core.datasets import Group, axis_dims, read_array, write_array, write_text
from sci.io.core.registry import codec, read_member, write_member
from sci.io.grids.fields import Fields
from sci.solvers import Minimum

_HISTORY = ("energies", "dual_norms")
_STEPS = ("lengths", "products")
_UNITS = {"potential": "kT/e", "accessible": "1", "at_charges": "e/angstrom", "at_charges_error": "e/angstrom"}
_NUMBERS = ("energy", "energy_error", "osmotic_energy")


@codec(Minimum, kind="minimum", in_root=True)
class _MinimumCodec:
    """`u` (*grid), `energies` and `dual_norms` (steps + 1), `lengths` and the integers `products` (steps); attribute
    `about` (JSON: method, converged, seconds)."""

    compressible = ("u",)

    @staticmethod
    def write(group: Group, minimum: Minimum) -> None:
        about = {"method": minimum.method, "converged": minimum.converged, "seconds": minimum.seconds}
        write_text(group, "about", json.dumps(about))
        write_array(group, "u", to_host(minimum.u), dims=axis_dims(minimum.u.ndim))
        for name in _HISTORY:
            write_array(group, name, getattr(minimum, name), dims=("state",))
        for name in _STEPS:
            write_array(group, name, getattr(minimum, name), "1", ("step",))

    @staticmethod
    def read(group: Group) -> Minimum:
        about = read_dict(group, "about")
        energies = read_array(group, "energies", (None,))
        steps = len(energies) - 1
        if steps < 0:
            raise FileFormatError(f"{group.name}/energies is empty; expected that of the start and of each step")
        return Minimum(
            read_array(group, "u", None),
            energies,
            read_array(group, "dual_norms", (steps + 1,)),
            read_array(group, "lengths", (steps,)),
            read_array(group, "products", (steps,), ("i8",)),
            bool(about["converged"]),
            str(about["method"]),
            float(about["seconds"]),
        )

    @staticmethod
    def fields(minimum: Minimum) -> Fields:
        """Return the function."""
        return Fields(tuple(minimum.u.shape), [(None, {"u": minimum.u})])


@codec(PoissonBoltzmann, kind="poisson_boltzmann", in_root=True)
class _PoissonBoltzmannCodec:
    """`potential` and `accessible` (*grid), `at_charges` and `at_charges_error` (particle), `origin` (3); group
    `minimum`; attribute `about` (JSON: spacing in angstrom; energy, energy_error and osmotic_energy in e^2/angstrom;
    electrolyte)."""

    compressible = ("potential", "minimum/u")

    @staticmethod
    def write(group: Group, found: PoissonBoltzmann) -> None:
        about = {name: float(getattr(found, name)) for name in ("spacing", *_NUMBERS)}
        write_text(group, "about", json.dumps({**about, "electrolyte": asdict(found.electrolyte)}))
        write_array(group, "origin", found.origin, "angstrom", ("xyz",))
        for name, unit in _UNITS.items():
            values = getattr(found, name)
            write_array(group, name, values, unit, axis_dims(3) if values.ndim == 3 else ("particle",))
        write_member(group, "minimum", found.minimum)

    @staticmethod
    def read(group: Group) -> PoissonBoltzmann:
        about = read_dict(group, "about")
        ions = about["electrolyte"]
        arrays = {name: read_array(group, name, (None,) * (3 if k < 2 else 1)) for k, name in enumerate(_UNITS)}
        if arrays["potential"].shape != arrays["accessible"].shape:
            raise FileFormatError(f"{group.name}: potential and accessible have different shapes; the file is damaged")
        return PoissonBoltzmann(
            arrays["potential"],
            arrays["accessible"],
            read_array(group, "origin", (3,)),
            float(about["spacing"]),
            arrays["at_charges"],
            arrays["at_charges_error"],
            float(about["energy"]),
            float(about["energy_error"]),
            float(about["osmotic_energy"]),
            Electrolyte(**{**ions, "valences": tuple(ions["valences"])}),
            read_member(group, "minimum", Minimum),
        )

    @staticmethod
    def fields(found: PoissonBoltzmann) -> Fields:
        """Return the potential and the part of each cell that ions enter, at their place in space."""
        values = {"potential": found.potential, "accessible": found.accessible}
        corner = tuple(float(x) - 0.5 * found.spacing for x in found.origin)
        return Fields(found.potential.shape, [(None, values)], _UNITS, (found.spacing,) * 3, corner)
