"""The protocol of models, and the plain states of models and trainings that files hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np

from sci.arguments import entry
from sci.backend import Array
from sci.errors import DTypeError, InvalidValueError
from sci.nn.optim.adam import State

__all__ = ["Checkpoint", "Model", "ModelState"]


def _check_names(names: Mapping[str, Any], what: str) -> None:
    for name in names:
        if not isinstance(name, str) or not name.strip(".") or "/" in name or not name.isprintable():
            raise InvalidValueError(f"{what} is named {name!r}; expected printable text without '/'")


def _check_arrays(arrays: Mapping[str, Array], what: str) -> None:
    _check_names(arrays, what)
    for name, array in arrays.items():
        dtype = getattr(array, "dtype", type(array))
        if getattr(dtype, "str", "")[1:] not in ("f4", "f8", "c8", "c16"):
            raise DTypeError(f"{what} {name!r} has dtype {dtype}; expected floats or complex numbers, single or double")


def _check_json(value: Any, what: str) -> None:
    try:
        same = json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"{what} cannot be written as JSON: {error}") from error
    if not same:
        raise InvalidValueError(f"{what} changes when written as JSON; expected dicts, lists, texts, numbers, booleans")


class Model(Protocol):
    """A class of models that files hold: what to store, and the way back.

    Models are made by their constructor or by `create(..., seed=)`, trained by their `train` or by `sci.nn.train`,
    saved by `sci.io.save(path, model)`, and loaded by `sci.io.load(path)`, which returns an object of the same class. A
    class of your own is registered for files by `sci.io.model_codec`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import ModelState
    >>> class Scale:
    ...     def __init__(self, parameters):
    ...         self.parameters = parameters
    ...     def to_state(self):
    ...         return ModelState("scale", {}, self.parameters)
    ...     @classmethod
    ...     def from_state(cls, state):
    ...         return cls(state.parameters)
    >>> Scale({"w": np.ones(1)}).to_state().name
    'scale'
    """

    def to_state(self) -> ModelState:
        """Return name, options and parameters."""

    @classmethod
    def from_state(cls, state: ModelState, /) -> Self:
        """Return the model of these options and parameters; raise an error of `sci.errors` if they do not fit."""


@entry
@dataclass(frozen=True)
class ModelState:
    """The plain state of a model, as a file holds it.

    Parameters
    ----------
    name : str
        Of the class, like "FNO".
    options : dict
        What its constructor takes, as JSON: dicts with text keys, lists, texts, numbers, booleans, None.
    parameters : dict of arrays
        float32, float64, complex64 or complex128, on either side.

    Raises
    ------
    InvalidValueError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import ModelState
    >>> ModelState("line", {"degree": 1}, {"slope": np.ones(2)})
    ModelState('line', options=['degree'], 2 parameters)
    """

    name: str
    options: dict[str, Any]
    parameters: dict[str, Array]

    def __repr__(self) -> str:
        count = sum(int(p.size) for p in self.parameters.values())
        return f"ModelState({self.name!r}, options={sorted(self.options)}, {count:,} parameters)"

    def __post_init__(self) -> None:
        _check_names({self.name: None}, "a model")
        _check_json(self.options, "the options of a model")
        _check_arrays(self.parameters, "the parameter")


@entry
@dataclass(frozen=True)
class Checkpoint:
    """A training after `step` steps: all that it needs to go on to the same bits.

    Parameters
    ----------
    step : int
        Steps made; epoch and place in it follow, and so do the shuffled orders, from the seed in `settings`.
    parameters : dict of arrays
    optimizer : dict of dicts of arrays
        The optimizer's state.
    losses : (step,) float64
        The loss of every step, before it.
    metrics : dict of (epochs,) float64 arrays
        What `evaluate` returned after every epoch.
    settings : dict
        What must not change when the training goes on; as JSON.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Checkpoint
    >>> Checkpoint(1, {"w": np.ones(2)}, {}, np.array([0.5]))
    Checkpoint(step=1, 2 parameters, metrics=[], last loss 5.000e-01)
    """

    step: int
    parameters: dict[str, Array]
    optimizer: State
    losses: np.ndarray
    metrics: dict[str, np.ndarray] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        count = sum(int(p.size) for p in self.parameters.values())
        last = f", last loss {self.losses[-1]:.3e}" if len(self.losses) else ""
        return f"Checkpoint(step={self.step}, {count:,} parameters, metrics={sorted(self.metrics)}{last})"

    def __post_init__(self) -> None:
        if self.step != len(self.losses):
            raise InvalidValueError(
                f"a checkpoint at step {self.step} with {len(self.losses)} losses; expected as many"
            )
        _check_json(self.settings, "the settings of a checkpoint")
        _check_names(self.optimizer, "a part of the optimizer's state")
        _check_arrays(self.metrics, "the metric")
        for arrays in (self.parameters, *self.optimizer.values()):
            _check_arrays(arrays, "the parameter")
