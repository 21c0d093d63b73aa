"""Activations in bfloat16: what is rounded, what is kept in two bytes, and trainings with float32 masters."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ConvergenceError, InvalidValueError
from sci.io import load, save
from sci.nn import SGDP, Adam, checkpoint, gelu, linear, mean_squared_error, op, rounded, train, value_and_gradients
from sci.nn.core.tape import Tape
from sci.nn.halves import HalvedActivations, keeper_of
from sci.sequence import ParallelTransformer, rank_grid

RNG = np.random.default_rng(0)


def half(x):
    return rounded({"x": x}, "bfloat16")["x"]


def test_outputs_are_rounded_to_the_nearest():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = RNG.normal(size=4096).astype("f4") * 10.0 ** RNG.integers(-44, 38, 4096).astype("f4")
    x[:8] = [np.nan, np.inf, -np.inf, 3.4e38, 0.0, -0.0, np.float32(1 + 2**-8), np.float32(1 + 3 * 2**-8)]
    x[8] = np.array([0x7FFFFFFF], np.uint32).view("f4")[0]  # a NaN that a carry would make to -0
    found = HalvedActivations().rounded(x)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found, x.astype(bfloat16).astype("f4"))
    assert np.signbit(found[5])
    np.testing.assert_array_equal(HalvedActivations().rounded(x[9:2000:2]), x[9:2000:2].astype(bfloat16).astype("f4"))


def test_small_and_wide_arrays_stay_as_they_are():
    keeper = HalvedActivations()
    for x in (np.array(1.001, "f4"), np.full(8, 1.001, "f4"), np.full(4096, 1.001), np.full(4096, 1.001 + 1j, "c8")):
        assert keeper.rounded(x) is x


def chain(v, x):
    hidden = gelu(linear(x, v["a"]))
    return linear(hidden, v["b"]), hidden


def test_ops_compute_in_float32_from_rounded_inputs():
    x, a, b = (RNG.normal(size=s).astype("f4") for s in ((32, 24), (40, 24), (24, 40)))
    value, gradients = value_and_gradients(
        lambda v: (chain(v, x)[0] ** 2).sum(), {"a": a, "b": b}, activations="bfloat16"
    )
    first = half(x @ a.T)
    hidden = half(gelu(first))
    out = half(hidden @ b.T)
    np.testing.assert_allclose(value, (half(out**2)).sum(), rtol=1e-6)
    np.testing.assert_allclose(gradients["b"], (2 * out).T @ hidden, rtol=0, atol=2e-5 * abs(gradients["b"]).max())
    plain = value_and_gradients(lambda v: (chain(v, x)[0] ** 2).sum(), {"a": a, "b": b})[1]
    assert gradients["a"].dtype == np.float32
    assert 0 < abs(gradients["a"] - plain["a"]).max() < 0.02 * abs(plain["a"]).max()
    again = value_and_gradients(
        lambda v: (checkpoint(lambda y: chain(v, y)[0], x * v["one"]) ** 2).sum(),
        {"a": a, "b": b, "one": np.ones(24, "f4")},
        activations="bfloat16",
    )[1]
    other = value_and_gradients(
        lambda v: (chain(v, x * v["one"])[0] ** 2).sum(),
        {"a": a, "b": b, "one": np.ones(24, "f4")},
        activations="bfloat16",
    )[1]
    for name, gradient in other.items():
        np.testing.assert_array_equal(again[name], gradient, err_msg="computed again, the bits are the same")


def test_what_is_kept_takes_two_bytes_and_weights_none():
    kept = []

    def forward(x, weight):
        return x * weight, (x, weight, {"copy": x.reshape(-1)[::-1].copy()}, (x.sum(axis=0), 7, None))

    def vjp(dout, residuals):
        x, weight, named, (total, number, nothing) = residuals
        kept.append((x, weight, named["copy"], total, number, nothing))
        return dout * weight, dout * x

    class Seen(HalvedActivations):
        def kept(self, residuals, given, seen):
            found.append(super().kept(residuals, given, seen))
            return found[-1]

    found = []
    product, tape = op(vjp=vjp)(forward), Tape(Seen())
    x, weight = tape.watch([RNG.normal(size=(16, 32)).astype("f4") for _ in range(2)])
    y = product(product(x, weight), weight)
    first, second = found
    assert first[0] is x.value, "the input of the tape is held by its owner"
    assert second[1] is weight.value
    assert (second[0].codes.nbytes, second[2]["copy"].codes.nbytes) == (2 * 512, 2 * 512)
    assert second[3][0].dtype == np.float32, "a sum is no number of bfloat16"
    y.backward(np.ones((16, 32), "f4"))
    np.testing.assert_array_equal(kept[0][0], half(x.value * weight.value))
    np.testing.assert_array_equal(kept[0][2], kept[0][0].reshape(-1)[::-1])
    assert kept[0][4:] == (7, None)
    np.testing.assert_allclose(x.gradient, weight.value**2, rtol=1e-6)


def problem():
    x = RNG.normal(size=(64, 8)).astype("f4")
    start = {"a": RNG.normal(size=(32, 8)).astype("f4") / 3, "b": RNG.normal(size=(1, 32)).astype("f4") / 6}

    def loss(v, batch):
        return mean_squared_error(linear(gelu(linear(batch[0], v["a"])), v["b"]), batch[1])

    return loss, start, (x, np.sin(x.sum(axis=1, keepdims=True)).astype("f4"))


def test_a_training_in_bfloat16_keeps_float32_masters(tmp_path):
    """It falls as in float32, goes on to the same bits, and only with the same precision."""
    loss, start, data = problem()
    options = {"optimizer": Adam(0.01), "batch_size": 16, "storage": "bfloat16", "activations": "bfloat16"}
    plain = train(loss, start, data, optimizer=Adam(0.01), batch_size=16, epochs=20)
    whole = train(loss, start, data, epochs=20, **options)
    assert all(p.dtype == np.float32 for p in whole.parameters.values())
    assert any((p != half(p)).any() for p in whole.parameters.values()), "masters are finer than bfloat16"
    assert abs(whole.losses[-4:].mean() - plain.losses[-4:].mean()) < 0.1 * (plain.losses[0] - plain.losses[-4:].mean())
    train(loss, start, data, epochs=8, save=lambda c: save(tmp_path / "run.h5", c, overwrite=True), **options)
    again = train(loss, start, data, epochs=20, resume=load(tmp_path / "run.h5"), **options)
    np.testing.assert_array_equal(again.losses, whole.losses)
    with pytest.raises(InvalidValueError, match="activations: 'bfloat16' then, None now"):
        train(loss, start, data, epochs=20, resume=load(tmp_path / "run.h5"), **{**options, "activations": None})


def test_gradients_that_are_not_finite_are_refused_by_name():
    @op(vjp=lambda dout, x: (np.where(x > 0, np.float32(np.inf), dout),))
    def broken(x):
        return x * 1, x

    loss, start, data = problem()

    def bad(v, batch):
        return loss({"a": v["a"], "b": broken(v["b"])}, batch)

    options = {"epochs": 1, "batch_size": 16, "storage": "bfloat16", "activations": "bfloat16"}
    with pytest.raises(ConvergenceError, match=r"the gradient 'b' has .* NaN or infinite in step 1"):
        train(bad, start, data, optimizer=SGDP(0.1), **options)


@pytest.mark.parametrize("attention", ["softmax", "lightning"])
def test_the_transformer_in_bfloat16(attention):
    """Near the float32 gradient, and the same bits with recomputation and with halved backward passes."""
    model = ParallelTransformer(32, 2, 2, 64, 17, rank_grid(None), attention=attention)
    whole, batch = rounded(model.whole(2), "bfloat16"), np.random.default_rng(0).integers(0, 17, (4, 33))
    exact, near = model.loss_and_gradients(whole, batch, microbatches=2)
    loss, gradients = model.loss_and_gradients(whole, batch, microbatches=2, activations="bfloat16")
    assert 0 < abs(loss - exact) < 2e-3 * exact
    for name, gradient in gradients.items():
        assert gradient.dtype == np.float32
        assert np.linalg.norm(gradient - near[name]) < 0.05 * np.linalg.norm(near[name]), name
    for more in ({"recompute": "block"}, {"schedule": "zb-h1"}):
        again, found = model.loss_and_gradients(whole, batch, microbatches=2, activations="bfloat16", **more)
        assert again == loss
        for name, gradient in gradients.items():
            np.testing.assert_array_equal(found[name], gradient, err_msg=f"{more} {name}")


def test_another_precision_is_refused():
    assert keeper_of(None) is None
    with pytest.raises(InvalidValueError, match="activations is 'float16'; expected 'bfloat16'"):
        keeper_of("float16")


def test_a_model_with_tapes_of_its_own_hears_what_is_asked():
    """The passes of a transformer inside of a loss are those in bfloat16."""
    model = ParallelTransformer(32, 2, 2, 64, 17, rank_grid(None))
    whole, batch = model.whole(2), np.random.default_rng(0).integers(0, 17, (4, 33))
    inside = []

    def loss(v):
        inside.append(model.loss_and_gradients(whole, batch)[0])
        return (v**2).sum()

    value_and_gradients(loss, np.ones(3, "f4"), activations="bfloat16")
    value_and_gradients(loss, np.ones(3, "f4"))
    assert inside[0] == model.loss_and_gradients(whole, batch, activations="bfloat16")[0]
    assert inside[1] == model.loss_and_gradients(whole, batch)[0] != inside[0]


def test_large_finite_numbers_are_rounded_without_a_warning():
    from sci.nn.halves import _nearest

    with np.errstate(all="raise"):
        assert _nearest(np.full(256, 3e38, np.float32))[0] == np.float32(3.0040553e38)
