"""`sci operator train|adapt|merge|predict|import`: neural operators on samples in HDF5 files."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sci.cli.commands.operators.codes import predicting
from sci.cli.commands.operators.models import drawn_model, is_periodic, training_bound, training_config
from sci.cli.common import chosen_namespace, load_as, parent_of, saver_of, write_trained
from sci.cli.estimates.needs import PICTURE, file_bytes, goes_on
from sci.cli.estimates.networks.operators import adaptation_needs, prediction_needs, training_needs
from sci.cli.outcome import computing, require_writable, tell_figures
from sci.cli.sharing import from_first, on_first_alone, rows_from_first, rows_to_first
from sci.distributed import agreed, rank_of, size, split
from sci.errors import InvalidValueError
from sci.io import Samples, load_inputs, load_samples, read_state_dict, save, save_samples
from sci.nn import Checkpoint, WeightDeltas, fingerprint
from sci.operators import (
    TrainedOperator,
    TrainingConfig,
    adapt_operator,
    as_fields,
    from_neuraloperator,
    relative_errors,
    train_operator,
    with_transposed,
)
from sci.operators.fno.base import Operator
from sci.operators.training.adapt import adaptation_maps

__all__ = [
    "adapt",
    "fields",
    "grid_axes",
    "import_state",
    "merge",
    "predict",
    "require_axes",
    "train",
]

_LAYOUT = 150
"""Bytes that tell a file which arrays change a weight."""


def train(a: argparse.Namespace) -> None:
    """Train a model and write it."""
    chosen_namespace(a, on_device=False)
    outputs = [p for p in (a.output, a.checkpoint, a.plot) if p]
    inputs = [p for p in (a.input, *a.test) if p]
    require_writable(outputs, inputs, overwrite=a.overwrite, continued=[a.resume], comm=a.comm)
    _require_plotting(a.plot)
    samples, dim, tests, resume = from_first(a.comm, lambda: _training_data(a))
    x, y = (fields(v, dim, f"{a.input}: {n}") for n, v in zip("xy", samples))
    pairs = {p.stem: (fields(u, dim, f"{p}: x"), fields(v, dim, f"{p}: y")) for p, (u, v) in tests.items()}
    model, config = drawn_model(a, x, y), _with_stops(a, training_config(a, samples))
    if a.transpose:
        x, y = with_transposed(x, y)

    if not _fits(a, model, x, y, config, pairs):
        return

    start = time.perf_counter()
    trained, history = train_operator(
        *(model, x, y, config),
        standardize_inputs=a.standardize_inputs,
        tests=pairs,
        seed=a.seed,
        save=saver_of(a),
        resume=resume,
        comm=a.comm,
    )
    if not write_trained(a, trained, history):
        return
    report = {
        "model": str(a.output),
        "parameters": trained.model.n_parameters,
        "samples": len(x),
        "steps": history.step,
        "loss": float(history.losses[-1]),
        **_last_or_best(a, history),
        "seconds": time.perf_counter() - start,
    }
    tell_figures(a, report)


def _with_stops(a: argparse.Namespace, config: TrainingConfig) -> TrainingConfig:
    """Return settings with the options of one training, which a sweep has not."""
    if a.patience is not None and not a.test:
        raise InvalidValueError("--patience watches the error on samples of --test; give them, or leave it out")
    return replace(config, accumulate=a.accumulate, average=a.average, patience=a.patience)


def _last_or_best(a: argparse.Namespace, history: Checkpoint) -> dict[str, Any]:
    """Return the metrics of the model that is written: of the last epoch, or of the best one and its number."""
    if a.patience is None:
        return {name: float(values[-1]) for name, values in history.metrics.items()}
    best = int(np.argmin(history.metrics[history.settings["monitor"]]))
    return {"best_epoch": best + 1, **{name: float(values[best]) for name, values in history.metrics.items()}}


def _fits(
    a: argparse.Namespace, model: Operator, x: np.ndarray, y: np.ndarray, config: TrainingConfig, tests: dict[str, Any]
) -> bool:
    """Return True if the training fits into memory and disk and is to be done."""
    return goes_on(
        a,
        lambda: training_needs(model, x, y, config, tests, size(a.comm)),
        bound=training_bound(a, model, x, y),
        disk=_written(a, model, config),
        outputs=[a.output, a.checkpoint, a.plot],
        remedy="use a smaller --batch, --hidden or --layers",
        about={"parameters": model.n_parameters, "samples": len(x)},
    )


def _written(a: argparse.Namespace, model: Operator, config: TrainingConfig) -> float:
    """Return the bytes of the model, of checkpoints, the last one beside the one before, and of a picture."""
    arrays = len(model.parameters)
    weights = float(sum(p.nbytes for p in model.parameters.values()))
    copies = 3 + (config.average is not None) + (config.patience is not None)
    checkpoint = (
        file_bytes(copies * weights, copies * arrays) * (2 if config.epochs > 1 else 1) if a.checkpoint else 0.0
    )
    return file_bytes(weights, arrays) + checkpoint + PICTURE * bool(a.plot)


def _training_data(a: argparse.Namespace) -> tuple[Samples, int, dict[Path, Samples], Checkpoint | None]:
    """Read samples, their number of grid axes, tests, and the checkpoint to go on from."""
    samples = load_samples(a.input)
    dim = grid_axes(a, samples)
    tests = {path: load_samples(path) for path in a.test}
    for path, test in tests.items():
        require_axes(path, test, dim)
    resume = load_as(a.resume, Checkpoint, "a checkpoint of a training") if a.resume else None
    return samples, dim, tests, resume


def predict(a: argparse.Namespace) -> None:
    """Apply a model and write the predictions; ranks share the batches."""
    chosen_namespace(a, on_device=False)
    inputs = [p for p in (a.model, a.input, a.adapter) if p]
    require_writable([p for p in (a.output, a.plot) if p], inputs, overwrite=a.overwrite, comm=a.comm)
    _require_plotting(a.plot)
    whole: dict[str, Any] = {"x": None}
    operator, n = from_first(a.comm, lambda: _inputs(a, whole))
    if not _prediction_fits(a, operator, whole, n):
        return
    start, ranks = time.perf_counter(), size(a.comm)
    # Whole batches, so that each is the one that a single process predicts.
    batches = [split(-(-n // a.batch), rank=rank, size=ranks) for rank in range(ranks)]
    bounds = [0, *(min(n, share.stop * a.batch) for share in batches)]
    own = rows_from_first(a.comm, whole["x"], bounds)
    with computing():
        with agreed(a.comm, "predict"):
            predicted = operator(own, batch_size=a.batch) if len(own) else None
        prediction = rows_to_first(a.comm, predicted)
    with agreed(a.comm, "the prediction"):
        if prediction is not None:
            _tell_prediction(a, prediction, start, **whole)


def _prediction_fits(a: argparse.Namespace, operator: TrainedOperator, whole: dict[str, Any], n: int) -> bool:
    """Return True if the predictions fit into memory and disk and are to be made."""
    n_bytes, config = from_first(a.comm, lambda: int(whole["x"].nbytes)), operator.model.config
    return goes_on(
        a,
        lambda: prediction_needs(operator, whole["x"], a.batch, whole["truth"], size(a.comm)),
        bound=10.0 * n_bytes + 40.0 * a.batch * n_bytes / n * operator.model.config.hidden_channels,
        disk=file_bytes(n_bytes * (1 + config.out_channels / config.in_channels), 4) + PICTURE * bool(a.plot),
        outputs=[a.output, a.plot],
        remedy="use a smaller --batch, or predict part of the inputs",
        about={"samples": n},
    )


def _inputs(a: argparse.Namespace, whole: dict[str, Any]) -> tuple[TrainedOperator, int]:
    """Read the model and its inputs; return it and their number, and put x, truth and what is known into `whole`."""
    operator = _with_delta(a, predicting(a.model))
    dim = operator.model.config.dim
    samples = load_inputs(a.input)
    require_axes(a.input, samples, dim)
    x, y = samples
    x, truth = fields(x, dim, f"{a.input}: x"), None if y is None else fields(y, dim, f"{a.input}: y")
    if truth is not None and (len(truth), *truth.shape[2:]) != (
        len(x),
        *operator.model.config.output_grid(x.shape[2:]),
    ):
        raise InvalidValueError(f"{a.input}: y {truth.shape} does not fit x {x.shape}; leave y out to predict only")
    if a.plot and truth is None:
        raise InvalidValueError(f"--plot draws the prediction beside truth, and {a.input} has no dataset y")
    whole.update(x=x, truth=truth, periodic=samples.periodic)
    return operator, len(x)


def _tell_prediction(
    a: argparse.Namespace, prediction: np.ndarray, start: float, x: np.ndarray, truth: Any, periodic: bool | None
) -> None:
    """Write, draw and report predictions."""
    report: dict[str, Any] = {"output": str(a.output), "samples": len(x), "grid": list(x.shape[2:])}
    if truth is not None:
        with computing():
            report.update(_errors(relative_errors(prediction, truth, periodic=periodic)))
    report["seconds"] = time.perf_counter() - start
    save_samples(a.output, x, prediction, grid_axes=x.ndim - 2, periodic=periodic, command=a.command)
    if a.plot:
        from sci.plotting import plot_prediction

        plot_prediction(truth[:3, 0], prediction[:3, 0], a.plot, inputs=x[:3, 0])
    tell_figures(a, report)


def adapt(a: argparse.Namespace) -> None:
    """Train a delta of a model and write it."""
    chosen_namespace(a, on_device=False)
    inputs = [a.model, a.input, *a.test]
    require_writable([a.output], inputs, overwrite=a.overwrite, continued=[a.add_to], comm=a.comm)
    operator, samples, tests, kept = from_first(a.comm, lambda: _adaptation_data(a))
    dim = operator.model.config.dim
    x, y = (fields(v, dim, f"{a.input}: {n}") for n, v in zip("xy", samples))
    pairs = {p.stem: (fields(u, dim, f"{p}: x"), fields(v, dim, f"{p}: y")) for p, (u, v) in tests.items()}
    config = TrainingConfig(a.epochs, a.batch, a.learning_rate, 0.0, a.loss, is_periodic(a, samples))
    if not _adaptation_fits(a, operator, x, y, config):
        return
    start = time.perf_counter()
    with computing():
        adapted, delta, history = adapt_operator(
            *(operator, x, y, config), rank=a.rank, head=a.head, seed=a.seed, comm=a.comm
        )
    with agreed(a.comm, "the delta"):
        if rank_of(a.comm) > 0:
            return
        save(
            a.output,
            WeightDeltas({**kept, _delta_name(a): delta}),
            command=a.command,
            parent_uuid=parent_of(a.model),
        )
        report: dict[str, Any] = {
            "delta": str(a.output),
            "name": _delta_name(a),
            "parameters": operator.model.n_parameters,
            "trained": delta.n_numbers,
            "samples": len(x),
            "steps": history.step,
        }
        with computing():
            for name, (u, v) in {"": (x, y), **{f"_{stem}": pair for stem, pair in pairs.items()}}.items():
                for when, model in (("before", operator), ("after", adapted)):
                    error = relative_errors(model(u, batch_size=a.batch), v, periodic=config.periodic)["l2"]
                    report[f"l2{name}_{when}"] = float(error)
        report["seconds"] = time.perf_counter() - start
        tell_figures(a, report)


def _delta_name(a: argparse.Namespace) -> str:
    return str(a.name or a.input.stem)


def _adaptation_data(
    a: argparse.Namespace,
) -> tuple[TrainedOperator, Samples, dict[Path, Samples], dict[str, Any]]:
    """Read the model, samples, tests, and the deltas that the new one joins."""
    operator, samples = _operator(a.model), load_samples(a.input)
    tests = {path: load_samples(path) for path in a.test}
    for path, found in {a.input: samples, **tests}.items():
        require_axes(path, found, operator.model.config.dim)
    deltas = _deltas(a.add_to).deltas if a.add_to else {}
    own, name = fingerprint(operator.to_state().parameters), _delta_name(a)
    if any(delta.model != own for delta in deltas.values()):
        raise InvalidValueError(f"{a.add_to}: deltas of another model than {a.model}; expected those of one model")
    if name in deltas:
        raise InvalidValueError(f"{a.add_to}: has a delta {name!r} already; give another --name")
    return operator, samples, tests, dict(deltas)


def _adaptation_fits(
    a: argparse.Namespace, operator: TrainedOperator, x: np.ndarray, y: np.ndarray, config: TrainingConfig
) -> bool:
    """Return True if the adaptation fits into memory and disk and is to be done."""
    points, model = math.prod(x.shape[2:]), operator.model
    width, layers = model.config.hidden_channels, model.config.n_layers
    return goes_on(
        a,
        lambda: adaptation_needs(operator, x, y, config, {"rank": a.rank, "head": a.head}, size(a.comm)),
        bound=5 * (x.nbytes + y.nbytes) + 128.0 * model.n_parameters + 400.0 * a.batch * points * width * (layers + 2),
        disk=_delta_bytes(a, operator) + (a.add_to.stat().st_size if a.add_to else 0.0),
        outputs=[a.output],
        remedy="use a smaller --batch",
        about={"parameters": model.n_parameters, "samples": len(x)},
    )


def _delta_bytes(a: argparse.Namespace, operator: TrainedOperator) -> float:
    """Return the bytes of a file of one delta: its arrays, and a layout in words."""
    changes = [m.change(m.start()) for m in adaptation_maps(operator, a.rank, a.head).values()]
    return file_bytes(float(sum(change.nbytes + _LAYOUT for change in changes)), 2)


@on_first_alone
def merge(a: argparse.Namespace) -> None:
    """Write the operator of a model and a delta."""
    require_writable([a.output], [a.model, a.adapter], overwrite=a.overwrite)
    operator = _with_delta(a, _operator(a.model))
    save(a.output, operator, command=a.command, parent_uuid=parent_of(a.model))
    tell_figures(a, {"model": str(a.output), "parameters": operator.model.n_parameters})


def _with_delta(a: argparse.Namespace, operator: TrainedOperator) -> TrainedOperator:
    """Return the operator that --adapter makes of a model; the model itself without."""
    if a.adapter is None:
        if a.adapter_name:
            raise InvalidValueError("--adapter-name chooses a delta of --adapter; give it, or leave both out")
        return operator
    state = operator.to_state()
    try:
        parameters = _deltas(a.adapter).named(a.adapter_name).applied(state.parameters)
    except InvalidValueError as error:
        raise InvalidValueError(f"{a.adapter}: {error}") from error
    return TrainedOperator.from_state(replace(state, parameters=parameters))


def _deltas(path: Path) -> WeightDeltas:
    return load_as(path, WeightDeltas, "deltas of sci operator adapt")


@on_first_alone
def import_state(a: argparse.Namespace) -> None:
    """Turn a state dict into a model and write it."""
    require_writable([a.output], [a.input], overwrite=a.overwrite)
    options = {
        "positional_grid": False if a.no_grid else None,
        "norm": a.norm,
        "preactivation": a.preactivation or None,
        "stabilizer": a.stabilizer,
        "domain_padding": None if a.padding is None else (a.padding[0] if len(a.padding) == 1 else tuple(a.padding)),
        "fno_skip": a.fno_skip,
        "channel_mlp_skip": a.mlp_skip,
    }
    given = {name: value for name, value in options.items() if value is not None}
    model = from_neuraloperator(read_state_dict(a.input), assume_defaults=a.assume_defaults, **given)
    save(a.output, TrainedOperator(model), command=a.command)
    config = model.config
    report = {
        "model": str(a.output),
        "parameters": model.n_parameters,
        "n_modes": list(config.n_modes),
        "channels": [config.in_channels, config.hidden_channels, config.out_channels],
        "layers": config.n_layers,
        "factorization": config.factorization,
    }
    tell_figures(a, report)


def grid_axes(a: argparse.Namespace, samples: Samples) -> int:
    """Return the number of grid axes that the file records or the options say, which must agree."""
    by_modes = len(a.modes) if len(a.modes or ()) > 1 else None
    said = {"--dim": a.dim, "--modes": by_modes, str(a.input): samples.grid_axes}
    known = {name: axes for name, axes in said.items() if axes is not None}
    if not known:
        raise InvalidValueError(
            f"{a.input}: x has shape {samples.x.shape}, and the file does not record the number of grid axes; give "
            "--dim 1, 2 or 3, or write the samples by sci.io.save_samples(..., grid_axes=)"
        )
    if len(set(known.values())) > 1:
        raise InvalidValueError(
            f"the numbers of grid axes differ: {', '.join(f'{n} says {k}' for n, k in known.items())}"
        )
    return int(next(iter(known.values())))


def _errors(found: dict[str, Any]) -> dict[str, Any]:
    """Return the errors without lists of one channel, and without the samples of zeros if there are none."""
    return {
        name: value
        for name, value in found.items()
        if not (isinstance(value, list) and len(value) == 1) and (name != "zero_samples" or value)
    }


def require_axes(path: Path, samples: Samples, dim: int) -> None:
    """Refuse samples whose file records another number of grid axes."""
    if samples.grid_axes not in (None, dim):
        raise InvalidValueError(f"{path}: samples on grids of {samples.grid_axes} axes; the model takes {dim}")


def fields(array: np.ndarray, dim: int, name: str) -> np.ndarray:
    """Return an array of a file as fields, (n, channel, *grid) in float32."""
    found: np.ndarray = as_fields(array, dim, name)
    return found.astype(np.float32, copy=False)


def _operator(path: Path) -> TrainedOperator:
    return load_as(path, TrainedOperator, "a model of sci operator")


def _require_plotting(path: Path | None) -> None:
    if path:
        from sci.plotting import require_matplotlib

        require_matplotlib(path)
