"""Train the learned V-cycle without solutions: conjugate gradients on random errors show the two vectors that the cycle
serves worst, and the loss is the condition number that these see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from sci.backend import Array
from sci.errors import InvalidValueError
from sci.nn import Adam, clip_by_global_norm, cosine, warm_up
from sci.problems.masks import insulating_part, random_mask
from sci.problems.random_fields import multiscale_random_fields
from sci.progress import progress
from sci.solvers.learned.levels import first_level, hierarchy
from sci.solvers.learned.parameters import KINDS, Parameters, consistent_gain, gain_vjp, initial_parameters
from sci.solvers.learned.reference import Cycle, cycle_of, vcycle, vcycle_vjp

__all__ = ["condition_gradients", "krylov", "train_cycle"]

STEPS = 8
"""Steps of conjugate gradients that show the ends of the spectrum."""


def _dots(a: Array, b: Array) -> Array:
    return np.einsum("bxyz,bxyz->b", a, b, dtype=np.float64)


def _each(values: Array, like: Array) -> Array:
    return values.astype(like.dtype)[:, None, None, None]


def krylov(cycle: Cycle, e: Array, steps: int = STEPS) -> tuple[list[Array], np.ndarray]:
    """Return the preconditioned residuals of conjugate gradients from the errors `e`, and what they make of A.

    Parameters
    ----------
    cycle : Cycle
    e : (batch, nx, ny, nz) array
    steps : int

    Returns
    -------
    directions : list of (batch, nx, ny, nz) arrays
        z_j = M r_j, with z_j . r_j = 1.
    projected : (batch, steps, steps) array
        z_i . A z_j, which is tridiagonal.

    References
    ----------
    Saad, Iterative Methods for Sparse Linear Systems (2003), section 6.7.3.
    """
    apply = cycle.stages[0].apply
    r = apply(e * _each(1 / np.sqrt(_dots(e, apply(e))), e))
    p, last, directions = np.zeros_like(r), np.full(len(e), np.inf), []
    projected = np.zeros((len(e), steps, steps))
    before = np.zeros(len(e))
    for j in range(steps):
        z, _ = vcycle(cycle, r)
        zr = _dots(z, r)
        back = zr / last
        p = z + _each(back, z) * p
        Ap = apply(p)
        pAp = _dots(p, Ap)
        directions.append(z * _each(1 / np.sqrt(zr), z))
        projected[:, j, j] = pAp / zr + back * before
        if j > 0:
            projected[:, j, j - 1] = projected[:, j - 1, j] = -np.sqrt(back) * before
        before, last = pAp / zr, zr
        r = r - _each(zr / pAp, r) * Ap
    return directions, projected


def condition_gradients(cycle: Cycle, e: Array, parameters: Parameters, steps: int = STEPS) -> tuple[float, Parameters]:
    """Return the mean logarithm of the condition number of M A that conjugate gradients meet, and its gradients.

        L = log(l_max / l_min),   l = (A v) . M (A v) / (v . A v)

    with v the first and the last Ritz vector of `steps` steps from the errors `e`. At an eigenvector of M A, dl is
    (A v) . dM (A v) / (v . A v): the vectors count as given.
    """
    apply = cycle.stages[0].apply
    directions, projected = krylov(cycle, e, steps)
    combinations = np.linalg.eigh(projected)[1]
    total, gradients = 0.0, {name: np.zeros_like(v) for name, v in parameters.items()}
    for sign, column in ((-1.0, 0), (1.0, -1)):
        v = sum(_each(combinations[:, j, column], z) * z for j, z in enumerate(directions))
        r = apply(v)
        z, kept = vcycle(cycle, r)
        rz, vAv = _dots(r, z), _dots(v, r)
        total += sign * float(np.log(rz / vAv).mean())
        _, more = vcycle_vjp(cycle, _each(sign / (len(e) * rz), r) * r, kept, parameters)
        gradients = {name: gradients[name] + more[name] for name in gradients}
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
        yield levels, multiscale_random_fields(n, batch, rng) * fluid
        count += 1


def train_cycle(
    sizes: Sequence[int] = (32, 64),
    *,
    steps: int = 1000,
    learning_rate: float = 1e-2,
    seed: int = 0,
    callback: Callable[[int, float], object] | None = None,
) -> Parameters:
    """Train the cycle on random masks with Dirichlet, Neumann and mixed bodies and walls.

    Parameters
    ----------
    sizes : sequence of int
        Cells along the axes of the cubes that are trained on.
    steps : int
        Steps of Adam; the learning rate falls as a cosine from `learning_rate` to zero.
    learning_rate : float
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
    optimizer, schedule = Adam(learning_rate, betas=(0.9, 0.99)), warm_up(10, cosine(steps))
    state = optimizer.start(parameters)
    problems = _problems(sizes, rng)
    for step in progress(range(1, steps + 1), "training the cycle"):
        levels, errors = next(problems)
        loss, gradients = condition_gradients(cycle_of(levels, parameters), errors, parameters)
        gain_vjp(gradients, parameters, KINDS - 1)
        optimizer.update(parameters, clip_by_global_norm(gradients, 1.0)[0], state, step, schedule(step))
        parameters[f"level{KINDS - 1}.gain"] = consistent_gain(parameters, KINDS - 1)
        if callback is not None:
            callback(step, loss)
    return parameters
