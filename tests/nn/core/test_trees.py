"""Trees of parameters: one rule of names, everywhere."""

from __future__ import annotations

import json

import numpy as np
import pytest

import sci.nn as P
from sci.errors import DTypeError, InvalidValueError
from sci.io import load, save
from sci.nn import (
    MFAC,
    SGDP,
    Adam,
    AdamP,
    Checkpoint,
    ModelState,
    Role,
    allreduce_gradients,
    clip_by_global_norm,
    count_parameters,
    flatten_tree,
    global_norm,
    rescaled,
    train,
    unflatten_tree,
    with_roles,
)
from sci.nn.core.trees import map_tree, named_arrays, structure_of, tree_from

RNG = np.random.default_rng(2)
TREE = {
    "block": [{"weight": RNG.normal(size=(3, 2)), "bias": np.zeros(3)}, {"weight": RNG.normal(size=(3, 3))}],
    "head": {"weight": RNG.normal(size=(1, 3))},
}
NAMES = ["block.0.weight", "block.0.bias", "block.1.weight", "head.weight"]
FLAT = dict(flatten_tree(TREE))
X = RNG.normal(size=(32, 2))
Y = np.sin(X.sum(axis=1, keepdims=True))


def model(v, x):
    h = P.tanh(P.linear(x, v["block"][0]["weight"], v["block"][0]["bias"]))
    return P.linear(P.tanh(P.linear(h, v["block"][1]["weight"])), v["head"]["weight"])


def loss(v, batch):
    return P.mean_squared_error(model(v, batch[0]), batch[1])


def flat_loss(v, batch):
    return loss(unflatten_tree(v, TREE), batch)


def same(a, b) -> None:
    assert structure_of(a) == structure_of(b)
    for left, right in zip(flatten_tree(a).values(), flatten_tree(b).values()):
        np.testing.assert_array_equal(left, right)


def test_names_and_the_way_back():
    assert list(FLAT) == NAMES
    assert FLAT["head.weight"] is TREE["head"]["weight"]
    same(unflatten_tree(FLAT, TREE), TREE)
    assert flatten_tree(FLAT) is FLAT
    assert unflatten_tree(FLAT, FLAT) is FLAT
    assert flatten_tree([1.0, (2.0, {})]) == {"0": 1.0, "1.0": 2.0}
    assert unflatten_tree({"0": 1.0, "1.0": 2.0}, [None, (None, {})]) == [1.0, (2.0, {})]
    assert tree_from(json.loads(json.dumps(structure_of(TREE))), FLAT)["block"][1]["weight"] is FLAT["block.1.weight"]


