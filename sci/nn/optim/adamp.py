"""AdamP and SGDP: steps without the radial part that only grows the norm of scale-invariant weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar, Literal

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError
from sci.nn.core.packing import real_view
from sci.nn.core.trees import Tree, named_arrays
from sci.nn.optim.adam import (
    Adam,
    State,
    adam_step,
    check_rates,
    check_settings,
    require_finite_moments,
    zeros_like,
)

__all__ = ["SGDP", "AdamP", "WeightView", "project_radial", "radial_view"]

WeightView = Literal["channel", "layer"]
"""The vectors that a weight consists of: one for each entry of its first axis, or the whole array."""


def _rows(array: Array, view: WeightView) -> Array:
    """The real numbers of `array` as rows, one for each entry of its first axis or one in all."""
    return real_view(array).reshape(array.shape[0] if view == "channel" and array.ndim else 1, -1)


def _units(rows: Array) -> Array:
    """Return the rows in units of their largest entry: their squares neither overflow nor vanish."""
    xp = namespace(rows)
    top = xp.abs(rows).max(axis=1, keepdims=True) if rows.size else xp.ones((len(rows), 1), rows.dtype)
    return rows / xp.where(top > 0, top, 1)


@entry
def project_radial(weight: Array, step: Array, view: WeightView) -> Array:
    """Return `step` without its part along `weight`: u - w (w . u) / (w . w), in every row of the view.

    Parameters
    ----------
    weight, step : arrays of one shape, C-contiguous
    view : "channel" (each entry of the first axis is a vector) or "layer" (the whole array is one)

    Returns
    -------
    array
        What is left of `step`, with its shape.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import project_radial
    >>> project_radial(np.array([[1.0, 0.0]]), np.array([[2.0, 3.0]]), "layer")
    array([[0., 3.]])
    """
    xp = namespace(weight, step)
    w, u = _units(_rows(weight, view)), _rows(step, view)
    along = (w * u).sum(axis=1, keepdims=True)
    square = (w * w).sum(axis=1, keepdims=True)
    part = w * (along / xp.where(square > 0, square, 1))
    return xp.ascontiguousarray(u - part).reshape(-1).view(step.dtype).reshape(step.shape)


@entry
def radial_view(weight: Array, gradient: Array, delta: float) -> WeightView | None:
    """Return the first view in which all gradients are nearly orthogonal to the weights, or None.

    The test is max |cos(w, g)| < delta / sqrt(dim) over the rows, as a scale-invariant function has w . g = 0.

    Parameters
    ----------
    weight : array
        A parameter.
    gradient : array
        Its gradient.
    delta : float
        Largest cosine that counts as orthogonal.

    Returns
    -------
    WeightView or None

    Notes
    -----
    For a gradient without any such property the view "layer" still passes in 8 % of the steps at delta = 0.1, whatever
    the shape (its cosine is normal with deviation 1 / sqrt(dim)); name scale-invariant parameters where they are known.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import radial_view
    >>> radial_view(np.array([[1.0, 0.0]]), np.array([[0.0, 3.0]]), 0.1)
    'channel'
    """
    if weight.ndim < 2:
        return None
    xp = namespace(weight, gradient)
    views: tuple[WeightView, WeightView] = ("channel", "layer")
    for view in views:
        w, g = _units(_rows(weight, view)), _units(_rows(gradient, view))
        size = xp.sqrt((w * w).sum(axis=1) * (g * g).sum(axis=1))
        cosine = xp.abs((w * g).sum(axis=1)) / xp.where(size > 0, size, 1)
        if float(cosine.max()) < delta / math.sqrt(w.shape[1]):
            return view
    return None


@dataclass(frozen=True)
class _Projection:
    delta: float = 0.1
    wd_ratio: float = 0.1
    scale_invariant: Mapping[str, WeightView] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_settings(delta=self.delta, wd_ratio=self.wd_ratio)
        for name, view in self.scale_invariant.items():
            if view not in ("channel", "layer"):
                raise InvalidValueError(f"scale_invariant[{name!r}] is {view!r}; expected 'channel' or 'layer'")

    def apply(self, name: str, weight: Array, gradient: Array, step: Array) -> tuple[Array, float]:
        """Return the step, projected where the weight is scale-invariant, and the factor of the weight decay."""
        view = self.scale_invariant.get(name) or radial_view(weight, gradient, self.delta)
        return (step, 1.0) if view is None else (project_radial(weight, step, view), self.wd_ratio)


@entry
@dataclass(frozen=True)
class AdamP(Adam):
    """AdamW whose steps lose their radial part where the gradient shows that the weight is scale-invariant.

    If f(c w) = f(w), then w . grad f = 0, and momentum makes |w| grow faster than plain descent, by a factor up to
    1 + 2 b / (1 - b) in its square, which shrinks the effective step. Weight decay is weaker where a step is projected.

    Parameters
    ----------
    learning_rate, betas, eps, weight_decay, rates
        As in `AdamW`.
    delta : float
        Threshold of the cosine, see `radial_view`; 0 projects only what `scale_invariant` names.
    wd_ratio : float
        Factor of the weight decay of projected parameters.
    scale_invariant : dict name -> "channel" or "layer"
        Parameters that are known to be scale-invariant: always projected, without the test. Not in the paper.

    References
    ----------
    Heo et al., ICLR 2021, arXiv:2006.08217, algorithms 1 and 2.

    Examples
    --------
    >>> from sci.nn import AdamP
    >>> AdamP(1e-3, scale_invariant={"layer.weight": "channel"}).delta
    0.1
    """

    _: KW_ONLY
    delta: float = 0.1
    wd_ratio: float = 0.1
    scale_invariant: Mapping[str, WeightView] = field(default_factory=dict)
    elementwise: ClassVar[bool] = False  # a projection needs whole weights

    def __post_init__(self) -> None:
        super().__post_init__()
        self._projection()

    def _projection(self) -> _Projection:
        return _Projection(self.delta, self.wd_ratio, self.scale_invariant)

    def update(self, parameters: Tree, gradients: Tree, state: State, step: int, factor: float) -> None:
        """Make step number `step`, from 1, in place."""
        parameters, gradients = named_arrays(parameters, "parameters"), named_arrays(gradients, "gradients")
        settings, projection = (*self._settings(step, factor)[:5], 0.0, 1.0, 0.0), self._projection()
        for name, w in parameters.items():
            first, second = real_view(state["first"][name]), real_view(state["second"][name])
            g = namespace(w).ascontiguousarray(gradients[name])
            flat = adam_step(real_view(w), real_view(g), first, second, settings, direction=True)
            assert flat is not None
            direction, decay = projection.apply(name, w, g, flat.view(w.dtype).reshape(w.shape))
            w *= 1 - self.learning_rate * factor * self.weight_decay * decay
            w -= self.learning_rate * factor * self.rates.get(name, 1.0) * direction
        require_finite_moments({name: state["second"][name] for name in parameters}, "second moment", True)


@entry
@dataclass(frozen=True)
class SGDP:
    """Descent with momentum whose steps lose their radial part as in `AdamP`.

    p <- momentum p + g; w <- w - learning_rate P(p), or learning_rate P(g + momentum p) with `nesterov`.

    Parameters
    ----------
    learning_rate, momentum : float
        Size of a step over that of the gradient, and the part of the last step that is kept.
    nesterov : bool
    weight_decay : float
        w shrinks by 1 - learning_rate weight_decay / (1 - momentum).
    delta, wd_ratio, scale_invariant, rates
        As in `AdamP`.

    Notes
    -----
    The momentum itself is not projected, as in the paper; the authors' package (adamp 0.3.0) projects it in place where
    `nesterov` is off.

    References
    ----------
    Heo et al., ICLR 2021, arXiv:2006.08217, algorithm 1.

    Examples
    --------
    >>> from sci.nn import SGDP
    >>> SGDP(1e-2, momentum=0.9, nesterov=True).learning_rate
    0.01
    """

    learning_rate: float = 1e-2
    _: KW_ONLY
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    delta: float = 0.1
    wd_ratio: float = 0.1
    scale_invariant: Mapping[str, WeightView] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_rates(self.rates)
        check_settings(learning_rate=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay)
        self._projection()

    def _projection(self) -> _Projection:
        return _Projection(self.delta, self.wd_ratio, self.scale_invariant)

    def start(self, parameters: Tree) -> State:
        """Return zero momenta."""
        parameters = named_arrays(parameters, "parameters")
        check_rates(self.rates, parameters)
        return {"momentum": zeros_like(parameters)}

    def update(self, parameters: Tree, gradients: Tree, state: State, step: int, factor: float) -> None:
        """Make step number `step`, from 1, in place."""
        parameters, gradients = named_arrays(parameters, "parameters"), named_arrays(gradients, "gradients")
        projection, rate = self._projection(), self.learning_rate * factor
        for name, w in parameters.items():
            g, p = namespace(w).ascontiguousarray(gradients[name]).reshape(w.shape), state["momentum"][name]
            p *= self.momentum
            with np.errstate(over="ignore"):  # refused by name below
                p += g
            direction, decay = projection.apply(name, w, g, g + self.momentum * p if self.nesterov else p)
            if self.weight_decay:
                w *= 1 - rate * self.weight_decay * decay / (1 - self.momentum)
            w -= rate * self.rates.get(name, 1.0) * direction
        require_finite_moments(state["momentum"], "momentum", False)
