"""U-Nets: shapes, gradients under every option, counts, training, states, refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sci import nn
from sci.backend import shape_array
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.scaling import count

RNG = np.random.default_rng(4)
OPTIONS = [
    {"norm": norm, "skip_scaling": skips, "separable": separable, "downsampling": down, "groups": 2}
    for (norm, skips), separable, down in zip(
        itertools.product(("instance", "group", "evonorm_s0", "evonorm_b0"), ("none", "root_half", "decay", "learned")),
        itertools.cycle((False, True, True)),
        itertools.cycle(("stride", "average", "max", "stride", "average")),
    )
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_gradients_are_central_differences(options):
    """Along a random direction of all parameters."""
    model = nn.UNet(nn.UNetConfig(2, 1, 3, (4, 6), **options), seed=3, dtype=np.float64)
    x, labels = RNG.normal(size=(2, 1, 6, 8)), RNG.integers(0, 3, size=(2, 6, 8))
    start = {name: a + 0.05 * RNG.normal(size=a.shape) for name, a in model.parameters.items()}
    along = {name: RNG.normal(size=a.shape) for name, a in start.items()}
    loss = model.loss()
    _, gradients = nn.value_and_gradients(lambda p: loss(p, (x, labels)), start)
    slope = sum(float((gradients[name] * d).sum()) for name, d in along.items())
    step = 1e-6
    ends = [float(loss({n: a + s * along[n] for n, a in start.items()}, (x, labels))) for s in (step, -step)]
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("size", "parameters", "flops"),
    [
        ("small", 14596941, 129377107968),
        ("base", 58262669, 506243317760),
        ("large", 440302605, 3803510734848),
        ("huge", 1457326221, 12593403789312),
    ],
)
def test_stunet_has_the_published_counts(size, parameters, flops):
    """The forward pass itself, on arrays without numbers: .129, .506, 3.804 and 12.593 T multiply-adds at 128^3."""
    model = nn.UNet.outline(nn.stunet_config(size))
    found = count(model.forward, model.parameters, shape_array((1, 1, 128, 128, 128), np.float32))
    assert (found.parameters, found.flops) == (parameters, flops)


@pytest.mark.parametrize("grid", [(16,), (16, 32), (8, 16, 8)])
def test_outputs_have_the_grids_of_their_levels(grid):
    model = nn.UNet(nn.UNetConfig(len(grid), 2, 3, (4, 8, 8)))
    x = RNG.normal(size=(3, 2, *grid)).astype("f4")
    found = model.forward(model.parameters, x)
    assert [o.shape for o in found] == [(3, 3, *grid), (3, 3, *(n // 2 for n in grid))]
    np.testing.assert_allclose(model(x), found[0], rtol=1e-5, atol=1e-5)
    assert model(x, batch_size=2).dtype == np.float32
    assert model(x[:0]).shape == (0, 3, *grid)


def test_a_small_network_learns_what_a_threshold_says():
    """Labels are the sign of a smoothed field: the network must see neighbors."""
    field = RNG.normal(size=(24, 1, 16, 16)).astype("f4")
    smooth = sum(np.roll(field, s, axis=a) for a in (2, 3) for s in (-1, 0, 1))[:, 0]
    labels = (smooth > 0).astype(int)
    for norm in ("instance", "evonorm_s0", "evonorm_b0"):
        model = nn.UNet(nn.UNetConfig(2, 1, 2, (8, 8), norm=norm, groups=2), seed=0)
        done = nn.train(
            *(model.loss(), model.parameters, (field[:16], labels[:16])),
            optimizer=nn.AdamW(1e-2),
            epochs=50,
            batch_size=8,
            schedule=nn.cosine(50),
            buffers=model.statistics,
        )
        trained = model.with_parameters(done.parameters)
        found = trained(field[16:]).argmax(axis=1)
        assert np.nanmin(nn.dice_scores(found, labels[16:], 2)) > 0.9, norm


def test_states_come_back():
    config = nn.UNetConfig(2, 1, 3, (4, 8), (2, 1), norm="evonorm_b0", skip_scaling="decay", skip_decay=0.6)
    model = nn.UNet(config, seed=5)
    x, labels = RNG.normal(size=(2, 1, 8, 8)).astype("f4"), RNG.integers(0, 3, size=(2, 8, 8))
    model.loss()(model.parameters, (x, labels))
    again = nn.UNet.from_state(model.to_state())
    assert again.config == config
    assert list(again.parameters) == list(model.parameters)
    assert again.statistics["encoder.0.0.norm1.count"] == 1
    np.testing.assert_array_equal(again(x), model(x))
    assert repr(again) == repr(model)


def test_what_does_not_fit_is_refused():
    model = nn.UNet(nn.UNetConfig(2, 2, 3, (4, 8, 8)))
    for shape, words in (
        ((1, 2, 16), "expected \\(batch, 2, n0, n1\\)"),
        ((1, 1, 16, 16), "expected \\(batch, 2"),
        ((1, 2, 16, 10), "multiples of 4"),
        ((1, 2, 4, 0), "multiples of 4"),
        ((1, 2, 4, 4), "no variance"),
    ):
        with pytest.raises(ShapeError, match=words):
            model(np.zeros(shape, "f4"))
    with pytest.raises(DTypeError, match="expected float32"):
        model(np.zeros((1, 2, 8, 8)))
    with pytest.raises(InvalidValueError, match="NaN"):
        model(np.full((1, 2, 8, 8), np.nan, "f4"))
    with pytest.raises(InvalidValueError, match="expected 1 to 2"):
        model.forward(model.parameters, np.zeros((1, 2, 8, 8), "f4"), levels=3)
    with pytest.raises(ShapeError, match=r"heads\.0\.bias"):
        model.with_parameters({**model.parameters, "heads.0.bias": np.zeros(4, "f4")})
    with pytest.raises(InvalidValueError, match="expected a UNet"):
        nn.UNet.from_state(nn.ModelState("FNO", {}, {}))
    with pytest.raises(DTypeError, match="float16"):
        nn.UNet(model.config, dtype=np.float16)
