"""M-FAC: steps along the inverse of the empirical Fisher matrix of the last gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.distributed import Comm, agreed, allreduce_sum
from sci.errors import InvalidValueError
from sci.linalg.gram import cholesky_factor, combined, inner_products
from sci.linalg.lanczos import power_of_two
from sci.nn.core.packing import kinds_of, packed, real_view, unpacked
from sci.nn.core.trees import Tree, named_arrays
from sci.nn.optim.adam import State, check_rates, check_settings, zeros_like

__all__ = ["MFAC"]


@entry
@dataclass(frozen=True)
class MFAC:
    """Steps w <- w - learning_rate F^-1 g with F = damping I + (1 / m) sum g_i g_i' over the last m gradients.

    The gradient of the step is the newest of them, so that F^-1 g = m G'(G G' + m damping I)^-1 e, a combination of the
    gradients in which nothing cancels: it is right in single precision at any damping.

    Parameters
    ----------
    learning_rate : float
        Size of a step over that of the preconditioned gradient.
    window : int
        m, the number of gradients kept.
    damping : float
        Positive; in units of squared gradients. Directions in which the gradients vary by less are steps along the
        gradient over the damping.
    momentum : float
        v <- momentum v + (1 - momentum) F^-1 g is stepped along.
    weight_decay : float
        w shrinks by 1 - learning_rate weight_decay; it does not enter F.
    rates : dict name -> float
        As in `Adam`.
    comm : mpi4py communicator, optional
        Ranks over which the parameters are split, as in a tensor-parallel model: F is that of all. Data-parallel ranks,
        whose gradients are averaged, leave it out.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    m numbers of memory a parameter; a step costs about 4 m flops a parameter in a few passes over the window, and
    m^3 / 3 for the factor. Under `comm` 2 m numbers are summed over the ranks; `update` is collective.

    References
    ----------
    Frantar, Kurtic and Alistarh, NeurIPS 2021, arXiv:2107.03356. Their recursions over the window give the same numbers
    in exact arithmetic; in float32 their F^-1 g, a difference of g / damping and a nearly equal vector, is off by a
    tenth to all of itself. The window starts with the gradients there are, not with zeros, which would count in m.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import MFAC
    >>> w = {"w": np.array([1.0, 1.0])}
    >>> optimizer = MFAC(0.1, window=4, damping=1e-3)
    >>> optimizer.update(w, {"w": np.array([3.0, 4.0])}, optimizer.start(w), 1, 1.0)
    >>> w["w"].round(6)  # g / (damping + |g|^2)
    array([0.988   , 0.984001])
    """

    learning_rate: float = 1e-2
    _: KW_ONLY
    window: int = 64
    damping: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)
    comm: Comm = None

    def __post_init__(self) -> None:
        check_rates(self.rates)
        check_settings(learning_rate=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay)
        if self.window < 1 or not 0 < self.damping < np.inf:
            raise InvalidValueError(
                f"window is {self.window}, damping is {self.damping}; expected a positive integer and a positive number"
            )

    def start(self, parameters: Tree) -> State:
        """Return an empty window, and its Gram matrix; collective over `comm`."""
        with agreed(self.comm, "MFAC.start") as agreement:
            parameters = named_arrays(parameters, "parameters")
            check_rates(self.rates, parameters)
            flat = [real_view(p) for p in parameters.values()]
            xp, dtypes = namespace(*flat), {p.dtype for p in flat}
            if len(dtypes) != 1:
                names = ", ".join(sorted(map(str, dtypes))) or "no numbers"
                raise InvalidValueError(f"parameters of {names}; expected one precision for M-FAC")
            agreement.same(window=self.window, damping=self.damping, learning_rate=self.learning_rate)
            agreement.same(momentum=self.momentum, weight_decay=self.weight_decay)
        rows = xp.zeros((self.window, sum(p.size for p in flat)), dtypes.pop())
        state = {"window": {"rows": rows}, "gram": {"gram": xp.zeros((self.window, self.window))}}
        return {**state, "momentum": zeros_like(parameters)} if self.momentum else state

    def update(self, parameters: Tree, gradients: Tree, state: State, step: int, factor: float) -> None:
        """Make step number `step`, from 1, in place."""
        parameters, gradients = named_arrays(parameters, "parameters"), named_arrays(gradients, "gradients")
        direction, rate = self._direction(parameters, gradients, state, step), self.learning_rate * factor
        for name, own in unpacked(direction, kinds_of(parameters)).items():
            w = parameters[name]
            if self.momentum:
                moment = state["momentum"][name]
                moment *= self.momentum
                moment += (1 - self.momentum) * own
                own = moment
            if self.weight_decay:
                w *= 1 - rate * self.weight_decay
            w -= rate * self.rates.get(name, 1.0) * own

    def _direction(
        self, parameters: Mapping[str, Array], gradients: Mapping[str, Array], state: State, step: int
    ) -> Array:
        """Put the gradient in the window, and return F^-1 g in its dtype."""
        rows, gram = state["window"]["rows"], state["gram"]["gram"]
        xp, newest, count = namespace(rows), (step - 1) % self.window, min(step, self.window)
        rows[newest] = packed({name: gradients[name] for name in parameters})
        with agreed(self.comm, "MFAC.update"):
            if not bool(xp.isfinite(rows[newest]).all()):
                raise InvalidValueError("a gradient holds NaN or Inf; expected finite numbers")
        products = allreduce_sum(inner_products(rows[newest : newest + 1], rows[:count])[0], self.comm, checked=True)
        gram[newest, :count], gram[:count, newest] = products, products
        # F^-1 g = m G'(G G' + m damping I)^-1 e in units of the longest gradient.
        unit = power_of_two(float(xp.diagonal(gram).max()) ** 0.5)
        own, shift = gram[:count, :count] / unit / unit, count * (self.damping / unit / unit)
        cholesky_factor(own, shift, self.damping)  # refuses what rounding makes singular
        e = xp.zeros(count)
        e[newest] = count / unit
        weights = xp.linalg.solve(own + shift * xp.eye(count), e)
        return (combined(weights[None], rows[:count])[0] / unit).astype(rows.dtype)
