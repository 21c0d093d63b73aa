"""Needs of Poisson and Poisson-Boltzmann problems and of the training of the cycle: small ones solved and scaled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from sci.applications import Electrolyte
from sci.applications.solvation.cavity import checked_radii
from sci.applications.solvation.poisson_boltzmann import FARTHER, WALL_CELLS, Case, chosen_grid
from sci.applications.solvation.refinement import COARSER, SHIFTS
from sci.cli.estimates.needs import Needs
from sci.cli.estimates.potentials import WRITE_SPEED
from sci.cli.estimates.trial import Trial, attempt, line
from sci.potentials import Particles
from sci.solvers import PoissonOperator, cg
from sci.solvers.krylov.spectrum import quadrature
from sci.solvers.learned.model import generations
from sci.solvers.learned.training import train_cycle
from sci.solvers.network.training import train_network

__all__ = ["BYTES_PER_CELL", "coarser", "molecule_needs", "solve_needs", "spectrum_needs", "training_needs", "window"]

TRIAL_CELLS, TIMED_CELLS = 15_000, 150_000
"""Cells of the problem whose iterations are counted, and of that on which an iteration is timed."""
TIMED_ITERATIONS = 4
SMALL_BOX, LARGE_BOX = 20, 36
"""Cells along each axis of the two grids on which a molecule is tried."""
CELL_BYTES = 400.0
"""What a solve holds for each cell of its grid, and what is kept of the finest."""
BYTES_PER_CELL = 600.0
"""A Poisson-Boltzmann problem holds at most so much for each cell of the fine grid."""
GROWTH = {"learned": 0.1, "untrained": 0.2, "multigrid": 0.15, "fast": 0.5, "mic": 0.75, "ic": 0.9, "cg": 0.95}
GROWTH |= {"jacobi": 0.95, "none": 0.95}
"""Iterations grow with this power of the cells along an axis; see the page on Poisson solvers."""
UNSCALED = ("dcdm",)
"""Methods whose model fits grids of certain sizes alone: they are tried on the problem itself."""


def coarser(A: PoissonOperator, cells: int) -> PoissonOperator:
    """Return the problem on every k-th cell along each axis, at most about `cells`; itself if it is as small."""
    step = math.ceil((A.mask.size / cells) ** (1 / A.ndim))
    return _part(A, (slice(None, None, max(1, step)),) * A.ndim)


def window(A: PoissonOperator, cells: int) -> PoissonOperator:
    """Return the problem on about `cells` cells in the middle of the grid; itself if it is as small."""
    share = min(1.0, (cells / A.mask.size) ** (1 / A.ndim))
    lengths = [max(2, round(n * share)) for n in A.mask.shape]
    return _part(A, tuple(slice((n - k) // 2, (n + k) // 2) for n, k in zip(A.mask.shape, lengths)))


def _part(A: PoissonOperator, chosen: tuple[slice, ...]) -> PoissonOperator:
    """Return the problem on some cells of this process, as a problem of its own."""
    if A.comm is None and all(part in (slice(None, None, 1), slice(0, n)) for part, n in zip(chosen, A.mask.shape)):
        return A
    mask = A.mask[chosen]
    return PoissonOperator(
        mask if mask.any() else np.ones_like(mask),
        A.spacing,
        A.boundary,
        neumann_body=A.neumann_body[chosen],
        coefficient=None if A.coefficient is None or not mask.any() else A.coefficient[chosen],
        reaction=None if A.reaction is None else A.reaction[chosen],
        mean=A.mean,
    )


def solve_needs(
    A: PoissonOperator, method: str, make: Callable[[PoissonOperator], Any], rtol: float, maxiter: int | None
) -> Needs:
    """Return the needs of a solve.

    Parameters
    ----------
    A : PoissonOperator
    method : str
    make : callable
        Returns the solver of an operator.
    rtol, maxiter
        As in the solve.
    """
    small, large = (A, A) if method in UNSCALED else (coarser(A, TRIAL_CELLS), window(A, TIMED_CELLS))
    iterations = make(small)(_right_side(small), rtol=rtol, maxiter=maxiter).iterations
    ratio = max(A.grid_shape) / max(small.mask.shape)
    expected = iterations * ratio ** GROWTH.get(method, 0.5)
    expected = min(expected, maxiter) if maxiter else expected
    timed = min(TIMED_ITERATIONS, max(1, iterations))
    b = _right_side(large)
    made = attempt(lambda: make(large), memory=True)
    solved = attempt(lambda: made.result(b, rtol=rtol, maxiter=timed), memory=True)
    scale = A.mask.size / large.mask.size
    each = solved.seconds / max(1, solved.result.iterations)
    seconds = {
        "setup": made.seconds * scale,
        "solve": each * scale * expected,
        "write": 8 * A.mask.size / WRITE_SPEED,
    }
    return Needs((made.peak + solved.peak) * scale, seconds)


def spectrum_needs(
    A: PoissonOperator, preconditioner: str, make: Callable[[PoissonOperator], Any], probes: int, steps: int
) -> Needs:
    """Return the needs of a spectrum: the products from random vectors, and the solve that may follow.

    Parameters
    ----------
    A : PoissonOperator
    preconditioner : str
    make : callable
        Returns the preconditioner of an operator, or None.
    probes, steps : int
    """
    solve = solve_needs(A, preconditioner, lambda problem: partial(cg, problem, M=make(problem)), 1e-14, None)
    large = window(A, TIMED_CELLS)
    M, few, more = make(large), 1, 1 + TIMED_ITERATIONS

    def tried(steps: int, memory: bool = False) -> Trial:
        return attempt(lambda: quadrature(large, M, probes=1, steps=steps, seed=0), repeats=2, memory=memory)

    first, longer, watched = tried(few), tried(more), tried(few, memory=True)
    scale, each = A.mask.size / large.mask.size, (longer.seconds - first.seconds) / (more - few)
    seconds = {
        "setup": solve.seconds["setup"],
        "probes": scale * probes * (first.seconds + max(each, 0.0) * (steps - few)),
        "solve": solve.seconds["solve"],
    }
    return Needs(max(solve.memory, watched.peak * scale), seconds)


def _right_side(A: PoissonOperator) -> np.ndarray:
    b: np.ndarray = A.project(np.random.default_rng(0).normal(size=A.mask.shape) * np.asarray(A.mask))
    return b


def training_needs(sizes: Sequence[int], steps: int, seed: int) -> Needs:
    """Return the needs of a training of the learned cycle, from its first steps and one generation of networks."""
    few, more = 2, 2 + 2 * len(sizes)
    first = attempt(lambda: train_cycle(sizes, steps=few, seed=seed))
    longer = attempt(lambda: train_cycle(sizes, steps=more, seed=seed), memory=True)
    networks = attempt(lambda: train_network(1, n=min(sizes), seed=seed))
    seconds = line(first.seconds, longer.seconds, more / few, steps / few)
    return Needs(longer.peak, {"training": seconds + generations(steps) * networks.seconds})


def molecule_needs(particles: Particles, electrolyte: Electrolyte, cells: int, options: dict[str, Any]) -> Needs:
    """Return the needs of a molecule on a grid of so many cells: what one grid takes, for the atoms and for a cell.

    Seconds are those of small grids. Most memory goes to the potential of the charges, on the widest box, and to cells.

    Parameters
    ----------
    particles : Particles
    electrolyte : Electrolyte
    cells : int
    options : dict
        Of `poisson_boltzmann`, but the grid.
    """
    radii, padding = checked_radii(particles, None), options["padding"]
    case = Case(particles, radii, electrolyte, options["inside"], options["outside"], options["rtol"])
    small, large = (chosen_grid(particles, radii, None, n, padding) for n in (SMALL_BOX, LARGE_BOX))
    (low, high), spacing = large
    farther = (low - FARTHER, high + FARTHER)
    widest = attempt(partial(case.problem, farther, WALL_CELLS * spacing), memory=True)
    few, more = (attempt(partial(case.solve, *grid)).seconds for grid in (small, large))
    each = max(0.0, more - few) / (LARGE_BOX**3 - SMALL_BOX**3)
    walls = (1 + (1 + 2 * FARTHER / float((high - low).max())) ** 3) / WALL_CELLS**3
    grids, solved = 3 + len(SHIFTS), cells * (1 + len(SHIFTS) / COARSER**3 + walls)
    seconds = grids * max(0.0, more - each * LARGE_BOX**3) + each * solved
    return Needs(widest.peak + CELL_BYTES * cells, {"solve": seconds})
