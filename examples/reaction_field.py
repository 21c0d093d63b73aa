"""The solvation energy of ubiquitin: permittivity 2 inside of its atoms, 80 around them.

    python examples/reaction_field.py [--spacing 0.4] [1ubi.pqr]

Ends with the Born ion at the same spacing, whose energy is known.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sci.applications import reaction_field
from sci.datasets import dataset_path
from sci.io import read_structure
from sci.potentials import Particles
from sci.units import COULOMB

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("structure", type=Path, nargs="?", default=dataset_path("ubiquitin"))
parser.add_argument("--spacing", type=float, default=0.5, help="of the fine grid, angstrom (0.5)")
a = parser.parse_args()

molecule = read_structure(a.structure)
found = reaction_field(molecule, spacing=a.spacing)
print(f"{a.structure.name}: {molecule.n} atoms, total charge {molecule.charges.sum():+.2f} e")
print(f"grid {found.values.shape}, {found.result.iterations} iterations, {found.result.seconds:.2f} s")
print(f"solvation energy {COULOMB * found.energy:.3f} +- {COULOMB * found.energy_error:.3f} eV")

ion = reaction_field(Particles([[0.0, 0.0, 0.0]], [1.0]), [3.0], spacing=a.spacing)
exact = 0.5 * (1 / 80 - 1 / 2) / 3.0
error = COULOMB * ion.energy_error
print(f"Born ion of radius 3: {COULOMB * ion.energy:.4f} +- {error:.4f} eV, exact {COULOMB * exact:.4f} eV")