def test_refusals():
    cases = [
        (lambda: flatten_tree({"a.b": 1, "a": {"b": 2}}), InvalidValueError, "two parameters are named 'a.b'"),
        (lambda: flatten_tree({"a": {1: 2.0}}), InvalidValueError, "a key 1 in a tree"),
        (lambda: flatten_tree(np.ones(2)), DTypeError, "tree is an ndarray"),
        (lambda: unflatten_tree({"a": 1}, {"b": [1]}), InvalidValueError, "no leaf, or no place, for a, b.0"),
        (lambda: named_arrays({"a": [None]}, "parameters"), DTypeError, r"parameters\['a.0'\] is None"),
        (lambda: named_arrays(3.0, "parameters"), DTypeError, "parameters is a float"),
        (lambda: Adam().start({"a": {"b": [1.0]}}), DTypeError, r"parameters\['a.b.0'\] is 1.0"),
        (lambda: Adam(rates={"block.2.weight": 1.0}).start(TREE), InvalidValueError, "rates for block.2.weight"),
        (lambda: rescaled(TREE, {"head": Role("output", 3, 1)}, {}), InvalidValueError, "no role, or no parameter"),
        (lambda: with_roles(Adam(), {"head": ["x"]}), DTypeError, r"roles\['head.0'\] is 'x'"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize("optimizer", [Adam(1e-2), AdamP(1e-2), SGDP(1e-2), MFAC(1e-2, momentum=0.5)])
def test_a_training_of_a_tree_is_that_of_its_leaves(tmp_path, optimizer):
    options = {"optimizer": optimizer, "epochs": 2, "batch_size": 8, "clip": 1.0}
    nested, flat = train(loss, TREE, (X, Y), **options), train(flat_loss, FLAT, (X, Y), **options)
    same(nested.parameters, unflatten_tree(flat.parameters, TREE))
    assert nested.losses.tobytes() == flat.losses.tobytes()
    save(tmp_path / "run.h5", train(loss, TREE, (X, Y), **{**options, "epochs": 1}))
    found = load(tmp_path / "run.h5")
    assert isinstance(found, Checkpoint)
    same(train(loss, TREE, (X, Y), **options, resume=found).parameters, nested.parameters)
    assert all(set(group) <= {*NAMES, "rows", "gram"} for group in found.optimizer.values())


def test_norms_counts_and_sums_over_ranks():
    assert global_norm(TREE) == global_norm(FLAT)
    clipped, norm = clip_by_global_norm(TREE, 0.5)
    assert norm == global_norm(TREE)
    assert structure_of(clipped) == structure_of(TREE)
    assert global_norm(clipped) == pytest.approx(0.5)
    assert count_parameters(TREE) == sum(a.size for a in FLAT.values())
    same(allreduce_gradients(TREE, 0.5, 1.0)[0], TREE)


def test_roles_have_the_form_of_parameters_or_their_names():
    roles = map_tree(lambda a: Role("hidden", a.shape[-1], a.shape[0]), TREE)
    base = map_tree(lambda role: Role("hidden", 1, 1), roles)
    assert with_roles(Adam(), roles, base=base).rates == with_roles(Adam(), flatten_tree(roles), base=base).rates
    assert with_roles(Adam(), roles, base=base).rates["block.0.weight"] == 0.5
    same(rescaled(TREE, roles, flatten_tree(base)), TREE)


def test_files_keep_the_form_of_models(tmp_path):
    tree = {"layers": [TREE["head"], {"w": np.ones(2, "c8")}], "scale": np.ones(1)}
    save(tmp_path / "model.h5", ModelState("net", {}, tree))
    found = load(tmp_path / "model.h5")
    same(found.parameters, tree)
    assert repr(found) == "ModelState('net', options=[], 6 parameters)"


def test_curvature_and_pruning_of_a_tree_are_those_of_its_leaves():
    outputs = lambda z, batch: P.mean_squared_error(z, batch[1])  # noqa: E731
    nested = P.GaussNewton(lambda v, batch: model(v, batch[0]), outputs, TREE, (X, Y))
    flat = P.GaussNewton(lambda v, batch: model(unflatten_tree(v, TREE), batch[0]), outputs, FLAT, (X, Y))
    vector = np.cos(np.arange(nested.size))
    np.testing.assert_array_equal(nested(vector), flat(vector))
    rows = [P.value_and_gradients(lambda v, k=k: loss(v, (X[k : k + 4], Y[k : k + 4])), TREE)[1] for k in range(6)]
    stacked = unflatten_tree({n: np.stack([flatten_tree(r)[n] for r in rows]) for n in NAMES}, TREE)
    pruned, kept = P.prune(TREE, stacked, 0.5, names=["block.1.weight"])
    expected = P.prune(FLAT, flatten_tree(stacked), 0.5, names=["block.1.weight"])
    same(pruned, unflatten_tree(expected[0], TREE))
    same(kept, unflatten_tree(expected[1], TREE))


def test_maps_deltas_and_fingerprints_of_a_tree_are_those_of_its_leaves():
    mapped = P.MappedParameters(TREE, {"block.1.weight": P.LoLDU(FLAT["block.1.weight"], 2)})

    def mapped_loss(v, batch):
        return loss(mapped.weights(v), batch)

    done = train(mapped_loss, mapped.start(), (X, Y), optimizer=Adam(0.05), epochs=2, batch_size=8)
    folded, delta = mapped.fold(done.parameters), mapped.delta(done.parameters)
    same(delta.applied(TREE), folded)
    assert P.fingerprint(TREE) == P.fingerprint(FLAT)
    shift = P.weight_signature(TREE, TREE, folded)
    for name, array in flatten_tree(P.patched(TREE, [(shift, 1.0)])).items():
        np.testing.assert_allclose(array, flatten_tree(folded)[name], rtol=1e-14)


def test_a_coordinate_check_takes_trees():
    def make(width, seed):
        rng = np.random.default_rng(seed)
        return {"layers": [rng.normal(size=(width, 2)), rng.normal(size=(1, width)) / width]}, Adam(0.01)

    def forward(v, x):
        return P.linear(P.tanh(P.linear(x, v["layers"][0])), v["layers"][1])

    found = P.coordinate_check(make, forward, lambda out: P.mean_squared_error(out, Y), X, widths=[4, 16])
    assert found.layers == ("linear_0", "tanh_0", "linear_1")
