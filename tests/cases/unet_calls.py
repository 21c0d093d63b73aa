"""One right call of every public function and class of U-Nets in `sci.nn`, to be spoiled argument by argument."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from entry_calls import RNG, Call, call, real

from sci import nn

CONFIG = nn.UNetConfig(2, 1, 2, (2, 4))


def _unet() -> dict[str, Call]:
    network, field = nn.UNet(CONFIG, dtype=np.float64), real(1, 1, 4, 6)
    scale = nn.Standardizer.fit(field)
    segmenter = nn.Segmenter(network, scale)
    labels, states = RNG.integers(0, 2, (1, 4, 6)), (network.to_state(), segmenter.to_state())
    return {
        "LabelVolume": call(nn.LabelVolume, labels[0].astype(np.uint8), 2, (0.5, 1.0)),
        "Segmenter": call(nn.Segmenter, network, scale),
        "Segmenter.from_state": call(nn.Segmenter.from_state, states[1]),
        "Segmenter.segment": call(segmenter.segment, field[0], box=4, overlap=0.5),
        "UNet": call(nn.UNet, CONFIG, seed=1, dtype=np.float64),
        "UNet.check_grid": call(network.check_grid, (1, 1, 4, 6)),
        "UNet.forward": call(network.forward, network.parameters, field, training=True, levels=1),
        "UNet.from_state": call(nn.UNet.from_state, states[0]),
        "UNet.outline": call(nn.UNet.outline, CONFIG, dtype=np.float64),
        "UNet.with_parameters": call(network.with_parameters, network.parameters),
        "UNetConfig": call(nn.UNetConfig, 2, 1, 3, (4, 8), (1, 2), kernel=3, groups=2, skip_decay=0.5),
        "apply_in_boxes": call(nn.apply_in_boxes, network, field[0], box=4, overlap=0.5),
        "dice_cross_entropy": call(nn.dice_cross_entropy, real(1, 2, 4, 6), labels),
        "dice_scores": call(nn.dice_scores, labels, labels, 2),
        "stunet_config": call(nn.stunet_config, "small", 1, 3, axes=2),
        "train_segmenter": call(nn.train_segmenter, network, field, labels, epochs=1, batch_size=1, seed=0),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"nn": _unet}
