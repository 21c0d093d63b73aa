"""Arguments of `sci solve run|train`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sci.cli.common import add_common, add_output
from sci.cli.values import CHANNELS, COUNT, POSITIVE, SEED, file_name

__all__ = ["METHODS", "add_solve"]

METHODS = ("learned", "untrained", "multigrid", "mic", "ic", "fast", "cg", "dcdm")

SOLVE = """Poisson problems around bodies: solve one, or train the learned V-cycle that preconditions the solver."""
RUN = """Solve a Poisson problem: an HDF5 file with the datasets `mask` (1 in the fluid) and `b` on one grid;
optionally `neumann_body`, `coefficient` and the attributes `spacing` and `boundary`."""
TRAIN = """Train the learned V-cycle on random masks and write the model, for `sci solve run --model`. No solutions are
needed; the same seed gives the same model."""


def add_solve(parser: Any) -> None:
    """Add the actions of `sci solve`."""
    parser.describe(SOLVE, "sci solve run problem.h5 -o solution.h5 --rtol 1e-10")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_run(parser.add_action(actions, "run", "solve the problem in a file"))
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
