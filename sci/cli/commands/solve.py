"""`sci solve PROBLEM.h5 -o SOLUTION.h5` and `sci solve train -o MODEL.h5`: Poisson problems and the learned cycle."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from sci.cli.outcome import Failure, add_overwrite, computing, print_json, print_table, require_writable
from sci.errors import InvalidValueError
from sci.io import load, load_problem, read_header, save
from sci.solvers import (
    CycleModel,
    DeepConjugateDirection,
    FastPoisson,
    IncompleteCholesky,
    LearnedMultigrid,
    Multigrid,
    PoissonOperator,
    SolveResult,
    cg,
)

__all__ = ["add_parser"]

DESCRIPTION = """Solve a Poisson problem: an HDF5 file with the datasets `mask` (1 in the fluid) and `b` on one grid;
optionally `neumann_body`, `coefficient` and the attributes `spacing` and `boundary`. `sci solve train` trains a model
for --model; see `sci solve train --help`."""
TRAIN = """Train the learned V-cycle on random masks and write the model, for `sci solve --model`. No solutions are
needed; the same seed gives the same model."""

Solve: TypeAlias = Callable[..., SolveResult]

METHODS: dict[str, Callable[[PoissonOperator, Path | None], Solve]] = {
    "learned": lambda A, path: LearnedMultigrid(A, _loaded(path, CycleModel) if path else None).solve,
    "untrained": lambda A, _: LearnedMultigrid(A, CycleModel.untrained()).solve,
    "multigrid": lambda A, _: partial(cg, A, M=Multigrid(A)),
    "mic": lambda A, _: partial(cg, A, M=IncompleteCholesky(A, modified=0.97)),
    "ic": lambda A, _: partial(cg, A, M=IncompleteCholesky(A)),
    "fast": lambda A, _: partial(cg, A, M=FastPoisson(A)),
    "cg": lambda A, _: partial(cg, A),
    "dcdm": lambda A, path: partial(_loaded(path, DeepConjugateDirection).solve, A),
}
"""What makes the solver of each method from the operator and the path of a model."""


def _loaded(path: Path | None, kind: Any) -> Any:
    """Return the model in a file, of the class `kind`."""
    if path is None:
        raise InvalidValueError("--method dcdm needs the network that you have trained: give --model MODEL.h5")
    model = load(path)
    if not isinstance(model, kind):
        raise InvalidValueError(f"{path} holds a {type(model).__name__}; expected a {kind.__name__}")
    return model


def add_parser(commands: Any) -> None:
    """Add the subcommand and its action `train`."""
    parser = commands.add_parser("solve", help="solve a Poisson problem, or train a model", description=DESCRIPTION)
    parser.add_argument("input", type=Path, metavar="PROBLEM.h5")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SOLUTION.h5")
    parser.add_argument("--method", choices=METHODS, default="learned", help="preconditioner or solver (learned)")
    parser.add_argument("--rtol", type=float, default=1e-8, help="relative residual ||b - A x|| / ||b|| (1e-8)")
    parser.add_argument("--maxiter", type=int, metavar="N", help="largest number of iterations (10 per unknown)")
    parser.add_argument("--model", type=Path, metavar="MODEL.h5", help="model for learned (the pretrained one) or dcdm")
    add_overwrite(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.set_defaults(run=_solve)
    train = parser.add_action_parser("train", description=TRAIN)
    train.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL.h5")
    train.add_argument("--sizes", type=int, nargs="+", default=[32, 64], metavar="N", help="cells per side (32 64)")
    train.add_argument("--steps", type=int, default=1000, metavar="N", help="steps of Adam (1000)")
    train.add_argument("--seed", type=int, default=0, help="of masks, errors and initial parameters (0)")
    add_overwrite(train)
    train.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    train.set_defaults(run=_train)


def _train(a: argparse.Namespace) -> None:
    require_writable([a.output], overwrite=a.overwrite)
    if a.seed < 0:
        raise InvalidValueError(f"--seed {a.seed}: expected a number that is not negative")
    losses: list[float] = []
    start = time.process_time()
    model = CycleModel.train(sizes=a.sizes, steps=a.steps, seed=a.seed, callback=lambda _, loss: losses.append(loss))
    save(a.output, model, command=a.command)
    _print(
        a.json,
        {
            "model": str(a.output),
            "parameters": model.n_parameters,
            "steps": a.steps,
            "loss": sum(losses[-40:]) / len(losses[-40:]),
            "cpu_seconds": time.process_time() - start,
        },
    )


def _solve(a: argparse.Namespace) -> None:
    require_writable([a.output], [p for p in (a.input, a.model) if p], overwrite=a.overwrite)
    if a.model and a.method not in ("learned", "dcdm"):
        raise InvalidValueError(f"--model goes with --method learned or dcdm, not with {a.method}")
    A, b = load_problem(a.input)
    start = time.perf_counter()
    solve = METHODS[a.method](A, a.model)
    setup = time.perf_counter() - start
    with computing():
        result = solve(b, rtol=a.rtol, maxiter=a.maxiter)
    if not result.converged:
        raise Failure(
            f"{a.method} stopped after {result.iterations} iterations with a relative residual of "
            f"{result.residual_norms[-1] / result.residual_norms[0]:.3g}; use a larger --maxiter or --rtol"
        )
    parent = read_header(a.input).uuid if _is_ours(a.input) else None
    about = {"method": a.method, "setup_seconds": setup}
    save(a.output, result, results=about, command=a.command, parent_uuid=parent)
    _print(
        a.json,
        {
            "solution": str(a.output),
            "unknowns": A.size,
            "method": a.method,
            "iterations": result.iterations,
            "relative_residual": float(result.residual_norms[-1] / max(result.residual_norms[0], 1e-300)),
            "setup_seconds": setup,
            "seconds": result.seconds,
        },
    )


def _print(as_json: bool, report: dict[str, Any]) -> None:
    if as_json:
        print_json(report)
    else:
        print_table([(name, f"{v:.6g}" if isinstance(v, float) else str(v)) for name, v in report.items()])


def _is_ours(path: Path) -> bool:
    try:
        read_header(path)
    except ValueError:
        return False
    return True
