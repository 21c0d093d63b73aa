"""The spectrum of a Poisson operator, and of the same operator preconditioned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array
from sci.distributed import agreed
from sci.errors import InvalidValueError
from sci.linalg import Extremes, LanczosQuadrature, SpectralDensity, TraceEstimate, lanczos_quadrature
from sci.solvers.krylov.arrays import applier
from sci.solvers.krylov.cg import cg
from sci.solvers.poisson.operator import PoissonOperator
from sci.solvers.poisson.probes import cell_signs, face_divergence, traces

__all__ = ["Spectrum", "quadrature", "spectrum"]

RESOLVED = 1e-3
"""Relative error of the extremes above which a solve is run to find them."""


@entry
@dataclass(frozen=True, eq=False)
class Spectrum:
    """What random vectors and a solve tell of the eigenvalues of a matrix.

    Parameters
    ----------
    density : SpectralDensity
        How the eigenvalues are distributed, those of the null space left out.
    extremes : Extremes
        The smallest eigenvalue but zeros, and the largest.
    log_determinant : TraceEstimate
        Sum of the logarithms of all eigenvalues but zeros: of the pseudo-determinant, where there is a null space.
    null_size : int
        Dimension of the null space.
    preconditioner : str
        What M in M A is; "none" for A itself.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import PoissonOperator, spectrum
    >>> found = spectrum(PoissonOperator(np.ones((8, 8), dtype=bool)))
    >>> round(found.condition, 4), found.null_size
    (32.1634, 0)
    """

    density: SpectralDensity
    extremes: Extremes
    log_determinant: TraceEstimate
    null_size: int = 0
    preconditioner: str = "none"

    def __repr__(self) -> str:
        null = f", {self.null_size} zeros left out" if self.null_size else ""
        of = "" if self.preconditioner == "none" else f" of {self.preconditioner} A"
        low, high = self.extremes.smallest, self.extremes.largest
        return (
            f"Spectrum({self.density.size} eigenvalues{of} from {low:.6g} to {high:.6g}{null}, condition "
            f"{self.condition:.6g}, log-determinant {self.log_determinant.value:.6g} "
            f"+- {self.log_determinant.standard_error:.2g})"
        )

    @property
    def condition(self) -> float:
        """Ratio of the extreme eigenvalues, zeros left out."""
        return self.extremes.condition


@collective_entry
def spectrum(
    A: PoissonOperator, M: Any = None, *, probes: int = 10, steps: int = 40, seed: int = 0, name: str | None = None
) -> Spectrum:
    """Estimate the spectrum of A, or of M A, by Lanczos' iteration from random vectors and a solve.

    Parameters
    ----------
    A : PoissonOperator
        On one process or on ranks.
    M : Preconditioner, optional
        Approximate inverse of A, symmetric and positive definite, such as `cg` takes.
    probes, steps, seed : int
        Random vectors, steps of Lanczos' iteration from each, and the seed of the vectors.
    name : str, optional
        How the result calls M; its class by default.

    Returns
    -------
    Spectrum

    Raises
    ------
    InvalidValueError
        Also for an operator whose eigenvalues are all zero.
    ConvergenceError
        If M turns out not to be positive definite.

    Notes
    -----
    probes x steps products with A, and as many with M. The probes depend on the cells of the grid alone, so that ranks
    find what one process does, to rounding. Without M they are +-1 in every cell, and the error of the log-determinant
    is what the traces of A and A^2, which are known, do not explain. With M they are the divergence of random signs on
    the faces, whose covariance is A: no root of M or A is needed.

    Where the extremes are not found to 1e-3 by the probes, conjugate gradients with a random right-hand side find them,
    to a residual of 1e-14: without M the small eigenvalues take about as many steps as a solve does.

    In an operator with a null space, the constants on components of the fluid without a Dirichlet face, all numbers are
    those of the complement.

    Collective if A has a `comm`.

    References
    ----------
    Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38, 1075 (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import Multigrid, PoissonOperator, spectrum
    >>> A = PoissonOperator(np.ones((32, 32), dtype=bool))
    >>> spectrum(A, Multigrid(A)).condition < 2 < spectrum(A).condition / 200
    True
    """
    with agreed(A.comm, "spectrum") as agreement:
        agreement.same(probes=probes, steps=steps, seed=seed, name=name, M=None if M is None else type(M).__name__)
        if M is not None:
            applier(M, "M", A.xp.zeros(A.size))
    found = quadrature(A, M, probes=probes, steps=steps, seed=seed)
    extremes = found.extremes()
    if not extremes.condition_error <= RESOLVED * extremes.condition:
        solved = cg(A, face_divergence(A, seed, probes), M=M, rtol=1e-14)
        extremes = extremes.merged(solved.extremes)
    # A cycle in single precision is symmetric to its rounding, and so are the Ritz values of M A.
    rounding = 64 * float(np.finfo(getattr(M, "cycle_dtype", np.float64)).eps)
    called = name or ("none" if M is None else type(M).__name__)
    null_size = A.n_unknowns - found.size
    lower = extremes.smallest - extremes.smallest_error
    determinant = found.log_determinant(lower if lower > 0 else None)
    return Spectrum(found.density(), _widened(extremes, rounding), determinant, null_size, called)


def quadrature(A: PoissonOperator, M: Any, *, probes: int, steps: int, seed: int) -> LanczosQuadrature:
    """Return the quadratures of A, or of M A, from random vectors that depend on the cells alone; collective."""
    size = A.n_unknowns - int(A.component_sizes.size)
    if size == 0:
        raise InvalidValueError(f"all {A.n_unknowns} eigenvalues are zero; expected a cell with a face that counts")
    random = cell_signs if M is None else face_divergence
    return lanczos_quadrature(
        *(_product(A), A.size),
        probes=probes,
        steps=steps,
        seed=seed,
        device="cpu" if A.xp is np else "cuda",
        preconditioner=None if M is None else applier(M, "M", A.xp.zeros(A.size)),
        probe=lambda k: random(A, seed, k),
        project=A.project if A.singular else None,
        size=size,
        moments=() if M is not None else traces(A),
        comm=A.comm,
    )


def _product(A: PoissonOperator) -> Callable[[Array], Array]:
    """Return the product with A for flat arrays, between padded arrays that are kept.

    Arrays that are new to the process at every product cost five times the stencil.
    """
    layout, xp = A.layout, A.xp
    u, out = (layout.zeros(xp, np.float64) for _ in range(2))

    def product(v: Array) -> Array:
        layout.cells(u)[...] = A.expand(v)
        A.space.apply(u, out)
        return A.compress(layout.cells(out))

    return product


def _widened(found: Extremes, rounding: float) -> Extremes:
    """Return the extremes with a part of the largest added to both errors."""
    more = rounding * found.largest
    return Extremes(found.smallest, found.largest, found.smallest_error + more, found.largest_error + more)
