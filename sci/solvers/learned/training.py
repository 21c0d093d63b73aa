"""Training of the learned V-cycle without solutions.

Conjugate gradients on random errors yield the two Ritz vectors that the cycle serves worst; the loss is the condition
number that they see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from sci.backend import Array
from sci.errors import InvalidValueError
from sci.nn import Adam, clip_by_global_norm, cosine, warm_up
from sci.problems.masks import neumann_part, random_mask
from sci.problems.random_fields import multiscale_random_fields
from sci.progress import progress
from sci.solvers.krylov.iteration import iterate
from sci.solvers.learned.levels import first_level, hierarchy
from sci.solvers.learned.parameters import KINDS, Parameters, consistent_gain, gain_vjp, initial_parameters
from sci.solvers.learned.reference import BatchCycle, cycle_of, vcycle, vcycle_vjp

__all__ = ["condition_gradients", "krylov", "train_cycle"]

STEPS = 8
"""Steps of conjugate gradients that approximate the ends of the spectrum."""


def _dots(a: Array, b: Array) -> Array:
    return np.einsum("bxyz,bxyz->b", a, b, dtype=np.float64)


def _each(values: Array, like: Array) -> Array:
    return values.astype(like.dtype)[:, None, None, None]


def krylov(cycle: BatchCycle, e: Array, steps: int = STEPS) -> tuple[list[Array], np.ndarray]:
    """Return the preconditioned residuals of conjugate gradients from the errors `e`, and the projection of A on them.

    Parameters
    ----------
    cycle : BatchCycle
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
    each = [_Recorder(cycle.sample(k), e[k : k + 1], steps) for k in range(len(e))]
    for recorder in each:
        iterate(recorder, 0.0, steps)
    directions = [np.concatenate(z) for z in zip(*(recorder.directions for recorder in each))]
    return directions, np.stack([recorder.projected for recorder in each])


class _Recorder:
    """The vectors of conjugate gradients on one error field, which keep the preconditioned residuals.

    The residual is only updated: as M and A come from one cycle in one precision, its rounding does not matter.
    """

    eps = 0.0

    def __init__(self, cycle: BatchCycle, e: Array, steps: int) -> None:
        self._cycle, self._apply = cycle, cycle.stages[0].apply
        self._r = self._apply(e * _each(1 / np.sqrt(_dots(e, self._apply(e))), e))
        self._p, self._before = np.zeros_like(self._r), 0.0
        self.directions: list[Array] = []
        self.projected = np.zeros((steps, steps))

    def _norm(self) -> float:
        return float(np.sqrt(_dots(self._r, self._r)[0]))

    start = replace = _norm

    def precondition(self, norm: float) -> float:
        """Set z = M r and keep z / sqrt(r'z); return r'z."""
        self._z, _ = vcycle(self._cycle, self._r)
        rho = float(_dots(self._z, self._r)[0])
        self.directions.append(self._z * self._z.dtype.type(1 / np.sqrt(rho)))
        return rho

    def conjugate(self, rho: float, last: tuple[float, float] | None) -> tuple[float, float]:
        """Set p = z + beta p and the entries of the projection; return beta and p'A p."""
        beta = 0.0 if last is None else rho / last[0]
        self._p = self._z + self._z.dtype.type(beta) * self._p
        self._Ap = self._apply(self._p)
        form = float(_dots(self._p, self._Ap)[0])
        j = len(self.directions) - 1
        self.projected[j, j] = form / rho + beta * self._before
        if j > 0:
            self.projected[j, j - 1] = self.projected[j - 1, j] = -np.sqrt(beta) * self._before
        self._before = form / rho
        return beta, form

    def step(self, beta: float, length: float, soon: bool, last: bool) -> tuple[float, bool]:
        """Move the residual along A p; return its norm."""
        self._r = self._r - self._r.dtype.type(length) * self._Ap
        return self._norm(), False

    def rounding(self) -> float:
        """Return 0: there is no x that is rounded."""
        return 0.0

    def show(self) -> None:
        """Show nothing: there is no x."""

    settle = show


def condition_gradients(
    cycle: BatchCycle, e: Array, parameters: Parameters, steps: int = STEPS
) -> tuple[float, Parameters]:
    """Return the mean logarithm of the condition number of M A in a Krylov space, and its gradients.

        L = log(l_max / l_min),   l = (A v) . M (A v) / (v . A v)

    with v the first and the last Ritz vector of `steps` steps from the errors `e`. At an eigenvector of M A, dl is
    (A v) . dM (A v) / (v . A v): the vectors are treated as constants.
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
        neumann_body = np.stack([neumann_part(mask, rng) for mask in fluid])
        walls = rng.random((3, 2)) < (0.5 if rng.random() < 1 / 3 else 1.0)
        levels = hierarchy(first_level(fluid, neumann_body, walls, np.float32))
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
