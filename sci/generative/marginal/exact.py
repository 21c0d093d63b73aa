"""All marginals of few variables by enumeration, and what a model makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from sci.arguments import entry
from sci.backend import Array, namespace, require_finite, to_device, to_host
from sci.errors import InvalidValueError, ShapeError
from sci.generative.marginal.model import MarginalModel
from sci.generative.spins.exact import every_state
from sci.generative.spins.lattice import LatticeModel, require_beta

__all__ = ["LogWeight", "MarginalErrors", "log_weight", "log_weights_of", "marginal_errors", "partial_sums"]

LogWeight = Callable[[Array], Array]
_MOST = 1 << 22


@entry
def log_weight(model: LatticeModel, *, beta: float = 1.0) -> LogWeight:
    """Return the function -beta E of the sites of a lattice as variables 0 ... K - 1, (n, sites) to (n,).

    Parameters
    ----------
    model : IsingModel or PottsModel
        Value k is state number k: 0 is a spin of -1.
    beta : float

    Returns
    -------
    callable

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import IsingModel, log_weight
    >>> log_weight(IsingModel((3, 3), 0.3, 0.1))(np.ones((1, 9), int))
    array([6.3])
    """
    require_beta(beta, model)

    def function(x: Array) -> Array:
        if x.ndim != 2 or x.shape[1] != model.n_sites or x.dtype.kind not in "iu":
            raise ShapeError(
                f"variables of shape {tuple(x.shape)} and dtype {x.dtype}; expected integers (n, {model.n_sites})"
            )
        if x.size and not 0 <= int(x.min()) <= int(x.max()) < model.n_states:
            raise InvalidValueError(
                f"variables from {int(x.min())} to {int(x.max())}; expected 0 to {model.n_states - 1}"
            )
        states = namespace(x).asarray(model.values)[x]
        return -beta * model.energy(states.reshape(len(x), *model.shape))

    return function


def log_weights_of(function: LogWeight, x: Array, dtype: Any) -> Array:
    """Return the checked values of a caller's log-weight for variables (n, D), (n,)."""
    found = function(x)
    if getattr(found, "shape", None) != (len(x),):
        raise ShapeError(
            f"log_weight gives {getattr(found, 'shape', type(found))} for {len(x)} rows; expected ({len(x)},)"
        )
    require_finite(found, "log_weight")
    return found.astype(dtype)


@entry
def partial_sums(function: LogWeight, n_variables: int, n_values: int) -> np.ndarray:
    """Sum weights over all variables that are not known, for every partial configuration of few variables.

    Parameters
    ----------
    function : callable
        The log-weight of variables (n, D), (n,).
    n_variables, n_values : int
        D and K, (K + 1)^D at most 2^22.

    Returns
    -------
    (K + 1, ..., K + 1) float64 array
        The logs; index K of an axis is for a variable that is not known. The last entry is log Z.

    Raises
    ------
    InvalidValueError, ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import partial_sums
    >>> np.exp(partial_sums(lambda x: np.log(1.0 + x.sum(axis=1)), 2, 2)).round(10)
    array([[1., 2., 3.],
           [2., 3., 5.],
           [3., 5., 8.]])
    """
    if n_variables < 1 or n_values < 2 or (n_values + 1) ** n_variables > _MOST:
        raise InvalidValueError(
            f"{n_variables} variables of {n_values} values; expected one or more, at least 2 values, and at most "
            f"{_MOST:,} partial configurations"
        )
    x = every_state(n_variables, np.arange(n_values))
    sums: np.ndarray = log_weights_of(function, x, np.float64).reshape((n_values,) * n_variables)
    for axis in range(n_variables):
        sums = np.concatenate([sums, logsumexp(sums, axis=axis, keepdims=True)], axis=axis)
    return sums


@dataclass(frozen=True)
class MarginalErrors:
    """How far a model is from the exact marginals of all partial configurations.

    Parameters
    ----------
    mean, largest : float
        Of the absolute errors of log p(x_s), in nats, over all (K + 1)^D partial configurations.
    log_z : float
        The model's less the exact one.
    divergence : float
        KL divergence of the model's log-marginals of whole configurations, normalized, from the exact distribution.
    conditional_divergence : float
        That of samples in the order 0 ... D - 1.

    Examples
    --------
    >>> from sci.generative import MarginalErrors
    >>> MarginalErrors(0.03, 0.2, -0.01, 1e-4, 2e-4)
    MarginalErrors(mean 0.03, largest 0.2, log Z -0.01, KL 0.0001 and 0.0002)
    """

    mean: float
    largest: float
    log_z: float
    divergence: float
    conditional_divergence: float

    def __repr__(self) -> str:
        return (
            f"MarginalErrors(mean {self.mean:.3g}, largest {self.largest:.3g}, log Z {self.log_z:.3g}, "
            f"KL {self.divergence:.3g} and {self.conditional_divergence:.3g})"
        )


@entry
def marginal_errors(model: MarginalModel, function: LogWeight) -> MarginalErrors:
    """Compare a model of few variables with all exact marginals.

    Parameters
    ----------
    model : MarginalModel
    function : callable
        The log-weight that it was trained on, see `partial_sums`.

    Returns
    -------
    MarginalErrors

    Raises
    ------
    InvalidValueError, ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import MarginalModel, marginal_errors
    >>> marginal_errors(MarginalModel(4, 3), lambda x: np.zeros(len(x))).mean < 1e-6  # a new model is uniform
    True
    """
    d, k = model.n_variables, model.n_values
    sums = partial_sums(function, d, k)
    xp = namespace(model.parameters["marginal"]["in"])
    codes = to_device(every_state(d, np.arange(k + 1)), xp)
    parts = [
        to_host(model.log_marginal(codes[j : j + 65536], codes[j : j + 65536] < k)) for j in range(0, len(codes), 65536)
    ]
    errors = np.concatenate(parts) - (sums - sums.flat[-1]).reshape(-1)
    whole = to_device(every_state(d, np.arange(k)), xp)
    exact = sums[(slice(k),) * d].reshape(-1) - sums.flat[-1]
    logs = [to_host(a).astype(float) for a in (model.log_marginal(whole), model.log_likelihood(whole))]
    logs[0] -= logsumexp(logs[0])
    divergences = [float(np.exp(a) @ (a - exact)) for a in logs]
    gap = model.log_z - float(sums.flat[-1])
    return MarginalErrors(
        float(np.abs(errors).mean()), float(np.abs(errors).max()), gap, divergences[0], divergences[1]
    )
