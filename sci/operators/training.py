"""Training of operators on samples of fields, and trained models that take and give fields in their own units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from sci.backend import Array, namespace, require_finite
from sci.distributed import Comm
from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    AdamW,
    Checkpoint,
    Model,
    Normalizer,
    relative_h1,
    relative_l2,
    train,
)
from sci.nn.optim.schedules import cosine
from sci.operators.fno.config import FNOConfig
from sci.operators.fno.model import FNO, TFNO
from sci.operators.spectral.convolution import as_dtype

__all__ = ["Recipe", "TrainedOperator", "as_fields", "relative_errors", "train_operator", "with_transposed"]

_LOSSES = {"h1": relative_h1, "l2": relative_l2}


@dataclass(frozen=True)
class Recipe:
    """How an operator is trained: AdamW on a relative loss of normalized outputs, the rate along half a cosine.

    Parameters
    ----------
    epochs, batch_size : int
    learning_rate, weight_decay : float
    loss : "h1" or "l2"
        Relative error of values and first differences, or of values.
    periodic : bool
        Whether the differences of the H1 loss wrap around.
    horizon : float, optional
        Epochs after which the cosine reaches 0; `epochs` unless given.
    each_step : bool
        The rate changes after every step instead of every epoch.
    shuffle : bool
    square : bool
        Every pass shows each sample in one of the eight symmetries of the square, drawn at random: for equations that
        do not tell the two axes and their directions apart. Reflections map point i to N - i, of points i / N.
    equal_samples : bool
        See `sci.nn.train`.
    eps : float
        Of AdamW, beside gradients of the mean loss of a batch.
    """

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 8e-3
    weight_decay: float = 1e-4
    loss: str = "h1"
    periodic: bool = True
    horizon: float | None = None
    each_step: bool = True
    shuffle: bool = True
    square: bool = False
    equal_samples: bool = False
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if self.loss not in _LOSSES:
            raise InvalidValueError(f"loss is {self.loss!r}; expected 'h1' or 'l2'")


@dataclass(frozen=True)
class TrainedOperator:
    """A model between fields in their own units: inputs are normalized, outputs turned back.

    Parameters
    ----------
    model : FNO
    inputs, outputs : Normalizer or None
    """

    model: FNO
    inputs: Normalizer | None = None
    outputs: Normalizer | None = None

    def __call__(self, x: Array, *, batch_size: int = 64) -> Array:
        """Return the outputs for `x` (n, channel, *grid) on any grid, `batch_size` samples at a time."""
        require_finite(x, "the field")
        parts = []
        for start in range(0, max(len(x), 1), batch_size):
            part = x[start : start + batch_size]
            y = self.model(self.inputs.encode(part) if self.inputs else part)
            parts.append(self.outputs.decode(y) if self.outputs else y)
        return namespace(x).concatenate(parts) if len(parts) > 1 else parts[0]

    def to_model(self) -> Model:
        """Return what a file holds of it."""
        config = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.model.config).items()}
        options: dict[str, Any] = {"config": config, "class": type(self.model).__name__}
        parameters = dict(self.model.parameters)
        for name, normalizer in (("inputs", self.inputs), ("outputs", self.outputs)):
            if normalizer is not None:
                options[f"{name}_eps"] = normalizer.eps
                parameters[f"standardizer.{name}.mean"] = normalizer.mean
                parameters[f"standardizer.{name}.std"] = normalizer.std
        return Model("FNO", options, parameters)

    @classmethod
    def from_model(cls, model: Model) -> TrainedOperator:
        """Return the operator that `to_model` described.

        Raises
        ------
        InvalidValueError
            If `model` is another kind of model, or its parts do not fit together.
        """
        config = _current_names(model.options.get("config"))
        if model.name != "FNO" or set(config) != {f.name for f in fields(FNOConfig)}:
            raise InvalidValueError(f"the model is of the kind {model.name}; expected an FNO that was trained here")
        own = {n: p for n, p in model.parameters.items() if n.partition(".")[0] not in _STANDARDIZERS}
        kind = TFNO if model.options.get("class") == "TFNO" else FNO
        return cls(kind.of(FNOConfig(**config), own), _normalizer(model, "inputs"), _normalizer(model, "outputs"))


_STANDARDIZERS = ("standardizer", "normalizer", "normaliser")
"""What the arrays of standardizers are named after; the last two in files of schema 1."""


def _current_names(config: Any) -> dict[str, Any]:
    """Return the options of an FNO in a file; those of schema 1 have a `rank`, a float where it is a fraction."""
    if not isinstance(config, dict):
        return {}
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
    if "rank" in settings:
        rank = settings.pop("rank")
        share = isinstance(rank, float)
        settings.update(rank_fraction=rank if share else 1.0, tensor_rank=None if share else rank)
    return settings


def _normalizer(model: Model, name: str) -> Normalizer | None:
    if f"{name}_eps" not in model.options:
        return None
    for prefix in _STANDARDIZERS:
        mean, std = (model.parameters.get(f"{prefix}.{name}.{part}") for part in ("mean", "std"))
        if mean is not None and std is not None:
            return Normalizer(mean, std, float(model.options[f"{name}_eps"]))
    raise InvalidValueError(f"the model has no arrays standardizer.{name}.*; the file is incomplete")


def as_fields(array: Array, dim: int, name: str = "the samples") -> Array:
    """Return samples (n, *grid) or (n, channel, *grid) as float32 (n, channel, *grid); float64 stays.

    Raises
    ------
    ShapeError, InvalidValueError
    """
    if array.ndim == dim + 1:
        array = array[:, None]
    if array.ndim != dim + 2 or 0 in array.shape:
        raise ShapeError(
            f"{name} has shape {tuple(array.shape)}; expected (n, *grid) or (n, channel, *grid), {dim} axes"
        )
    result = array if array.dtype == np.float64 else array.astype(np.float32)
    require_finite(result, name)
    return result


def with_transposed(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the samples followed by themselves with the two grid axes swapped, for equations that do not tell them.

    Raises
    ------
    ShapeError
        Unless the grids are square.
    """
    if x.ndim != 4 or x.shape[2] != x.shape[3] or y.ndim != 4 or y.shape[2] != y.shape[3]:
        raise ShapeError(f"samples of shapes {x.shape} and {y.shape} cannot be transposed; expected square grids")
    xp = namespace(x, y)
    doubled = [xp.concatenate([a, xp.swapaxes(a, 2, 3)]) for a in (x, y)]
    return doubled[0], doubled[1]


