"""FNO and TFNO beside neuraloperator: the same weights give the same output and gradients (extra peers)."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from sci.nn import relative_l2, value_and_gradients
from sci.operators import Recipe, from_neuraloperator, train_operator
from sci.operators.spectral.convolution import as_dtype

pytestmark = pytest.mark.peers

COMMON = {"in_channels": 2, "out_channels": 3, "hidden_channels": 8, "n_layers": 3}
CASES = {
    "1d": ({"n_modes": (7,)}, (21,), {}),
    "2d": ({"n_modes": (6, 8)}, (16, 15), {}),
    "2d more modes than points": ({"n_modes": (16, 16)}, (8, 8), {}),
    "3d": ({"n_modes": (4, 6, 5)}, (8, 6, 7), {}),
    "tucker": ({"n_modes": (6, 6), "factorization": "tucker", "rank": 0.3}, (12, 16), {}),
    "cp": ({"n_modes": (6, 6), "factorization": "cp", "rank": 0.3}, (12, 16), {}),
    "tt": ({"n_modes": (6, 6), "factorization": "tt", "rank": 0.3}, (12, 16), {}),
    "group norm": ({"n_modes": (6, 6), "norm": "group_norm"}, (12, 16), {}),
    "instance norm": ({"n_modes": (6, 6), "norm": "instance_norm"}, (12, 16), {"norm": "instance"}),
    "padding": ({"n_modes": (6, 6), "domain_padding": 0.25}, (12, 16), {"domain_padding": 0.25}),
    "preactivation": ({"n_modes": (6, 6), "preactivation": True}, (12, 16), {"preactivation": True}),
    "tanh": ({"n_modes": (6, 6), "stabilizer": "tanh"}, (12, 16), {"stabilizer": "tanh"}),
    "identity": ({"n_modes": (6, 6), "fno_skip": "identity"}, (12, 16), {"fno_skip": "identity"}),
    "gates": ({"n_modes": (6, 6), "fno_skip": "soft-gating", "channel_mlp_skip": "linear"}, (12, 16), {}),
    "no grid": ({"n_modes": (6, 6), "positional_embedding": None}, (12, 16), {"positional_grid": False}),
}


def make(arguments):
    """Return a seeded model of the peer, and its state as arrays."""
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from neuralop.models import FNO as Theirs
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Theirs(**COMMON, **arguments)
    state = {name: value.numpy() for name, value in theirs.state_dict().items() if name != "_metadata"}
    return torch, theirs, state


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore")
def test_same_weights_same_output_and_gradients(case):
    arguments, grid, options = CASES[case]
    torch, theirs, state = make(arguments)
    ours = from_neuraloperator(state, **options)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 2, *grid)).astype(np.float32)
    target = rng.normal(size=(2, 3, *grid)).astype(np.float32)
    expected = theirs(torch.from_numpy(x))
    np.testing.assert_allclose(ours(x), expected.detach().numpy(), rtol=0, atol=1e-5 * float(expected.abs().max()))

    difference = (expected - torch.from_numpy(target)).flatten(2).norm(dim=2)
    loss = (difference / torch.from_numpy(target).flatten(2).norm(dim=2)).sum() / 2
    loss.backward()

    def gradients_in(dtype):
        def training(variables):
            output = ours.forward(variables, x.astype(dtype))
            return relative_l2(output, target=target.astype(dtype))

        return value_and_gradients(training, as_dtype(ours.parameters, np.dtype(dtype)))

    value, gradients = gradients_in("f4")
    assert abs(float(value) - float(loss)) < 1e-5 * float(loss)
    # Their gradients under our names: the same map from a state dict of gradients.
    found = {name: p.grad.numpy() for name, p in theirs.named_parameters()}
    theirs_as_ours = from_neuraloperator(found, **options).parameters
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


@pytest.mark.filterwarnings("ignore")
def test_the_reference_recipe_takes_the_same_steps():
    """Sums over batches, a smaller last batch, AdamW, a cosine for each epoch: losses of 9 steps."""
    arguments = {"n_modes": (4, 4), "factorization": "tucker", "rank": 0.3}
    torch, theirs, state = make(arguments)
    from neuralop.losses import H1Loss

    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=(10, c, 8, 8)).astype(np.float32) for c in (2, 3))
    y = (y - y.mean((0, 2, 3), keepdims=True)) / y.std((0, 2, 3), keepdims=True)  # normalizing again changes nothing
    options = {"horizon": 4, "each_step": False, "shuffle": False, "equal_samples": True, "eps": 1e-8 / 4}
    recipe = Recipe(epochs=3, batch_size=4, learning_rate=4e-3, **options)
    _, course = train_operator(from_neuraloperator(state), x, y, recipe)
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
    np.testing.assert_allclose(course.losses, losses, rtol=2e-5)
    # With eps beside means instead of sums the losses part.
    other = replace(recipe, eps=1e-8, equal_samples=False)
    _, course = train_operator(from_neuraloperator(state), x, y, other)
    assert np.abs(course.losses / losses - 1).max() > 1e-4
