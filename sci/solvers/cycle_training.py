"""Train the learned V-cycle without solutions: errors are random fields e, residuals A e, and the loss is the angle
between the direction that the cycle proposes and the error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from sci.backend import Array
from sci.errors import InvalidValueError
from sci.nn import Adam, clip_by_global_norm, cosine, warm_up
from sci.progress import progress
from sci.solvers.cycle import Cycle, cycle_of, vcycle, vcycle_vjp
from sci.solvers.cycle_levels import first_level, hierarchy, upsample
from sci.solvers.cycle_parameters import Parameters, initial_parameters
from sci.solvers.masks import insulating_part, random_mask

__all__ = ["angle_loss", "random_errors", "rollout_gradients", "train_cycle"]

ROLLOUT = 4
"""Steps of the outer iteration that are trained on from one error."""


def _dots(a: Array, b: Array) -> Array:
    return np.einsum("bxyz,bxyz->b", a, b, dtype=np.float64)


def _each(values: Array, like: Array) -> Array:
    return values.astype(like.dtype)[:, None, None, None]


def random_errors(n: int, count: int, rng: np.random.Generator, dtype: Any = np.float32) -> Array:
    """Return `count` random fields on n^3 cells with parts of every width, their amplitudes drawn for each field."""
    octaves = max(1, int(np.log2(n)))
    slope = np.exp(rng.uniform(-1, 2, size=(count, 1)) * np.arange(octaves) / 2)
    amplitudes = rng.normal(size=(count, octaves)) * slope
    total = np.zeros((count, n, n, n), dtype)
    for octave in range(octaves):
        size = [-(-n // 2**k) for k in range(octave, -1, -1)]
        part = rng.normal(size=(count, *(size[0],) * 3)).astype(dtype)
        for finer in size[1:]:
            for axis in (-3, -2, -1):
                part = upsample(part, axis, finer, 0.25)
        total += _each(amplitudes[:, octave], part) * part
    return total


def angle_loss(z: Array, Az: Array, r: Array, e: Array) -> tuple[Array, Array]:
    """Return the squared sine of the angle between z and the error e in the norm of A, and its gradient for z.

        L = 1 - (z.r)^2 / ((z.Az) (e.r)),   r = A e

    Parameters
    ----------
    z, Az, r, e : (batch, nx, ny, nz) arrays

    Returns
    -------
    loss : (batch,) array
        In [0, 1]; zero where z is a multiple of e.
    dz : (batch, nx, ny, nz) array
        Orthogonal to z, as the loss does not see the length of z.
    """
    zr, zAz, er = _dots(z, r), _dots(z, Az), _dots(e, r)
    loss = 1 - zr**2 / (zAz * er)
    return loss, _each(-2 * zr / (zAz * er), z) * r + _each(2 * zr**2 / (zAz**2 * er), z) * Az


def rollout_gradients(cycle: Cycle, e: Array, parameters: Parameters) -> tuple[float, Parameters]:
    """Return the mean loss over the steps of an outer iteration from the errors `e`, and its gradients.

    A step minimises the error along z, made A-orthogonal to the last direction: the residuals are those that the cycle
    will meet in conjugate gradients. They count as given; no gradient runs through the steps.
    """
    apply = cycle.stages[0].apply
    total, gradients, last = 0.0, {name: np.zeros_like(v) for name, v in parameters.items()}, None
    for _ in range(ROLLOUT):
        # The residual is made anew: in single precision the recursive one would drift away from A e.
        e = e * _each(1 / np.sqrt(_dots(e, apply(e))), e)
        r = apply(e)
        z, kept = vcycle(cycle, r)
        Az = apply(z)
        loss, dz = angle_loss(z, Az, r, e)
        total += float(loss.mean()) / ROLLOUT
        _, more = vcycle_vjp(cycle, dz / dz.dtype.type(ROLLOUT * len(e)), kept, parameters)
        gradients = {name: gradients[name] + more[name] for name in gradients}
        p, Ap = z, Az
        if last is not None:
            back = _each(_dots(z, last[1]) / _dots(last[0], last[1]), z)
            p, Ap = z - back * last[0], Az - back * last[1]
        e = e - _each(_dots(p, r) / _dots(p, Ap), p) * p
        last = (p, Ap)
    return total, gradients


def _problems(sizes: Sequence[int], rng: np.random.Generator) -> Iterator[tuple[Any, Array]]:
    """Yield (levels, errors) forever: small grids in pairs, and every fourth time one of the largest size."""
    largest = max(sizes)
    small = [n for n in sizes if n < largest] or [largest]
    count = 0
    while True:
        n = largest if count % 4 == 3 else small[count % len(small)]
        batch = 1 if n == largest and len(sizes) > 1 else 2
        fluid = np.stack([random_mask(n, rng) for _ in range(batch)])
        insulating = np.stack([insulating_part(mask, rng) for mask in fluid])
        walls = rng.random((3, 2)) < (0.5 if rng.random() < 1 / 3 else 1.0)
        levels = hierarchy(first_level(fluid, insulating, walls, np.float32))
        yield levels, random_errors(n, batch, rng) * fluid
        count += 1


def train_cycle(
    sizes: Sequence[int] = (32, 64),
    *,
    steps: int = 400,
    rate: float = 1e-2,
    seed: int = 0,
    callback: Callable[[int, float], object] | None = None,
) -> Parameters:
    """Train the cycle on random masks with Dirichlet, Neumann and mixed bodies and walls.

    Parameters
    ----------
    sizes : sequence of int
        Cells along the axes of the cubes that are trained on.
    steps : int
        Steps of Adam; the rate falls as a cosine from `rate` to zero.
    rate : float
    seed : int
        Of everything that is random; the same seed gives the same model.
    callback : callable, optional
        Called with the step and its loss.

    Returns
    -------
    dict of arrays

    Raises
    ------
    InvalidValueError
        If a size is below 8, or there are no steps.
    """
    if not sizes or min(sizes) < 8 or steps < 1:
        raise InvalidValueError(
            f"sizes {list(sizes)} and steps {steps}; expected sizes of 8 or more and a positive number"
        )
    rng = np.random.default_rng(seed)
    parameters = initial_parameters(seed)
    optimiser, schedule = Adam(rate, betas=(0.9, 0.99)), warm_up(10, cosine(steps))
    state = optimiser.start(parameters)
    problems = _problems(sizes, rng)
    for step in progress(range(1, steps + 1), "training the cycle"):
        levels, errors = next(problems)
        loss, gradients = rollout_gradients(cycle_of(levels, parameters), errors, parameters)
        optimiser.update(parameters, clip_by_global_norm(gradients, 1.0)[0], state, step, schedule(step))
        if callback is not None:
            callback(step, loss)
    return parameters
