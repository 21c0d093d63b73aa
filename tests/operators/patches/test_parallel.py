"""Losses and predictions on patches of one process: the stitched field, and patches that know their place."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.nn import Tape, relative_l2, value_and_gradients
from sci.operators import FNO, MultigridPatches, TrainingConfig, patch_loss, predict_patches, train_operator
from sci.operators.patches.parallel import patched_relative_l2


def fields(n, size, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 1, size, size))


def test_the_loss_is_that_of_the_stitched_field():
    cut, x, y = MultigridPatches(1, 0.125), fields(3, 8), fields(3, 8, 1)
    model = FNO((3, 3), cut.channels(1, 2), 1, 4, 1, positional_grid=False)
    double = {n: p.astype("c16" if p.dtype.kind == "c" else "f8") for n, p in model.parameters.items()}
    value, gradients = value_and_gradients(lambda v: patch_loss(model, cut)(v, (x, y)), double)
    stitched = predict_patches(FNO.of(model.config, double), cut, x)
    assert value == pytest.approx(float(relative_l2(stitched, target=y)), rel=1e-12)
    step = {n: 1e-6 * np.ones_like(p) for n, p in double.items()}
    ends = [patch_loss(model, cut)({n: p + s * step[n] for n, p in double.items()}, (x, y)) for s in (1, -1)]
    found = sum(float((g.conj() * step[n]).real.sum()) for n, g in gradients.items())
    assert found == pytest.approx((ends[0] - ends[1]) / 2, rel=1e-5)


def test_an_exact_prediction_has_no_gradient():
    p = Tape().watch(np.ones((1, 1, 2, 2)))
    patched_relative_l2(p, target=p.value, samples=np.array([0]), n_samples=1).backward()
    assert (p.gradient == 0).all()
    with pytest.raises(ShapeError, match="one shape"):
        patched_relative_l2(p.value, target=p.value[:, :, :1], samples=np.array([0]), n_samples=1)


@pytest.mark.parametrize("positional_grid", [True, False])
def test_a_model_that_appends_coordinates_of_windows_is_refused(positional_grid):
    cut = MultigridPatches(1, positional_grid=positional_grid)
    model = FNO((3, 3), cut.channels(1, 2), 1, 4, 1)
    for call in (lambda: patch_loss(model, cut), lambda: predict_patches(model, cut, fields(1, 8))):
        with pytest.raises(InvalidValueError, match="positional_grid=False"):
            call()


def test_patches_learn_what_depends_on_the_place():
    """y is a fixed field: without absolute coordinates every patch predicts one and the same mean."""
    x = fields(16, 8).astype(np.float32)
    i = np.arange(8) / 8
    y = np.broadcast_to(np.sin(2 * np.pi * i)[:, None] + i, x.shape) * (1 + 0.01 * x)
    errors = []
    for positional_grid in (True, False):
        cut = MultigridPatches(1, 0.125, positional_grid=positional_grid)
        model = FNO((4, 4), cut.channels(1, 2), 1, 16, 2, positional_grid=False)
        config = TrainingConfig(epochs=12, batch_size=4, learning_rate=1e-2, loss="l2")
        _, history = train_operator(model, x, y.astype(np.float32), config, patches=cut)
        errors.append(float(history.losses[-1]))
    assert errors[0] < 0.25
    assert errors[0] < 0.5 * errors[1]
