"""Batch normalization of positive definite matrices under the generalized Bures-Wasserstein metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device, namespace, namespace_of
from sci.distributed import Comm, agreed
from sci.errors import InvalidValueError, ShapeError
from sci.linalg import BuresWasserstein
from sci.nn.core.tape import value_of
from sci.nn.ops.arithmetic import add, multiply, power
from sci.nn.ops.reductions import sum as sum_of
from sci.nn.ops.shaping import reshape
from sci.nn.spd.barycenter import batch_mean, bures_barycenter
from sci.nn.spd.layers import congruence, matrix_function, positive_definite, reeig
from sci.nn.spd.transport import lyapunov_power, optimal_map

__all__ = ["GBWBatchNorm"]


@entry
@dataclass(frozen=True)
class GBWBatchNorm:
    """Batch normalization of positive definite matrices under the generalized Bures-Wasserstein metric (GBWBN).

    With the metric M, the power theta, a scale s and a bias W of each channel, all but theta learned:

        Y_i = M^-1/2 X_i^theta M^-1/2
        G = barycenter of Y                            over the batch, and over ranks; in evaluation the running one
        N_i = (L_G / 2)^1/2 [T_i - I]                  logarithm at G, carried to the identity; T_i G T_i = Y_i
        v = mean |N_i|^2 / theta^2                     variance about G
        L_i = s / sqrt(v + eps) (L_W / 2)^-1/2 [N_i]   scaled, and carried to W
        Z_i = P_i W P_i,  P_i = I + L_i                exponential at W
        out = (M^1/2 Z_i M^1/2)^(1 / theta)

    so that the outputs have the barycenter (M^1/2 W M^1/2)^(1 / theta) and the variance s^2 v / (v + eps) in that
    metric, see `sci.linalg.BuresWasserstein`. Everything is differentiated, the barycenter by the implicit function.

    The exponential is defined where I + L_i is positive definite. With few rows, or directions of unequal spread, a
    unit scale leads some samples out of this domain. Eigenvalues of I + L_i below `margin` are then raised to it: the
    sample stops at the nearest point of the domain. Barycenter and variance are met exactly where no sample is stopped;
    the fraction of stopped ones is the statistic `outside`. A smaller scale avoids them.

    Parameters
    ----------
    channels, size : int
        Inputs are (batch, channels, size, size).
    theta : float
        Power of the deformation, not 0.
    learn_metric : bool
        False keeps M = I, the plain Bures-Wasserstein metric.
    momentum : float
        Weight of a new batch in the running mean and variance; the first batches have 1, 1/2, 1/3, ... down to it.
    eps : float
        Added to the variance.
    margin : float
        Smallest eigenvalue of I + L_i.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    About 10 to 50 singular value decompositions of n x n for each matrix of the batch, one an iteration of the
    barycenter, and none backward. Collective over `comm` in training. Statistics change in each call in training, so
    the layer must not be inside of `sci.nn.checkpoint`, which calls twice.

    References
    ----------
    Wang et al., CVPR 2025 (arXiv 2504.00660). Differences of ours: the barycenter is iterated to rounding, not one
    step; it and the variance are differentiated; the variance is that about the barycenter; the domain is kept.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import GBWBatchNorm
    >>> layer = GBWBatchNorm(channels=1, size=2)
    >>> parameters, statistics = layer.parameters(scale=0.1), layer.statistics()
    >>> x = np.array([1.0, 4.0, 9.0])[:, None, None, None] * np.eye(2)
    >>> layer(parameters, x, statistics, training=True)[:, 0, 0, 0].round(3)
    array([0.834, 1.   , 1.181])
    >>> statistics["mean"].round(6)
    array([[[4., 0.],
            [0., 4.]]])
    """

    channels: int
    size: int
    theta: float = 1.0
    learn_metric: bool = True
    momentum: float = 0.1
    eps: float = 1e-5
    margin: float = 0.01

    def __post_init__(self) -> None:
        if self.channels < 1 or self.size < 1:
            raise InvalidValueError(f"{self.channels} channels of size {self.size}; expected positive integers")
        if not abs(self.theta) > 1e-3:
            raise InvalidValueError(f"theta is {self.theta}; expected a power such as 1 or 0.5, not 0")
        if not 0 < self.momentum <= 1:
            raise InvalidValueError(f"momentum is {self.momentum}; expected a weight above 0, at most 1")
        if not self.eps > 0 or not 0 < self.margin < 1:
            raise InvalidValueError(
                f"eps is {self.eps} and margin {self.margin}; expected eps above 0 and a margin between 0 and 1"
            )

    def parameters(self, *, scale: float = 1.0, dtype: Any = np.float64, device: Device = "cpu") -> dict[str, Array]:
        """Return the free parameters of W = I, M = I and s = `scale`, whose exponentials they are.

        Parameters
        ----------
        scale : float
            s > 0, the root of the variance of the outputs.
        dtype : float32 or float64
        device : "cpu" or "cuda"

        Returns
        -------
        dict of arrays
            `bias` and `metric` (channel, size, size), `scale` (channel, 1, 1).

        Raises
        ------
        InvalidValueError
        """
        if not scale > 0:
            raise InvalidValueError(f"scale is {scale}; expected a positive root of a variance")
        xp, shape = namespace_of(device), (self.channels, self.size, self.size)
        found = {"bias": xp.zeros(shape, dtype), "scale": xp.full((self.channels, 1, 1), np.log(scale), dtype)}
        return {**found, "metric": xp.zeros(shape, dtype)} if self.learn_metric else found

    def statistics(self, *, dtype: Any = np.float64, device: Device = "cpu") -> dict[str, Array]:
        """Return statistics before the first batch.

        Parameters
        ----------
        dtype : float32 or float64
        device : "cpu" or "cuda"

        Returns
        -------
        dict of arrays
            `mean` (channel, size, size), the barycenter of the inputs in the layer's metric; `variance` (channel,);
            `outside` (channel,), the fraction of samples that stopped at the margin; `count` (1,), of batches.
        """
        xp = namespace_of(device)
        mean = xp.zeros((self.channels, self.size, self.size), dtype) + xp.eye(self.size, dtype=dtype)
        variance, outside = xp.ones(self.channels, dtype), xp.zeros(self.channels, dtype)
        return {"mean": mean, "variance": variance, "outside": outside, "count": xp.zeros(1, dtype)}

    def __call__(
        self,
        parameters: Mapping[str, Any],
        x: Any,
        statistics: Mapping[str, Array] | None = None,
        *,
        training: bool,
        comm: Comm = None,
    ) -> Any:
        """Return the normalized matrices; in training the statistics of the batch are used, and `statistics` updated.

        Parameters
        ----------
        parameters : dict of arrays or variables
        x : (batch, channels, size, size) array or variable
        statistics : dict of arrays
            Changed in place in training, where it may be missing; used in evaluation.
        training : bool
        comm : mpi4py communicator, optional
            In training the batch is that of all ranks. Collective.

        Returns
        -------
        array or variable

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError, ConvergenceError
        """
        with agreed(comm, "GBWBatchNorm"):  # what fails on one rank from here on meets the others in an agreement
            with agreed(comm, "GBWBatchNorm") as agreement:
                agreement.same(layer=self, training=training, statistics=statistics is None)
                self._check(x, statistics, training)
            return self._normalize(parameters, x, statistics, training, comm)

    def _check(self, x: Any, statistics: Mapping[str, Array] | None, training: bool) -> None:
        if tuple(x.shape[1:]) != (self.channels, self.size, self.size):
            raise ShapeError(f"matrices {tuple(x.shape)}; expected (batch, {self.channels}, {self.size}, {self.size})")
        if not training and (statistics is None or not float(statistics["count"][0])):
            raise InvalidValueError(
                "evaluation without the statistics of a batch; pass the statistics of a training, or training=True"
            )

    def _normalize(
        self,
        parameters: Mapping[str, Any],
        x: Any,
        statistics: Mapping[str, Array] | None,
        training: bool,
        comm: Comm,
    ) -> Any:
        inverse, half = self._roots(parameters)
        y = self._deform(x, inverse)
        center = bures_barycenter(y, comm=comm) if training else self._deform(statistics["mean"], inverse)  # type: ignore[index]
        moved = optimal_map(y, center)
        n = self.size
        root = lyapunov_power(add(moved, -_eye(moved, n)), center, exponent="1/2")
        if training:
            variance = batch_mean(sum_of(multiply(root, root), axis=(-2, -1)), comm=comm) * self.theta**-2
        else:
            variance = statistics["variance"]  # type: ignore[index]
        deviation = reshape(power(add(variance, self.eps), exponent=-0.5), shape=(self.channels, 1, 1))
        factor = multiply(positive_definite(parameters["scale"]), deviation)
        bias = positive_definite(parameters["bias"])
        carried = lyapunov_power(multiply(root, factor), bias, exponent="-1/2")
        step = add(carried, _eye(carried, n))
        kept = reeig(step, threshold=self.margin)
        if training and statistics is not None:
            raised = _trace(value_of(kept)) - _trace(value_of(step))
            roots = value_of(inverse), value_of(half)
            self._update(statistics, roots, value_of(center), value_of(variance), raised, comm)
        return self._restore(congruence(bias, kept), half)

    def _roots(self, parameters: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return M^-1/2 and M^1/2, None for M = I."""
        if not self.learn_metric:
            return None, None
        metric = parameters["metric"]
        return positive_definite(metric, exponent=-0.5), positive_definite(metric, exponent=0.5)

    def _deform(self, x: Any, inverse: Any) -> Any:
        """Return M^-1/2 X^theta M^-1/2."""
        raised = x if self.theta == 1 else matrix_function(x, name="power", exponent=self.theta)
        return raised if inverse is None else congruence(raised, inverse)

    def _restore(self, z: Any, half: Any) -> Any:
        """Return (M^1/2 Z M^1/2)^(1 / theta)."""
        out = z if half is None else congruence(z, half)
        return out if self.theta == 1 else matrix_function(out, name="power", exponent=1 / self.theta)

    def _update(
        self,
        statistics: Mapping[str, Array],
        roots: tuple[Any, Any],
        center: Array,
        variance: Array,
        raised: Array,
        comm: Comm,
    ) -> None:
        """Move the running mean along the geodesic to the batch's, and the other statistics along lines.

        `raised` (batch, channel) is the trace by which each sample was raised to the margin, up to rounding.
        """
        stopped = (raised > self.size * 1e3 * float(np.finfo(raised.dtype).eps)).astype(raised.dtype)
        outside = batch_mean(stopped, comm=comm)
        weight = max(self.momentum, 1 / (float(statistics["count"][0]) + 1))
        mean = center
        if weight < 1:
            mean = BuresWasserstein().geodesic(self._deform(statistics["mean"], roots[0]), center, weight)
        statistics["mean"][...] = self._restore(mean, roots[1])
        for name, value in (("variance", variance), ("outside", outside)):
            statistics[name][...] += weight * (value - statistics[name])
        statistics["count"][...] += 1


def _trace(x: Array) -> Array:
    return namespace(x).trace(x, axis1=-2, axis2=-1)


def _eye(like: Any, n: int) -> Array:
    return namespace(value_of(like)).eye(n, dtype=value_of(like).dtype)
