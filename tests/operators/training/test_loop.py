"""The training of operators: small Darcy, units, resuming, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.io import load, load_samples, save
from sci.operators import FNO, TFNO, MultigridPatches, TrainingConfig, as_fields, relative_errors, train_operator


def test_three_epochs_of_small_darcy(test_data):
    """A bound that a model misses which learns nothing (1) or only the mean field (about 0.5)."""
    sets = [[as_fields(a, 2) for a in load_samples(test_data / "operators" / f"darcy_{n}.h5")] for n in FILES]
    (x, y), *tests = sets
    config = TrainingConfig(epochs=3, batch_size=16, periodic=False)
    names = {"16": tuple(tests[0]), "32": tuple(tests[1])}
    _, history = train_operator(TFNO((8, 8), 1, 1, 16, 3), x[:500], y[:500], config, tests=names)
    assert history.metrics["l2_16"][-1] < 0.3
    assert history.metrics["l2_32"][-1] < 0.3
    assert history.metrics["l2_16"][-1] < history.metrics["l2_16"][0]


CONFIG = TrainingConfig(epochs=2, batch_size=8, loss="l2")
FILES = ("train_16", "test_16", "test_32")


def test_what_does_not_fit_is_refused():
    model, x = FNO((2, 2), 1, 1, 4, 1), np.ones((4, 1, 4, 4), np.float32)
    with pytest.raises(ShapeError):
        train_operator(model, np.ones((4, 2, 4, 4), np.float32), x, CONFIG)
    with pytest.raises(ShapeError):
        train_operator(model, x[:3], x, CONFIG)


def low_passed(n=16, channels=1, size=8, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, channels, size, size)).astype(np.float32)
    spectrum = np.fft.rfft2(x)
    spectrum[..., 2:-1, :], spectrum[..., 2:] = 0, 0
    return x, np.fft.irfft2(spectrum, s=(size, size)).astype(np.float32)


@pytest.mark.parametrize("factor", [1e-12, 1e-3, 1e6, 1e20])
def test_units_do_not_matter(factor):
    """The same losses, parameters and reported errors for y times any factor, and outputs times it."""
    x, y = low_passed()
    config = TrainingConfig(epochs=2, batch_size=8, periodic=True)
    plain, scaled = (
        train_operator(FNO((4, 4), 1, 1, 6, 2), x, f * y, config, tests={"t": (x, f * y)}) for f in (1.0, factor)
    )
    np.testing.assert_allclose(scaled[1].losses, plain[1].losses, rtol=1e-4)
    for name in ("l2_t", "h1_t"):
        np.testing.assert_allclose(scaled[1].metrics[name], plain[1].metrics[name], rtol=1e-3)
    np.testing.assert_allclose(scaled[0](x) / factor, plain[0](x), rtol=0, atol=1e-3 * np.abs(y).max())


def test_errors_of_channels_are_told():
    """Channels of other units each count: one that is not learned shows in its own number."""
    x, y = low_passed(channels=2)
    tests = {"t": (x, y * np.array([1e-9, 1e9], np.float32)[:, None, None])}
    _, history = train_operator(FNO((4, 4), 2, 2, 6, 2), x, tests["t"][1], CONFIG, tests=tests)
    found = history.metrics
    assert set(found) == {"l2_t", "l2_t_channel0", "l2_t_channel1"}
    np.testing.assert_allclose(found["l2_t"], (found["l2_t_channel0"] + found["l2_t_channel1"]) / 2, rtol=1e-6)
    assert (found["l2_t"] < 2).all()


def test_a_constant_channel_is_named_and_predicted():
    x, y = low_passed()
    y = np.concatenate([y, np.full_like(y, 3e-8)], axis=1)
    with pytest.warns(RuntimeWarning, match="output channel 1 is 3e-08"):
        operator, history = train_operator(FNO((4, 4), 1, 2, 6, 2), x, y, CONFIG)
    assert np.isfinite(history.losses).all()
    assert np.isfinite(operator(x)).all()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"y": 2.0}, "samples"),
        ({"loss": "l2"}, "training.loss: 'h1' then, 'l2' now"),
        ({"learning_rate": 1e-3}, "training.learning_rate"),
        ({"weight_decay": 0.0}, "training.weight_decay"),
        ({"periodic": False}, "training.periodic"),
        ({"epochs": 4}, "training.horizon"),
        ({"square": True}, "training.square"),
        ({"domain_padding": 0.25}, "model.domain_padding"),
        ({"norm": "instance"}, "model.norm"),
        ({"standardize_inputs": True}, "standardize_inputs"),
    ],
)
def test_resuming_another_training_is_refused(change, text):
    """Each of these gave another training in silence, or would: all that decides it is in the checkpoint."""
    x, y = low_passed()
    base = {"epochs": 2, "batch_size": 8, "periodic": True}
    _, half = train_operator(FNO((4, 4), 1, 1, 6, 2), x, y, TrainingConfig(**base))
    model = {k: change.pop(k) for k in ("domain_padding", "norm") if k in change}
    inputs = {k: change.pop(k) for k in ("standardize_inputs",) if k in change}
    y = y * change.pop("y", 1.0)
    again = TrainingConfig(**{**base, **change})
    with pytest.raises(InvalidValueError, match=text):
        train_operator(FNO((4, 4), 1, 1, 6, 2, **model), x, y, again, resume=half, **inputs)


def test_more_epochs_under_one_horizon_go_on():
    x, y = low_passed()
    settings = {"batch_size": 8, "periodic": True, "horizon": 4}
    model = FNO((4, 4), 1, 1, 6, 2)
    _, whole = train_operator(model, x, y, TrainingConfig(epochs=4, **settings))
    _, half = train_operator(model, x, y, TrainingConfig(epochs=2, **settings))
    _, done = train_operator(model, x, y, TrainingConfig(epochs=4, **settings), resume=half)
    for name, value in whole.parameters.items():
        np.testing.assert_array_equal(done.parameters[name], value)


def test_patches_are_trained_and_kept(tmp_path):
    x, y = low_passed()
    cut = MultigridPatches(1, 0.125)
    model = TFNO((4, 4), cut.channels(1, 2), 1, 6, 2, positional_grid=False)
    with pytest.raises(InvalidValueError, match="'l2' for patches"):
        train_operator(model, x, y, TrainingConfig(periodic=True), patches=cut)
    with pytest.raises(ShapeError, match="of its patches"):
        train_operator(FNO((4, 4), 1, 1, 6), x, y, CONFIG, patches=cut)
    operator, _ = train_operator(model, x, y, CONFIG, patches=cut, tests={"t": (x, y)})
    save(tmp_path / "m.h5", operator)
    again = load(tmp_path / "m.h5")
    assert again.patches == cut
    np.testing.assert_array_equal(again(x), operator(x))


@pytest.mark.parametrize(
    ("model", "patches", "fits"),
    [
        (FNO((8, 8), 1, 1, 4, 1), None, True),
        (FNO((9, 8), 1, 1, 4, 1), None, False),
        (FNO((8, 10), 1, 1, 4, 1), None, False),
        (FNO((10, 10), 1, 1, 4, 1, domain_padding=0.125), None, True),
        (FNO((8, 8), 6, 1, 4, 1, positional_grid=False), MultigridPatches(1), False),
        (FNO((4, 4), 6, 1, 4, 1, positional_grid=False), MultigridPatches(1), True),
    ],
)
def test_modes_that_the_samples_do_not_have_are_refused(model, patches, fits):
    """Their weights stayed as they were drawn, and made noise of predictions on finer grids."""
    x, y = low_passed(n=4)
    config = TrainingConfig(epochs=1, batch_size=4, loss="l2")
    if fits:
        trained, _ = train_operator(model, x, y, config, patches=patches)
        assert trained(x[:1]).shape == y[:1].shape
        return
    with pytest.raises(InvalidValueError, match=r"n_modes is .*, and samples on \d x \d points .* expected at most"):
        train_operator(model, x, y, config, patches=patches)


def test_the_best_epoch_is_kept_and_a_training_without_progress_ends():
    """A rate so large that errors rise again: the operator is that of the smallest error on the first test."""
    x, y = low_passed()
    tests = {"first": (x[:6], y[:6]), "second": (x[6:], y[6:])}
    config = replace(CONFIG, epochs=30, learning_rate=0.5, patience=2)
    operator, history = train_operator(FNO((4, 4), 1, 1, 6, 2), x, y, config, tests=tests)
    errors = history.metrics["l2_first"]
    assert len(errors) < 30
    assert int(np.argmin(errors)) == len(errors) - 3
    assert relative_errors(operator(x[:6]), y[:6])["l2"] == pytest.approx(errors.min(), rel=1e-6)


def test_an_average_is_the_operator_that_is_measured_and_returned():
    x, y = low_passed()
    config = replace(CONFIG, average=0.8)
    operator, history = train_operator(FNO((4, 4), 1, 1, 6, 2), x, y, config, tests={"t": (x, y)})
    assert relative_errors(operator(x), y)["l2"] == pytest.approx(history.metrics["l2_t"][-1], rel=1e-6)
    for name, array in operator.model.parameters.items():
        np.testing.assert_array_equal(array, history.averaged[name])
    assert any(np.abs(history.parameters[n] - a).max() > 1e-4 for n, a in operator.model.parameters.items())


def test_parts_of_batches_make_the_same_operator_to_rounding():
    x, y = low_passed()
    whole, parts = (
        train_operator(FNO((4, 4), 1, 1, 6, 2), x, y, replace(CONFIG, accumulate=k))[1].losses for k in (1, 3)
    )
    np.testing.assert_allclose(parts, whole, rtol=1e-4)


def test_patience_needs_samples_to_watch():
    x, y = low_passed()
    with pytest.raises(InvalidValueError, match="patience is 2 without tests"):
        train_operator(FNO((4, 4), 1, 1, 6, 2), x, y, replace(CONFIG, patience=2))
