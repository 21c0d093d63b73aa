"""The training loop: seeded batches, schedules, clipping, averages, early stops, checkpoints, ranks, a stop at NaN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array
from sci.distributed import Agreement, Comm, abort_on_error, agreed, rank_of, sample, size
from sci.errors import InvalidValueError
from sci.nn.core.trees import Tree, is_flat, named_arrays, unflatten_tree
from sci.nn.dropout import Draws
from sci.nn.optim.adam import Optimizer
from sci.nn.optim.placement import ParameterLayout
from sci.nn.optim.schedules import Schedule, constant
from sci.nn.storage import Storage, rounded
from sci.nn.training.averages import add_to_average, averaged, is_best, is_over, require_metric
from sci.nn.training.batches import Batches
from sci.nn.training.data import Arrays, Dataset, Order, ReadAhead
from sci.nn.training.finite import checked, require_good
from sci.nn.training.model import Checkpoint
from sci.nn.training.options import PLAIN, Options
from sci.nn.training.start import started
from sci.nn.training.sums import Sums
from sci.progress import progress

__all__ = ["train"]

Loss = Callable[..., Any]


@collective_entry
def train(
    loss: Loss,
    parameters: Tree,
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
    accumulate: int = 1,
    clip: float | None = None,
    average: float | None = None,
    storage: Storage | None = None,
    activations: Literal["bfloat16"] | None = None,
    evaluate: Callable[[Any], Mapping[str, float]] | None = None,
    monitor: str | None = None,
    patience: int | None = None,
    save: Callable[[Checkpoint], None] | None = None,
    save_every: int | None = None,
    resume: Checkpoint | None = None,
    settings: Mapping[str, Any] | None = None,
    buffers: Mapping[str, Array] | None = None,
    draws: bool = False,
    prefetch: int = 0,
    title: str = "training",
    layout: ParameterLayout | None = None,
    shard: bool = False,
    comm: Comm = None,
) -> Checkpoint:
    """Minimize the mean of `loss` over the samples of `data` by steps over seeded batches.

    Parameters
    ----------
    loss : callable
        `loss(variables, batch)` returns the mean over the samples of `batch` as a scalar variable;
        `variables` has the form of `parameters`. A rank without samples in a small batch skips it, unless the
        callable has a true attribute `collective`: it sends messages, and gets a batch of no samples there.
    parameters : dict of arrays, or of dicts and lists of them
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
    accumulate : int
        Each rank computes its share of a batch in so many parts, one after the other, for memory. The step is that of
        the whole batch to rounding, where the loss is a mean over samples.
    clip : float, optional
        Largest global norm of a gradient.
    average : float, optional
        Decay of an exponential average of the parameters over steps, between 0 and 1, like 0.999: `evaluate` gets the
        average, and the checkpoint has it as `averaged`.
    storage : "float16" or "bfloat16", optional
        The loss and `evaluate` see parameters that are rounded to this precision, see `rounded`; steps add up in the
        float32 parameters. The rounded ones lose nothing in a file of that precision.
    activations : "bfloat16", optional
        Outputs of ops are rounded to it, and kept in two bytes for the way back, see `value_and_gradients`. With
        `storage="bfloat16"` this is training in bfloat16 with float32 masters: ops, gradients, their sums over ranks,
        the optimizer and the checkpoint are float32.
    evaluate : callable, optional
        Takes the parameters after every epoch and returns numbers by name; kept in `metrics`.
    monitor : str, optional
        The number of `evaluate` that is to be small, like a loss on other samples: the checkpoint has the parameters of
        the best epoch, those that `evaluate` saw, as `best`. The same on all ranks.
    patience : int, optional
        The training ends after so many epochs without a new smallest `monitor`.
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
    draws : bool
        The loss takes a third argument, the `Draws` of the step for `dropout`: functions of seed, step and sample.
    prefetch : int
        Batches that a thread reads ahead; 0 reads each in its step.
    title : str
        Of the progress line.
    layout : ParameterLayout, optional
        How the parameters lie on ranks, for a model on a grid: `parameters` are this rank's parts. Every rank gets
        whole batches; `loss` returns the value of the whole on all ranks, and this rank's share of the gradients, which
        are summed over `layout.replicas`. `evaluate` and `save` get parts; `sci.io.save(path, c, comm=layout.comm)`
        writes whole arrays. Not beside `comm`: the layout knows the ranks.
    shard : bool
        Each rank keeps the optimizer's state of its share of the parameters alone, 1 / P of it, and makes their steps
        (ZeRO, stage 1). For optimizers that work entry by entry. Gradients have the same bits as without, parameters
        agree to the rounding of each step.
    comm : mpi4py communicator, optional
        The ranks share every batch; gradients are those of the serial training to rounding.

    Returns
    -------
    Checkpoint
        The end: `parameters`, `losses` of every step, `metrics` of every epoch.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        On every rank, for settings out of range or a checkpoint of another training.
    ConvergenceError
        If a loss, a gradient or a parameter is NaN or infinite; the message names the step and the parameter, and the
        last checkpoint saved is from before it.

    Notes
    -----
    Collective over `comm`, or the ranks of `layout`; one all-reduce a step, with `shard` a reduce-scatter and an
    all-gather in its place, and one number for the norm where parts differ. `save` and `evaluate` are called on every
    rank. An error of `data` on one rank is raised on all: with an object that loads samples, a step takes one more
    message.

    References
    ----------
    Rajbhandari et al., ZeRO (arXiv 1910.02054), section 5.1: the sharded state.

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
    ranks = comm if layout is None else layout.comm
    with agreed(ranks, "train") as agreement:
        samples: Dataset = Arrays(tuple(data)) if isinstance(data, (tuple, list)) else data  # type: ignore[assignment]
        options = Options(
            *(len(samples), epochs, batch_size, seed, shuffle, equal_samples, accumulate, clip, average, storage),
            *(activations, monitor, patience, save_every, schedule_each, draws, prefetch, evaluate is not None),
        )
        order = Order(len(samples), int(batch_size), int(seed), bool(shuffle))
        own, given = asdict(order), settings or {}
        if taken := sorted({*own, *PLAIN} & set(given)):
            raise InvalidValueError(f"settings has {taken[0]!r}, which train keeps itself; give it another name")
        flat, kept = named_arrays(parameters, "parameters"), {**own, **options.fixed(), **given}
        sums = _sums(flat, layout, shard, comm)
        optimizer = sums.fitting(optimizer)
        run = started(flat, optimizer, kept, resume, buffers or {}, options, sums)
        agreement.same(epochs=epochs, order=order, settings=settings, buffers=dict(buffers or {}))
        agreement.same(evaluate=evaluate and "given", save=save and "given")
        if size(ranks) > 1:
            _agree(agreement, run, options, optimizer, loss, schedule, samples, sums)
    sums.agree_on_copies(run.parameters)
    collective = bool(getattr(loss, "collective", False))
    batches = Batches(samples, order, options.accumulate, collective, comm, activations, ranks)
    loop = _Loop(loss, parameters, run, optimizer, schedule, evaluate, order, options, batches, sums, ranks)
    every, total = save_every or order.steps, 0 if loop.over else epochs * order.steps
    ahead = range(run.step, total)
    with ReadAhead(batches.load, ahead, options.prefetch) as reader:
        for step in progress(ahead, title, show=rank_of(ranks) == 0, note=loop.note):
            loop.step(step, reader)
            if save is not None and ((step + 1) % every == 0 or step + 1 == total or loop.over):
                with agreed(ranks, "save"):
                    save(loop.checkpoint())
            if loop.over:
                break
    return loop.checkpoint()


