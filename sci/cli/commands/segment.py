"""`sci segment train|predict`: U-Nets that give a class to every cell of a volume."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sci.cli.common import chosen_namespace, load_as, parent_of, saver_of, write_trained
from sci.cli.estimates.needs import PICTURE, file_bytes, goes_on
from sci.cli.estimates.networks.segment import most_bytes, most_training_bytes, segmentation_needs, training_needs
from sci.cli.outcome import computing, require_writable, tell, tell_figures
from sci.cli.sharing import from_first, rows_to_first
from sci.distributed import agreed, rank_of, size
from sci.errors import FileFormatError, InvalidValueError
from sci.io import load_grid, load_inputs, load_samples, read_header, save
from sci.nn import AdamW, Checkpoint, LabelVolume, Segmenter, UNet, UNetConfig, dice_scores, train_segmenter
from sci.nn.unet.boxes import BoxPlan, plan_boxes
from sci.operators import as_fields

__all__ = ["predict", "train"]

Pair = tuple[np.ndarray, np.ndarray]


def train(a: argparse.Namespace) -> None:
    """Train a U-Net on volumes with labels and write it."""
    chosen_namespace(a, on_device=False)
    outputs = [p for p in (a.output, a.checkpoint, a.plot) if p]
    require_writable(outputs, [a.input, *a.test], overwrite=a.overwrite, continued=[a.resume], comm=a.comm)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)
    (x, labels), tests, resume = from_first(a.comm, lambda: _training_data(a))
    with agreed(a.comm, "the network"):
        network = _network(a, x, [labels, *(truth for _, truth in tests.values())])
    if not _training_fits(a, network, x, labels, tests):
        return

    start = time.perf_counter()
    segmenter, history = train_segmenter(
        *(network, x, labels),
        epochs=a.epochs,
        batch_size=a.batch,
        optimizer=AdamW(a.learning_rate),
        tests=tests,
        seed=a.seed,
        save=saver_of(a),
        resume=resume,
        comm=a.comm,
    )
    if not write_trained(a, segmenter, history):
        return
    report = {
        "model": str(a.output),
        "parameters": network.n_parameters,
        "samples": len(x),
        "classes": segmenter.classes,
        "steps": history.step,
        "loss": float(history.losses[-1]),
        **{name: float(values[-1]) for name, values in history.metrics.items()},
        "seconds": time.perf_counter() - start,
    }
    tell_figures(a, report)


def _training_data(a: argparse.Namespace) -> tuple[Pair, dict[str, Pair], Checkpoint | None]:
    """Read volumes with labels, those of tests, and the checkpoint to go on from."""
    resume = load_as(a.resume, Checkpoint, "a checkpoint of a training") if a.resume else None
    return _pair(a.input), {path.stem: _pair(path) for path in a.test}, resume


def _pair(path: Path) -> Pair:
    """Return the volumes (n, channel, *grid) of a file, and the labels (n, *grid) of their cells."""
    samples = load_samples(path)
    x, y = samples
    channel = y.shape[1:2] == (1,)  # labels have one, or no axis for it
    axes = samples.grid_axes or y.ndim - 1 - channel
    if not 1 <= axes <= 3:
        raise InvalidValueError(f"{path}: y has shape {y.shape}; expected labels (n, *grid) on one to three axes")
    fields = as_fields(x, axes, f"{path}: x").astype(np.float32, copy=False)
    labels = _labels(y, (len(fields), *fields.shape[2:]), 2**16)
    if labels is None:
        raise InvalidValueError(
            f"{path}: y has shape {y.shape} and numbers from {y.min():g} to {y.max():g}; expected one label from 0 to "
            f"{2**16 - 1}, a whole number, for each cell of x, whose shape is {x.shape}"
        )
    return fields, labels


def _network(a: argparse.Namespace, x: np.ndarray, labels: list[np.ndarray]) -> UNet:
    """Return the network of the options before its training."""
    classes = a.classes or max(2, *(1 + int(truth.max()) for truth in labels))
    config = UNetConfig(
        *(x.ndim - 2, x.shape[1], classes, a.channels, a.blocks, a.kernel), norm=a.norm, groups=a.groups or 1
    )
    network = UNet(config, seed=a.seed)
    network.check_grid(x.shape)
    return network


def _training_fits(
    a: argparse.Namespace, network: UNet, x: np.ndarray, labels: np.ndarray, tests: dict[str, Pair]
) -> bool:
    """Return True if the training fits into memory and disk and is to be done."""
    arrays, weights = len(network.parameters), sum(float(p.nbytes) for p in network.parameters.values())
    # A checkpoint has the parameters and two moments; the next one is written before the last one goes.
    checkpoint = file_bytes(3 * weights, 3 * arrays) * min(a.epochs, 2) if a.checkpoint else 0.0
    return goes_on(
        a,
        lambda: training_needs(network, x, labels, tests, a.epochs, a.batch, size(a.comm)),
        bound=most_training_bytes(network, x, labels, a.batch),
        disk=file_bytes(weights, arrays) + checkpoint + PICTURE * bool(a.plot),
        outputs=[a.output, a.checkpoint, a.plot],
        remedy="use a smaller --batch, fewer --channels, or smaller volumes",
        about={"parameters": network.n_parameters, "samples": len(x)},
    )


@dataclass(frozen=True)
class _Input:
    """A model, and the volume (channels, *grid) that it is to label, with labels to compare where there are some."""

    model: Segmenter
    volume: np.ndarray
    spacing: tuple[float, ...]
    truth: np.ndarray | None


def predict(a: argparse.Namespace) -> None:
    """Label a volume and write the labels."""
    chosen_namespace(a, on_device=False)
    require_writable([a.output], [a.input, a.model], overwrite=a.overwrite, comm=a.comm)
    given = from_first(a.comm, lambda: _given(a))
    with agreed(a.comm, "the volume"):
        plan = _plan(a, given)
    if not _fits(a, given, plan):
        return
    start = time.perf_counter()
    box, network = plan.box, given.model.network
    with computing():
        _, own = given.model.segment(given.volume, box=list(box), overlap=a.overlap, comm=a.comm)
        labels = rows_to_first(a.comm, own)
    with agreed(a.comm, "the labels"):
        if labels is None or rank_of(a.comm) > 0:
            return
        found = LabelVolume(labels, given.model.classes, given.spacing)
        save(a.output, found, command=a.command, parent_uuid=parent_of(a.input))
    counts = found.counts.tolist()
    report: dict[str, Any] = {
        "labels": str(a.output),
        "grid": list(plan.grid),
        "boxes": plan.count,
        "box": list(box),
        "parameters": network.n_parameters,
        "counts": counts,
    }
    if given.truth is not None:
        scores = dice_scores(labels, given.truth, given.model.classes)
        report["dice"] = [None if np.isnan(score) else float(score) for score in scores]
    report["seconds"] = time.perf_counter() - start
    tell(a, report, _rows(report))


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    total, scores = sum(report["counts"]), report.get("dice")
    rows = [
        ("grid", " x ".join(map(str, report["grid"]))),
        ("boxes", f"{report['boxes']} of {' x '.join(map(str, report['box']))}"),
    ]
    for k, count in enumerate(report["counts"]):
        dice = "" if scores is None or scores[k] is None else f", Dice {scores[k]:.3f}"
        if count or dice:
            rows.append((f"class {k}", f"{count} cells, {count / total:.1%}{dice}"))
    return [*rows, ("seconds", f"{report['seconds']:.2f}"), (report["labels"], "")]


def _plan(a: argparse.Namespace, given: _Input) -> BoxPlan:
    """Return the boxes; refuses volumes and boxes that do not fit the network."""
    config = given.model.network.config
    if len(a.box) not in (1, config.axes):
        raise InvalidValueError(f"--box has {len(a.box)} numbers; expected one, or {config.axes} for this model")
    plan = plan_boxes(config.multiple, given.volume.shape[1:], a.box[0] if len(a.box) == 1 else a.box, a.overlap)
    given.model.network.check_grid((1, config.in_channels, *plan.box))
    return plan


def _fits(a: argparse.Namespace, given: _Input, plan: BoxPlan) -> bool:
    """Return True if the job fits into memory and disk and is to be done."""
    labels = float(np.prod(plan.grid)) * (1 if given.model.classes <= 256 else 2)
    return goes_on(
        a,
        lambda: segmentation_needs(given.model, given.volume, plan, size(a.comm)),
        bound=most_bytes(given.model, given.volume, plan),
        disk=file_bytes(labels * (2 if a.output.suffix == ".vtkhdf" else 1)),
        outputs=[a.output],
        remedy="use a smaller --box",
        about={"parameters": given.model.network.n_parameters, "boxes": plan.count},
    )


def _given(a: argparse.Namespace) -> _Input:
    """Read the model and the volume."""
    model = load_as(a.model, Segmenter, "a model of sci segment train")
    config = model.network.config
    if _kind(a) in ("grid", "potential"):
        grid = load_grid(a.input)
        values, truth, spacing = grid.values[None], None, tuple(grid.spacing)
    else:
        values, truth = _sample(a, config)
        spacing = ()
    if values.ndim != config.axes + 1 or len(values) != config.in_channels:
        raise InvalidValueError(
            f"{a.input}: a volume of {len(values)} channels on {values.ndim - 1} axes; the model takes "
            f"{config.in_channels} on {config.axes}"
        )
    dtype = model.network.parameters["heads.0.weight"].dtype
    return _Input(model, np.ascontiguousarray(values, dtype), spacing, truth)


def _kind(a: argparse.Namespace) -> str:
    try:
        return str(read_header(a.input).kind)
    except FileFormatError:
        return ""


def _sample(a: argparse.Namespace, config: UNetConfig) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the volume (channel, *grid) of a file with x, and the labels (*grid) of its y, if it has some."""
    samples, axes = load_inputs(a.input), config.axes
    x, y = samples
    if samples.grid_axes not in (None, axes):
        raise InvalidValueError(f"{a.input}: fields on {samples.grid_axes} grid axes; the model takes {axes}")
    if x.ndim == axes or (x.ndim == axes + 1 and config.in_channels > 1):  # one volume, without and with channels
        x, y = (x[None, None] if x.ndim == axes else x[None]), None if y is None else y[None]
    if not axes + 1 <= x.ndim <= axes + 2:
        raise InvalidValueError(
            f"{a.input}: x has shape {x.shape}; expected (*grid), (channel, *grid) or (sample, channel, *grid) with "
            f"{axes} grid axes, those of the model"
        )
    k = 0 if a.sample is None else a.sample
    if k >= len(x) or (a.sample is None and len(x) > 1):
        raise InvalidValueError(f"{a.input}: holds {len(x)} samples; choose one by --sample, from 0")
    volume = x[k] if x.ndim == axes + 2 else x[k][None]
    return volume, None if y is None else _labels(y[k], volume.shape[1:], config.out_channels)


def _labels(y: np.ndarray, grid: tuple[int, ...], classes: int) -> np.ndarray | None:
    """Return the array beside a volume as labels of its cells; None if it is none."""
    if [n for n in y.shape if n > 1] != [n for n in grid if n > 1]:  # one channel or none, one sample or none
        return None
    if (y != np.round(y)).any() or y.min() < 0 or y.max() >= classes:
        return None
    return y.reshape(grid).astype(np.int64)
