"""The training of an operator on samples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from sci.arguments import collective_entry
from sci.backend import Array, namespace, to_host
from sci.distributed import Comm, agreed, allgather_rows, sample, size, split
from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    AdamW,
    Checkpoint,
    Standardizer,
    cosine,
    relative_h1,
    relative_l2,
    relative_lp,
    relative_sobolev,
    train,
    with_roles,
)
from sci.nn.training.data import digest
from sci.operators.fno.base import Operator
from sci.operators.fno.config import OperatorConfig
from sci.operators.patches.parallel import patch_loss
from sci.operators.patches.windows import MultigridPatches
from sci.operators.spectral.convolution import as_dtype
from sci.operators.training.config import TrainingConfig
from sci.operators.training.data import SquareSymmetries
from sci.operators.training.errors import relative_errors
from sci.operators.training.incremental import GrowingModes, WatchedOptimizer, narrowed
from sci.operators.training.trained import TrainedOperator

__all__ = ["batch_loss", "require_fitting", "train_operator"]


@collective_entry
def train_operator(
    model: Operator,
    x: Array,
    y: Array,
    config: TrainingConfig,
    *,
    standardize_inputs: bool = False,
    patches: MultigridPatches | None = None,
    tests: Mapping[str, tuple[Array, Array]] | None = None,
    seed: int = 0,
    save: Callable[[Checkpoint], None] | None = None,
    resume: Checkpoint | None = None,
    comm: Comm = None,
) -> tuple[TrainedOperator, Checkpoint]:
    """Train a model on samples, and return it with its standardizers, and the history of the training.

    Parameters
    ----------
    model : FNO, TFNO, SFNO or UNO
        Where to start; not changed.
    x, y : (n, channel, *grid) arrays
        Inputs and outputs, of the precision of the training: float32, or float64 for parameters that are.
    config : TrainingConfig
    standardize_inputs : bool
        Outputs always are standardized, by mean and deviation of each channel, so that their units do not matter.
    patches : MultigridPatches, optional
        Train on patches, stitched for the loss, which then is "l2"; the model takes `patches.channels(...)` channels.
        Every rank cuts its own samples; `sci.operators.patch_loss` shares the patches of a sample.
    tests : dict of (x, y), optional
        After every epoch (with `square` at the end) "l2_<name>" and, where `config.periodic` says which differences,
        "h1_<name>" go to the metrics: see `relative_errors`. With several channels each has "l2_<name>_channel<k>".
    seed : int
        Of the order of the samples.
    save, resume, comm
        See `sci.nn.train`; ranks share every batch. A checkpoint of other samples, another model or other settings is
        refused; `epochs` may grow where `config.horizon` stays.

    Returns
    -------
    TrainedOperator, Checkpoint
        The operator of the last step, or of the average or the best epoch where `config` says so.

    Raises
    ------
    ShapeError, InvalidValueError, ConvergenceError
        Also for a model with more modes than the grid of the samples has: their weights would stay untrained. A
        prediction on a coarser grid leaves modes out, and is right.

    Warns
    -----
    RuntimeWarning
        For an output channel that is constant: its relative errors say nothing.

    Notes
    -----
    Collective over `comm`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.operators import TFNO, TrainingConfig
    >>> x = np.random.default_rng(0).normal(size=(16, 1, 8, 8)).astype(np.float32)
    >>> config = TrainingConfig(epochs=2, batch_size=8, loss="l2")
    >>> operator, history = train_operator(TFNO((4, 4), 1, 1, 8, 2), x, 1e-9 * x, config)
    >>> history.step, operator(x).shape
    (4, (16, 1, 8, 8))
    """
    with agreed(comm, "train_operator") as agreement:
        require_fitting(model, x, y, config, patches)
        if config.patience is not None and not tests:
            raise InvalidValueError(f"patience is {config.patience} without tests; expected samples to watch")
        if size(comm) > 1:
            agreement.same(model=model.config, x=sample(x), y=sample(y), standardize_inputs=standardize_inputs)
            agreement.same(config=config, patches=patches, resume=resume and "given", save=save and "given")
            agreement.same(tests={name: [sample(a) for a in pair] for name, pair in (tests or {}).items()})
        _warn_of_constants(y)
        inputs = Standardizer.fit(x) if standardize_inputs else None
        outputs = Standardizer.fit(y)
        growing = None if config.incremental is None else GrowingModes(model, config.incremental, comm)
    data: Any = (inputs.encode(x) if inputs else x, outputs.encode(y))
    passes, horizon = config.epochs, config.horizon or config.epochs
    if config.square:
        data, passes, horizon = SquareSymmetries(data[0], data[1], config, seed), 1, horizon / config.epochs

    def evaluate(parameters: dict[str, Array]) -> dict[str, float]:
        if growing is not None:
            growing.end_epoch()
        trained = TrainedOperator(_final(model, parameters, growing), inputs, outputs, patches)
        found: dict[str, float] = {}
        for name, (a, b) in (tests or {}).items():
            found.update(_metrics(name, relative_errors(_predicted(trained, a, comm), b, periodic=config.periodic)))
        return found

    loss, optimizer = _loss_and_optimizer(model, config, patches, growing)
    history = train(
        *(loss, as_dtype(model.parameters, x.real.dtype), data),
        optimizer=optimizer,
        epochs=passes,
        batch_size=config.batch_size,
        schedule=cosine(horizon),
        schedule_each="step" if config.each_step or config.square else "epoch",
        seed=seed,
        shuffle=config.shuffle and not config.square,
        equal_samples=config.equal_samples,
        accumulate=config.accumulate,
        average=config.average,
        monitor=None if config.patience is None else f"l2_{next(iter(tests or ()))}",
        patience=config.patience,
        save_every=-(-len(x) // config.batch_size) if config.square else None,
        evaluate=evaluate if tests or growing else None,
        buffers=None if growing is None else growing.state,
        save=save,
        resume=resume,
        settings={"standardize_inputs": standardize_inputs, **_settings(model, config, patches, x, y)},
        comm=comm,
    )
    chosen = history.parameters if config.average is None else history.averaged
    if config.patience is not None:
        chosen = history.best
    return TrainedOperator(_final(model, chosen, growing), inputs, outputs, patches), history


def _settings(
    model: Operator, config: TrainingConfig, patches: MultigridPatches | None, x: Array, y: Array
) -> dict[str, Any]:
    """Return the settings that stay the same when a training goes on."""
    return {
        "model": model.config.to_options(),
        "training": config.fixed(),
        "patches": None if patches is None else asdict(patches),
        "samples": digest(x, y),
        **({"passes": config.epochs} if config.square else {}),
    }


def _loss_and_optimizer(
    model: Operator, config: TrainingConfig, patches: MultigridPatches | None, growing: GrowingModes | None
) -> tuple[Callable[[Mapping[str, Any], Any], Any], Any]:
    """Return the loss of a batch and the optimizer; both of the wavenumbers in use, if they grow."""
    optimizer = with_roles(
        AdamW(config.learning_rate, eps=config.eps, weight_decay=config.weight_decay),
        model.roles,
        base=model.base_roles,
    )
    if growing is None:
        return batch_loss(model, config, patches), optimizer
    loss = growing.wrapped(lambda small, variables, batch: batch_loss(small, config, patches)(variables, batch))
    return loss, WatchedOptimizer(optimizer, growing.see_gradients)


def _final(model: Operator, parameters: Mapping[str, Array], growing: GrowingModes | None) -> Operator:
    """Return a model of these parameters; of the wavenumbers in use, if they grow."""
    if growing is None:
        return type(model).of(model.config, parameters)
    small, own = narrowed(model, parameters, growing.trained)
    return type(model).of(small.config, {n: namespace(p).ascontiguousarray(p) for n, p in own.items()})


def _predicted(trained: TrainedOperator, x: Array, comm: Comm) -> Array:
    """Return the outputs for `x` on every rank; each computes those of its share of the samples."""
    if size(comm) == 1:
        return trained(x)
    own, like = x[split(len(x), comm)], trained(x[:1])
    return allgather_rows(trained(own) if len(own) else like[:0], comm)


def require_fitting(
    model: Operator, x: Array, y: Array, config: TrainingConfig, patches: MultigridPatches | None
) -> None:
    """Raise ShapeError or InvalidValueError for samples that a model cannot be trained on."""
    channels = x.shape[1] if patches is None else patches.channels(x.shape[1], x.ndim - 2)
    if len(x) != len(y) or channels != model.config.in_channels or y.shape[1] != model.config.out_channels:
        cut = "" if patches is None else f", {channels} of its patches,"
        raise ShapeError(
            f"x {tuple(x.shape)}{cut} and y {tuple(y.shape)} do not fit a model of {model.config.in_channels} input "
            f"and {model.config.out_channels} output channels; expected (n, channel, *grid) with one n"
        )
    grid = tuple(x.shape[2:]) if patches is None else patches.window(x.shape[2:])
    if len(grid) == model.config.dim:  # the model says what is wrong with another field
        _require_modes(model.config, grid)
        _require_grid(model.config, grid, tuple(y.shape[2:]), patches)
    if patches is not None and config.loss != "l2":
        raise InvalidValueError(f"loss is {config.loss!r}; expected 'l2' for patches, whose halos are not compared")


def _require_grid(
    config: OperatorConfig, grid: tuple[int, ...], truth: tuple[int, ...], patches: MultigridPatches | None
) -> None:
    """Refuse outputs on another grid than the model's."""
    found = config.output_grid(grid)
    if patches is not None:
        if found != grid:
            raise InvalidValueError(
                f"the model takes {grid} points of a patch to {found}; expected a model of one grid"
            )
    elif found != truth:
        raise ShapeError(f"y is on {truth} points, and the model takes {grid} points to {found}; expected one grid")


