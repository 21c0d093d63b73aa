"""A training step that a device records once and replays by one launch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, is_device_array, namespace, to_device
from sci.backend.graph import RecordedWork
from sci.backend.later import Checks, checks_later, refuse_by
from sci.errors import ConvergenceError, InvalidValueError
from sci.nn.core.gradients import value_and_gradients
from sci.nn.core.trees import Tree, named_arrays, unflatten_tree
from sci.nn.optim.adam import Adam, Optimizer
from sci.nn.optim.parts import fuses

__all__ = ["RecordedStep"]

Batch = tuple[Array, ...]


@entry
class RecordedStep:
    """A step of training whose launches a device records in a graph (CUDA), and repeats as one.

    Parameters
    ----------
    loss : callable
        `loss(variables, batch)` returns a scalar variable, as in `train`; it changes no array, and asks for no number.
    parameters : dict of arrays, or of dicts and lists of them
        Changed in place by each call.
    optimizer : Optimizer
        `Adam` or `AdamW` for a step that is recorded.
    batch : tuple of arrays
        Like those of the calls: their shapes and dtypes are recorded, their numbers not used.
    start : int
        Steps made before, whose state is `state`.
    state : dict of dicts of arrays, optional
        Of the optimizer; a fresh one unless given.

    Attributes
    ----------
    refused : str
        Why steps go launch by launch; empty if one is recorded. On the host all do.
    state : dict of dicts of arrays
        Of the optimizer, changed in place by each call.

    Raises
    ------
    ConvergenceError
        In a call, for a loss or a second moment that is NaN or infinite. Where a step is recorded, parameters have made
        it then: recorded work is looked at when it is done. Launch by launch, a refused loss changes nothing.
    InvalidValueError
        For a negative start or factor; in a call, for what the loss refuses.

    Notes
    -----
    A call copies the batch into the memory of the graph, sends 8 numbers of the optimizer, launches the graph, and
    waits for what its checks want to know. A batch of other shapes, such as a last, smaller one, goes launch by launch.
    Recording makes two steps, and takes them back. The numbers are those of `value_and_gradients` and the optimizer's
    `update`, to the bit.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Adam, RecordedStep, linear, mean_squared_error
    >>> x, w = np.eye(3), {"w": np.zeros((1, 3))}
    >>> step = RecordedStep(
    ...     lambda v, batch: mean_squared_error(linear(batch[0], v["w"]), batch[1]), w, Adam(0.1), (x, x[:, :1])
    ... )
    >>> float(step((x, x[:, :1]))), step.refused
    (0.3333333333333333, 'the parameters lie on the host')
    >>> w["w"].round(6)
    array([[0.1, 0. , 0. ]])
    """

    def __init__(
        self,
        loss: Callable[[Any, Any], Any],
        parameters: Tree,
        optimizer: Optimizer,
        batch: Batch,
        *,
        start: int = 0,
        state: Mapping[str, Mapping[str, Array]] | None = None,
    ) -> None:
        if start < 0:
            raise InvalidValueError(f"start is {start}; expected the number of steps made before, 0 or more")
        self._loss, self._like, self._optimizer = loss, parameters, optimizer
        self._flat = named_arrays(parameters, "parameters")
        self.state: Any = optimizer.start(parameters) if state is None else state
        self.steps = start
        self._work: RecordedWork | None = None
        self._checks = Checks()
        self.refused = self._unfit()
        if not self.refused:
            self._record(batch)

    def __repr__(self) -> str:
        kind = f"launch by launch: {self.refused}" if self.refused else "one launch"
        return f"RecordedStep({kind}, {self.steps} steps made)"

    def _unfit(self) -> str:
        if not all(map(is_device_array, self._flat.values())):
            return "the parameters lie on the host"
        if getattr(type(self._optimizer), "update", None) is not Adam.update:  # another rule, if by another name
            return f"{type(self._optimizer).__name__} makes a step of numbers that lie on the host"
        return "" if fuses(self._flat.values()) else "the parameters are not of one precision, or kernels are off"

    def _gradients(self, batch: Any) -> tuple[Array, dict[str, Array]]:
        value, gradients = value_and_gradients(
            lambda v: self._loss(unflatten_tree(v, self._like), batch), dict(self._flat)
        )
        return value, gradients

    def _record(self, batch: Batch) -> None:
        xp = namespace(*self._flat.values())
        self._inputs = tuple(xp.array(a) for a in batch)
        self._settings = to_device(self._optimizer.settings_of(1, 0.0), xp)  # type: ignore[attr-defined]
        held = [*self._flat.values(), *(a for group in self.state.values() for a in group.values())]
        before = [a.copy() for a in held]

        def work() -> Array:
            with checks_later() as checks:
                value, gradients = self._gradients(self._inputs)
                refuse_by(value.reshape(1), self._refuse)
                update = self._optimizer.update_by  # type: ignore[attr-defined]
                update(self._settings, self._flat, gradients, self.state)
            self._checks = checks
            return value

        try:
            self._work = RecordedWork(work, xp)
        finally:
            for array, old in zip(held, before):
                array[...] = old
        if self._work.refused is not None:
            self.refused, self._work = str(self._work.refused), None

    def _refuse(self, value: np.ndarray) -> None:
        if not math.isfinite(value[0]):
            rate = getattr(self._optimizer, "learning_rate", None)
            lower = "a lower learning rate" if rate is None else f"a learning rate below {rate:g}"
            raise ConvergenceError(f"the loss is {value[0]} in step {self.steps}; try {lower}")

    def _fits(self, batch: Batch) -> bool:
        kinds = [[(a.shape, a.dtype, is_device_array(a)) for a in arrays] for arrays in (batch, self._inputs)]
        return kinds[0] == kinds[1]

    def __call__(self, batch: Batch, factor: float = 1.0) -> Array:
        """Make a step with `factor` times the learning rate; return the loss before it.

        Parameters
        ----------
        batch : tuple of arrays
            Where the parameters lie.
        factor : float

        Returns
        -------
        () array
            The next call may change it where a step is recorded.
        """
        if factor < 0:
            raise InvalidValueError(f"factor is {factor}; expected 0 or more, times the learning rate")
        self.steps += 1
        if self._work is None or not self._fits(batch):
            try:
                value, gradients = self._gradients(batch)
                refuse_by(value.reshape(1), self._refuse)
            except BaseException:
                self.steps -= 1  # none was made: Adam divides by what the number of steps makes of its moments
                raise
            self._optimizer.update(self._flat, gradients, self.state, self.steps, factor)
            return value
        for old, new in zip(self._inputs, batch):
            old[...] = new
        settings = self._optimizer.settings_of(self.steps, factor)  # type: ignore[attr-defined]
        self._settings[...] = to_device(settings, namespace(self._settings))
        self._work.replay()
        self._checks.run()
        found: Array = self._work.results
        return found
