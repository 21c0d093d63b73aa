"""The adaptation of a trained operator to new samples by a few numbers a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from sci.arguments import collective_entry
from sci.backend import Array
from sci.distributed import Comm, agreed, sample, size
from sci.errors import InvalidValueError
from sci.nn import Adam, Checkpoint, FreeWeight, LoLDU, MappedParameters, WeightDelta, WeightMap, cosine, train
from sci.nn.training.data import digest
from sci.operators.training.config import TrainingConfig
from sci.operators.training.loop import batch_loss, require_fitting
from sci.operators.training.trained import TrainedOperator

__all__ = ["adapt_operator", "adaptation_maps"]

_HEAD = "projection."


@collective_entry
def adapt_operator(
    operator: TrainedOperator,
    x: Array,
    y: Array,
    config: TrainingConfig,
    *,
    rank: int = 16,
    head: bool = True,
    seed: int = 0,
    comm: Comm = None,
) -> tuple[TrainedOperator, WeightDelta, Checkpoint]:
    """Train a trained operator on new samples by LoLDU maps of its matrices, and return what changed apart from it.

    All real matrices (lifting, skips, perceptrons) get a map of `rank`, or of their smaller side if that is less; all
    else is frozen, spectral weights and standardizers too.

    Parameters
    ----------
    operator : TrainedOperator
        Where to start; not changed.
    x, y : (n, channel, *grid) arrays
        Inputs and outputs in the operator's units.
    config : TrainingConfig
        Of a `weight_decay` of 0, which would pull the trained numbers to zero instead of to the operator, and without
        `square`.
    rank : int
        Pivots of a map.
    head : bool
        Train the projection, the last layers, as it is; it gets maps like the others otherwise.
    seed : int
        Of the order of the samples.
    comm
        See `sci.nn.train`; ranks share every batch.

    Returns
    -------
    adapted : TrainedOperator
    delta : WeightDelta
        Of `operator.to_state().parameters`, which it belongs to: `delta.applied` makes the adapted parameters of them.
    history : Checkpoint

    Raises
    ------
    ShapeError, InvalidValueError, ConvergenceError
        Also for a matrix of a rank below that of its map.

    Notes
    -----
    Collective over `comm`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.operators import FNO, TrainedOperator, TrainingConfig, adapt_operator
    >>> operator = TrainedOperator(FNO((4, 4), 1, 1, 8, 2))
    >>> x = np.random.default_rng(0).normal(size=(16, 1, 8, 8)).astype(np.float32)
    >>> config = TrainingConfig(epochs=2, batch_size=8, learning_rate=1e-2, weight_decay=0.0, loss="l2")
    >>> adapted, delta, history = adapt_operator(operator, x, 2 * x, config, rank=4)
    >>> history.step, delta.n_numbers, operator.model.n_parameters
    (4, 200, 3745)
    """
    with agreed(comm, "adapt_operator") as agreement:
        _require_settings(config, rank)
        require_fitting(operator.model, x, y, config, operator.patches)
        state = operator.to_state()
        mapped = MappedParameters(state.parameters, adaptation_maps(operator, rank, head))
        dtype = mapped.parameters["projection.0.weight"].dtype
        if size(comm) > 1:
            agreement.same(
                operator=operator.model.config, x=sample(x), y=sample(y), config=config, rank=rank, head=head
            )
            agreement.same(start={name: sample(a) for name, a in mapped.start().items()})
    inputs = operator.inputs.encode(x) if operator.inputs else x
    outputs = operator.outputs.encode(y) if operator.outputs else y
    loss = batch_loss(operator.model, config, operator.patches)

    def mapped_loss(variables: Mapping[str, Any], batch: Any) -> Any:
        return loss(mapped.weights(variables), batch)

    history = train(
        *(mapped_loss, mapped.start(), (inputs.astype(dtype, copy=False), outputs.astype(dtype, copy=False))),
        optimizer=Adam(config.learning_rate, eps=config.eps),
        epochs=config.epochs,
        batch_size=config.batch_size,
        schedule=cosine(config.horizon or config.epochs),
        schedule_each="step" if config.each_step else "epoch",
        seed=seed,
        shuffle=config.shuffle,
        equal_samples=config.equal_samples,
        accumulate=config.accumulate,
        settings={"training": asdict(config), "rank": rank, "head": head, "samples": digest(x, y)},
        title="adaptation",
        comm=comm,
    )
    adapted = TrainedOperator.from_state(replace(state, parameters=mapped.fold(history.parameters)))
    return adapted, mapped.delta(history.parameters), history


def adaptation_maps(operator: TrainedOperator, rank: int, head: bool) -> dict[str, WeightMap]:
    """Return the maps of an adaptation.

    Raises
    ------
    InvalidValueError
        For a matrix of a rank below that of its map.
    """
    maps: dict[str, WeightMap] = {}
    for name, weight in operator.model.parameters.items():
        if head and name.startswith(_HEAD):
            maps[name] = FreeWeight(weight)
        elif weight.ndim == 2 and weight.dtype.kind == "f":
            try:
                maps[name] = LoLDU(weight, min(rank, *weight.shape))
            except InvalidValueError as error:
                raise InvalidValueError(f"{name}: {error}") from error
    return maps


def _require_settings(config: TrainingConfig, rank: int) -> None:
    if config.weight_decay != 0:
        raise InvalidValueError(
            f"weight_decay is {config.weight_decay:g}, which would pull the numbers of the maps to zero; expected 0"
        )
    if config.square:
        raise InvalidValueError("square is True; expected False: an adaptation shows samples as they are")
    if config.average is not None or config.patience is not None:
        raise InvalidValueError(
            f"average is {config.average}, patience is {config.patience}; expected None: an adaptation has no tests to "
            "watch, and returns what it has trained"
        )
    if config.incremental is not None:
        raise InvalidValueError("incremental is given; expected None: an adaptation keeps the spectral weights")
    if rank < 1:
        raise InvalidValueError(f"rank is {rank}; expected a positive integer")
