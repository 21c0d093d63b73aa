"""Exact optimal transport for few points: an assignment or a linear program, checked by its dual."""

from __future__ import annotations

import warnings

import numpy as np
import scipy
from scipy import sparse

from sci.arguments import Real, entry
from sci.backend import as_finite, to_host
from sci.errors import ConvergenceError, InvalidValueError

__all__ = ["exact_transport"]

_LARGEST = 1_000_000
"""Entries of a plan that `exact_transport` computes."""


@entry
def exact_transport(cost: Real, *, a: Real | None = None, b: Real | None = None) -> tuple[float, np.ndarray]:
    """Return the least sum_ij P_ij C_ij over plans with the marginals a and b, and a plan that attains it.

    Parameters
    ----------
    cost : (n, m) array
        C_ij.
    a, b : (n,), (m,), optional
        Weights from 0 with equal sums; equal ones that add up to 1 unless given.

    Returns
    -------
    value : float
        The least cost, in units of the cost function times those of the weights.
    plan : (n, m) float64 array

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        Also for more than a million entries: use `sinkhorn`.
    ConvergenceError

    Notes
    -----
    An assignment where both sides have as many points of equal weight (n^3 operations), a linear program otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import exact_transport
    >>> exact_transport(np.array([[1.0, 4.0], [2.0, 9.0]]))[0]
    3.0
    """
    matrix = as_finite(to_host(cost), "cost", shape=(None, None))
    n, m = matrix.shape
    if not 0 < n * m <= _LARGEST:
        raise InvalidValueError(f"cost has shape {(n, m)}; expected 1 to {_LARGEST:,} entries: use sinkhorn for more")
    given: list[np.ndarray] = [
        np.full(k, 1 / k) if w is None else as_finite(to_host(w), name, shape=(k,))
        for w, name, k in ((a, "a", n), (b, "b", m))
    ]
    total = float(given[0].sum())
    if min(w.min() for w in given) < 0 or total <= 0 or abs(total - given[1].sum()) > 1e-6 * total:
        raise InvalidValueError(
            f"weights from {min(w.min() for w in given):g} that add up to {given[0].sum():.8g} and "
            f"{given[1].sum():.8g}; expected weights from 0 with equal sums"
        )
    if n == m and a is None and b is None:
        plan = np.zeros((n, m))
        plan[scipy.optimize.linear_sum_assignment(matrix)] = 1 / n
    else:
        rows, columns = given[0] > 0, given[1] > 0
        plan = np.zeros((n, m))
        plan[np.ix_(rows, columns)] = total * _linear_program(
            matrix[np.ix_(rows, columns)], given[0][rows] / total, given[1][columns] / given[1].sum()
        )
    return float((plan * matrix).sum()), plan


def _linear_program(cost: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the plan of least cost by SciPy's HiGHS."""
    n, m = cost.shape
    rows = sparse.kron(sparse.eye(n), np.ones((1, m)), format="csr")
    columns = sparse.kron(np.ones((1, n)), sparse.eye(m), format="csr")
    low, spread = float(cost.min()), float(np.ptp(cost)) or 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.optimize.OptimizeWarning)
        found = scipy.optimize.linprog(
            (cost.ravel() - low) / spread,
            A_eq=sparse.vstack([rows, columns])[:-1],  # the last follows from the others
            b_eq=np.concatenate([a, b])[:-1],
            method="highs-ds",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )
    if found.status != 0:
        raise ConvergenceError(f"exact_transport: the linear program was not solved ({found.message})")
    plan = np.asarray(found.x).reshape(n, m)
    off = max(np.abs(plan.sum(axis=1) / a - 1).max(), np.abs(plan.sum(axis=0) / b - 1).max())
    # No plan costs less than the dual, which may violate its constraints by what the solver takes for rounding.
    dual = np.append(found.eqlin.marginals, 0.0)
    scaled = (cost - low) / spread
    violation = max(0.0, -float((scaled - dual[: len(a), None] - dual[len(a) :]).min()))
    gap = abs(found.fun - dual @ np.concatenate([a, b])) + violation
    size = max(abs(found.fun), abs(float((plan * cost).sum())) / spread)
    if off > 1e-6 or gap > 1e-6 * size:
        raise ConvergenceError(
            f"exact_transport: weights or costs span too many digits for a linear program (weights are off by "
            f"{off:.1e}, the value by {gap * spread:.1e}); leave out tiny weights, or use smaller numbers for "
            "forbidden pairs"
        )
    return plan
