"""`sci solve run|energy|train`: Poisson problems, nonlinear problems as minima of energies, and the learned cycle."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from sci.applications import Electrolyte, PoissonBoltzmann, poisson_boltzmann
from sci.applications.solvation.poisson_boltzmann import chosen_grid
from sci.cli.common import chosen_namespace, parent_of
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.estimates.solvers import BYTES_PER_CELL, molecule_needs, solve_needs, training_needs
from sci.cli.outcome import Failure, computing, require_writable, tell
from sci.cli.sharing import from_first, on_first_alone
from sci.distributed import agreed, rank_of
from sci.errors import InvalidValueError, with_article
from sci.io import Quantity, load, load_problem, read_structure, save
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
from sci.solvers.krylov.cg import check_limits
from sci.units import energy_factor

__all__ = ["METHODS", "energy", "run", "train"]

Solve: TypeAlias = Callable[..., SolveResult]

METHODS: dict[str, Callable[[PoissonOperator, Path | None], Solve]] = {
    "learned": lambda A, path: LearnedMultigrid(A, _loaded(path, CycleModel, A.comm) if path else None).solve,
    "untrained": lambda A, _: LearnedMultigrid(A, CycleModel.untrained()).solve,
    "multigrid": lambda A, _: partial(cg, A, M=Multigrid(A)),
    "mic": lambda A, _: partial(cg, A, M=IncompleteCholesky(A, modified=0.97)),
    "ic": lambda A, _: partial(cg, A, M=IncompleteCholesky(A)),
    "fast": lambda A, _: partial(cg, A, M=FastPoisson(A)),
    "cg": lambda A, _: partial(cg, A),
    "dcdm": lambda A, path: partial(_loaded(path, DeepConjugateDirection).solve, A),
}
"""What makes the solver of each method from the operator and the path of a model."""

SPREAD = ("learned", "untrained", "multigrid", "cg")
"""Methods that work on a grid that is spread over ranks."""


def _loaded(path: Path | None, kind: Any, comm: Any = None) -> Any:
    """Return the model in a file, of the class `kind`."""
    if path is None:
        raise InvalidValueError("--method dcdm needs the network that you have trained: give --model MODEL.h5")
    model = from_first(comm, lambda: load(path))
    if not isinstance(model, kind):
        raise InvalidValueError(
            f"{path} holds {with_article(type(model).__name__)}; expected {with_article(kind.__name__)}"
        )
    return model


@on_first_alone
def train(a: argparse.Namespace) -> None:
    """Train the learned V-cycle and write it."""
    chosen_namespace(a, on_device=False)
    require_writable([a.output], overwrite=a.overwrite)
    fits = goes_on(
        a,
        lambda: training_needs(a.sizes, a.steps, a.seed),
        bound=8.0 * 1000 * max(a.sizes, default=0) ** 3,
        disk=file_bytes(8e3, 16),
        outputs=[a.output],
        remedy="use smaller --sizes",
        about={"steps": a.steps},
    )
    if not fits:
        return
    losses: list[float] = []
    start = time.process_time()
    model = CycleModel.train(sizes=a.sizes, steps=a.steps, seed=a.seed, callback=lambda _, loss: losses.append(loss))
    save(a.output, model, command=a.command)
    _print(
        a,
        {
            "model": str(a.output),
            "parameters": model.n_parameters,
            "steps": a.steps,
            "loss": sum(losses[-40:]) / len(losses[-40:]),
            "cpu_seconds": time.process_time() - start,
        },
    )


def run(a: argparse.Namespace) -> None:
    """Solve the problem in a file and write the solution."""
    if a.method in SPREAD:
        _solve(a)
    else:
        on_first_alone(_solve)(a)


def _solve(a: argparse.Namespace) -> None:
    chosen_namespace(a, on_device=False)
    require_writable([a.output], [p for p in (a.input, a.model) if p], overwrite=a.overwrite, comm=a.comm)
    if a.model and a.method not in ("learned", "dcdm"):
        raise InvalidValueError(f"--model goes with --method learned or dcdm, not with {a.method}")
    check_limits(a.rtol, 0.0, a.maxiter)
    A, b = load_problem(a.input, comm=a.comm)
    if not _fits(a, A):
        return
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
    whole = replace(result, x=A.gather(result.x))
    with agreed(a.comm, "the solution"):
        if rank_of(a.comm) > 0:
            return
        parent = parent_of(a.input)
        about = {"method": a.method, "setup_seconds": Quantity(setup, "s")}
        save(a.output, whole, results=about, command=a.command, parent_uuid=parent, spacing=A.spacing)
    _print(
        a,
        {
            "solution": str(a.output),
            "unknowns": A.n_unknowns,
            "method": a.method,
            "iterations": result.iterations,
            "relative_residual": float(result.residual_norms[-1] / max(result.residual_norms[0], 1e-300)),
            **({"condition": result.condition} if math.isfinite(result.condition) else {}),
            "setup_seconds": setup,
            "seconds": result.seconds,
        },
    )


def _fits(a: argparse.Namespace, A: PoissonOperator) -> bool:
    """Return True if the solve fits into memory and disk and is to be done."""
    cells = math.prod(A.grid_shape)
    return goes_on(
        a,
        lambda: solve_needs(A, a.method, lambda problem: METHODS[a.method](problem, a.model), a.rtol, a.maxiter),
        bound=8.0 * 60 * A.mask.size,
        disk=file_bytes(8.0 * cells),
        outputs=[a.output],
        remedy="use --method cg, which holds least, more ranks, or a coarser grid",
        about={"unknowns": A.n_unknowns, "method": a.method},
    )


def _print(a: argparse.Namespace, report: dict[str, Any]) -> None:
    tell(a, report, [(name, f"{v:.6g}" if isinstance(v, float) else str(v)) for name, v in report.items()])


@on_first_alone
def energy(a: argparse.Namespace) -> None:
    """Solve the Poisson-Boltzmann equation of a molecule and write its potential."""
    chosen_namespace(a, on_device=False)
    require_writable([a.output], [a.input], overwrite=a.overwrite)
    electrolyte = Electrolyte(a.ionic_strength, a.temperature, tuple(a.valences), a.ion_radius)
    inside, outside = a.dielectric
    particles = read_structure(a.input)
    options: dict[str, Any] = {"padding": a.padding, "inside": inside, "outside": outside, "rtol": a.rtol}
    box, spacing = chosen_grid(particles, None, a.spacing, a.cells, a.padding)
    cells = 1
    for width in (box[1] - box[0]).tolist():
        cells *= max(1, round(width / spacing))
    fits = goes_on(
        a,
        lambda: molecule_needs(particles, electrolyte, cells, options),
        bound=BYTES_PER_CELL * cells,
        disk=file_bytes(24.0 * cells + 16.0 * particles.n, 12),
        outputs=[a.output],
        remedy="use a larger --spacing, fewer --cells, or less --padding",
        about={"charges": particles.n, "cells": cells, "spacing": spacing},
    )
    if not fits:
        return
    start = time.perf_counter()
    with computing():
        found = poisson_boltzmann(particles, None, electrolyte, spacing=a.spacing, cells=a.cells, **options)
    seconds = time.perf_counter() - start
    save(a.output, found, command=a.command, parent_uuid=parent_of(a.input))
    _energy_report(a, found, seconds)


def _energy_report(a: argparse.Namespace, found: PoissonBoltzmann, seconds: float) -> None:
    to_kcal = energy_factor("kcal/mol")
    report: dict[str, Any] = {
        "potential": str(a.output),
        "charges": len(found.at_charges),
        "cells": list(found.potential.shape),
        "spacing_angstrom": found.spacing,
        "steps": found.minimum.iterations,
        "products": int(found.minimum.products.sum()),
        "energy_e2_per_angstrom": found.energy,
        "energy_error_e2_per_angstrom": found.energy_error,
        "energy_kcal_per_mol": to_kcal * found.energy,
        "energy_error_kcal_per_mol": to_kcal * found.energy_error,
        "osmotic_energy_e2_per_angstrom": found.osmotic_energy,
        "seconds": seconds,
    }
    tell(a, report, [(name, f"{v:.6g}" if isinstance(v, float) else str(v)) for name, v in report.items()])
