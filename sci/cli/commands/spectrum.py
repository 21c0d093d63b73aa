"""`sci spectrum PROBLEM.h5 -o SPECTRUM.h5`: eigenvalues of a Poisson problem, plain or preconditioned."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sci.cli.common import chosen_namespace, parent_of
from sci.cli.estimates.needs import goes_on
from sci.cli.estimates.solvers import spectrum_needs
from sci.cli.outcome import require_writable, tell, to_accuracy
from sci.cli.sharing import on_first_alone
from sci.distributed import agreed, rank_of
from sci.io import load_problem, save
from sci.solvers import (
    CycleModel,
    FastPoisson,
    IncompleteCholesky,
    Jacobi,
    LearnedMultigrid,
    Multigrid,
    PoissonOperator,
    Spectrum,
    spectrum,
)

__all__ = ["PRECONDITIONERS", "run"]

PRECONDITIONERS: dict[str, Callable[[PoissonOperator], Any]] = {
    "none": lambda A: None,
    "jacobi": Jacobi,
    "multigrid": Multigrid,
    "learned": LearnedMultigrid,
    "untrained": lambda A: LearnedMultigrid(A, CycleModel.untrained()),
    "mic": lambda A: IncompleteCholesky(A, modified=0.97),
    "ic": IncompleteCholesky,
    "fast": FastPoisson,
}
"""What makes M from the operator; the names are those of the methods of `sci solve run`."""

SPREAD = ("none", "jacobi", "multigrid", "learned", "untrained")
"""Preconditioners that work on a grid that is spread over ranks."""


def run(a: argparse.Namespace) -> None:
    """Estimate the spectrum of the problem in a file and write it."""
    if a.preconditioner in SPREAD:
        _run(a)
    else:
        on_first_alone(_run)(a)


def _run(a: argparse.Namespace) -> None:
    chosen_namespace(a, on_device=False)
    require_writable([a.output, *([a.plot] if a.plot else [])], [a.input], overwrite=a.overwrite, comm=a.comm)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)
    A, _ = load_problem(a.input, comm=a.comm)
    if not _fits(a, A):
        return
    M = PRECONDITIONERS[a.preconditioner](A)
    found = spectrum(A, M, probes=a.probes, steps=a.steps, seed=a.seed, name=a.preconditioner)
    with agreed(a.comm, "the spectrum"):
        if rank_of(a.comm) > 0:
            return
        save(a.output, found, command=a.command, parent_uuid=parent_of(a.input))
        if a.plot:
            from sci.plotting import plot_spectra

            name = "A" if a.preconditioner == "none" else f"M A, {a.preconditioner}"
            plot_spectra({name: found}, a.plot, title=a.input.name, overwrite=a.overwrite)
    tell(a, _report(a, found), _rows(a, found))


def _fits(a: argparse.Namespace, A: PoissonOperator) -> bool:
    """Return True if the job fits into memory and disk and is to be done."""
    return goes_on(
        a,
        lambda: spectrum_needs(A, a.preconditioner, PRECONDITIONERS[a.preconditioner], a.probes, a.steps),
        bound=8.0 * 60 * A.mask.size,
        disk=16.0 * a.probes * a.steps + 1e5,
        outputs=[a.output, a.plot],
        remedy="use --preconditioner none, which holds least, more ranks, or a coarser grid",
        about={"unknowns": A.n_unknowns, "preconditioner": a.preconditioner},
    )


def _report(a: argparse.Namespace, found: Spectrum) -> dict[str, Any]:
    """Return the numbers of --json."""
    ends = found.extremes
    numbers = {**asdict(ends), "condition": ends.condition, "condition_error": ends.condition_error}
    estimate = {f"log_determinant_{name}": value for name, value in asdict(found.log_determinant).items()}
    finite = {name: value if abs(value) < float("inf") else None for name, value in {**numbers, **estimate}.items()}
    return {
        "file": str(a.output),
        "plot": str(a.plot) if a.plot else None,
        "preconditioner": found.preconditioner,
        "eigenvalues": found.density.size,
        "null_size": found.null_size,
        **finite,
    }


def _rows(a: argparse.Namespace, found: Spectrum) -> list[tuple[str, str]]:
    """Return the lines of the table; with a null space they say what is left out."""
    ends, estimate = found.extremes, found.log_determinant
    matrix = "A" if found.preconditioner == "none" else f"M A, {found.preconditioner}"
    null = f", and {found.null_size} zeros, left out below" if found.null_size else ""
    name = "log-pseudo-determinant" if found.null_size else "log-determinant"
    size = abs(estimate.value) or 1.0
    return [
        ("matrix", matrix),
        ("eigenvalues", f"{found.density.size}{null}"),
        *((label, f"{value:.8g} +- {error:.1g}") for label, (value, error) in zip(("smallest", "largest"), ends.pairs)),
        ("condition", f"{ends.condition:.6g}, at most {ends.condition_error:.1g} more"),
        (name, f"{to_accuracy(estimate.value, estimate.standard_error / size)} +- {estimate.standard_error:.2g}"),
        (
            "",
            f"by {estimate.probes} probes; {_truncation(found)}",
        ),
        *((str(path), "") for path in (a.output, a.plot) if path),
    ]


def _truncation(found: Spectrum) -> str:
    """Return the error of few steps in words: a bound for A, the change by the last ones for M A."""
    estimate = found.log_determinant
    if found.preconditioner == "none":
        return f"more than {estimate.steps} steps would change it by at most {estimate.truncation:.1g}"
    return f"the last of {estimate.steps} steps changed it by {estimate.truncation:.1g}"
