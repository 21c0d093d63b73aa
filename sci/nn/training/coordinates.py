"""The coordinate check: how far activations move in the first steps, width by width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, to_host
from sci.errors import ConvergenceError, InvalidValueError
from sci.nn.core.activations import collect_activations
from sci.nn.core.gradients import value_and_gradients
from sci.nn.core.trees import Tree, map_tree
from sci.nn.optim.adam import Optimizer

__all__ = ["CoordinateCheck", "coordinate_check"]


@dataclass(frozen=True, eq=False)
class CoordinateCheck:
    """Mean absolute change of each layer's activations after a few steps of training.

    Parameters
    ----------
    widths : tuple of int
    layers : tuple of str
        Names of the layers in their order, as `collect_activations` gives them.
    changes : (n_widths, n_layers) float64 array
    steps : int

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import CoordinateCheck
    >>> CoordinateCheck((16, 64), ("linear_0",), np.array([[0.1], [0.2]]), 3).slopes
    array([0.5])
    """

    widths: tuple[int, ...]
    layers: tuple[str, ...]
    changes: np.ndarray
    steps: int

    @property
    def slopes(self) -> np.ndarray:
        """Exponent of the width in the change of each layer, (n_layers,): 0 where the width does not matter.

        Positive where wider networks move further, and blow up at some width; negative where they learn ever less.
        """
        logs = np.log(np.asarray(self.widths, dtype=float))
        away = logs - logs.mean()
        return np.asarray(away @ np.log(self.changes) / (away @ away))

    def __repr__(self) -> str:
        low, high = self.slopes.min(), self.slopes.max()
        return (
            f"CoordinateCheck(widths {self.widths[0]} to {self.widths[-1]}, {len(self.layers)} layers, slopes "
            f"{low:.2f} to {high:.2f} after {self.steps} steps)"
        )


@entry
def coordinate_check(
    make: Callable[[int, int], tuple[Tree, Optimizer]],
    forward: Callable[[Any, Array], Any],
    loss: Callable[[Any], Any],
    x: Array,
    *,
    widths: Sequence[int],
    steps: int = 3,
    seeds: int = 3,
) -> CoordinateCheck:
    """Train networks of several widths for a few steps, and measure how far each layer's activations have moved.

    Under the maximal update rule the changes do not depend on the width; with standard initial values and one rate they
    grow until training diverges, or the rate must shrink.

    Parameters
    ----------
    make : callable
        `make(width, seed)` returns fresh parameters and the optimizer.
    forward : callable
        `forward(parameters, x)` returns the output, by ops of `sci.nn`.
    loss : callable
        Of the output of `forward` for `x`.
    x : (n, ...) array
        One batch, used in every step.
    widths : sequence of int
        At least two different ones.
    steps : int
    seeds : int
        Networks of each width, over which changes are averaged.

    Returns
    -------
    CoordinateCheck

    Raises
    ------
    InvalidValueError
    ConvergenceError
        If activations become NaN or infinite.

    References
    ----------
    Yang et al., arXiv:2203.03466, section 9 and appendix D.1.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Adam, coordinate_check, linear, mean
    >>> def make(width, seed):
    ...     return {"w": np.random.default_rng(seed).normal(size=(width, 4))}, Adam(0.01)
    >>> found = coordinate_check(make, lambda p, x: linear(x, p["w"]), mean, np.ones((5, 4)), widths=[8, 32])
    >>> found.layers, abs(found.slopes.round(6))
    (('linear_0',), array([0.]))
    """
    if len(set(widths)) < 2 or min(widths) < 1 or min(steps, seeds) < 1:
        raise InvalidValueError(
            f"widths {list(widths)}, steps {steps}, seeds {seeds}; expected two different widths, positive numbers"
        )
    ordered = sorted(set(widths))
    rows: list[list[float]] = []
    names: tuple[str, ...] = ()
    for width in ordered:
        sums: dict[str, float] = {}
        for seed in range(seeds):
            moved = _moved(*make(width, seed), forward, loss, x, steps)
            for name, change in moved.items():
                sums[name] = sums.get(name, 0.0) + change / seeds
        if names and names != tuple(sums):
            raise InvalidValueError(
                f"layers {names} at width {ordered[0]}, {tuple(sums)} at {width}; expected the same"
            )
        names = tuple(sums)
        rows.append(list(sums.values()))
    return CoordinateCheck(tuple(ordered), names, np.array(rows), steps)


def _moved(
    parameters: Tree,
    optimizer: Optimizer,
    forward: Callable[[Any, Array], Any],
    loss: Callable[[Any], Any],
    x: Array,
    steps: int,
) -> dict[str, float]:
    """Return the mean absolute change of each layer that changed."""
    own = map_tree(lambda array: array.copy(), parameters)
    before = collect_activations(lambda v: forward(own, v), x, batch_size=len(x))
    before = {name: value.copy() for name, value in before.items()}
    state = optimizer.start(own)
    for step in range(1, steps + 1):
        _, gradients = value_and_gradients(lambda p: loss(forward(p, x)), own)
        optimizer.update(own, gradients, state, step, 1.0)
    after = collect_activations(lambda v: forward(own, v), x, batch_size=len(x))
    found = {}
    for name, old in before.items():
        change = float(to_host(namespace(old).abs(after[name] - old).mean()))
        if not np.isfinite(change):
            raise ConvergenceError(f"coordinate_check: layer {name} is NaN or infinite after {steps} steps")
        if change > 0:
            found[name] = change
    return found
