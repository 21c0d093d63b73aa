"""The training of a next-scale model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, namespace, to_device
from sci.distributed import Comm, agreed
from sci.errors import InvalidValueError
from sci.generative.next_scale.model import NextScaleModel
from sci.generative.next_scale.tokens import ScaleTokens, require_fitting
from sci.nn import AdamW, Checkpoint, Draws, Optimizer, Schedule, cosine, train
from sci.nn.training.data import digest

__all__ = ["train_next_scale"]


@collective_entry
def train_next_scale(
    model: NextScaleModel,
    tokens: ScaleTokens,
    *,
    epochs: int,
    batch_size: int = 32,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    drop: float = 0.1,
    tests: Mapping[str, ScaleTokens] | None = None,
    patience: int | None = None,
    average: float | None = None,
    clip: float | None = 1.0,
    seed: int = 0,
    save: Callable[[Checkpoint], None] | None = None,
    resume: Checkpoint | None = None,
    comm: Comm = None,
) -> tuple[NextScaleModel, Checkpoint]:
    """Train a model to predict the codes of fields: cross-entropy, AdamW with a rate that falls as a cosine.

    Parameters
    ----------
    model : NextScaleModel
        Where to start; not changed.
    tokens : ScaleTokens
        The fields; all ranks see all of them.
    epochs, batch_size : int
    optimizer : Optimizer, optional
        AdamW of rate 0.003 unless given.
    schedule : callable, optional
        Factor of the rate, see `sci.nn.train`; a cosine over the epochs unless given.
    drop : float
        Share of the fields of a step that are trained without their condition, in [0, 1): what guidance and draws
        without a condition need. Without effect on a model without conditions.
    tests : dict of ScaleTokens, optional
        Their cross-entropy in nats a code is a metric `nats_<name>` of every epoch.
    patience : int, optional
        The training ends after so many epochs without a smaller cross-entropy of the first of `tests`, and the model is
        that of the best epoch.
    average : float, optional
        Decay of an average of the parameters over the steps, see `sci.nn.train`: the tests and the result are those of
        the average.
    clip : float, optional
        Largest global norm of a gradient.
    seed, save, resume, comm
        As in `sci.nn.train`; ranks share every batch.

    Returns
    -------
    model : NextScaleModel
    history : Checkpoint

    Raises
    ------
    InvalidValueError, ShapeError, ConvergenceError
        On every rank; also for codes of another vocabulary, and conditions that the model does not take.

    Notes
    -----
    Collective.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import MultiScaleVQ
    >>> from sci.generative import NextScaleConfig, NextScaleModel, ScaleTokens, train_next_scale
    >>> quantizer = MultiScaleVQ(np.array([[0.0], [1.0], [-1.0]]), [(1,), (2,)])
    >>> config = NextScaleConfig.of(quantizer, width=8, heads=2, layers=1)
    >>> steps = np.sign(np.random.default_rng(0).normal(size=(64, 1, 1))) * np.ones(2)
    >>> tokens = ScaleTokens.of(config, quantizer, steps)
    >>> trained, _ = train_next_scale(NextScaleModel.create(config), tokens, epochs=20)
    >>> trained.nats(tokens).round(1)  # a coin, and what it says
    array([0.7, 0. ])
    """
    shown = dict(tests or {})
    with agreed(comm, "train_next_scale") as agreement:
        for some in (tokens, *shown.values()):
            require_fitting(model.config, some)
            if not len(some):
                raise InvalidValueError("tokens of no fields; expected one field or more")
        if not 0 <= drop < 1:
            raise InvalidValueError(f"drop is {drop}; expected a share of the fields from 0 to below 1")
        if patience is not None and not shown:
            raise InvalidValueError(f"patience is {patience} without tests; expected fields to watch")
        agreement.same(config=model.config, drop=drop, patience=patience, tests=list(shown))
        agreement.same(codes=tokens.codes, inputs=tokens.inputs, **tokens.condition.given())
    dropped = drop if model.config.conditions else 0.0
    settings: dict[str, Any] = {"config": model.config.to_options(), "drop": dropped, "tokens": _digest(tokens)}
    if schedule is None:
        settings["horizon"] = epochs
    if patience is not None:
        settings["watched"] = _digest(next(iter(shown.values())))

    def loss(variables: Mapping[str, Any], batch: ScaleTokens, draws: Draws) -> Any:
        keep = None
        if dropped:
            kept = draws.uniform("condition", (len(batch),)) >= dropped
            keep = to_device(kept.astype(batch.inputs.dtype), namespace(batch.inputs))
        return model.loss(variables, batch, keep=keep)

    def evaluate(parameters: dict[str, Array]) -> dict[str, float]:
        made = model.with_parameters(parameters)
        return {f"nats_{n}": float(np.average(made.nats(t), weights=model.config.blocks)) for n, t in shown.items()}

    history = train(
        loss,
        model.parameters,
        tokens,
        optimizer=optimizer or AdamW(3e-3),
        epochs=epochs,
        batch_size=batch_size,
        schedule=schedule or cosine(epochs),
        seed=seed,
        clip=clip,
        average=average,
        evaluate=evaluate if shown else None,
        monitor=f"nats_{next(iter(shown))}" if patience is not None else None,
        patience=patience,
        save=save,
        resume=resume,
        settings=settings,
        draws=True,
        title="next-scale prediction",
        comm=comm,
    )
    best = history.best if patience is not None else history.averaged if average is not None else history.parameters
    return model.with_parameters(best), history


def _digest(tokens: ScaleTokens) -> str:
    return digest(tokens.codes, tokens.inputs, *tokens.condition.given().values())
