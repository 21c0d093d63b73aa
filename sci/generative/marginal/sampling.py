"""Partition functions by importance sampling of a marginalization model: no bias in Z, and a standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sci.arguments import collective_entry
from sci.backend import to_host
from sci.backend.philox import require_seed
from sci.distributed import Comm, Deferred, agreed, allgather_rows, size, split
from sci.errors import InvalidValueError
from sci.generative.marginal.exact import LogWeight, log_weights_of
from sci.generative.marginal.model import MarginalModel
from sci.nn import flatten_tree
from sci.nn.training.data import digest

__all__ = ["ImportanceSample", "importance_log_z"]

_BATCH = 4096


@dataclass(frozen=True)
class ImportanceSample:
    """What samples of a model say of the partition function of a log-weight.

    Parameters
    ----------
    log_z : float
        The log of the mean of exp(f - log p).
    error : float
        Standard error, to first order; it means little where few samples count.
    bound : float
        The mean of f - log p: a lower bound of log Z in the mean.
    effective : float
        Effective fraction of the samples, (sum w)^2 / (n sum w^2): 1 for a perfect model.

    Examples
    --------
    >>> from sci.generative import ImportanceSample
    >>> ImportanceSample(78.688, 0.002, 78.6, 0.8)
    ImportanceSample(log Z 78.688 +- 0.002, bound 78.6, 80% effective)
    """

    log_z: float
    error: float
    bound: float
    effective: float

    def __repr__(self) -> str:
        return (
            f"ImportanceSample(log Z {self.log_z:.7g} +- {self.error:.2g}, bound {self.bound:.7g}, "
            f"{self.effective:.0%} effective)"
        )


@collective_entry
def importance_log_z(
    model: MarginalModel, log_weight: LogWeight, *, samples: int = 4096, seed: int = 0, comm: Comm = None
) -> ImportanceSample:
    """Estimate log Z of a log-weight by samples of a model, whose own `log_z` has an error that is not known.

    Parameters
    ----------
    model : MarginalModel
        Trained on the log-weight, or one near it.
    log_weight : callable
    samples : int
        At least 2; ranks share them.
    seed : int
    comm : mpi4py communicator, optional

    Returns
    -------
    ImportanceSample

    Raises
    ------
    InvalidValueError, ShapeError

    Notes
    -----
    Collective; the same on any number of ranks. D passes of the conditionals, of hidden^2 layers multiplications each.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import MarginalModel, importance_log_z
    >>> found = importance_log_z(MarginalModel(5, 3), lambda x: np.zeros(len(x)), samples=100)
    >>> round(found.log_z, 3), round(found.effective, 3)
    (5.493, 1.0)
    """
    with agreed(comm, "importance_log_z") as agreement:
        agreement.same(samples=samples, seed=seed, model=model.to_state().options)
        if size(comm) > 1:
            agreement.same(parameters=digest(*flatten_tree(model.parameters).values()))
        require_seed(seed)
        if samples < 2:
            raise InvalidValueError(f"samples is {samples}; expected 2 or more")
    own, work, found = split(samples, comm), Deferred(), []
    with work:
        for first in range(own.start, own.stop, _BATCH):
            x, log_p = model.draw(min(_BATCH, own.stop - first), first=first, seed=seed)
            found.append(to_host(log_weights_of(log_weight, x, np.float64) - log_p))
    work.settle(comm, "importance_log_z")
    logs = allgather_rows(np.concatenate([*found, np.empty(0)]), comm)
    scale = float(logs.max())
    w = np.exp(logs - scale)
    mean = float(w.mean())
    error = float(w.std(ddof=1)) / mean / math.sqrt(samples)
    effective = float(w.sum() ** 2 / (samples * (w**2).sum()))
    return ImportanceSample(scale + math.log(mean), error, float(logs.mean()), effective)