def _require_modes(config: OperatorConfig, grid: tuple[int, ...]) -> None:
    """Refuse modes that the grids of the blocks do not hold, whose weights would stay as they were drawn."""
    grids = config.grids(grid)
    for index, layer in enumerate(config.layers):
        ends = grids[index : index + 2]
        if layer.kept(*ends, sphere=config.sphere is not None) == layer.form.modes:
            continue
        least, own = tuple(map(min, *ends)), f"the modes of block {index} are" if config.scaled else "n_modes is"
        padded = "" if grids[0] == tuple(grid) else f", {' x '.join(map(str, grids[0]))} with the padding,"
        where = f" of the block, from samples on {_times(grid)}{padded}," if config.scaled else padded
        raise InvalidValueError(
            f"{own} {layer.n_modes}, and samples on {_times(ends[0] if config.scaled else grid)} points{where} have no "
            f"more than {least} modes: the weights of the others would stay as they were drawn, and spoil predictions "
            f"on finer grids; expected at most {least}"
        )


def _times(grid: tuple[int, ...]) -> str:
    return " x ".join(map(str, grid))


def _warn_of_constants(y: Array) -> None:
    for channel in range(y.shape[1]):
        part = y[:, channel]
        first = to_host(part.reshape(-1)[0])
        if bool(to_host((part == part.reshape(-1)[0]).all())):
            warnings.warn(
                f"output channel {channel} is {first:g} in all samples: there is nothing to learn",
                RuntimeWarning,
                stacklevel=3,
            )


