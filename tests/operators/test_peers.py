"""FNO and TFNO beside neuraloperator: the same weights give the same output and gradients (extra peers)."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn import relative_l2, value_and_gradients
from sci.operators import TrainingConfig, from_neuraloperator, neuraloperator_state, train_operator
from sci.operators.spectral.convolution import as_dtype

pytestmark = pytest.mark.peers

COMMON = {"in_channels": 2, "out_channels": 3, "hidden_channels": 8, "n_layers": 3}
CASES = {
    "1d": ({"n_modes": (7,)}, (21,)),
    "2d": ({"n_modes": (6, 8)}, (16, 15)),
    "2d more modes than points": ({"n_modes": (16, 16)}, (8, 8)),
    "3d": ({"n_modes": (4, 6, 5)}, (8, 6, 7)),
    "tucker": ({"n_modes": (6, 6), "factorization": "tucker", "rank": 0.3}, (12, 16)),
    "cp": ({"n_modes": (6, 6), "factorization": "cp", "rank": 0.3}, (12, 16)),
    "tt": ({"n_modes": (6, 6), "factorization": "tt", "rank": 0.3}, (12, 16)),
    "group norm": ({"n_modes": (6, 6), "norm": "group_norm"}, (12, 16)),
    "instance norm": ({"n_modes": (6, 6), "norm": "instance_norm"}, (12, 16)),
    "padding": ({"n_modes": (6, 6), "domain_padding": 0.25}, (12, 16)),
    "preactivation": ({"n_modes": (6, 6), "preactivation": True}, (12, 16)),
    "tanh": ({"n_modes": (6, 6), "stabilizer": "tanh"}, (12, 16)),
    "identity": ({"n_modes": (6, 6), "fno_skip": "identity"}, (12, 16)),
    "gates": ({"n_modes": (6, 6), "fno_skip": "soft-gating", "channel_mlp_skip": "linear"}, (12, 16)),
    "no grid": ({"n_modes": (6, 6), "positional_embedding": None}, (12, 16)),
    "separable": ({"n_modes": (6, 6), "separable": True}, (12, 16)),
    **{
        f"separable {f}": ({"n_modes": (6, 6), "separable": True, "factorization": f, "rank": 0.5}, (12, 16))
        for f in ("tucker", "cp", "tt")
    },
    "finer": ({"n_modes": (6, 6), "resolution_scaling_factor": 2}, (8, 10)),
    "scaled": ({"n_modes": (6, 8), "resolution_scaling_factor": [2, 0.5, 0.5]}, (16, 12)),
    "scaled 1d": ({"n_modes": (6,), "resolution_scaling_factor": [2, 0.5, 1]}, (16,)),
    "scaled 3d": ({"n_modes": (4, 4, 4), "resolution_scaling_factor": [0.5, 2, 1]}, (8, 12, 8)),
    "complex": ({"n_modes": (6, 5), "complex_data": True}, (12, 16)),
    "complex 1d": ({"n_modes": (6,), "complex_data": True}, (16,)),
    "complex 3d": ({"n_modes": (4, 4, 6), "complex_data": True}, (6, 8, 8)),
    "complex norms": ({"n_modes": (6, 6), "complex_data": True, "norm": "group_norm", "stabilizer": "tanh"}, (8, 8)),
    "complex tucker": (
        {"n_modes": (6, 6), "complex_data": True, "factorization": "tucker", "rank": 0.3, "fno_skip": "identity"},
        (12, 16),
    ),
    "sphere": ({"n_modes": (8, 10), "model": "SFNO"}, (16, 32)),
    "sphere cp": ({"n_modes": (8, 10), "model": "SFNO", "factorization": "cp", "rank": 0.5}, (17, 30)),
    **{
        f"uno {name}": ({"model": "UNO", **options}, grid)
        for name, options, grid in (
            ("1d", {"uno_n_modes": [[6], [4], [6]], "uno_scalings": [[1], [0.5], [2]]}, (16,)),
            ("2d", {}, (16, 12)),
            ("3d", {"uno_n_modes": [[4, 4, 4]] * 3, "uno_scalings": [[1, 1, 1], [0.5] * 3, [2, 2, 2]]}, (8, 8, 8)),
            ("finer", {"uno_scalings": [[1, 1], [0.5, 0.5], [4, 4]]}, (16, 12)),
            ("padding", {"domain_padding": 0.25, "norm": "group_norm"}, (16, 12)),
            ("preactivation", {"preactivation": True}, (16, 12)),
            ("gates", {"horizontal_skips_map": {2: 1}, "horizontal_skip": "soft-gating"}, (16, 12)),
        )
    },
}
UNO = {
    **{"uno_out_channels": [8, 12, 8], "uno_n_modes": [[6, 6], [4, 4], [6, 6]], "channel_mlp_skip": "linear"},
    **{"uno_scalings": [[1, 1], [0.5, 0.5], [2, 2]], "lifting_channels": 12, "projection_channels": 10},
}


def make(arguments):
    """Return a seeded model of the peer, and its state as arrays."""
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from neuralop import models
    torch.manual_seed(0)
    options = dict(arguments)
    kind = options.pop("model", "FNO")
    if kind == "UNO":
        options = {**UNO, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(models, kind)(**COMMON, **options)
    return torch, theirs, neuraloperator_state(theirs)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore")
def test_same_weights_same_output_and_gradients(case):
    arguments, grid = CASES[case]
    torch, theirs, state = make(arguments)
    ours = from_neuraloperator(state)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 2, *grid)).astype(np.float32)
    if "complex" in case:
        x = (x + 1j * rng.normal(size=x.shape)).astype(np.complex64)
    expected = theirs(torch.from_numpy(x))
    target = rng.normal(size=expected.shape).astype(np.float32)
    if "complex" in case:
        target = (target + 1j * rng.normal(size=target.shape)).astype(np.complex64)
    np.testing.assert_allclose(ours(x), expected.detach().numpy(), rtol=0, atol=1e-5 * float(expected.abs().max()))

    difference = (expected - torch.from_numpy(target)).flatten(2).norm(dim=2)
    loss = (difference / torch.from_numpy(target).flatten(2).norm(dim=2)).sum() / 2
    loss.backward()

    def gradients_in(dtype):
        def training(variables):
            kind = np.result_type(dtype, np.complex64) if "complex" in case else dtype
            output = ours.forward(variables, x.astype(kind))
            return relative_l2(output, target=target.astype(kind))

        return value_and_gradients(training, as_dtype(ours.parameters, np.dtype(dtype)))

    value, gradients = gradients_in("f4")
    assert abs(float(value) - float(loss)) < 1e-5 * float(loss)
    # Their gradients under our names: the same map from a state dict of gradients.
    found = {name: p.grad.numpy() for name, p in theirs.named_parameters()}
    theirs_as_ours = from_neuraloperator({**found, "_metadata": state["_metadata"]}).parameters
    exact = gradients_in("f8")[1]
    largest = max(float(np.abs(g).max()) for g in exact.values())
    for name, gradient in exact.items():
        own = float(np.abs(gradient).max())
        # A shift before a normalization of instances changes nothing: of these gradients float32 leaves rounding.
        zero = case == "instance norm" and name.endswith(("spectral.bias", "mlp.1.bias"))
        assert (own < 1e-12 * largest) == zero, name
        for single in (gradients[name], theirs_as_ours[name]):
            # What cancels in a sum over the grid leaves the rounding of its parts.
            atol = 1e-6 * largest if zero else 1e-5 * own + 2e-7 * largest
            np.testing.assert_allclose(single, gradient, rtol=0, atol=atol, err_msg=name)


def test_options_are_represented_or_refused():
    torch, _, _ = make({"n_modes": (6, 8)})
    from neuralop.layers.embeddings import GridEmbedding2D
    from neuralop.models import FNO as Theirs

    x = np.random.default_rng(0).normal(size=(2, 2, 12, 16)).astype(np.float32)
    represented = (
        {"positional_embedding": GridEmbedding2D(2, [[-1, 2], [0, 5]])},
        *(
            {"n_modes": (4, 6), "max_n_modes": (8, 10), "factorization": f, "rank": 0.4}
            for f in (None, "tucker", "cp", "tt")
        ),
        {"domain_padding": [0.1, 0.2]},
        {"non_linearity": torch.nn.GELU()},
    )
    for options in represented:
        model = Theirs(**COMMON, **{"n_modes": (6, 8), **options}).eval()
        with torch.no_grad():
            expected = model(torch.from_numpy(x)).numpy()
        found = from_neuraloperator(neuraloperator_state(model))(x)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=str(options))
    fewer = Theirs((6, 8), **COMMON)
    for conv in fewer.fno_blocks.convs:
        conv.n_modes = (4, 4)
    assert from_neuraloperator(neuraloperator_state(fewer)).config.n_modes == (4, 4)
    grouped = Theirs((6, 8), norm="group_norm", **COMMON)
    grouped.fno_blocks.norm[0] = torch.nn.GroupNorm(2, COMMON["hidden_channels"])
    refused = {"norm_groups": grouped}
    for name, value in (("use_channel_mlp", False), ("non_linearity", torch.relu), ("norm", "batch_norm")):
        refused[name] = Theirs((6, 8), **COMMON, **{name: value})
    for name, model in refused.items():
        with pytest.raises(InvalidValueError, match=name):
            from_neuraloperator(neuraloperator_state(model))


@pytest.mark.filterwarnings("ignore")
def test_the_reference_config_takes_the_same_steps():
    """Sums over batches, a smaller last batch, AdamW, a cosine for each epoch: losses of 9 steps."""
    arguments = {"n_modes": (4, 4), "factorization": "tucker", "rank": 0.3}
    torch, theirs, state = make(arguments)
    from neuralop.losses import H1Loss

    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=(10, c, 8, 8)).astype(np.float32) for c in (2, 3))
    y = (y - y.mean((0, 2, 3), keepdims=True)) / y.std((0, 2, 3), keepdims=True)  # normalizing again changes nothing
    options = {"horizon": 4, "each_step": False, "shuffle": False, "equal_samples": True, "eps": 1e-8 / 4}
    config = TrainingConfig(epochs=3, batch_size=4, learning_rate=4e-3, periodic=True, **options)
    _, history = train_operator(from_neuraloperator(state), x, y, config)
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=4e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    losses = []
    for _ in range(3):
        for part in (slice(0, 4), slice(4, 8), slice(8, 10)):
            optimizer.zero_grad()
            given, wanted = torch.from_numpy(x[part]), torch.from_numpy(y[part])
            loss = H1Loss(d=2)(theirs(given).flatten(0, 1)[:, None], wanted.flatten(0, 1)[:, None])
            loss.backward()
            optimizer.step()
            losses.append(float(loss) / len(given))
        schedule.step()
    np.testing.assert_allclose(history.losses, losses, rtol=2e-5)
    # With eps beside means instead of sums the losses part.
    other = replace(config, eps=1e-8, equal_samples=False)
    _, history = train_operator(from_neuraloperator(state), x, y, other)
    assert np.abs(history.losses / losses - 1).max() > 1e-4
