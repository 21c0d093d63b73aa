"""The training loop: seeded batches, schedules, clipping, checkpoints, ranks, and a stop at the first NaN."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, namespace, to_device, to_host
from sci.distributed import Comm, abort_on_error, agreed, rank_of, sample, size, split
from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.nn.collectives import allreduce_gradients
from sci.nn.core.gradients import value_and_gradients
from sci.nn.core.tape import Variable
from sci.nn.optim.adam import Optimizer, State, clip_by_global_norm, global_norm
from sci.nn.optim.schedules import Schedule, constant
from sci.nn.training.model import Checkpoint
from sci.progress import progress

__all__ = ["Dataset", "train"]


class Dataset(Protocol):
    """Samples that are loaded by their numbers.

    Examples
    --------
    >>> import numpy as np
    >>> class Squares:
    ...     def __len__(self):
    ...         return 8
    ...     def __getitem__(self, indices):
    ...         return indices.astype(float) ** 2
    >>> Squares()[np.arange(3)]
    array([0., 1., 4.])
    """

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, indices: np.ndarray) -> Any:
        """Return the batch of the samples `indices`, as the loss takes it."""


Loss = Callable[[dict[str, Variable], Any], Any]


@dataclass(frozen=True)
class _Arrays:
    """A dataset of arrays with one first length; a batch is the tuple of their rows."""

    arrays: tuple[Array, ...]

    def __post_init__(self) -> None:
        lengths = [len(a) for a in self.arrays]
        if len(set(lengths)) != 1:
            raise ShapeError(f"data arrays of lengths {lengths}; expected one or more of one length")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, indices: np.ndarray) -> tuple[Array, ...]:
        return tuple(a[to_device(indices, namespace(a))] for a in self.arrays)


@dataclass(frozen=True)
class _Order:
    """The samples of each batch, a function of the seed and the step alone."""

    n_samples: int
    batch_size: int
    seed: int
    shuffle: bool

    @property
    def steps(self) -> int:
        """Steps per epoch; the last batch may be smaller."""
        return -(-self.n_samples // self.batch_size)

    def batch(self, step: int) -> np.ndarray:
        epoch, k = divmod(step, self.steps)
        here = slice(k * self.batch_size, (k + 1) * self.batch_size)
        if not self.shuffle:
            return np.arange(self.n_samples)[here]
        return _permutation(self.seed, epoch, self.n_samples)[here]


@functools.lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(n)


@collective_entry
def train(
    loss: Loss,
    parameters: Mapping[str, Array],
    data: Sequence[Array] | Dataset,
    *,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int,
    schedule: Schedule | None = None,
    schedule_each: str = "epoch",
    seed: int = 0,
    shuffle: bool = True,
    equal_samples: bool = False,
    clip: float | None = None,
    evaluate: Callable[[dict[str, Array]], Mapping[str, float]] | None = None,
    save: Callable[[Checkpoint], None] | None = None,
    save_every: int | None = None,
    resume: Checkpoint | None = None,
    settings: Mapping[str, Any] | None = None,
    buffers: Mapping[str, Array] | None = None,
    title: str = "training",
    comm: Comm = None,
) -> Checkpoint:
    """Minimize the mean of `loss` over the samples of `data` by steps over seeded batches.

    Parameters
    ----------
    loss : callable
        `loss(variables, batch)` returns the mean over the samples of `batch` as a scalar variable;
        `variables` has the names of `parameters`. A rank without samples in a small batch skips it, unless the
        callable has a true attribute `collective`: it sends messages, and gets a batch of no samples there.
    parameters : dict of arrays
        Where to start; not changed. The same on all ranks.
    data : sequence of arrays of one first length, or an object with `len(data)` and `data[indices]`
        A batch is the tuple of the arrays' rows, or what `data[indices]` returns for an int64 host array. All ranks
        see all the data.
    optimizer : Optimizer
        `Adam`, `AdamW`, `AdamP`, `SGDP`, or any object with their two methods.
    epochs, batch_size : int
        Passes over the samples from the start of the training, and samples of a step on all ranks together.
    schedule : callable, optional
        Factor of the learning rate as a function of epochs, see `sci.nn.optim.schedules`.
    schedule_each : "epoch" or "step"
        The time that `schedule` gets: the number of finished epochs, or the steps made (with the present one) divided
        by the steps per epoch.
    seed : int
        Epoch e takes the samples in the order `numpy.random.default_rng([seed, e]).permutation(n)`.
    shuffle : bool
        False keeps the order of the data.
    equal_samples : bool
        Every sample of an epoch counts alike: the gradient of a last, smaller batch is divided by `batch_size`, not by
        its own samples.
    clip : float, optional
        Largest global norm of a gradient.
    evaluate : callable, optional
        Takes the parameters after every epoch and returns numbers by name; kept in `metrics`.
    save : callable, optional
        Takes a `Checkpoint` after every epoch, or every `save_every` steps, and at the end, like
        `lambda c: sci.io.save("run.h5", c)`. It must be done with the arrays when it returns.
    save_every : int, optional
    resume : Checkpoint, optional
        Goes on from there, to the same bits as a training that was never stopped. `epochs` counts from the start.
    settings : dict, optional
        What else must be the same when the training goes on, as JSON: the kind of loss, a digest of the data, ...
    buffers : dict of arrays, optional
        Arrays that `loss` changes in place, such as running statistics of a normalization: the same on all ranks.
        Checkpoints hold them as `optimizer["buffers"]`, and `resume` sets them.
    title : str
        Of the progress line.
    comm : mpi4py communicator, optional
        The ranks share every batch; gradients are those of the serial training to rounding.

    Returns
    -------
    Checkpoint
        The end: `parameters`, `losses` of every step, `metrics` of every epoch.

    Raises
    ------
    InvalidValueError, ShapeError
        On every rank, for settings out of range or a checkpoint of another training.
    ConvergenceError
        If a loss, a gradient or a parameter is NaN or infinite; the message names the step and the parameter, and the
        last checkpoint saved is from before it.

    Notes
    -----
    Collective over `comm`; one all-reduce a step. `save` and `evaluate` are called on every rank.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Adam, linear, mean_squared_error, train
    >>> x = np.random.default_rng(0).normal(size=(256, 3))
    >>> y = x @ np.array([[1.0], [-2.0], [0.5]])
    >>> def loss(v, batch):
    ...     return mean_squared_error(linear(batch[0], v["w"]), batch[1])
    >>> done = train(loss, {"w": np.zeros((1, 3))}, (x, y), optimizer=Adam(0.05), epochs=40, batch_size=32)
    >>> np.round(done.parameters["w"], 3)
    array([[ 1. , -2. ,  0.5]])
    """
    schedule = schedule or constant()
    with agreed(comm, "train") as agreement:
        samples: Dataset = _Arrays(tuple(data)) if isinstance(data, (tuple, list)) else data  # type: ignore[assignment]
        _check_numbers(len(samples), batch_size, epochs, save_every, seed)
        _check_choices(clip, schedule_each)
        order = _Order(len(samples), int(batch_size), int(seed), bool(shuffle))
        run = _start(parameters, optimizer, {**asdict(order), **(settings or {})}, resume, buffers or {})
        agreement.same(optimizer=optimizer, epochs=epochs, order=order, step=run.step, parameters=run.parameters)
        agreement.same(clip=clip, equal_samples=equal_samples, save_every=save_every, schedule_each=schedule_each)
        agreement.same(settings=settings, loss=_name_of(loss), buffers=dict(buffers or {}))
        agreement.same(**{name: function and "given" for name, function in (("evaluate", evaluate), ("save", save))})
        if size(comm) > 1:
            agreement.same(schedule=[schedule(epochs * k / 8) for k in range(9)])
            agreement.same(data=[sample(a) for a in samples.arrays] if isinstance(samples, _Arrays) else _name_of(data))
            agreement.same(state={name: [sample(a) for a in group.values()] for name, group in run.optimizer.items()})
    every = save_every or order.steps
    total = epochs * order.steps
    losses, metrics = run.losses.tolist(), {name: values.tolist() for name, values in run.metrics.items()}

    def checkpoint(step: int) -> Checkpoint:
        _require_good(run.parameters, step, "parameter", optimizer)
        kept = {name: np.array(values) for name, values in metrics.items()}
        return Checkpoint(step, run.parameters, run.optimizer, np.array(losses), kept, run.settings)

    steps = progress(
        range(run.step, total), title, show=rank_of(comm) == 0, note=lambda: f"loss {losses[-1]:.3e}" if losses else ""
    )
    for step in steps:
        indices = order.batch(step)
        share = len(indices) / batch_size if equal_samples else 1.0
        value, gradients = _gradients(loss, run.parameters, samples, indices, share, comm)
        gradients = _checked(value, gradients, step + 1, clip, optimizer)
        time = (step + 1) / order.steps if schedule_each == "step" else step // order.steps
        with abort_on_error(comm):  # an agreement on every step would cost a message
            optimizer.update(run.parameters, gradients, run.optimizer, step + 1, schedule(time))
        losses.append(value)
        if (step + 1) % order.steps == 0 and evaluate is not None:
            with agreed(comm, "evaluate"):
                for name, number in evaluate(run.parameters).items():
                    metrics.setdefault(name, []).append(float(number))
        if save is not None and ((step + 1) % every == 0 or step + 1 == total):
            with agreed(comm, "save"):
                save(checkpoint(step + 1))
    return checkpoint(len(losses))


def _name_of(value: Any) -> str:
    """Return the name of a function, or the class of an object that can be called or indexed."""
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def _check_numbers(n_samples: int, batch_size: int, epochs: int, save_every: int | None, seed: int) -> None:
    numbers = {"batch_size": batch_size, "epochs": epochs, "save_every": 1 if save_every is None else save_every}
    for name, number in {"the number of samples": n_samples, **numbers}.items():
        if not isinstance(number, (int, np.integer)) or number < 1:
            raise InvalidValueError(f"{name} is {number!r}; expected a positive integer")
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InvalidValueError(f"the seed is {seed!r}; expected an integer of 0 or more")


def _check_choices(clip: float | None, each: str) -> None:
    if clip is not None and not clip > 0:
        raise InvalidValueError(f"clip is {clip}; expected a positive norm, or None")
    if each not in ("epoch", "step"):
        raise InvalidValueError(f"schedule_each is {each!r}; expected 'epoch' or 'step'")


def _start(
    parameters: Mapping[str, Array],
    optimizer: Optimizer,
    settings: Mapping[str, Any],
    resume: Checkpoint | None,
    buffers: Mapping[str, Array],
) -> Checkpoint:
    """Return the state that the loop changes in place: new, or a copy of `resume` after checking that it fits.

    The buffers are the caller's own arrays.
    """
    if not parameters:
        raise InvalidValueError("there are no parameters to train; expected a dict of one array or more")
    _require_good(parameters, 0, "parameter", optimizer)
    settings = {**settings, "optimizer": type(optimizer).__name__}
    fresh = {name: _copy(p) for name, p in parameters.items()}
    if resume is None:
        return Checkpoint(0, fresh, _with_buffers(optimizer.start(fresh), buffers), np.empty(0), {}, settings)
    changed = _differences(resume.settings, settings)
    if changed:
        raise InvalidValueError(f"the checkpoint is from another training ({'; '.join(changed)})")
    if list(_kinds(parameters).items()) != list(_kinds(resume.parameters).items()):
        raise InvalidValueError("the parameters of the checkpoint have other names, shapes or dtypes than the model's")
    xp = namespace(*parameters.values())
    moved = {name: _copy(to_device(p, xp)) for name, p in resume.parameters.items()}
    state = {k: {n: _copy(to_device(a, xp)) for n, a in group.items()} for k, group in resume.optimizer.items()}
    stored = state.pop(_BUFFERS, {})
    if _kinds(stored) != _kinds(buffers):
        raise InvalidValueError(
            f"the checkpoint has the buffers {sorted(stored)}, the training {sorted(buffers)}; expected the same "
            "names, shapes and dtypes"
        )
    for name, array in buffers.items():
        array[...] = stored[name]
    return Checkpoint(resume.step, moved, _with_buffers(state, buffers), resume.losses, resume.metrics, settings)


_BUFFERS = "buffers"
"""Part of an optimizer's state in which checkpoints hold the arrays that a loss changes."""


