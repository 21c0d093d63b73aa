"""The learned V-cycle on arrays: a symmetric positive definite approximation of the inverse of a Poisson operator, and
the gradients of all that it learns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.solvers.learned.levels import (
    HIGH,
    LOW,
    BatchLevel,
    apply_stencil,
    diagonal_of,
    rescaling,
    restrict,
    surface_factor,
    upsample,
)
from sci.solvers.learned.parameters import (
    BOUNDS,
    Parameters,
    kind_of,
    modulations,
    modulations_vjp,
    weights,
    weights_vjp,
)
from sci.solvers.poisson.matrix import pseudo_inverse

__all__ = ["BatchCycle", "cycle_of", "features", "inverse_of_batch", "vcycle", "vcycle_vjp"]


ROUNDING = 1e-6
"""Relative difference, at most, between a float32 diagonal and the sum of its six off-diagonal entries."""


@dataclass(frozen=True)
class BatchStage:
    """A level with the numbers that its network gave each cell.

    Parameters
    ----------
    level : BatchLevel
    diagonal : (..., nx, ny, nz) array
        Of the operator, with the modulated Dirichlet term.
    inverse : array
        1 / diagonal, zero where there is no unknown.
    jacobi, transfer : array
        Modulated inverse, and modulated weight of the cell in interpolation and restriction; zero outside.
    fixed : array
        Dirichlet term before its modulation.
    damping : list of float
        Weight of each Jacobi step.
    interpolation_weight : float
        Weight of the neighbor in the interpolation.
    correction_scale : float
        Factor of the restricted residual.
    residuals : tuple
        Of the network, for the gradients.
    """

    level: BatchLevel
    diagonal: Array
    inverse: Array
    jacobi: Array
    transfer: Array
    fixed: Array
    damping: list[float]
    interpolation_weight: float
    correction_scale: float
    residuals: Any

    def apply(self, x: Array) -> Array:
        """Return A x."""
        return apply_stencil(self.level.offdiag, self.diagonal, x)

    def interpolate(self, coarse: Array) -> Array:
        """Interpolate a coarse grid, without the weight of the cells."""
        for axis in (-1, -2, -3):
            coarse = upsample(coarse, axis, self.level.shape[axis], self.interpolation_weight)
        return coarse

    def restrict(self, fine: Array) -> Array:
        """Apply the transpose of `interpolate`."""
        for axis in (-3, -2, -1):
            fine = restrict(fine, axis, self.interpolation_weight)
        return fine

    def interpolation_gradient(self, fine: Array, coarse: Array) -> float:
        """Return the derivative of <fine, interpolate(coarse)> by the interpolation weight."""
        inputs = [coarse]
        for axis in (-1, -2, -3):
            inputs.append(upsample(inputs[-1], axis, self.level.shape[axis], self.interpolation_weight))
        total = 0.0
        for axis, below in zip((-3, -2, -1), inputs[2::-1]):
            if self.level.shape[axis] > 1:
                n = self.level.shape[axis]
                total += _dot(fine, upsample(below, axis, n, 1.0) - upsample(below, axis, n, 0.0))
            fine = restrict(fine, axis, self.interpolation_weight)
        return total


@dataclass(frozen=True)
class BatchCycle:
    """All stages, and the inverse of the last operator (..., n, n)."""

    stages: list[BatchStage]
    coarsest: Array

    def sample(self, k: int) -> BatchCycle:
        """Return the cycle of problem k of a batch, without the residuals for its gradients."""
        if self.coarsest.ndim == 2:  # one problem for every row of the batch
            return self
        part = slice(k, k + 1)

        def of(stage: BatchStage) -> BatchStage:
            x, y, z = (link[part] for link in stage.level.offdiag)
            level = replace(stage.level, offdiag=(x, y, z), fraction=stage.level.fraction[part])
            fields = {
                name: getattr(stage, name)[part] for name in ("diagonal", "inverse", "jacobi", "transfer", "fixed")
            }
            return replace(stage, level=level, residuals=None, **fields)

        return BatchCycle([of(stage) for stage in self.stages], self.coarsest[part])


def features(level: BatchLevel) -> Array:
    """Return the features of each cell that a network reads, (..., nx, ny, nz, 6).

    They are its fluid fraction, Dirichlet weight / 6 and diagonal / 6, and their means over 3 x 3 x 3 cells.
    """
    scale = 1.0 / 6.0
    own = [level.fraction, level.dirichlet * scale, diagonal_of(level.offdiag, level.dirichlet) * scale]
    return namespace(level.fraction).stack([*own, *(_box_mean(f) for f in own)], axis=-1)


def _box_mean(f: Array) -> Array:
    for axis in (-3, -2, -1):
        total = f.copy()
        total[HIGH[axis]] += f[LOW[axis]]
        total[LOW[axis]] += f[HIGH[axis]]
        f = total
    return f * (1.0 / 27.0)


def cycle_of(levels: list[BatchLevel], parameters: Parameters, seen: list[Array] | None = None) -> BatchCycle:
    """Return the cycle of a hierarchy: the networks evaluated in every cell. `seen` are the features, if known."""
    seen = [features(level) for level in levels] if seen is None else seen
    stages = [_stage(level, below, parameters, f) for level, below, f in zip(levels, [*levels[1:], None], seen)]
    return BatchCycle(stages, inverse_of_batch(stages[-1].level.offdiag, stages[-1].diagonal))


def _stage(level: BatchLevel, below: BatchLevel | None, parameters: Parameters, seen: Array) -> BatchStage:
    xp, kind = namespace(seen), kind_of(level.depth)
    factors, residuals = modulations(parameters, kind, seen)
    interpolation_weight = float(parameters[f"level{kind}.tap"])
    lifted = None if below is None else rescaling(level, below, interpolation_weight)
    fixed = level.dirichlet * surface_factor(level.fraction, level.depth) if level.depth > 0 else level.dirichlet
    diagonal = diagonal_of(level.offdiag, fixed * factors[..., 2] if level.depth > 0 else fixed)
    unknown = (level.fraction > 0) & (diagonal > 0)
    inverse = xp.where(unknown, 1 / xp.where(unknown, diagonal, 1), 0).astype(seen.dtype)
    return BatchStage(
        level,
        diagonal,
        inverse,
        factors[..., 0] * inverse,
        factors[..., 1] * unknown * (1 if lifted is None else lifted[0]),
        fixed,
        weights(parameters, kind),
        interpolation_weight,
        2.0 ** (2 - level.coarsened) * exp(float(parameters[f"level{kind}.gain"])),
        (residuals, factors[..., 1], lifted),
    )


def inverse_of_batch(offdiag: tuple[Array, Array, Array], diagonal: Array) -> Array:
    """Invert the operator of a small grid on the host, in double precision; a singular one on its range."""
    over = to_host(diagonal).astype(np.float64)
    x, y, z = (to_host(link).astype(np.float64) for link in offdiag)
    # The rounding error of a cell without Dirichlet term must not make a singular operator regular.
    inner = diagonal_of((x, y, z), np.zeros_like(over))
    over = np.where(abs(over - inner) <= ROUNDING * over, inner, over)
    shape, batch = over.shape[-3:], over.shape[:-3]
    n = int(np.prod(shape))
    units = np.broadcast_to(np.eye(n).reshape(n, *(1 for _ in batch), *shape), (n, *batch, *shape))
    matrix = np.moveaxis(apply_stencil((x, y, z), over, units).reshape(n, *batch, n), 0, -1)
    inverse = pseudo_inverse(matrix, 1e-10)
    return to_device(inverse.astype(diagonal.dtype), namespace(diagonal))


def _solve_coarsest(cycle: BatchCycle, r: Array) -> Array:
    return (cycle.coarsest @ r.reshape(*r.shape[:-3], -1, 1)).reshape(r.shape)


def vcycle(cycle: BatchCycle, r: Array, depth: int = 0) -> tuple[Array, Any]:
    """Return z = M r, and the residuals for `vcycle_vjp`.

    Two damped Jacobi steps or more from zero, the correction of the next level, the same steps in reverse order:
    M is symmetric; it is positive definite because the steps contract every error and the correction is positive
    semidefinite.
    """
    stage = cycle.stages[depth]
    if depth == len(cycle.stages) - 1:
        z = _solve_coarsest(cycle, r)
        return z, z
    x, steps = None, []
    for w in stage.damping:
        q = r if x is None else r - stage.apply(x)
        steps.append((x, q))
        x = (w * stage.jacobi) * q if x is None else x + (w * stage.jacobi) * q
    assert x is not None
    q, before = r - stage.apply(x), x
    below = stage.correction_scale * stage.restrict(stage.transfer * q)
    coarse, inside = vcycle(cycle, below, depth + 1)
    spread = stage.interpolate(coarse)
    x = x + stage.transfer * spread
    for w in stage.damping[::-1]:
        after = r - stage.apply(x)
        steps.append((x, after))
        x = x + (w * stage.jacobi) * after
    return x, (steps, q, before, below, coarse, spread, inside)


def vcycle_vjp(cycle: BatchCycle, dz: Array, residuals: Any, parameters: Parameters) -> tuple[Array, Parameters]:
    """Return the gradients of <dz, M r> for r, which is M dz, and for every parameter."""
    gradients: Parameters = {name: np.zeros_like(value) for name, value in parameters.items()}
    return _level_vjp(cycle, dz, residuals, 0, parameters, gradients), gradients


@dataclass
class _Sums:
    """Gradients of one level, summed step by step."""

    jacobi: Array
    dirichlet: Array
    damping: Array


def _step_vjp(stage: BatchStage, sums: _Sums, k: int, dx: Array, kept: tuple[Array | None, Array]) -> tuple[Any, Array]:
    """Backward of x + w D (r - A x): return the gradients for x (None where x was zero) and for r."""
    x, q = kept
    w, product = stage.damping[k], dx * q
    dr = w * stage.jacobi * dx
    sums.jacobi += w * product
    sums.damping[k] += _dot(stage.jacobi, product)
    if x is None:
        return None, dr
    sums.dirichlet -= dr * x
    return dx - stage.apply(dr), dr


def _level_vjp(
    cycle: BatchCycle, dx: Array, kept: Any, depth: int, parameters: Parameters, gradients: Parameters
) -> Array:
    stage = cycle.stages[depth]
    xp, kind = namespace(dx), kind_of(depth)
    nothing = xp.zeros_like(dx)
    sums = _Sums(nothing, nothing.copy(), np.zeros(len(stage.damping)))
    if depth == len(cycle.stages) - 1:
        dr = _solve_coarsest(cycle, dx)
        sums.dirichlet -= dr * kept
        _add_gradients(stage, sums, nothing, parameters, gradients)
        return dr
    steps, q, before, below, coarse, spread, inside = kept
    count, dr = len(stage.damping), nothing.copy()
    for k in range(count):
        dx, more = _step_vjp(stage, sums, k, dx, steps[2 * count - 1 - k])
        dr += more
    dspread = stage.transfer * dx
    dbelow = _level_vjp(cycle, stage.restrict(dspread), inside, depth + 1, parameters, gradients)
    lifted = stage.interpolate(stage.correction_scale * dbelow)
    dq = stage.transfer * lifted
    dr += dq
    sums.dirichlet -= dq * before
    gradients[f"level{kind}.gain"] += _dot(dbelow, below)
    gradients[f"level{kind}.tap"] += stage.interpolation_gradient(dspread, coarse)
    gradients[f"level{kind}.tap"] += stage.interpolation_gradient(stage.transfer * q, stage.correction_scale * dbelow)
    dtransfer = dx * spread + lifted * q
    dx = dx - stage.apply(dq)
    for k in range(count - 1, -1, -1):
        dx, more = _step_vjp(stage, sums, k, dx, steps[k])
        dr += more
    _add_gradients(stage, sums, dtransfer, parameters, gradients)
    return dr


def _add_gradients(
    stage: BatchStage, sums: _Sums, dtransfer: Array, parameters: Parameters, gradients: Parameters
) -> None:
    """Add the gradients of the parameters of one level from those of its fields."""
    kind, level = kind_of(stage.level.depth), stage.level
    xp = namespace(dtransfer)
    dfactors = xp.zeros((*dtransfer.shape, len(BOUNDS)), dtransfer.dtype)
    dfactors[..., 0] = sums.jacobi * stage.inverse
    residuals, modulation, rescaled = stage.residuals
    dfactors[..., 1] = dtransfer * (stage.inverse > 0)
    if rescaled is not None:
        gradients[f"level{kind}.tap"] += _dot(dfactors[..., 1], modulation * rescaled[1])
        dfactors[..., 1] *= rescaled[0]
    if level.depth > 0:
        dfactors[..., 2] = (sums.dirichlet - sums.jacobi * stage.jacobi * stage.inverse) * stage.fixed
    for name, gradient in modulations_vjp(dfactors, residuals).items():
        gradients[f"level{kind}.{name}"] += to_host(gradient)
    dcenter, dspread = weights_vjp(sums.damping, parameters, kind)
    gradients[f"level{kind}.center"] += dcenter
    gradients[f"level{kind}.spread"] += dspread


def _dot(a: Array, b: Array) -> float:
    return float(namespace(a, b).vdot(a, b))