def _agree(
    agreement: Agreement,
    run: Checkpoint,
    options: Options,
    optimizer: Optimizer,
    loss: Loss,
    schedule: Schedule,
    samples: Dataset,
    sums: Sums,
) -> None:
    """Require that ranks train one model in one way."""
    agreement.same(optimizer=_without_rates(optimizer), step=run.step, loss=_name_of(loss), shard=sums.layout.sharded)
    agreement.same(**options.compared())
    sums.agree(agreement, run.parameters, run.optimizer)
    held = samples.arrays if isinstance(samples, Arrays) else None
    agreement.same(
        schedule=[schedule(options.epochs * k / 8) for k in range(9)],
        data=_name_of(samples) if held is None else [sample(a) for a in held],
    )


def _sums(parameters: Mapping[str, Array], layout: ParameterLayout | None, shard: bool, comm: Comm) -> Sums:
    if layout is None:
        return Sums(replace(ParameterLayout.whole(parameters, comm), sharded=shard), weighted=True)
    if comm is not None:
        raise InvalidValueError("comm is given beside a layout, which knows the ranks; expected one of them")
    layout.check(parameters)
    return Sums(replace(layout, sharded=shard), weighted=False)


def _without_rates(optimizer: Optimizer) -> Any:
    """Return an optimizer without the rates of single parameters, of which each rank has those of its own."""
    return replace(optimizer, rates={}) if getattr(optimizer, "rates", None) else optimizer  # type: ignore[type-var]


def _name_of(value: Any) -> str:
    """Return the name of a function, or the class of an object that can be called or indexed."""
    return str(getattr(value, "__qualname__", type(value).__qualname__))