def batch_loss(
    model: Operator, config: TrainingConfig, patches: MultigridPatches | None
) -> Callable[[Mapping[str, Any], Any], Any]:
    """Return the loss of a batch (x, y) of standardized fields."""
    if patches is not None:
        return patch_loss(model, patches)

    def loss(variables: Mapping[str, Any], batch: Any) -> Any:
        prediction = model.forward(variables, batch[0])
        options: dict[str, Any] = {"target": batch[1], "zero_scale": 1.0}
        if config.loss == "l2":
            return relative_l2(prediction, **options)
        if config.loss == "lp":
            return relative_lp(prediction, p=config.order or 1.0, **options)
        if config.loss == "sobolev":
            return relative_sobolev(prediction, order=0.0 if config.order is None else config.order, **options)
        return relative_h1(prediction, periodic=config.periodic, **options)

    return loss


def _metrics(name: str, errors: Mapping[str, Any]) -> dict[str, float]:
    """Return the errors on a test set as numbers by name, those of channels if there are several."""
    found = {}
    for norm in ("l2", "h1"):
        if norm not in errors:
            continue
        found[f"{norm}_{name}"] = errors[norm]
        channels = errors[f"{norm}_channels"]
        if len(channels) > 1:
            found.update({f"{norm}_{name}_channel{k}": error for k, error in enumerate(channels)})
    return found
