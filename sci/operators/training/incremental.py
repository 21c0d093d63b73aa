"""Trainings in which the wavenumbers of an FNO grow: the rules, and the narrow model that a part of the weights is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sci.backend import Array, to_host
from sci.distributed import Comm, allreduce_sum
from sci.errors import InvalidValueError
from sci.nn import Optimizer, select, value_of
from sci.operators.fno.base import Operator
from sci.operators.fno.config import FNOConfig
from sci.operators.spectral.modes import stored_modes, wavenumbers, weight_window
from sci.operators.spectral.weights import WeightFormat
from sci.operators.training.config import IncrementalModes

__all__ = ["GrowingModes", "narrowed"]


def narrowed(
    model: Operator, parameters: Mapping[str, Any], n_modes: tuple[int, ...]
) -> tuple[Operator, dict[str, Any]]:
    """Return the model of fewer wavenumbers, about zero, and its parameters: parts of those given.

    Parameters
    ----------
    model : Operator
        An FNO or TFNO.
    parameters : dict of arrays or variables
    n_modes : tuple of int
        At most those of the model.
    """
    config = model.config
    if n_modes == config.n_modes:
        return model, dict(parameters)
    form, stored = config.form(), stored_modes(n_modes)
    window = weight_window(form.modes, stored)
    # The ranks of the whole tensor hold for its parts.
    ranks = form.ranks() if form.factorization != "cp" else form.ranks()[0]
    given = {} if form.factorization == "dense" else {"tensor_rank": ranks}
    small = copy.copy(model)
    small.config = replace(config, n_modes=n_modes, base_channels=None, base_modes=None, **given)
    found = {}
    for name, value in parameters.items():
        index = _part(form, name.rpartition(".")[2], window) if ".spectral." in f".{name}" else None
        found[name] = value if index is None else select(value, index=index)
    return small, found


def _part(form: WeightFormat, name: str, window: tuple[slice, ...]) -> tuple[slice, ...] | None:
    """Return the index of the part of a spectral parameter that belongs to a window of modes, or None for all of it."""
    if form.factorization == "dense":
        return window if name == "weight" else None
    if not name.startswith("factor_"):
        return None
    axis = int(name.removeprefix("factor_")) - (1 if form.separable else 2) - bool(form.layers)
    if axis < 0:
        return None
    # The cores of a train have the mode second, but for the last one, (rank, mode); other factors have it first.
    return (slice(None), window[axis]) if form.factorization == "tt" else (window[axis],)


@dataclass
class GrowingModes:
    """The wavenumbers of a model in training: what a rule sees in each step and epoch, and what it makes of it.

    Parameters
    ----------
    model : Operator
    config : IncrementalModes
    comm : communicator
    state : dict of arrays
        "modes" along each axis, "used" those of the last epoch, "loss" and "count" of this epoch, "before" the mean
        loss of the last one, "strengths" the squared gradients by magnitude of the wavenumber, "epochs" since these
        were 0.

    Raises
    ------
    InvalidValueError
        For a model that is no FNO of a plain grid, or starts with more wavenumbers than it has.
    """

    model: Operator
    config: IncrementalModes
    comm: Comm = None
    state: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = self.model.config
        if not isinstance(own, FNOConfig) or own.sphere is not None or own.complex_data:
            raise InvalidValueError("incremental modes are for an FNO or TFNO of real fields on grids")
        if max(self.config.start - np.array(own.n_modes)) > 0:
            raise InvalidValueError(
                f"incremental modes start with {self.config.start}, of {own.n_modes}; expected fewer"
            )
        lengths = {"modes": own.dim, "used": own.dim, "strengths": max(own.n_modes) // 2 + 1}
        lengths.update(dict.fromkeys(("loss", "count", "before", "epochs"), 1))
        self.state = {name: np.zeros(length) for name, length in lengths.items()}
        self.state["modes"][:] = self.state["used"][:] = self.config.start
        self.state["before"][:] = np.finfo(float).max

    @property
    def n_modes(self) -> tuple[int, ...]:
        """Wavenumbers along each axis now."""
        return tuple(int(m) for m in self.state["modes"])

    @property
    def trained(self) -> tuple[int, ...]:
        """Wavenumbers of the last epoch, which are trained; those that the rule has added since are not."""
        return tuple(int(m) for m in self.state["used"])

    def wrapped(self, loss: Callable[[Operator, Mapping[str, Any], Any], Any]) -> Callable[[Any, Any], Any]:
        """Return the loss of the narrow model as `sci.nn.train` takes it."""

        def narrow_loss(variables: Mapping[str, Any], batch: Any) -> Any:
            value = loss(*narrowed(self.model, variables, self.n_modes), batch)
            self.state["loss"] += float(to_host(value_of(value))) * len(batch[0])
            self.state["count"] += len(batch[0])
            return value

        return narrow_loss

    def see_gradients(self, gradients: Mapping[str, Array]) -> None:
        """Add the squared gradients of the spectral weights, by the magnitude of their wavenumber."""
        config = self.model.config
        form, places = config.form(), _magnitudes(config.n_modes)
        dim = len(places.shape)
        for name, gradient in gradients.items():
            own = name.rpartition(".")[2]
            if ".spectral." not in f".{name}" or own == "bias":
                continue
            squares = np.abs(to_host(gradient)) ** 2
            if form.factorization == "dense":
                sums = squares.reshape(*places.shape, -1).sum(axis=-1)
                np.add.at(self.state["strengths"], places.ravel(), sums.ravel())
                continue
            for axis in range(dim):  # a factor of modes has one row for each wavenumber
                index = _part(form, own, tuple(slice(None) for _ in range(dim)))
                if index is None or own != f"factor_{axis + (1 if form.separable else 2) + bool(form.layers)}":
                    continue
                along = len(index) - 1
                sums = np.moveaxis(squares, along, 0).reshape(squares.shape[along], -1).sum(axis=-1)
                np.add.at(self.state["strengths"], np.abs(wavenumbers(form.modes)[axis]), sums)

    def end_epoch(self) -> None:
        """Apply the rule to what was seen, and start anew; the same on all ranks."""
        own, state = self.config, self.state
        state["epochs"] += 1
        state["used"][:] = state["modes"]
        if own.rule == "loss-gap":
            total = allreduce_sum(np.concatenate([state["loss"], state["count"]]), self.comm)
            mean = total[0] / total[1]
            grows = bool(abs(mean - state["before"][0]) <= own.threshold)
            state["before"][:] = mean
        else:
            grows = bool(state["epochs"][0] >= own.every) and self._unexplained() > own.threshold
        if own.rule == "loss-gap" or state["epochs"][0] >= own.every:
            state["strengths"][:] = state["epochs"][:] = 0
        state["loss"][:] = state["count"][:] = 0
        if grows:
            state["modes"][:] = np.minimum(state["modes"] + own.step, self.model.config.n_modes)

    def _unexplained(self) -> float:
        """Return the share of the squared gradients that the last `buffer` magnitudes in use hold."""
        strengths, last = self.state["strengths"], max(self.n_modes) // 2 + 1
        total = strengths[:last].sum()
        return float(strengths[max(last - self.config.buffer, 0) : last].sum() / total) if total > 0 else 0.0


def _magnitudes(n_modes: tuple[int, ...]) -> np.ndarray:
    """Return the largest magnitude of a wavenumber along any axis, for every stored mode."""
    axes = [np.abs(k) for k in wavenumbers(stored_modes(n_modes))]
    found: np.ndarray = np.maximum.reduce(np.meshgrid(*axes, indexing="ij"))
    return found


@dataclass(frozen=True)
class WatchedOptimizer:
    """An optimizer whose gradients, those of all ranks together, a function sees before each step.

    Parameters
    ----------
    inner : Optimizer
    see : callable
    """

    inner: Optimizer
    see: Callable[[Mapping[str, Array]], None] = field(repr=False, compare=False)

    @property
    def learning_rate(self) -> Any:
        """That of the inner one."""
        return getattr(self.inner, "learning_rate", None)

    def start(self, parameters: Mapping[str, Array]) -> Any:
        """Return the state of the inner one."""
        return self.inner.start(parameters)

    def update(self, parameters: Any, gradients: Any, state: Any, step: int, factor: float) -> None:
        """Show the gradients, and make the step."""
        self.see(gradients)
        self.inner.update(parameters, gradients, state, step, factor)
