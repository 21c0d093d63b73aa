"""The training of a diffusion of crystals, and its loss beside the least that there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array
from sci.distributed import Comm, agreed, size
from sci.errors import InvalidValueError
from sci.generative.crystals.crystals import Crystals
from sci.generative.crystals.denoiser.augment import shuffled, translated
from sci.generative.crystals.denoiser.compositions import composer, composer_loss, counts_of
from sci.generative.crystals.denoiser.features import CELL
from sci.generative.crystals.denoiser.model import CrystalDiffusion
from sci.generative.diffusion.exact import ExactDenoiser
from sci.generative.diffusion.parameterizations import loss_weights, predicted_noise
from sci.nn import Adam, Checkpoint, Draws, add, cosine, multiply, power, subtract, train
from sci.nn import sum as sum_of
from sci.nn.training.data import digest

__all__ = ["CrystalTraining", "noise_losses", "train_crystals"]


@entry
@dataclass(frozen=True)
class CrystalTraining:
    """How a diffusion of crystals is trained.

    Parameters
    ----------
    epochs, batch_size : int
    learning_rate : float
        At the start of Adam; it falls to 0 as a cosine over the epochs.
    shuffle_slots : bool
        Put the atoms of an element in its slots in a new order in every step.
    translate : bool
        Move all atoms of a crystal by the same random fractions of the cell in every step.
    empty_weight : float
        Weight of empty slots in the loss of a model that learns compositions; atoms, empty slots and the cell are means
        of their own, so that the many empty slots do not drown the others.
    cell_weight : float
        Weight of the cell.
    average : float, optional
        Decay of the exponential average of the parameters, which the model then has.
    clip : float
        Largest norm of a gradient.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.generative import CrystalTraining
    >>> CrystalTraining(100).batch_size
    32
    """

    epochs: int
    batch_size: int = 32
    learning_rate: float = 2e-3
    shuffle_slots: bool = False
    translate: bool = False
    empty_weight: float = 1.0
    cell_weight: float = 1.0
    average: float | None = 0.99
    clip: float = 1.0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1:
            raise InvalidValueError(f"{self!r}; expected positive epochs and batch_size")
        if min(self.learning_rate, self.clip) <= 0 or min(self.empty_weight, self.cell_weight) < 0:
            raise InvalidValueError(f"{self!r}; expected a positive learning rate and clip, and weights of 0 or more")


@collective_entry
def train_crystals(
    model: CrystalDiffusion,
    crystals: Crystals,
    training: CrystalTraining,
    *,
    seed: int = 0,
    save: Callable[[Checkpoint], None] | None = None,
    resume: Checkpoint | None = None,
    comm: Comm = None,
) -> tuple[CrystalDiffusion, Checkpoint]:
    """Train a diffusion of crystals: noise of a random step is put on each, and the network estimates the crystal.

    Parameters
    ----------
    model : CrystalDiffusion
        Where to start, of `CrystalDiffusion.create`; not changed.
    crystals : Crystals
    training : CrystalTraining
    seed : int
        Of the order, the steps and the noise.
    save, resume, comm
        See `sci.nn.train`; noise is a function of seed, step and sample, on any number of ranks.

    Returns
    -------
    model : CrystalDiffusion
        Of the last step, or of the average.
    history : Checkpoint

    Raises
    ------
    InvalidValueError, ShapeError, ConvergenceError
        On every rank; for crystals that do not fit the features of the model.

    Notes
    -----
    Collective over `comm`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import CrystalConfig, CrystalDiffusion, Crystals, CrystalTraining, crystal, train_crystals
    >>> salts = Crystals([crystal([11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], a * np.eye(3)) for a in (2.8, 3.0)])
    >>> model = CrystalDiffusion.create(salts, CrystalConfig(widths=[16]))
    >>> model, history = train_crystals(model, salts, CrystalTraining(50))
    >>> bool(history.losses[-5:].mean() < history.losses[:5].mean())
    True
    """
    with agreed(comm, "train_crystals") as agreement:
        vectors = model.features.encode(crystals).astype(next(iter(model.parameters.values())).dtype)
        occupied = np.array([model.features.occupied(numbers) for numbers in crystals.numbers])
        if size(comm) > 1:
            agreement.same(model=model.to_state(), training=training, vectors=vectors)
            agreement.same(save=save and "given", resume=resume and "given")
    history = train(
        *(batch_loss(model, training), model.parameters, (vectors, occupied)),
        optimizer=Adam(training.learning_rate),
        epochs=training.epochs,
        batch_size=min(training.batch_size, len(vectors)),
        schedule=cosine(training.epochs),
        schedule_each="step",
        seed=seed,
        clip=training.clip,
        average=training.average,
        save=save,
        resume=resume,
        settings={"model": model.config.to_options(), "loss": _fixed(training), "crystals": digest(vectors)},
        draws=True,
        comm=comm,
    )
    return model.with_parameters(history.parameters if training.average is None else history.averaged), history


def _fixed(training: CrystalTraining) -> dict[str, Any]:
    """Return the settings that a training which goes on must share; `epochs` are those of the schedule."""
    names = ("epochs", "learning_rate", "shuffle_slots", "translate", "empty_weight", "cell_weight", "clip")
    return {name: getattr(training, name) for name in names}


def batch_loss(model: CrystalDiffusion, training: CrystalTraining) -> Callable[..., Any]:
    """Return the loss of a batch (vectors, occupied) for `sci.nn.train` with draws."""
    schedule, predicts = model.schedule, model.config.predicts
    counted = composer(model.features, model.config.composer) if model.config.compositions == "first" else None

    def crystal_loss(parameters: Mapping[str, Any], batch: Any, draws: Draws) -> Any:
        vectors, occupied = batch
        if training.shuffle_slots:
            vectors = shuffled(model.features, vectors, occupied, draws)
        if training.translate:
            vectors = translated(model.features, vectors, occupied, draws)
        steps = 1 + (draws.uniform("step", (len(vectors),)) * schedule.steps).astype(np.int64)
        noise = draws.normal("noise", vectors.shape).astype(vectors.dtype)
        x = schedule.add_noise(vectors, noise, steps)
        error = subtract(model.denoised(parameters, x, steps, occupied), vectors)
        of_step = loss_weights(predicts, schedule.signals[steps], schedule.noises[steps])
        weights = of_step[:, None] * entry_weights(model, training, occupied) / max(len(vectors), 1)
        loss = sum_of(multiply(power(error, exponent=2), weights.astype(vectors.dtype)))
        if counted is None or not len(vectors):
            return loss
        return add(loss, composer_loss(counted, parameters, counts_of(model.features, occupied), draws))

    return crystal_loss


def entry_weights(model: CrystalDiffusion, training: CrystalTraining, occupied: np.ndarray) -> np.ndarray:
    """Return weights (n, width) of the numbers of crystals: means over atoms, over empty slots, and over the cell."""
    channels = model.features.channels
    held = occupied / (channels * occupied.sum(axis=1, keepdims=True))
    empty = ~occupied / (channels * np.maximum((~occupied).sum(axis=1, keepdims=True), 1))
    weight = 0.0 if model.config.conditional else training.empty_weight
    found: np.ndarray = model.spread(held + weight * empty)
    found[:, -CELL:] = training.cell_weight / CELL
    return found


@entry
def noise_losses(
    model: CrystalDiffusion, crystals: Crystals, steps: np.ndarray, *, seed: int = 0, repeats: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean squared errors of the noise at steps: those of a model, and the least ones for these crystals.

    The least are those of the exact denoiser of the crystals on the same noise, whose composition is not given: for a
    model that learns compositions no training goes below them, but for the scatter of the draws. One that is given the
    composition knows more.

    Parameters
    ----------
    model : CrystalDiffusion
    crystals : Crystals
    steps : (k,) int
        From 1.
    seed : int
    repeats : int
        Draws of noise for each crystal.

    Returns
    -------
    model, least : (k,) float64
        Means over all numbers of all crystals.

    Raises
    ------
    InvalidValueError
    """
    if steps.ndim != 1 or not len(steps) or repeats < 1 or seed < 0:
        raise InvalidValueError(
            f"steps of shape {steps.shape}, repeats {repeats}, seed {seed}; expected one step or more, one draw or "
            "more and a seed of 0 or more"
        )
    vectors = model.features.encode(crystals)
    exact = ExactDenoiser(model.schedule, vectors)
    occupied = np.array([model.features.occupied(numbers) for numbers in crystals.numbers])
    rows, held = np.tile(vectors, (repeats, 1)), np.tile(occupied, (repeats, 1))
    dtype = next(iter(model.parameters.values())).dtype
    found = []
    for k, step in enumerate(np.asarray(steps).tolist()):
        noise = np.random.default_rng([seed, k]).standard_normal(rows.shape)
        x = model.schedule.add_noise(rows, noise, step)
        levels = model.schedule.levels(step, rows)

        def error(x0: Array) -> float:
            return float(np.mean((predicted_noise(x0, x, *levels) - noise) ** 2))  # noqa: B023

        found.append((error(model(x.astype(dtype), step, held).astype(np.float64)), error(exact(x, step))))
    ours, least = np.array(found).T
    return ours, least
