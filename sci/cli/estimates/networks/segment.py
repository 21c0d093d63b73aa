"""Needs of segmentations and their trainings: one box, or steps on few samples, and what is held beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.networks.steps import COPIES, peak_of_steps, seconds_of_steps
from sci.cli.estimates.trial import attempt
from sci.nn import Segmenter, UNet, train_segmenter
from sci.nn.unet.boxes import BoxPlan

__all__ = ["most_bytes", "most_training_bytes", "segmentation_needs", "training_needs"]

FIELDS = 8.0
"""Fields of the finest stage's channels that a pass holds at most, padded copies among them."""
KEPT = 16.0
"""Fields of a stage's channels that a step of a training holds at most for each of its blocks, and one more."""
BLEND_SPEED = 1e9
"""Entries a second of the output of a box that are weighted along each axis and added up."""


def _held(model: Segmenter, volume: np.ndarray, plan: BoxPlan, ranks: int) -> float:
    """Return the bytes of the window of all classes, of planes that are read, and of labels."""
    itemsize, rest = volume.dtype.itemsize, math.prod(plan.grid[1:])
    window = float(model.classes * plan.box[0] * rest * itemsize)
    shared = window if ranks > 1 else 0.0
    planes = 2.0 * itemsize * len(volume) * plan.box[0] * rest
    return window + shared + planes + 3.0 * math.prod(plan.grid) * (1 if model.classes <= 256 else 2)


def most_bytes(model: Segmenter, volume: np.ndarray, plan: BoxPlan) -> float:
    """Return more bytes than a process takes.

    Parameters
    ----------
    model : Segmenter
    volume : (channel, *grid) array
    plan : BoxPlan
    """
    config = model.network.config
    cells = math.prod(plan.box) * volume.dtype.itemsize
    widest = max(2 * config.channels[0], config.channels[1], config.out_channels)
    return 2.0 * volume.nbytes + _held(model, volume, plan, 2) + FIELDS * cells * widest


def segmentation_needs(model: Segmenter, volume: np.ndarray, plan: BoxPlan, ranks: int = 1) -> Needs:
    """Return the needs of a segmentation, from one box.

    Parameters
    ----------
    model : Segmenter
    volume : (channel, *grid) array
    plan : BoxPlan
    ranks : int
        Processes that share the boxes.
    """
    network = model.network
    x = np.zeros((1, len(volume), *plan.box), volume.dtype)
    x[..., 0] = 1
    network.forward(network.parameters, x, levels=1)  # kernels are loaded
    tried, watched = (
        attempt(lambda: network.forward(network.parameters, x, levels=1), memory=memory) for memory in (False, True)
    )
    layers = -(-len(plan.starts[0]) // ranks)
    each = plan.count / len(plan.starts[0])
    blended = 4.0 * model.classes * math.prod(plan.box) / BLEND_SPEED
    return Needs(watched.peak + _held(model, volume, plan, ranks), {"boxes": layers * each * (tried.seconds + blended)})


def most_training_bytes(network: UNet, x: np.ndarray, labels: np.ndarray, batch: int) -> float:
    """Return more bytes than a process takes in a training.

    Parameters
    ----------
    network : UNet
    x : (n, channel, *grid) array
    labels : (n, *grid) array
    batch : int
    """
    config, cells = network.config, float(min(batch, len(x)) * math.prod(x.shape[2:]) * x.dtype.itemsize)
    assert not isinstance(config.depths, int)
    stages = zip(config.channels, config.depths)
    width = sum(2 * c * (d + 1) / 2 ** (config.axes * k) for k, (c, d) in enumerate(stages)) + 2 * config.out_channels
    return float(5 * (x.nbytes + labels.nbytes) + 40 * network.n_parameters + KEPT * cells * width)


def training_needs(
    network: UNet,
    x: np.ndarray,
    labels: np.ndarray,
    tests: Mapping[str, tuple[np.ndarray, np.ndarray]],
    epochs: int,
    batch: int,
    ranks: int = 1,
) -> Needs:
    """Return the needs of a training, from steps on few samples.

    Parameters
    ----------
    network : UNet
    x : (n, channel, *grid) array
    labels : (n, *grid) array
    tests : dict of (x, labels)
    epochs, batch : int
    ranks : int
        Processes that share every batch.
    """

    def step(n: int) -> None:
        chosen = np.arange(n) % len(x)
        train_segmenter(network, x[chosen], labels[chosen], epochs=1, batch_size=n)

    seconds = {"training": seconds_of_steps(step, len(x), batch, epochs=epochs, ranks=ranks)}
    memory = peak_of_steps(step, len(x), batch, ranks=ranks) + COPIES * (x.nbytes + labels.nbytes)
    for fields, truth in tests.values():
        shown = attempt(partial(Segmenter(network), fields[:1]))
        seconds["tests"] = seconds.get("tests", 0.0) + epochs * len(fields) * shown.seconds
        memory += 1.5 * fields.nbytes + 2.0 * truth.nbytes
    return Needs(memory, seconds)