def _with_buffers(state: State, buffers: Mapping[str, Array]) -> State:
    return {**state, _BUFFERS: dict(buffers)} if buffers else state


def _kinds(arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name: (tuple(a.shape), str(a.dtype)) for name, a in arrays.items()}


def _differences(then: Any, now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the names of settings that differ, nested ones included."""
    found: list[str] = []
    for name, value in now.items():
        before = then.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            found += _differences(before, value, f"{prefix}{name}.")
        elif before != value:
            found.append(f"{prefix}{name}: {before!r} then, {value!r} now")
    return found


def _copy(array: Array) -> Array:
    return namespace(array).ascontiguousarray(array).copy().reshape(array.shape)


def _gradients(
    loss: Loss, parameters: Mapping[str, Array], samples: Dataset, indices: np.ndarray, share: float, comm: Comm
) -> tuple[float, dict[str, Array]]:
    """Return the loss of a batch, and its gradients times `share`; each rank computes those of its own samples."""
    mine = indices[split(len(indices), comm)]
    with abort_on_error(comm):
        if len(mine) or getattr(loss, "collective", False):
            batch = samples[mine]
            value, gradients = value_and_gradients(lambda variables: loss(variables, batch), parameters)
        else:
            value, gradients = 0.0, {name: namespace(p).zeros_like(p) for name, p in parameters.items()}
    total, value = allreduce_gradients(gradients, float(value), len(mine) / len(indices), comm=comm)
    return value, total if share == 1 else {name: share * g for name, g in total.items()}


def _checked(
    value: float, gradients: dict[str, Array], step: int, clip: float | None, optimizer: Optimizer
) -> dict[str, Array]:
    """Return the gradients, clipped, or raise if anything is NaN or infinite."""
    if not math.isfinite(value):
        raise ConvergenceError(f"the loss is {value} in step {step}; {_fix(optimizer)}")
    norm = global_norm(gradients)
    if not math.isfinite(norm):
        _require_good(gradients, step, "gradient", optimizer)
        raise ConvergenceError(f"the norm of the gradient overflows in step {step}; {_fix(optimizer)}")
    return gradients if clip is None or norm <= clip else clip_by_global_norm(gradients, clip)[0]


def _require_good(arrays: Mapping[str, Array], step: int, what: str, optimizer: Optimizer) -> None:
    """Raise `ConvergenceError`, naming the first bad array, if any holds NaN or infinity."""
    for name, array in arrays.items():
        finite = to_host(namespace(array).isfinite(array))
        if not finite.all():
            bad = f"{int((~finite).sum())} of {finite.size} entries"
            raise ConvergenceError(f"the {what} {name!r} has {bad} NaN or infinite in step {step}; {_fix(optimizer)}")


def _fix(optimizer: Optimizer) -> str:
    """Advise about NaN; name the learning rate of an optimizer that has one."""
    rate = getattr(optimizer, "learning_rate", None)
    lower = "a lower learning rate" if rate is None else f"a learning rate below {rate:g}"
    return f"the last checkpoint is from before. Try {lower}, a warm-up, or gradients that are clipped"
