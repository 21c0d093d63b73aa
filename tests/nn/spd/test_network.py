"""SPDNet: learns, is stored, goes on to the same bits, and is the same on ranks."""

from __future__ import annotations

import numpy as np
import pytest
from spd_cases import spd
from thread_ranks import ThreadComm, on_ranks

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.io import load, save
from sci.nn import Adam, Checkpoint, ModelState, SPDNet, cosine, train

RNG = np.random.default_rng(21)


def covariances(count: int, seed: int, gain: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Wishart matrices of 8 sources, mixed, of condition 1e3: in class k every third source is 4 times as strong."""
    rng, mix = np.random.default_rng(seed), np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    labels = np.arange(count) % 3
    power = 10 ** np.linspace(0, -2.5, 8) * np.exp(gain * rng.normal(size=(count, 1)))
    power = power * np.where(np.arange(8) % 3 == labels[:, None], 4.0, 1.0)
    signals = mix @ (np.sqrt(power)[..., None] * rng.normal(size=(count, 8, 40)))
    return (signals @ signals.swapaxes(-1, -2) / 40)[:, None], labels


X, LABELS = covariances(180, 1)
TEST, TEST_LABELS = covariances(150, 2)
SETTINGS = {"optimizer": Adam(2e-2), "batch_size": 30, "seed": 1}


def fit(model: SPDNet, epochs: int, **options) -> Checkpoint:
    options = {**SETTINGS, **options}
    comm = options.get("comm")
    return train(model.loss(comm), model.parameters, (X, LABELS), buffers=model.statistics, epochs=epochs, **options)


def accuracy(model: SPDNet) -> float:
    return float((model(TEST).argmax(axis=1) == TEST_LABELS).mean())


def small(**options) -> SPDNet:
    return SPDNet((8, 6, 4), 3, dtype=np.float64, scale=0.5, **options)


def test_it_learns_classes_of_covariances_and_sooner_with_normalization():
    plain, normal = small(batch_norm=False), small()
    without = fit(plain, 6, schedule=cosine(6))
    done = fit(normal, 6, schedule=cosine(6))
    trained = normal.with_parameters(done.parameters).calibrate(X, batch_size=30)
    assert done.losses[-6:].mean() < 0.75 * without.losses[-6:].mean()
    assert accuracy(plain.with_parameters(without.parameters)) > 0.95
    assert accuracy(trained) > 0.95


def test_calibration_gives_the_statistics_of_the_present_parameters():
    model = small()
    done = fit(model, 2)
    trained = model.with_parameters(done.parameters)
    assert trained.statistics["block0.norm.mean"] is not model.statistics["block0.norm.mean"]
    once = trained.calibrate(X, batch_size=180)
    again = once.calibrate(X, batch_size=180)
    assert all(again.statistics[n].tobytes() == a.tobytes() for n, a in once.statistics.items())
    parts = trained.calibrate(X, batch_size=30)
    assert parts.statistics["block1.norm.count"] == 6
    assert parts.norms == trained.norms
    np.testing.assert_allclose(parts.statistics["block0.norm.mean"], once.statistics["block0.norm.mean"], rtol=0.05)
    with_batch = trained.forward(trained.parameters, X, training=True)
    np.testing.assert_allclose(once(X), with_batch, rtol=1e-6, atol=1e-8)


def test_a_network_is_stored_and_comes_back(tmp_path):
    model = small(theta=0.5, hidden_channels=2)
    trained = model.with_parameters(fit(model, 1).parameters)
    save(tmp_path / "spd.h5", trained)
    found = load(tmp_path / "spd.h5")
    assert isinstance(found, SPDNet)
    assert (found.options, repr(found)) == (trained.options, repr(trained))
    assert found(TEST).tobytes() == trained(TEST).tobytes()


def test_a_training_that_stopped_goes_on_to_the_same_bits(tmp_path):
    """Running statistics are in the checkpoint, and set again in the arrays of the network."""
    model = small()
    whole = fit(model, 2)
    first = small()
    fit(first, 1, save=lambda c: save(tmp_path / "run.h5", c, overwrite=True), save_every=4)
    second = small()
    done = fit(second, 2, resume=load(tmp_path / "run.h5"))
    assert all(done.parameters[n].tobytes() == p.tobytes() for n, p in whole.parameters.items())
    assert all(second.statistics[n].tobytes() == a.tobytes() for n, a in model.statistics.items())
    with pytest.raises(InvalidValueError, match=r"buffers \['block0.norm.count', .*training \[\]"):
        train(second.loss(), second.parameters, (X, LABELS), epochs=2, **SETTINGS, resume=load(tmp_path / "run.h5"))


@pytest.mark.parametrize("batch_size", [30, 179])
def test_two_ranks_train_as_one(batch_size):
    """The last batch of 179 of 180 samples leaves one rank without any."""
    model = small()
    serial = fit(model, 1, batch_size=batch_size)

    def body(comm: ThreadComm) -> tuple[Checkpoint, dict]:
        own = small()
        return fit(own, 1, batch_size=batch_size, comm=comm), own.statistics

    (first, one), (second, two) = on_ranks(2, body)
    np.testing.assert_allclose(first.losses, serial.losses, rtol=1e-8)
    for name, p in serial.parameters.items():
        np.testing.assert_allclose(first.parameters[name], p, rtol=1e-6, atol=1e-8)
        assert first.parameters[name].tobytes() == second.parameters[name].tobytes()
    for name, a in model.statistics.items():
        np.testing.assert_allclose(one[name], a, rtol=1e-6, atol=1e-8)
        assert one[name].tobytes() == two[name].tobytes()


def test_several_channels_and_single_precision():
    model = SPDNet((8, 4), 3, in_channels=2, hidden_channels=3, seed=4)
    x = spd(RNG, 20, 2, 8).astype("f4")
    done = train(model.loss(), model.parameters, (x, np.arange(20) % 3), buffers=model.statistics, epochs=3, **SETTINGS)
    assert {p.dtype.name for p in done.parameters.values()} == {"float32"}
    assert model.with_parameters(done.parameters)(x).dtype == np.float32
    assert model(x[:0]).shape == (0, 3) if model.statistics["block0.norm.count"] else True
    assert repr(model) == "SPDNet(8 -> 4, 3 classes, 3 hidden channels, normalized, 384 parameters)"


@pytest.mark.parametrize(
    ("sizes", "options", "text"),
    [
        ((8,), {}, "two or more"),
        ((4, 8), {}, "none above"),
        ((8, 4), {"classes": 0}, "classes is 0"),
        ((8, 4), {"threshold": 0.0}, "threshold is 0"),
        ((8, 4), {"theta": 0.0}, "theta is 0"),
        ((8, 4), {"scale": -1.0}, "scale is -1"),
        ((8, 4), {"hidden_channels": 0}, "hidden_channels is 0"),
    ],
)
def test_settings_out_of_place_are_refused(sizes, options, text):
    with pytest.raises(InvalidValueError, match=text):
        SPDNet(sizes, **{"classes": 2, **options})


def test_inputs_out_of_place_are_refused():
    model = small(batch_norm=False)
    with pytest.raises(InvalidValueError, match="not symmetric"):
        model(np.triu(X[:3]))
    with pytest.raises(InvalidValueError, match=r"matrix \(1, 0\) is not positive semidefinite"):
        model(X[:3] * np.array([1.0, -1.0, 1.0])[:, None, None, None])
    with pytest.raises(InvalidValueError, match="NaN"):
        model(X[:3] * np.nan)
    with pytest.raises(ShapeError, match=r"expected \(batch, 1, 8, 8\)"):
        model(X[:3, 0])
    with pytest.raises(DTypeError, match="expected float64"):
        model(X.astype("f4"))
    with pytest.raises(InvalidValueError, match="batch_size is 0"):
        model(X, batch_size=0)
    with pytest.raises(InvalidValueError, match="without the statistics"):
        small()(X)
    with pytest.raises(ShapeError, match=r"'head\.bias' is missing"):
        model.with_parameters({n: p for n, p in model.parameters.items() if n != "head.bias"})


def test_the_state_of_another_model_is_refused():
    state = small().to_state()
    with pytest.raises(InvalidValueError, match="expected an SPDNet"):
        SPDNet.from_state(ModelState("FNO", {}, {}))
    with pytest.raises(ShapeError, match="statistic"):
        SPDNet.from_state(
            ModelState("SPDNet", state.options, {n: p for n, p in state.parameters.items() if "count" not in n})
        )
    with pytest.raises(DTypeError, match="depth"):
        SPDNet.from_state(ModelState("SPDNet", {**state.options, "depth": 3}, state.parameters))


def test_a_bad_sample_on_one_rank_is_an_error_on_all():
    model = small()

    def body(comm: ThreadComm) -> str:
        x = X[:4] * (np.nan if comm.rank else 1.0)
        try:
            model.forward(model.parameters, x, training=True, comm=comm)
        except InvalidValueError as error:
            return str(error)
        return ""

    first, second = on_ranks(2, body)
    assert "NaN" in second
    assert first == f"rank 1: {second}"


def test_indefinite_matrices_between_layers_on_one_rank_are_an_error_on_all():
    layer, x = small().norms[0], spd(RNG, 4, 1, 6)

    def body(comm: ThreadComm) -> str:
        try:
            layer(layer.parameters(), x * (1 - 2 * comm.rank), training=True, comm=comm)
        except InvalidValueError as error:
            return str(error)
        return ""

    first, second = on_ranks(2, body)
    assert "not positive definite" in second
    assert first == f"rank 1: {second}"
