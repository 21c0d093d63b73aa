"""Optimizers: plain settings with a state of named arrays; parameters change in place.

An optimizer is a frozen dataclass with two methods. `start(parameters)` returns the state, a dict of dicts of arrays
that a checkpoint can store; `update(parameters, gradients, state, step, factor)` makes step number `step` (from 1) with
the learning rate times `factor`. A complex number counts as two real ones. Nested parameters have the names of
`flatten_tree`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from sci.arguments import entry
from sci.backend import Array, is_device_array, namespace, to_device
from sci.backend.later import refuse_by
from sci.errors import ConvergenceError, InvalidValueError
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.nn.core.packing import real_view
from sci.nn.core.trees import Tree, map_tree, named_arrays
from sci.nn.optim.parts import Part, adam_parts, fuses

__all__ = ["Adam", "AdamW", "Optimizer", "State", "clip_by_global_norm", "global_norm"]

State = dict[str, dict[str, Array]]
_OVERFLOW = (
    "the {} of {!r} is NaN or infinite; expected gradients {} stay within {}: scale the loss, clip the gradients, or "
    "go on from a checkpoint, for other parameters have made their step"
)


class Optimizer(Protocol):
    """The two methods that the training loop calls.

    An attribute `elementwise` that is true says that each entry is stepped by itself: parts of arrays, on a grid of
    ranks, are then stepped like the whole.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Adam
    >>> parameters = {"w": np.ones(2)}
    >>> optimizer = Adam(0.1)
    >>> state = optimizer.start(parameters)
    >>> optimizer.update(parameters, {"w": np.ones(2)}, state, 1, 1.0)
    >>> np.round(parameters["w"], 6)
    array([0.9, 0.9])
    """

    def start(self, parameters: Mapping[str, Array]) -> State:
        """Return the state before the first step."""

    def update(
        self, parameters: Mapping[str, Array], gradients: Mapping[str, Array], state: State, step: int, factor: float
    ) -> None:
        """Change `parameters` and `state` in place."""


def zeros_like(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Return an array of zeros for each parameter."""
    return {name: namespace(p).zeros(p.shape, p.dtype) for name, p in parameters.items()}


def check_settings(**settings: float) -> None:
    """Raise InvalidValueError for a setting that is negative, NaN or infinite, or a decay of 1 or more."""
    for name, value in settings.items():
        limit = 1.0 if name.startswith(("beta", "momentum")) else math.inf
        if not 0 <= value < limit:
            raise InvalidValueError(f"{name} is {value}; expected a number from 0 to below {limit}")


def require_finite_moments(moments: Mapping[str, Array], what: str, squared: bool) -> None:
    """Raise ConvergenceError, naming the parameter, for a moment that is NaN or infinite: steps would be 0 or NaN."""
    ends = [end for m in moments.values() if m.size for flat in [real_view(m)] for end in _ends(flat, squared)]
    if not ends:
        return
    xp = namespace(*moments.values())
    if bool(xp.isfinite(xp.stack([end.astype(np.float64) for end in ends])).all()):
        return
    odd = next(n for n, m in moments.items() if not bool(namespace(m).isfinite(m).all()))
    gradients = "whose squares" if squared else "whose sums"
    raise ConvergenceError(_OVERFLOW.format(what, odd, gradients, moments[odd].dtype))


def _ends(flat: Array, squared: bool) -> list[Array]:
    return [flat.max()] if squared else [flat.max(), flat.min()]


def check_rates(rates: Mapping[str, float], parameters: Mapping[str, Array] | None = None) -> None:
    """Raise InvalidValueError for rates that are negative, NaN or infinite, or of parameters that are not there."""
    check_settings(**{f"rates[{name!r}]": rate for name, rate in rates.items()})
    if parameters is None:
        return
    unknown = sorted(set(rates) - set(parameters))
    if unknown:
        raise InvalidValueError(f"rates for {', '.join(unknown[:5])}; expected names of parameters")


