"""Arguments of `sci solve run|energy|train` and `sci spectrum`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sci.cli.common import add_common, add_output
from sci.cli.values import (
    CELLS,
    CHANNELS,
    COUNT,
    KELVIN,
    PADDING,
    PERMITTIVITY,
    POSITIVE,
    PROBES,
    RADIUS,
    SEED,
    SHARE,
    STRENGTH,
    VALENCE,
    WIDTH,
    file_name,
)

__all__ = ["METHODS", "PRECONDITIONERS", "add_solve", "add_spectrum"]

METHODS = ("learned", "untrained", "multigrid", "mic", "ic", "fast", "cg", "dcdm")

PRECONDITIONERS = ("none", "jacobi", "multigrid", "learned", "untrained", "mic", "ic", "fast")

ENERGIES = ("pb",)

SOLVE = """Elliptic problems: solve a Poisson problem around bodies, minimize a nonlinear energy, or train the learned
V-cycle that preconditions the solver."""
ENERGY = """Minimize a nonlinear energy. pb: the Poisson-Boltzmann equation of a molecule with charges and radii (PQR)
in a solvent with ions; writes its potential in kT/e, and the solvation energy with its error."""
RUN = """Solve a Poisson problem: an HDF5 file with the datasets `mask` (1 in the fluid) and `b` on one grid;
optionally `neumann_body`, `coefficient`, `reaction` and the attributes `spacing` and `boundary`."""
TRAIN = """Train the learned V-cycle on random masks and write the model, for `sci solve run --model`. No solutions are
needed; the same seed gives the same model."""

SPECTRUM = """Estimate the eigenvalues of the operator of a Poisson problem, or of the operator with a preconditioner:
their density, the extremes and the condition, and the log-determinant, each with its error. Eigenvalues that are zero,
as with Neumann walls all round, are left out, and counted."""


def add_solve(parser: Any) -> None:
    """Add the actions of `sci solve`."""
    parser.describe(SOLVE, "sci solve run problem.h5 -o solution.h5 --rtol 1e-10")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_run(parser.add_action(actions, "run", "solve the problem in a file"))
    _add_energy(parser.add_action(actions, "energy", "minimize a nonlinear energy, such as that of Poisson-Boltzmann"))
    _add_train(parser.add_action(actions, "train", "train a model for --model"))


def _add_run(parser: Any) -> None:
    parser.describe(RUN, "sci solve run problem.h5 -o solution.h5 --method multigrid --rtol 1e-10")
    parser.add_argument("input", type=file_name, metavar="PROBLEM.h5", help="datasets mask and b")
    add_output(parser, "SOLUTION.h5", "the solution to write")
    parser.add_argument("--method", choices=METHODS, default="learned", help="preconditioner or solver (learned)")
    parser.add_argument("--rtol", type=POSITIVE, default=1e-8, help="relative residual ||b - A x|| / ||b|| (1e-8)")
    parser.add_argument("--maxiter", type=COUNT, metavar="N", help="largest number of iterations (10 for each cell)")
    parser.add_argument(
        "--model", type=file_name, metavar="MODEL.h5", help="model for learned (the pretrained one) or dcdm"
    )
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.solve").run(a))


def _add_energy(parser: Any) -> None:
    parser.describe(ENERGY, "sci solve energy pb protein.pqr -o pb.h5 --ionic-strength 0.1")
    parser.add_argument("energy", choices=ENERGIES, help="what is minimized")
    parser.add_argument("input", type=file_name, metavar="MOLECULE.pqr", help="charges and radii")
    add_output(parser, "PB.h5", "the potential to write")
    parser.add_argument(
        "--ionic-strength", type=STRENGTH, default=0.15, metavar="MOL/L", help="half the sum of c z^2 (0.15)"
    )
    parser.add_argument("--temperature", type=KELVIN, default=298.15, metavar="K", help="of the ions (298.15)")
    parser.add_argument(
        "--dielectric",
        type=PERMITTIVITY,
        nargs=2,
        default=[2.0, 78.5],
        metavar=("IN", "OUT"),
        help="relative permittivities of molecule and solvent (2 78.5)",
    )
    parser.add_argument(
        "--valences", type=VALENCE, nargs=2, default=[1, -1], metavar=("Z+", "Z-"), help="of the ions (1 -1)"
    )
    parser.add_argument(
        "--ion-radius", type=RADIUS, default=2.0, metavar="A", help="distance of ions from the atoms' spheres (2)"
    )
    parser.add_argument(
        "--spacing", type=WIDTH, metavar="A", help="width of the cells (0.5, or less for charges near the surface)"
    )
    parser.add_argument("--cells", type=CELLS, metavar="N", help="instead: cells along each axis of a cubic grid")
    parser.add_argument("--padding", type=PADDING, default=12.0, metavar="A", help="solvent around the molecule (12)")
    parser.add_argument("--rtol", type=SHARE, default=1e-6, help="relative dual norm of the derivative (1e-6)")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.solve").energy(a))


def _add_train(parser: Any) -> None:
    parser.describe(TRAIN, "sci solve train -o model.h5 --sizes 32 64 --seed 1")
    add_output(parser, "MODEL.h5", "the model to write")
    parser.add_argument(
        "--sizes", type=CHANNELS, nargs="+", default=[32, 64], metavar="N", help="cells per side (32 64)"
    )
    parser.add_argument("--steps", type=COUNT, default=1000, metavar="N", help="steps of Adam (1000)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="of masks, errors and initial parameters (0)")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.solve").train(a))


def add_spectrum(parser: Any) -> None:
    """Add the arguments of `sci spectrum`."""
    parser.describe(SPECTRUM, "sci spectrum problem.h5 -o spectrum.h5 --preconditioner multigrid --plot spectrum.png")
    parser.add_argument("input", type=file_name, metavar="PROBLEM.h5", help="the problem, as `sci solve run` takes it")
    add_output(parser, "SPECTRUM.h5", "the spectrum to write")
    parser.add_argument(
        "--preconditioner", choices=PRECONDITIONERS, default="none", help="M in the matrix M A (none, A itself)"
    )
    parser.add_argument("--probes", type=PROBES, default=10, metavar="N", help="random vectors, at least 2 (10)")
    parser.add_argument("--steps", type=COUNT, default=40, metavar="N", help="products with the matrix for each (40)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="of the random vectors (0)")
    parser.add_argument("--plot", type=file_name, metavar="PNG", help="draw the density, also as .pdf or .svg")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.spectrum").run(a))