@dataclass
class _Loop:
    """A training that goes on step by step; the arrays of `run` change in place."""

    loss: Loss
    like: Any
    run: Checkpoint
    optimizer: Optimizer
    schedule: Schedule
    evaluate: Callable[[Any], Mapping[str, float]] | None
    order: Order
    options: Options
    batches: Batches
    sums: Sums
    comm: Comm

    def __post_init__(self) -> None:
        self.losses: list[float] = self.run.losses.tolist()
        self.metrics: dict[str, list[float]] = {name: values.tolist() for name, values in self.run.metrics.items()}
        self.flat = is_flat(self.like)

    def note(self) -> str:
        """Return a few words about the last step."""
        return f"loss {self.losses[-1]:.3e}" if self.losses else ""

    @property
    def over(self) -> bool:
        """Whether the metric to watch has been small long ago."""
        return is_over(self.metrics.get(self.options.monitor or "", []), self.options.patience)

    def tree(self, leaves: Mapping[str, Any]) -> Any:
        """Return arrays or variables by name in the form of the parameters."""
        return leaves if self.flat else unflatten_tree(leaves, self.like)

    def checkpoint(self) -> Checkpoint:
        """Return the state after the steps made; the arrays are those that change."""
        run, step = self.run, len(self.losses)
        layout = self.sums.layout if self.sums.layout.is_cut else None
        with agreed(layout and layout.comm, "train"):
            require_good(run.parameters, step, "parameter", self.optimizer)
        kept, losses = {name: np.array(values) for name, values in self.metrics.items()}, np.array(self.losses)
        return Checkpoint(step, self.tree(run.parameters), run.optimizer, losses, kept, run.settings, layout)

    def step(self, step: int, reader: ReadAhead) -> None:
        """Make step number `step`, from 0, and evaluate after an epoch."""
        run, options, steps = self.run, self.options, self.order.steps
        value, gradients = self._gradients(step, reader)
        gradients = checked(value, gradients, step + 1, options.clip, self.optimizer, self.sums.layout)
        time = (step + 1) / steps if options.schedule_each == "step" else step // steps
        with abort_on_error(self.comm):  # an agreement on every step would cost a message
            stepped = self.sums.stepped(run.parameters)
            self.optimizer.update(stepped, gradients, run.optimizer, step + 1, self.schedule(time))
            self.sums.spread(run.parameters)
            if options.average is not None:
                add_to_average(run.optimizer["average"], run.parameters, options.average)
        self.losses.append(value)
        if (step + 1) % steps == 0 and self.evaluate is not None:
            self._measure()

    def _seen(self) -> Mapping[str, Array]:
        """Return the parameters that `evaluate` sees."""
        found: Mapping[str, Array] = self.run.parameters
        if self.options.average is not None:
            found = averaged(self.run.optimizer["average"], self.options.average, len(self.losses))
        return found if self.options.storage is None else rounded(found, self.options.storage)

    def _measure(self) -> None:
        assert self.evaluate is not None
        with agreed(self.comm, "evaluate") as agreement:
            seen = self._seen()
            found = self.evaluate(self.tree(seen))
            for name, number in found.items():
                self.metrics.setdefault(name, []).append(float(number))
            monitor = self.options.monitor
            if monitor is None:
                return
            require_metric(found, monitor)
            agreement.same(**{monitor: float(found[monitor])})
            if is_best(self.metrics[monitor], monitor):
                for name, array in self.run.optimizer["best"].items():
                    array[...] = seen[name]

    def _gradients(self, step: int, reader: ReadAhead) -> tuple[float, dict[str, Array]]:
        """Return the loss of a batch and its gradients; each rank computes those of its own samples, in parts."""
        parameters = self.run.parameters
        with self.batches.guard():
            parts = reader.take(step)
        with abort_on_error(self.comm):
            seen = parameters if self.options.storage is None else rounded(parameters, self.options.storage)
            found = self.batches.gradients(self._of_part(step), seen, parts)
        count = self.order.count(step)
        mine = sum(part.count for part in parts)
        value, total = self.sums.added(found[1], float(found[0]), mine / count)
        share = count / self.options.batch_size if self.options.equal_samples else 1.0
        return value, total if share == 1 else {name: share * g for name, g in total.items()}

    def _of_part(self, step: int) -> Callable[[Mapping[str, Any], Any, int], Any]:
        """Return the loss as a function of variables by name, a batch, and the place of its first sample."""
        if not self.options.draws:
            return lambda variables, batch, first: self.loss(self.tree(variables), batch)
        return lambda variables, batch, first: self.loss(
            self.tree(variables), batch, Draws(self.options.seed, step, first)
        )