def adam_step(
    w: Array, g: Array, m: Array, v: Array, settings: tuple[float, ...], direction: bool = False
) -> Array | None:
    """Update the moments `m`, `v` of flat real arrays, and `w` in place, or return the direction of the step.

    Parameters
    ----------
    w, g, m, v : (n,) arrays of one dtype, C-contiguous
    settings : beta1, beta2, 1 - beta1^t, sqrt(1 - beta2^t), eps, l2, keep, rate
        w <- keep w - rate (m / c1) / (sqrt(v) / c2 + eps), with l2 w added to the gradient.
    direction : bool
        Return (m / c1) / (sqrt(v) / c2 + eps) and leave `w` as it is.
    """
    kernel = get_kernel("nn/pointwise.cu", "adam", w.dtype, direction)
    if not use_compiled(kernel, w):
        return adam_reference(w, g, m, v, settings, direction)
    xp = namespace(w)
    out = xp.empty(w.size if direction else 0, w.dtype)
    elements = block_size(w) * (4 if is_device_array(w) else 256)
    launch(kernel, -(-w.size // elements), w, xp.ascontiguousarray(g), m, v, out, w.size, *settings)
    return out if direction else None


def adam_reference(
    w: Array, g: Array, m: Array, v: Array, settings: tuple[float, ...], direction: bool
) -> Array | None:
    """Reference of the kernel `adam`, in array calls."""
    beta1, beta2, c1, c2, eps, l2, keep, rate = settings
    g = g + l2 * w
    m[...] = beta1 * m + (1 - beta1) * g
    with np.errstate(over="ignore"):  # the optimizer refuses it by name
        v[...] = beta2 * v + (1 - beta2) * g * g
    step = m / (c1 * (namespace(v).sqrt(v) / c2 + eps))
    if direction:
        return step
    w[...] = keep * w - rate * step
    return None


@entry
@dataclass(frozen=True)
class Adam:
    """Adam: steps of the mean gradient over its root mean square.

    m <- b1 m + (1 - b1) g and v <- b2 v + (1 - b2) g^2, then
    w <- w - learning_rate m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps).

    Parameters
    ----------
    learning_rate : float
        About the change of a parameter in a step.
    betas : (float, float)
    eps : float
        Added to the root of the second moment, in units of the gradient.
    weight_decay : float
        Here weight_decay w is added to the gradient; `AdamW` shrinks w by 1 - learning_rate weight_decay instead.
    rates : dict name -> float
        Factors of the learning rate of single parameters, as `with_roles` sets them; 1 for all others.

    Raises
    ------
    InvalidValueError
        Also in `start`, for rates of parameters that are not there.
    ConvergenceError
        In `update`, for a second moment that overflows.

    References
    ----------
    Kingma and Ba, arXiv:1412.6980, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Adam
    >>> w = {"w": np.ones(2)}
    >>> optimizer = Adam(learning_rate=0.1)
    >>> optimizer.update(w, {"w": np.array([1.0, -1.0])}, optimizer.start(w), 1, 1.0)
    >>> w["w"].round(6)
    array([0.9, 1.1])
    """

    learning_rate: float = 1e-3
    _: KW_ONLY
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)
    elementwise: ClassVar[bool] = True  # each entry is stepped by itself: parts of arrays are stepped like the whole

    def __post_init__(self) -> None:
        check_rates(self.rates)
        check_settings(
            learning_rate=self.learning_rate,
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=self.eps,
            weight_decay=self.weight_decay,
        )

    def start(self, parameters: Tree) -> State:
        """Return zero moments."""
        parameters = named_arrays(parameters, "parameters")
        check_rates(self.rates, parameters)
        return {"first": zeros_like(parameters), "second": zeros_like(parameters)}

    def _settings(self, step: int, factor: float) -> tuple[float, ...]:
        b1, b2 = self.betas
        moments = (b1, b2, 1 - b1**step, math.sqrt(1 - b2**step), self.eps)
        return (*moments, self.weight_decay, 1.0, self.learning_rate * factor)

    def update(self, parameters: Tree, gradients: Tree, state: State, step: int, factor: float) -> None:
        """Make step number `step`, from 1, in place; one pass of a compiled kernel over each parameter.

        On a device parameters share the passes, 20 of them each.
        """
        parameters, gradients = named_arrays(parameters, "parameters"), named_arrays(gradients, "gradients")
        *settings, rate = self._settings(step, factor)
        if parameters and fuses(parameters.values()):
            whole = to_device(np.array([*settings, rate]), namespace(*parameters.values()))
            self.update_by(whole, parameters, gradients, state)
            return
        for name, w in parameters.items():
            first, second = real_view(state["first"][name]), real_view(state["second"][name])
            g = namespace(w).ascontiguousarray(gradients[name])
            adam_step(real_view(w), real_view(g), first, second, (*settings, rate * self.rates.get(name, 1.0)))
        require_finite_moments({name: state["second"][name] for name in parameters}, "second moment", True)

    def settings_of(self, step: int, factor: float) -> np.ndarray:
        """Return the numbers of step `step` for `update_by`, (8,) float64."""
        return np.array(self._settings(step, factor))

    def update_by(
        self, settings: Array, parameters: Mapping[str, Array], gradients: Mapping[str, Array], state: State
    ) -> None:
        """Make a step on a device by the numbers of `settings_of`, which lie there: work that a graph can record.

        Parameters
        ----------
        settings : (8,) float64 array
        parameters, gradients : dict of arrays
            By name, not nested, on the device, of one precision.
        state : dict of dicts of arrays
            From `start`.

        Raises
        ------
        ConvergenceError
            For a second moment that overflows; of recorded work where its checks are made.
        """
        parts: list[Part] = []
        for name, w in parameters.items():
            g = real_view(namespace(w).ascontiguousarray(gradients[name]))
            moments = (real_view(state["first"][name]), real_view(state["second"][name]))
            parts.append((real_view(w), g, *moments, self.rates.get(name, 1.0)))
        names = list(parameters)

        def check(found: np.ndarray) -> None:
            if found.any():
                name = names[int(found.argmax())]
                raise ConvergenceError(_OVERFLOW.format("second moment", name, "whose squares", parameters[name].dtype))

        refuse_by(adam_parts(parts, settings), check)


@entry
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: w shrinks by 1 - learning_rate weight_decay before each step.

    Parameters
    ----------
    learning_rate, betas, eps, rates
        As in `Adam`; decay does not see `rates`.
    weight_decay : float
        Part of a weight that a step of rate 1 takes away.

    References
    ----------
    Loshchilov and Hutter, arXiv:1711.05101, algorithm 2.

    Examples
    --------
    >>> from sci.nn import AdamW
    >>> AdamW(1e-3, weight_decay=0.01).betas
    (0.9, 0.999)
    """

    _: KW_ONLY
    weight_decay: float = 1e-2

    def _settings(self, step: int, factor: float) -> tuple[float, ...]:
        rate = self.learning_rate * factor
        return (*super()._settings(step, factor)[:5], 0.0, 1 - rate * self.weight_decay, rate)


@entry
def global_norm(gradients: Tree) -> float:
    """Return the Euclidean norm over all arrays together; NaN or infinite if any entry is.

    Parameters
    ----------
    gradients : dict of arrays, or of dicts and lists of them
        In the form of the parameters.

    Returns
    -------
    float
        Root of the sum of squared moduli over all arrays.

    Notes
    -----
    Squares that overflow or vanish are taken again in units of the largest entry.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import global_norm
    >>> global_norm({"a": np.array([3.0]), "b": np.array([4.0])})
    5.0
    """
    gradients = named_arrays(gradients, "gradients")
    if not gradients:
        return 0.0
    norm = _norm(gradients.values())
    if 0 < norm < math.inf:
        return norm
    largest = max(float(namespace(g).abs(g).max()) if g.size else 0.0 for g in gradients.values())
    if not 0 < largest < math.inf:
        return norm
    return largest * _norm([g / largest for g in gradients.values()])


def _norm(arrays: Iterable[Array]) -> float:
    with np.errstate(over="ignore"):
        squares = [namespace(g).vdot(g, g).real for g in arrays]
        return math.sqrt(float(sum(squares[1:], squares[0])))


@entry
def clip_by_global_norm(gradients: Tree, limit: float) -> tuple[Any, float]:
    """Return the gradients, scaled down together where their norm is above `limit`, and that norm.

    Parameters
    ----------
    gradients : dict of arrays, or of dicts and lists of them
        In the form of the parameters.
    limit : float
        Largest norm, positive.

    Returns
    -------
    (arrays in the form of `gradients`, float)

    Raises
    ------
    InvalidValueError
        If `limit` is not positive.
    ConvergenceError
        If the norm is NaN or infinite: no factor brings it to the limit.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import clip_by_global_norm
    >>> clip_by_global_norm({"a": np.array([3.0, 4.0])}, 1.0)
    ({'a': array([0.6, 0.8])}, 5.0)
    """
    if not limit > 0:
        raise InvalidValueError(f"the limit of a norm is {limit}; expected a positive number")
    norm = global_norm(gradients)
    if not math.isfinite(norm):
        raise ConvergenceError(f"the norm of the gradients is {norm}; expected a finite one, which a factor can clip")
    factor = limit / norm if norm > limit else 1.0
    return map_tree(lambda g: g * factor if factor < 1 else g, gradients), norm
