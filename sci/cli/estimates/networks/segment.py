"""Needs of a segmentation: one box through the network, and what is held beside it."""

from __future__ import annotations

import math

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.trial import attempt
from sci.nn import Segmenter
from sci.nn.unet.boxes import BoxPlan

__all__ = ["most_bytes", "segmentation_needs"]

FIELDS = 8.0
"""Fields of the finest stage's channels that a pass holds at most, padded copies among them."""


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


BLEND_SPEED = 1e9
"""Entries a second of the output of a box that are weighted along each axis and added up."""
