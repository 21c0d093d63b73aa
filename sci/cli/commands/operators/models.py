"""The models, and the settings of their trainings, that the options of `sci operator train|sweep` describe."""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np

from sci.errors import InvalidValueError
from sci.io import Samples
from sci.operators import FNO, SFNO, UNO, IncrementalModes, TrainingConfig
from sci.operators.fno.base import Operator

__all__ = ["drawn_model", "is_periodic", "training_bound", "training_config"]

MODES = 16
"""Wavenumbers along an axis that has as many, unless told otherwise."""
LAYERS = 4
"""Blocks, unless told otherwise."""


def drawn_model(a: argparse.Namespace, x: np.ndarray, y: np.ndarray) -> Operator:
    """Return the model of the options before its training."""
    modes = _modes(a, x.shape[2:])
    if a.factorization == "dense" and a.rank_fraction is not None:
        raise InvalidValueError("--rank-fraction goes with --factorization tucker, cp or tt, not with dense")
    common: dict[str, Any] = {
        "seed": a.seed,
        "factorization": a.factorization or ("tucker" if a.rank_fraction is not None else "dense"),
        "rank_fraction": 1.0 if a.rank_fraction is None else a.rank_fraction,
        "separable": a.separable,
        "norm": a.norm,
        "base_channels": _base_width(a),
    }
    if a.model == "uno":
        return _drawn_uno(a, modes, (x.shape[1], y.shape[1], a.hidden), common)
    sizes, base = (x.shape[1], y.shape[1], a.hidden, a.layers or LAYERS), _each_axis(a.base_modes, len(modes))
    if a.model == "sfno":
        return SFNO(modes, *sizes, sphere=a.circles, joint=a.joint, base_modes=base, **common)
    return FNO(modes, *sizes, joint=a.joint, domain_padding=a.padding, base_modes=base, **common)


def _drawn_uno(a: argparse.Namespace, modes: list[int], sizes: tuple[int, int, int], common: dict[str, Any]) -> UNO:
    """Return a U of --layers blocks: the first but one halves the grid, the last doubles it, unless told otherwise."""
    given = {"--block-channels": a.block_channels, "--block-modes": a.block_modes, "--block-scalings": a.block_scalings}
    n = a.layers or next((len(value) for value in given.values() if value), LAYERS)
    for name, value in given.items():
        if value and len(value) != n:
            raise InvalidValueError(f"{name} has {len(value)} numbers; expected {n}, one for each block")
    if a.block_modes and a.modes:
        raise InvalidValueError("--modes goes with blocks of like modes, and --block-modes are given; leave one out")
    narrow = [k in (0, n - 1) for k in range(n)]
    scalings = [1.0] * n
    if n > 1:
        scalings[min(1, n - 2)], scalings[-1] = 0.5, 2.0
    if a.block_modes:
        own = [[m] * len(modes) for m in a.block_modes]
    else:
        own = [modes if ends else [max(1, m // 2) for m in modes] for ends in narrow]
    channels = a.block_channels or [a.hidden if ends else 2 * a.hidden for ends in narrow]
    return UNO(
        *(own, channels, a.block_scalings or scalings, sizes[0], sizes[1], sizes[2]),
        lifting_channels=2 * a.hidden,
        projection_channels=2 * a.hidden,
        domain_padding=a.padding,
        **common,
    )


def training_config(a: argparse.Namespace, samples: Samples) -> TrainingConfig:
    """Return the settings that the options and the file of samples give."""
    return TrainingConfig(
        *(a.epochs, a.batch, a.learning_rate, a.weight_decay, a.loss, is_periodic(a, samples)),
        horizon=a.horizon,
        square=a.square,
        order=a.order,
        incremental=a.incremental and IncrementalModes(a.incremental, start=a.start_modes, threshold=a.threshold),
    )


def training_bound(a: argparse.Namespace, model: Operator, x: np.ndarray, y: np.ndarray) -> float:
    """Return the bytes that a training takes at most, from the shapes of arrays."""
    grids = model.config.grids(x.shape[2:]) if x.ndim == model.config.dim + 2 else [x.shape[2:]]
    points, width = max(map(math.prod, grids)), max(layer.out_channels for layer in model.config.layers)
    activations = 400.0 * float(a.batch) * points * float(width) * (model.config.n_layers + 2)
    return float(5 * (x.nbytes + y.nbytes) + 128.0 * model.n_parameters + activations)


def _modes(a: argparse.Namespace, grid: tuple[int, ...]) -> list[int]:
    """Return the wavenumbers of each axis; one number holds for every axis, as everywhere in the command line."""
    if not a.modes:
        return [min(MODES, n) for n in grid]
    return _each_axis(a.modes, len(grid)) or []


def _each_axis(modes: list[int] | None, dim: int) -> list[int] | None:
    """Return one number for each axis; one alone holds for all."""
    return modes * dim if modes and len(modes) == 1 else modes


def _base_width(a: argparse.Namespace) -> int | None:
    """Return the width of the base model of the maximal update rule; None without the rule."""
    if a.parametrization == "standard" and (a.base_width or a.base_modes):
        raise InvalidValueError(
            "--base-width and --base-modes are for --parametrization mup; give it, or leave them out"
        )
    if a.parametrization == "mup" and a.base_width is None:
        raise InvalidValueError("--parametrization mup needs --base-width, the channels for which the rate was chosen")
    return a.base_width  # type: ignore[no-any-return]


def is_periodic(a: argparse.Namespace, samples: Samples) -> bool | None:
    """Return True for periodic fields, as the file records or `--periodic` says; the two must agree."""
    if None not in (a.periodic, samples.periodic) and a.periodic != samples.periodic:
        raise InvalidValueError(f"{a.input}: the file records periodic={samples.periodic}; leave --[no-]periodic out")
    periodic: bool | None = samples.periodic if a.periodic is None else a.periodic
    if periodic is None and a.loss == "h1":
        raise InvalidValueError(
            f"{a.input}: the file does not record whether its fields are periodic, on which the H1 loss depends; give "
            "--periodic or --no-periodic, or --loss l2"
        )
    return periodic
