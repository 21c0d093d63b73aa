"""The protocol of models, and the plain states of models and trainings that files hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np

from sci.arguments import entry
from sci.backend import Array, require_finite
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.core.trees import Tree, flatten_tree, is_flat, named_arrays, unflatten_tree
from sci.nn.optim.adam import State
from sci.nn.optim.placement import ParameterLayout
from sci.nn.storage import Storage, rounded
from sci.nn.training.averages import averaged

__all__ = ["Checkpoint", "Model", "ModelState"]


def _check_names(names: Mapping[str, Any], what: str) -> None:
    for name in names:
        if not isinstance(name, str) or not name.strip(".") or "/" in name or not name.isprintable():
            raise InvalidValueError(f"{what} is named {name!r}; expected printable text without '/'")


def _check_arrays(tree: Tree, what: str) -> None:
    arrays = named_arrays(tree, f"{what.removeprefix('the ')}s")
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
    parameters : dict of arrays, or of dicts and lists of them
        float32, float64, complex64 or complex128, on either side. Files keep the form, tuples as lists.
    storage : "float16" or "bfloat16", optional
        Files hold the parameters in this precision, half of float32, and give float32 back. Values that it does not
        have are refused: round them by `rounded`.
    layout : ParameterLayout, optional
        Where the parameters are this rank's parts of whole ones: how they lie. Files hold whole arrays.

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
    parameters: Any
    storage: Storage | None = None
    layout: ParameterLayout | None = None

    def __repr__(self) -> str:
        count = sum(int(p.size) for p in flatten_tree(self.parameters).values())
        count = count if self.layout is None else self.layout.count
        return f"ModelState({self.name!r}, options={sorted(self.options)}, {count:,} parameters)"

    def __post_init__(self) -> None:
        _check_names({self.name: None}, "a model")
        _check_json(self.options, "the options of a model")
        _check_arrays(self.parameters, "the parameter")
        if self.storage is not None:
            _require_rounded(self.parameters, self.storage)

    def groups_of_parts(self) -> dict[str, tuple[Mapping[str, Array], bool]]:
        """Return the groups of arrays that lie on ranks by `layout`; with each, True for shares of the replicas."""
        return {"parameters": (self.parameters, False)}

    def with_groups(self, groups: Mapping[str, Any]) -> ModelState:
        """Return the state with whole arrays in the place of parts."""
        return replace(self, parameters=groups["parameters"], layout=None)


def _require_rounded(parameters: Tree, storage: Storage) -> None:
    near = flatten_tree(rounded(parameters, storage))
    for name, array in flatten_tree(parameters).items():
        if bool((near[name] != array).any()):
            raise InvalidValueError(
                f"the parameter {name!r} has values that {storage} does not have; expected those of "
                f"rounded(parameters, {storage!r})"
            )


_STATISTICS = "statistics."


def with_statistics(parameters: Mapping[str, Array], statistics: Mapping[str, Array]) -> dict[str, Array]:
    """Return parameters and running statistics under names that tell them apart, for a `ModelState`."""
    return {**parameters, **{f"{_STATISTICS}{name}": array for name, array in statistics.items()}}


def parted(arrays: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the parameters and the statistics that `with_statistics` joined."""
    own = {name: a for name, a in arrays.items() if not name.startswith(_STATISTICS)}
    return own, {name.removeprefix(_STATISTICS): a for name, a in arrays.items() if name not in own}


def kinds_of(arrays: Mapping[str, Array]) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and dtype of each array."""
    return {name: (tuple(a.shape), str(a.dtype)) for name, a in arrays.items()}


def fitting(arrays: Mapping[str, Array], like: Mapping[str, Array], what: str) -> dict[str, Array]:
    """Return `arrays` in the order of `like`, whose names, shapes and dtypes they must have.

    Raises
    ------
    ShapeError
    """
    found, expected = kinds_of(arrays), kinds_of(like)
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            raise ShapeError(
                f"the {what} {name!r} is {found.get(name, 'missing')}; expected {expected.get(name, 'none')}"
            )
    return {name: arrays[name] for name in like}


def refitted(
    parameters: Mapping[str, Array], statistics: Mapping[str, Array], like: Any
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return parameters, and copies of statistics, that fit those of a model and are finite.

    Raises
    ------
    ShapeError, InvalidValueError
    """
    found = fitting(parameters, like.parameters, "parameter")
    kept = fitting(statistics, like.statistics, "statistic")
    for what, arrays in (("parameter", found), ("statistic", kept)):
        for name, array in arrays.items():
            require_finite(array, f"the {what} {name}")
    return found, {name: array.copy() for name, array in kept.items()}


