"""Weights that move to and fro between two codes: counted, and kept from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn.optim.adam import Optimizer, State

__all__ = ["FrozenWeights", "OscillationTracker"]


@entry
class OscillationTracker:
    """How often codes of weights change in a training, and how long each weight is above its lowest code.

    Parameters
    ----------
    codes : array of int
        Of the weights before the first step.

    Raises
    ------
    InvalidValueError, ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import OscillationTracker
    >>> tracker = OscillationTracker(np.array([0, 3]))
    >>> for codes in ([1, 3], [0, 3], [1, 3], [0, 3]):
    ...     tracker.update(np.array(codes))
    >>> tracker
    OscillationTracker(2 weights, 4 steps, 1 oscillating)
    >>> tracker.flips, tracker.mean
    (array([1., 0.]), array([0.5, 3. ]))
    """

    def __init__(self, codes: Array) -> None:
        self._last = _whole(codes).copy()
        xp = namespace(self._last)
        self.steps = 0
        self._flips, self._turns, self._sum = (xp.zeros(codes.shape, np.int64) for _ in range(3))
        self._direction = xp.zeros(codes.shape, np.int8)

    def __repr__(self) -> str:
        count = int(self.oscillating().sum())
        return f"OscillationTracker({self._last.size:,} weights, {self.steps} steps, {count:,} oscillating)"

    def update(self, codes: Array) -> None:
        """Take the codes after one more step.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        if codes.shape != self._last.shape:
            raise ShapeError(f"OscillationTracker: codes of shape {tuple(codes.shape)}; expected {self._last.shape}")
        moved = namespace(codes).sign(_whole(codes) - self._last).astype(np.int8)
        self._flips += moved != 0
        self._turns += moved * self._direction < 0
        self._direction = namespace(codes).where(moved != 0, moved, self._direction)
        self._last = _whole(codes).copy()
        self._sum += self._last
        self.steps += 1

    @property
    def flips(self) -> Array:
        """Changes of the code of each weight per step."""
        return self._flips / max(1, self.steps)

    @property
    def mean(self) -> Array:
        """Mean code of each weight over the steps: of two neighbors the lower, plus the share of time at the upper."""
        return self._sum / max(1, self.steps)

    def oscillating(self, per_step: float = 0.0) -> Array:
        """Return a mask of weights that flipped against their last direction more often than `per_step`."""
        return self._turns > per_step * self.steps


def _whole(codes: Array) -> Array:
    if getattr(codes.dtype, "kind", "") not in "iu":
        raise InvalidValueError(f"OscillationTracker: codes of dtype {codes.dtype}; expected whole numbers")
    return codes.astype(np.int64)


@entry
@dataclass(frozen=True)
class FrozenWeights:
    """An optimizer that moves part of the weights: others, and their moments, keep every bit.

    A gradient of zero is not enough to keep a weight: decay and momentum move it. Here weights and state are put back
    after the step of the optimizer inside.

    Parameters
    ----------
    optimizer : Optimizer
    frozen : dict name -> callable
        `frozen[name](weight)` returns where a parameter stands still, anew before every step: for
        `StatisticsQuantizer` of 2 bits `{"w.value": lambda w: freeze_mask(w, 2, 0.005)}`.

    Raises
    ------
    InvalidValueError
        For names of no parameter.

    References
    ----------
    Confidence-guided annealing of oscillation-free quantization, arXiv:2302.02210.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import AdamW, FrozenWeights
    >>> weights = {"w": np.array([1.0, 2.0])}
    >>> optimizer = FrozenWeights(AdamW(0.1, weight_decay=0.5), {"w": lambda w: w > 1.5})
    >>> optimizer.update(weights, {"w": np.ones(2)}, optimizer.start(weights), 1, 1.0)
    >>> weights["w"].round(2)
    array([0.85, 2.  ])
    """

    optimizer: Any
    frozen: Mapping[str, Callable[[Any], Any]]

    def start(self, parameters: Mapping[str, Array]) -> State:
        """Return the state of the optimizer inside."""
        unknown = sorted(set(self.frozen) - set(parameters))
        if unknown:
            raise InvalidValueError(f"FrozenWeights: {', '.join(unknown[:5])} to freeze; expected names of parameters")
        inner: Optimizer = self.optimizer
        return inner.start(parameters)

    def update(
        self, parameters: Mapping[str, Array], gradients: Mapping[str, Array], state: State, step: int, factor: float
    ) -> None:
        """Make a step with what is not frozen."""
        masks = {name: mask(parameters[name]) for name, mask in self.frozen.items()}
        for name, mask in masks.items():
            if mask.shape != parameters[name].shape or mask.dtype != np.bool_:
                raise ShapeError(
                    f"FrozenWeights: the mask of {name} is {mask.dtype} of shape {tuple(mask.shape)}; expected bool of "
                    f"{tuple(parameters[name].shape)}"
                )
        held = [(group[name], mask, group[name][mask]) for group in (parameters, *state.values())
                for name, mask in masks.items() if name in group and group[name].shape == mask.shape]  # fmt: skip
        free = {name: g * ~masks[name] if name in masks else g for name, g in gradients.items()}
        self.optimizer.update(parameters, free, state, step, factor)
        for array, mask, values in held:
            array[mask] = values