class _Square:
    """All passes over the samples as one, each sample in a symmetry of the square that the seed draws."""

    def __init__(self, x: Array, y: Array, recipe: Recipe, seed: int) -> None:
        if x.ndim != 4 or x.shape[2] != x.shape[3] or y.ndim != 4 or y.shape[2:] != x.shape[2:]:
            raise ShapeError(f"samples of shapes {x.shape} and {y.shape} have not the symmetries of a square grid")
        rng, n = np.random.default_rng(seed), len(x)
        passes = [rng.permutation(n) if recipe.shuffle else np.arange(n) for _ in range(recipe.epochs)]
        self.fields, self.order = (x, y), np.concatenate(passes)
        self.kinds = rng.integers(0, 8, len(self.order))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, indices: np.ndarray) -> tuple[Array, ...]:
        xp, kinds = namespace(*self.fields), self.kinds[indices]
        batches = []
        for field in self.fields:
            batch = field[xp.asarray(self.order[indices])]
            back = xp.asarray(-np.arange(field.shape[2]) % field.shape[2])
            for bit in range(3):
                images = (batch[:, :, back], batch[:, :, :, back], xp.swapaxes(batch, 2, 3))
                chosen = xp.asarray(((kinds >> bit) & 1 == 1)[:, None, None, None])
                batch = xp.where(chosen, images[bit], batch)
            batches.append(batch)
        return tuple(batches)


