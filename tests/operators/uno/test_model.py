"""U-shaped operators: training, the maximal update rule, grids, conventions, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.io import load, save
from sci.nn import AdamW, coordinate_check, mean_squared_error, rate_factors, with_roles
from sci.operators import FNO, UNO, TrainingConfig, train_operator

SHAPE = ([(4, 4), (3, 3), (4, 4)], (6, 8, 6), (1, 0.5, 2))


def make(**options):
    return UNO(*SHAPE, 1, 1, 6, **{"lifting_channels": 8, "projection_channels": 8, **options})


def test_a_uno_without_skips_and_scalings_is_an_fno():
    uno = UNO([(4, 4)] * 2, (6, 6), (1, 1), 1, 1, 6, lifting_channels=12, projection_channels=12, horizontal_skips=())
    fno = FNO((4, 4), 1, 1, 6, 2, channel_mlp_skip="linear", parameters=uno.parameters)
    x = np.random.default_rng(0).normal(size=(2, 1, 9, 8))
    np.testing.assert_array_equal(uno(x), fno(x))


def test_training_and_files(tmp_path):
    rng = np.random.default_rng(0)
    i, j = np.meshgrid(2 * np.pi * np.arange(8) / 8, 2 * np.pi * np.arange(8) / 8, indexing="ij")
    a, b = rng.normal(size=(2, 24, 1, 1, 1))
    x = (a * np.sin(i) + b * np.cos(i + j)).astype(np.float32)
    y = np.roll(x, 1, axis=2) + 0.5
    config = TrainingConfig(epochs=25, batch_size=8, loss="l2", learning_rate=1e-2)
    trained, history = train_operator(make(), x, y, config)
    assert history.losses[-1] < 0.2 * history.losses[0]
    save(tmp_path / "uno.h5", trained)
    back = load(tmp_path / "uno.h5")
    assert type(back.model) is UNO
    np.testing.assert_array_equal(back(x), trained(x))
    np.testing.assert_array_equal(back(x[:, :, :7]).shape, (24, 1, 7, 8))


def test_outputs_on_a_finer_grid_are_trained_on_that_grid():
    rng = np.random.default_rng(1)
    model = UNO(SHAPE[0], SHAPE[1], (1, 0.5, 4), 1, 1, 6, lifting_channels=8)
    x = rng.normal(size=(4, 1, 8, 8)).astype(np.float32)
    config = TrainingConfig(epochs=1, batch_size=4, loss="l2")
    trained, _ = train_operator(model, x, np.repeat(np.repeat(x, 2, 2), 2, 3), config)
    assert trained(x).shape == (4, 1, 16, 16)
    with pytest.raises(ShapeError, match=r"\(8, 8\) points, and the model takes \(8, 8\) points to \(16, 16\)"):
        train_operator(model, x, x, config)
    with pytest.raises(InvalidValueError, match="modes of block 1"):
        train_operator(make(), x[..., :4, :4], x[..., :4, :4], config)


def test_roles_scale_with_all_widths():
    wide = UNO(SHAPE[0], (12, 16, 12), SHAPE[2], 1, 1, 12, lifting_channels=16, projection_channels=16, base_channels=6)
    factors = rate_factors(wide.roles, wide.base_roles)
    assert set(wide.roles) == set(make().roles) == set(wide.parameters)
    assert wide.base_roles == make().roles
    assert {factors[f"blocks.{k}.spectral.weight"] for k in range(3)} == {0.5}
    assert factors["horizontal.0.weight"] == 0.5
    assert factors["lifting.0.weight"] == factors["lifting.0.bias"] == 1.0


def test_under_the_maximal_update_rule_no_layer_moves_more_when_all_are_wider():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 4, 1, 8, 8)).astype(np.float32)

    def drawn(width, base, seed=0):
        sizes = {"lifting_channels": 2 * width, "projection_channels": 2 * width, "base_channels": base}
        return UNO(SHAPE[0], (width, 2 * width, width), SHAPE[2], 1, 1, width, seed=seed, **sizes)

    def slopes(base):
        def make(width, seed):
            model = drawn(width, base, seed)
            return model.parameters, with_roles(AdamW(1e-2, weight_decay=0), model.roles, base=model.base_roles)

        def forward(parameters, field):
            return drawn(len(parameters["lifting.1.bias"]), base).forward(parameters, field)

        found = coordinate_check(
            *(make, forward, lambda out: mean_squared_error(out, y), x), widths=[8, 16, 32, 64], seeds=2
        )
        return found.slopes

    assert np.abs(slopes(8)).max() < 0.3
    assert np.ptp(slopes(None)) > 0.7


def test_activation_and_conventions_matter():
    x = np.random.default_rng(2).normal(size=(1, 1, 8, 8))
    outputs = [make(**o)(x) for o in ({}, {"activation": False}, {"conventions": "neuraloperator"})]
    assert all(np.abs(a - outputs[0]).max() > 1e-4 for a in outputs[1:])


def test_unknown_options_are_named():
    with pytest.raises(InvalidValueError, match="stabilizer: no such option of a UNO"):
        make(stabilizer="tanh")
    assert make(horizontal_skips={2: 1}).config.horizontal() == {2: 1}
