"""Arguments of `sci potential`, `sci trajectory` and `sci lattice`."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from sci.cli.common import add_common, add_output
from sci.cli.parsers.files import export_format
from sci.cli.values import AXIS, COUNT, INTEGER, POSITIVE, REAL, file_name
from sci.units import POTENTIAL_UNITS

__all__ = ["ACCURACIES", "STRUCTURES", "WEIGHTS", "add_lattice", "add_potential", "add_trajectory"]

STRUCTURES = ("pqr", "xyz", "pdb", "mmcif")
ACCURACIES = ("potential", "forces")
WEIGHTS = ("plain", "evjen", "smooth")

POTENTIAL = """Compute the electrostatic potential of a molecule in vacuum. Write it with its energy and measured
error, and optionally forces and a grid, to an HDF5 file that ParaView opens."""
TRAJECTORY = """Compute energy and forces of every frame of a trajectory: XYZ or extended XYZ with charges, or any
format of MDAnalysis with a topology that holds the charges. Frames with a cell are periodic. Results go to one HDF5
file as they are computed; --resume continues after an interrupt, a kill or a time limit."""
LATTICE = """Compute the potential of a crystal of L1 x L2 x L3 cells, with or without defects, from one-dimensional
sums, whose cost hardly depends on the number of ions. Print the potential at the sites of one cell (that of the first
defect, or the middle one), and write a grid around it to an HDF5 file that ParaView opens."""


def add_potential(parser: Any) -> None:
    """Add the arguments of `sci potential`."""
    parser.describe(POTENTIAL, "sci potential protein.pqr -o protein.h5 --grid 96 --forces")
    parser.add_argument("input", type=file_name, metavar="INPUT", help="structure: .pqr, .xyz, .extxyz, .pdb, .cif")
    add_output(parser, "OUT.h5")
    reading = parser.add_argument_group("reading")
    reading.add_argument("--format", choices=STRUCTURES, help="format of INPUT (default: by its suffix)")
    reading.add_argument("--forcefield", metavar="AMBER", help="force field for PDB and mmCIF, assigned by pdb2pqr")
    reading.add_argument(
        "--model", type=COUNT, metavar="K", help="model to read from a file of several, counted from 1"
    )
    reading.add_argument(
        "--bonds",
        metavar="distance|FILE",
        help="leave out 1-2 and 1-3 pairs of the energy and the forces: bonds by covalent radii, of a topology, or of "
        "a .txt with two atoms a line, counted from 0",
    )
    _add_scale14(reading)
    potential = parser.add_argument_group("potential")
    _add_accuracy(potential)
    potential.add_argument(
        "--padding", type=POSITIVE, default=4.0, metavar="A", help="margin around the atoms, angstrom (default: 4)"
    )
    potential.add_argument(
        "--alpha", type=POSITIVE, metavar="A", help="splitting parameter, 1/angstrom (default: by cost)"
    )
    potential.add_argument(
        "--expected-targets", type=COUNT, metavar="N", help="number of evaluations to choose the split for"
    )
    potential.add_argument("--forces", action="store_true", help="compute the forces")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--grid",
        type=AXIS,
        nargs="+",
        metavar="N",
        help="points along the longest axis of the box, with the same spacing on the others; or NX NY NZ",
    )
    output.add_argument(
        "--export", type=export_format, default=(), metavar="dx,cube", help="other formats to write the grid in"
    )
    _add_units(output, "e/angstrom", "units of grid, exports and picture")
    output.add_argument("--plot", type=file_name, metavar="FILE.png", help="picture of a slice (needs the extra plot)")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.potential").run(a))


def add_trajectory(parser: Any) -> None:
    """Add the arguments of `sci trajectory`."""
    parser.describe(TRAJECTORY, "sci trajectory frames.extxyz -o frames.h5 --frames ::10")
    parser.add_argument(
        "input", type=file_name, metavar="TRAJ", help=".xyz or .extxyz; with --topology .dcd, .xtc, ..."
    )
    add_output(parser, "OUT.h5")
    parser.add_argument(
        "--topology", type=file_name, metavar="FILE", help="topology with the charges: .psf, .pqr, .tpr, .prmtop"
    )
    parser.add_argument(
        "--bonds",
        choices=("topology", "distance"),
        help="leave out 1-2 and 1-3 pairs; bonds of the topology, or by covalent radii in the first frame",
    )
    _add_scale14(parser)
    parser.add_argument(
        "--frames", metavar="A:B:STEP", default=":", help="frames to compute, counted from 0 (default: all)"
    )
    _add_accuracy(parser)
    parser.add_argument(
        "--method",
        choices=("auto", "direct", "format", "mesh"),
        default="auto",
        help="method: direct for isolated frames alone (default: auto, the fastest)",
    )
    parser.add_argument("--resume", action="store_true", help="continue with OUT.h5 if it exists")
    parser.add_argument(
        "--plot", type=file_name, metavar="FILE.png", help="picture of the energies (needs the extra plot)"
    )
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.trajectory").run(a))


def _add_scale14(parser: Any) -> None:
    parser.add_argument(
        "--scale14", type=REAL, metavar="S", help="factor of 1-4 pairs: 0.8333 AMBER, 0.5 OPLS, 1 CHARMM (default: 1)"
    )


def add_lattice(parser: Any) -> None:
    """Add the arguments of `sci lattice`."""
    parser.describe(LATTICE, "sci lattice nacl.cif --repeats 21 21 21 --vacancy 0 10 10 10 -o window.h5")
    parser.add_argument("input", type=file_name, metavar="CRYSTAL.cif", help="crystal with a cell along x, y and z")
    parser.add_argument("--repeats", type=COUNT, nargs=3, required=True, metavar="L", help="cells along x, y and z")
    add_output(parser, "OUT.h5", "write a grid of the potential", required=False)
    parser.add_argument(
        "--charges", metavar="Na=1,Cl=-1", help="charges, or the name of a CIF column (default: oxidation states)"
    )
    parser.add_argument(
        "--weights", choices=WEIGHTS, default="plain", help="weights of the outer ions (default: plain)"
    )
    parser.add_argument("--tol", type=POSITIVE, default=1e-8, help="relative error of the potential (default: 1e-8)")
    defects = parser.add_argument_group("defects; sites are SITE I J K, the particle and the cell, counted from 0")
    site = ("SITE", "I", "J", "K")
    defects.add_argument("--vacancy", type=INTEGER, nargs=4, action="append", default=[], metavar=site)
    defects.add_argument("--substitution", nargs=5, action="append", default=[], metavar=(*site, "CHARGE"))
    defects.add_argument(
        "--interstitial", type=REAL, nargs=4, action="append", default=[], metavar=("X", "Y", "Z", "CHARGE")
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--grid", type=AXIS, default=64, metavar="N", help="points along the longest axis (default: 64)"
    )
    output.add_argument(
        "--window", type=POSITIVE, default=4.0, metavar="CELLS", help="width of grid and picture, in cells (default: 4)"
    )
    _add_units(output, "V", "units of the output")
    output.add_argument("--plot", type=file_name, metavar="FILE.png", help="picture of the plane z of the first site")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.lattice").run(a))


def _add_accuracy(parser: argparse._ActionsContainer) -> None:
    """Add what says how accurate the potential of isolated or screened charges is."""
    parser.add_argument("--tol", type=POSITIVE, default=1e-6, help="relative L2 error (default: 1e-6)")
    parser.add_argument(
        "--accuracy", choices=ACCURACIES, default="potential", help="what --tol holds for (default: potential)"
    )
    parser.add_argument("--kappa", type=POSITIVE, metavar="K", help="Debye-Hueckel screening, 1/angstrom: exp(-Kr)/r")


def _add_units(parser: argparse._ActionsContainer, default: str, what: str) -> None:
    parser.add_argument("--units", choices=POTENTIAL_UNITS, default=default, help=f"{what} (default: {default})")
    parser.add_argument(
        "--temperature",
        type=POSITIVE,
        default=298.15,
        metavar="K",
        help="temperature for kT/e, kelvin (default: 298.15)",
    )
