"""TransNormer: its step against its block form, gradients, training, files."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError, ShapeError
from sci.io import load, save
from sci.nn import AdamW, ModelState, train, value_and_gradients
from sci.nn.optim.schedules import cosine
from sci.sequence import State, TextWindows, TransNormer, transnormer_decays

RNG = np.random.default_rng(2)


def small(dtype="f8", **changes) -> TransNormer:
    return TransNormer.create(
        seed=1, **{"width": 12, "heads": 3, "layers": 2, "hidden": 10, "vocabulary": 17, **changes}, dtype=dtype
    )


def test_steps_are_the_block_form_with_constant_state():
    model = small()
    tokens = RNG.integers(0, 17, (2, 40))
    logits, state = model.prefill(tokens)
    step_state, size = None, None
    for t in range(40):
        one, step_state = model.decode_step(tokens[:, t], step_state)
        np.testing.assert_allclose(one, logits[:, t], rtol=1e-10, atol=1e-10)
        assert size in (None, sum(s.nbytes for s in step_state.states))
        size = sum(s.nbytes for s in step_state.states)
    assert step_state.position == state.position == 40
    first, middle = model.prefill(tokens[:, :13])
    second, _ = model.prefill(tokens[:, 13:], middle)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), logits, rtol=1e-10, atol=1e-10)


def test_a_token_sees_nothing_after_it():
    model = small()
    tokens = RNG.integers(0, 17, (1, 20))
    changed = tokens.copy()
    changed[:, 12:] = (changed[:, 12:] + 1) % 17
    np.testing.assert_array_equal(model.prefill(tokens)[0][:, :12], model.prefill(changed)[0][:, :12])


def test_gradients_of_the_loss():
    model = small()
    batch = RNG.integers(0, 17, (2, 8))
    value, gradients = value_and_gradients(lambda v: model.loss(v, batch), model.parameters)
    logits, _ = model.prefill(batch[:, :-1])
    shifted = logits - logits.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(shifted, batch[:, 1:, None], -1)[..., 0] - np.log(np.exp(shifted).sum(-1))
    np.testing.assert_allclose(value, -chosen.mean(), rtol=1e-12)
    for name, p in model.parameters.items():
        direction = RNG.normal(size=p.shape)
        shifted_losses = [model.loss({**model.parameters, name: p + s * 1e-5 * direction}, batch) for s in (1, -1)]
        expected = (shifted_losses[0] - shifted_losses[1]) / 2e-5
        np.testing.assert_allclose((gradients[name] * direction).sum(), expected, rtol=1e-5, atol=1e-9, err_msg=name)


def test_training_learns_a_text_and_generates_it(tmp_path):
    text = b"the quick brown fox jumps over the lazy dog. " * 40
    model = TransNormer.create(seed=0, width=32, heads=2, layers=2, hidden=48)
    windows = TextWindows(text, 64)
    settings = {"epochs": 14, "batch_size": 4, "schedule": cosine(14), "schedule_each": "step", "clip": 1.0}
    done = train(model.loss, model.parameters, windows, optimizer=AdamW(0.01), **settings)
    assert done.losses[0] > 5.0
    assert done.losses[-1] < 0.6
    trained = model.with_parameters(done.parameters)
    assert trained.generate(b"the quick br", 7, temperature=0) == b"own fox"
    save(tmp_path / "model.h5", trained)
    again = load(tmp_path / "model.h5")
    assert again.generate(b"the", 20, seed=4) == trained.generate(b"the", 20, seed=4)


def test_bad_input():
    with pytest.raises(InvalidValueError, match="heads that divide"):
        TransNormer.create(seed=0, width=10, heads=3)
    with pytest.raises(ShapeError, match="parameter head"):
        TransNormer(12, 3, 2, 10, 17, {**small().parameters, "head": np.zeros((3, 12))})
    with pytest.raises(InvalidValueError, match="longer text"):
        TextWindows(b"short", 5)
    with pytest.raises(InvalidValueError, match="expected a prompt"):
        small().generate(b"", 3)
    with pytest.raises(InvalidValueError, match="table of 17 rows"):
        small().prefill(np.array([[17]]))


def test_a_token_far_back_changes_what_comes_next():
    """A token 100 back counts with the published slopes; with those of equation 3 it is less than rounding."""
    tokens = RNG.integers(0, 17, (1, 101))
    changed = tokens.copy()
    changed[0, 0] = (tokens[0, 0] + 1) % 17
    old = [[8.0 * h / 4 * (1 - layer / 4) for h in range(1, 5)] for layer in range(4)]
    reach = {}
    for name, decays in (("published", None), ("equation 3", old)):
        model = small(heads=4, layers=4, decays=decays)
        one, other = (model.prefill(t)[0][0, -1] for t in (tokens, changed))
        reach[name] = np.abs(one - other).max() / np.abs(one).max()
    assert reach["published"] > 1e-3
    assert reach["equation 3"] < 1e-10


def test_decays_are_an_argument_and_part_of_the_file(tmp_path):
    decays = ((0.5, 0.01, 0.2), (0.0, 1e-3, 0.03))
    model = small(decays=decays)
    assert model.decays == decays
    save(tmp_path / "model.h5", model)
    assert load(tmp_path / "model.h5").decays == decays
    published = tuple(tuple(transnormer_decays(3, layer, 2).tolist()) for layer in (0, 1))
    assert small().decays == published
    assert model.with_parameters(model.parameters).decays == decays
    stored = model.to_state()
    before = ModelState("TransNormer", {k: v for k, v in stored.options.items() if k != "decays"}, stored.parameters)
    np.testing.assert_allclose(TransNormer.from_state(before).decays[1], [4 / 3, 8 / 3, 4.0])
    for bad, error in (([[0.1] * 3], ShapeError), ([[0.1] * 3, [0.1, 0.1, -1]], InvalidValueError)):
        with pytest.raises(error, match="decays h"):
            small(decays=bad)


def test_logits_in_single_precision_hold_after_ten_million_tokens():
    model, tokens = small("f4"), RNG.integers(0, 17, (1, 12))
    wide = TransNormer.from_state(model.to_state()).with_parameters(
        {name: p.astype("f8") for name, p in model.parameters.items()}
    )
    zeros = [np.zeros((1, 3, 2 * 4 if layer == 0 else 4, 4)) for layer in range(2)]
    states = [State(10**7, tuple(z.astype(t) for z in zeros)) for t in ("f4", "f8")]
    narrow, exact = (m.prefill(tokens, s)[0] for m, s in zip((model, wide), states))
    assert np.abs(narrow - exact).max() < 2e-5
    assert repr(states[1]) == "State(after 10000000 tokens, 2 layers, 1,152 bytes)"


def test_batches_that_differ_between_ranks_are_refused():
    model, batch = small(), RNG.integers(0, 17, (2, 8))

    def body(comm):
        with pytest.raises(InvalidValueError, match="batch differs between ranks"):
            model.loss(model.parameters, (batch + comm.rank) % 17, comm=comm)
        return float(model.loss(model.parameters, batch, comm=comm))

    np.testing.assert_allclose(on_ranks(2, body), float(model.loss(model.parameters, batch)), rtol=1e-12)