def relative_errors(prediction: Array, truth: Array) -> dict[str, float]:
    """Return the mean over samples of the relative L2 and H1 errors (differences wrapping around)."""
    return {
        "l2": float(relative_l2(prediction, target=truth)),
        "h1": float(relative_h1(prediction, target=truth)),
    }


def train_operator(
    model: FNO,
    x: Array,
    y: Array,
    recipe: Recipe | None = None,
    *,
    normalize_inputs: bool = False,
    tests: Mapping[str, tuple[Array, Array]] | None = None,
    seed: int = 0,
    save: Callable[[Checkpoint], None] | None = None,
    resume: Checkpoint | None = None,
    comm: Comm = None,
) -> tuple[TrainedOperator, Checkpoint]:
    """Train a model on samples, and return it with the normalizers that it needs, and the course of the training.

    Parameters
    ----------
    model : FNO
        Where to start; not changed.
    x, y : (n, channel, *grid) arrays
        Inputs and outputs, of the precision of the training: float32, or float64 for parameters that are.
    recipe : Recipe, optional
    normalize_inputs : bool
        Outputs always are normalized, by mean and deviation of each channel.
    tests : dict of (x, y), optional
        After every epoch (with `square` at the end) "l2_<name>" and "h1_<name>" go to the metrics: mean relative
        errors in the user's units.
    seed : int
        Of the order of the samples.
    save, resume, comm
        See `sci.nn.train`; ranks share every batch.

    Returns
    -------
    TrainedOperator, Checkpoint

    Raises
    ------
    ShapeError, InvalidValueError, ConvergenceError

    Notes
    -----
    Collective over `comm`.
    """
    recipe = recipe or Recipe()
    if len(x) != len(y) or x.shape[1] != model.config.in_channels or y.shape[1] != model.config.out_channels:
        raise ShapeError(
            f"x {tuple(x.shape)} and y {tuple(y.shape)} do not fit a model of {model.config.in_channels} input and "
            f"{model.config.out_channels} output channels; expected (n, channel, *grid) with one n"
        )
    inputs = Normalizer.fit(x) if normalize_inputs else None
    outputs = Normalizer.fit(y)
    data: Any = (inputs.encode(x) if inputs else x, outputs.encode(y))
    passes, horizon = recipe.epochs, recipe.horizon or recipe.epochs
    if recipe.square:
        data, passes, horizon = _Square(data[0], data[1], recipe, seed), 1, horizon / recipe.epochs
    error = _LOSSES[recipe.loss]
    options: dict[str, Any] = {"periodic": recipe.periodic} if recipe.loss == "h1" else {}

    def loss(variables: Mapping[str, Any], batch: Any) -> Any:
        prediction = model.forward(variables, batch[0])
        return error(prediction, target=batch[1], **options)

    def evaluate(parameters: dict[str, Array]) -> dict[str, float]:
        trained = TrainedOperator(FNO.of(model.config, parameters), inputs, outputs)
        found = {name: relative_errors(trained(a), b) for name, (a, b) in (tests or {}).items()}
        return {f"{norm}_{name}": error for name, errors in found.items() for norm, error in errors.items()}

    course = train(
        loss,
        as_dtype(model.parameters, x.dtype),
        data,
        optimizer=AdamW(lr=recipe.learning_rate, eps=recipe.eps, weight_decay=recipe.weight_decay),
        epochs=passes,
        batch_size=recipe.batch_size,
        schedule=cosine(horizon),
        schedule_each="step" if recipe.each_step or recipe.square else "epoch",
        seed=seed,
        shuffle=recipe.shuffle and not recipe.square,
        equal_samples=recipe.equal_samples,
        save_every=-(-len(x) // recipe.batch_size) if recipe.square else None,
        evaluate=evaluate if tests else None,
        save=save,
        resume=resume,
        comm=comm,
    )
    return TrainedOperator(type(model).of(model.config, course.parameters), inputs, outputs), course
