"""The metric of a descent: a Poisson operator near the Hessian of an energy, and multigrid for it."""

from __future__ import annotations

from typing import Any

from sci.backend import Array
from sci.solvers.multigrid.preconditioner import Multigrid
from sci.solvers.poisson.operator import PoissonOperator
from sci.solvers.variational.densities import has_hessian, is_split
from sci.solvers.variational.energy import Energy

__all__ = ["frozen", "lowest", "screened"]


def _like(A: PoissonOperator, **options: Any) -> PoissonOperator:
    """Return an operator on the cells of A, with other coefficients of this rank's block."""
    levels = None if A.blocks is None else A.blocks.n_levels
    return PoissonOperator(
        A.mask,
        A.spacing,
        A.boundary,
        neumann_body=A.neumann_body,
        comm=A.comm,
        grid_shape=A.grid_shape,
        distributed_levels=levels,
        **options,
    )


def lowest(energy: Energy, u: Array, convex: bool) -> float:
    """Return the least second derivative of a local density over all cells; collective."""
    return -energy.A.grid.largest(-float(energy.second_derivative(u, convex=convex).min()))


def frozen(energy: Energy, u: Array) -> Multigrid:
    """Return multigrid for -div(c grad) with the secant coefficient of the energy at u; collective.

    The quadratic part keeps its faces and its reaction where the density reads no gradient.
    """
    A = energy.A
    if energy.local:
        return screened(energy, u)
    reaction = energy.reaction(u)
    return Multigrid(_like(A, coefficient=energy.coefficient(u), mean="arithmetic", reaction=reaction))


def screened(energy: Energy, u: Array, known: Multigrid | None = None) -> Multigrid:
    """Return multigrid for A + L''/diffusion, from one for the same A with another reaction if `known` is that.

    Of a density that is not convex the convex part counts. Collective.
    """
    A, base = energy.A, energy.A.reaction
    if not has_hessian(energy.density):
        return Multigrid(A) if known is None else known
    second = energy.second_derivative(u, convex=is_split(energy.density)) / energy.diffusion
    reaction = energy.xp.maximum(second, 0.0) + (0.0 if base is None else base)
    if known is None:
        return Multigrid(A.with_reaction(reaction))
    return known.with_reaction(known.A.with_reaction(reaction))