AVERAGE, BEST, BUFFERS = "average", "best", "buffers"
"""Parts of an optimizer's state that are the loop's: the sum of an average, the parameters of the best epoch, and the
arrays that a loss changes."""


@entry
@dataclass(frozen=True)
class Checkpoint:
    """A training after `step` steps: all that it needs to go on to the same bits.

    Parameters
    ----------
    step : int
        Steps made; epoch and place in it follow, and so do the shuffled orders, from the seed in `settings`.
    parameters : dict of arrays, or of dicts and lists of them
    optimizer : dict of dicts of arrays
        The optimizer's state, by the names of `flatten_tree`.
    losses : (step,) float64
        The loss of every step, before it.
    metrics : dict of (epochs,) float64 arrays
        What `evaluate` returned after every epoch.
    settings : dict
        What must not change when the training goes on; as JSON.
    layout : ParameterLayout, optional
        Where arrays are this rank's parts of whole ones: how they lie. Files hold whole arrays, see `sci.io.save`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Checkpoint
    >>> Checkpoint(1, {"w": np.ones(2)}, {}, np.array([0.5]))
    Checkpoint(step=1, 2 parameters, metrics=[], last loss 5.000e-01)
    """

    step: int
    parameters: Any
    optimizer: State
    losses: np.ndarray
    metrics: dict[str, np.ndarray] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    layout: ParameterLayout | None = None

    def __repr__(self) -> str:
        count = sum(int(p.size) for p in flatten_tree(self.parameters).values())
        count = count if self.layout is None else self.layout.count
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

    def groups_of_parts(self) -> dict[str, tuple[Mapping[str, Array], bool]]:
        """Return the groups of arrays that lie on ranks by `layout`; with each, True for shares of the replicas."""
        sharded, ours = self.layout is not None and self.layout.sharded, (AVERAGE, BEST)
        state = {name: (g, sharded and name not in ours) for name, g in self.optimizer.items() if name != BUFFERS}
        return {"": (flatten_tree(self.parameters), False), **state}

    def with_groups(self, groups: Mapping[str, Any]) -> Checkpoint:
        """Return the checkpoint with whole arrays in the place of parts."""
        state = {name: groups.get(name, own) for name, own in self.optimizer.items()}
        parameters = groups[""] if is_flat(self.parameters) else unflatten_tree(groups[""], self.parameters)
        return replace(self, parameters=parameters, optimizer=state, layout=None)

    @property
    def averaged(self) -> Any:
        """The exponential average of the parameters over the steps, in their form; of `train(..., average=)`.

        Raises
        ------
        InvalidValueError
            Without an average, or a step.
        """
        if AVERAGE not in self.optimizer or not self.step:
            raise InvalidValueError("the checkpoint has no average; expected one of train(..., average=), after a step")
        found = averaged(self.optimizer[AVERAGE], self.settings[AVERAGE], self.step)
        return unflatten_tree(found, self.parameters)

    @property
    def best(self) -> Any:
        """The parameters that `evaluate` saw in the epoch of the smallest `monitor`, in the form of `parameters`.

        Raises
        ------
        InvalidValueError
            Without a metric to watch, or an epoch.
        """
        if BEST not in self.optimizer or not len(self.metrics.get(self.settings["monitor"], ())):
            raise InvalidValueError(
                "the checkpoint has no best parameters; expected one of train(..., monitor=), after an epoch"
            )
        return unflatten_tree(self.optimizer[BEST], self.parameters)
