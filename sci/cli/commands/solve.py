"""`sci solve PROBLEM.h5 -o SOLUTION.h5` and `sci solve train -o MODEL.h5`: Poisson problems and the learned solver."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sci.cli.outcome import Failure, computing, print_json, print_table, require_writable
from sci.errors import InvalidValueError
from sci.io import load_problem, read_header, save
from sci.solvers import DeepConjugateDirection, FastPoisson, IncompleteCholesky, Multigrid, PoissonOperator, cg

__all__ = ["add_parser"]

DESCRIPTION = """Solve a Poisson problem: an HDF5 file with the datasets mask (1 in the fluid) and b on one grid,
and, if it likes, insulating, coefficient, and the attributes spacing and boundary. With the word train in place of the
file: train the learned cycle on random masks and write the model, which --model takes."""

METHODS: dict[str, Callable[[PoissonOperator, Path | None], Any]] = {
    "deep": lambda A, model: DeepConjugateDirection.load(model).preconditioner(A),
    "untrained": lambda A, _: DeepConjugateDirection.untrained().preconditioner(A),
    "multigrid": lambda A, _: Multigrid(A),
    "mic": lambda A, _: IncompleteCholesky(A, modified=0.97),
    "ic": lambda A, _: IncompleteCholesky(A),
    "fast": lambda A, _: FastPoisson(A),
    "cg": lambda A, _: None,
}
"""What makes the preconditioner of each method."""


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("solve", help="solve a Poisson problem, or train its solver", description=DESCRIPTION)
    parser.add_argument("input", type=Path, metavar="PROBLEM.h5|train")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.h5", help="solution, or trained model")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    solving = parser.add_argument_group("solve")
    solving.add_argument("--method", choices=METHODS, default="deep", help="of solution (deep)")
    solving.add_argument("--rtol", type=float, default=1e-8, help="residual over right-hand side (1e-8)")
    solving.add_argument("--maxiter", type=int, metavar="N", help="iterations before it gives up (10 n)")
    solving.add_argument("--model", type=Path, metavar="MODEL.h5", help="of sci solve train; the shipped one")
    training = parser.add_argument_group("train")
    training.add_argument("--sizes", type=int, nargs="+", default=[32, 64], metavar="N", help="cells a side (32 64)")
    training.add_argument("--steps", type=int, default=1000, metavar="N", help="steps of Adam (1000)")
    training.add_argument("--seed", type=int, default=0, help="of masks, errors and start (0)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Train, or solve, and say what came out."""
    a = arguments
    report = _train(a) if str(a.input) == "train" else _solve(a)
    if a.json:
        print_json(report)
    else:
        print_table([(name, f"{v:.6g}" if isinstance(v, float) else str(v)) for name, v in report.items()])


def _train(a: argparse.Namespace) -> dict[str, Any]:
    require_writable([a.output])
    if a.seed < 0:
        raise InvalidValueError(f"--seed {a.seed}: expected a number that is not negative")
    losses: list[float] = []
    start = time.process_time()
    solver = DeepConjugateDirection.train(
        sizes=a.sizes, steps=a.steps, seed=a.seed, callback=lambda _, loss: losses.append(loss)
    )
    save(a.output, solver, command=a.command)
    return {
        "model": str(a.output),
        "parameters": sum(int(p.size) for p in solver.parameters.values()),
        "steps": a.steps,
        "loss": sum(losses[-40:]) / len(losses[-40:]),
        "cpu_seconds": time.process_time() - start,
    }


def _solve(a: argparse.Namespace) -> dict[str, Any]:
    require_writable([a.output], [p for p in (a.input, a.model) if p])
    if a.model and a.method != "deep":
        raise InvalidValueError(f"--model goes with --method deep, not with {a.method}")
    A, b = load_problem(a.input)
    start = time.perf_counter()
    M = METHODS[a.method](A, a.model)
    setup = time.perf_counter() - start
    with computing():
        result = cg(A, b, M=M, rtol=a.rtol, maxiter=a.maxiter)
    if not result.converged:
        raise Failure(
            f"{a.method} stopped after {result.iterations} iterations with a relative residual of "
            f"{result.residual_norms[-1] / result.residual_norms[0]:.3g}; use a larger --maxiter or --rtol"
        )
    parent = read_header(a.input).uuid if _is_ours(a.input) else None
    about = {"method": a.method, "setup_seconds": setup}
    save(a.output, result, results=about, command=a.command, parent_uuid=parent)
    return {
        "solution": str(a.output),
        "unknowns": A.size,
        "method": a.method,
        "iterations": result.iterations,
        "relative_residual": float(result.residual_norms[-1] / max(result.residual_norms[0], 1e-300)),
        "setup_seconds": setup,
        "seconds": result.seconds,
    }


def _is_ours(path: Path) -> bool:
    try:
        read_header(path)
    except ValueError:
        return False
    return True
