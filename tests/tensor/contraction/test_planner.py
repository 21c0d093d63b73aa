"""Plans of contractions: results against einsum, the least work, diagonals and sums, refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.tensor import CP, TensorTrain, Tucker, plan_contraction
from sci.tensor.contraction.network import run_network, run_network_vjp
from sci.tensor.contraction.planner import _greedy_order, contract_all, elimination_order

RNG = np.random.default_rng(0)
LENGTHS = dict(zip("abcdefgz", (2, 3, 4, 5, 3, 2, 4, 3)))
SPECS = (
    *("ab,bc->ac", "ab,bc,cd->ad", "ab,ac,ad,bc,bd,cd->", "ab,bc,ca->b", "aa,ab->b", "aab->ba", "ab->", "a,b->ba"),
    *("ab,ab->", "ab,cd->ac", "zab,zbc,zca->z", "ab,bc,cd,de,ea,ac->bd", "a,a,a->", "ab->ba", "aabb,ac->cb", "aaa->"),
)


def operands(spec: str) -> list[np.ndarray]:
    return [RNG.normal(size=[LENGTHS[i] for i in term]) for term in spec.partition("->")[0].split(",")]


@pytest.mark.parametrize("spec", SPECS)
def test_a_plan_gives_what_einsum_gives(spec):
    arrays = operands(spec)
    plan = plan_contraction(spec, LENGTHS)
    found = run_network(plan.steps, {str(k): a for k, a in enumerate(arrays)})[plan.result]
    np.testing.assert_allclose(found, np.einsum(spec, *arrays), rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(contract_all(spec, *arrays), found)


@pytest.mark.parametrize("spec", SPECS)
def test_gradients_of_a_plan(spec):
    arrays = {str(k): a for k, a in enumerate(operands(spec))}
    plan = plan_contraction(spec, LENGTHS)
    values = run_network(plan.steps, arrays)
    dout = RNG.normal(size=values[plan.result].shape)
    gradients = run_network_vjp(plan.steps, values, dout)
    for name, array in arrays.items():
        step = RNG.normal(size=array.shape)
        ends = [run_network(plan.steps, arrays | {name: array + t * step})[plan.result] for t in (1e-6, -1e-6)]
        expected = ((ends[0] - ends[1]) * dout).sum() / 2e-6
        assert gradients[name].shape == array.shape
        assert (gradients[name] * step).sum() == pytest.approx(expected, rel=1e-6, abs=1e-7)


def work_of(order: tuple[str, ...], terms: list[set[str]], lengths: dict[str, int]) -> float:
    """Products of an order, by doing it on the sets."""
    left, total = [set(t) for t in terms], 0.0
    for index in order:
        met = set().union(*(t for t in left if index in t))
        total += np.prod([float(lengths[i]) for i in met])
        left = [t for t in left if index not in t] + [met - {index}]
    return total


@pytest.mark.parametrize("seed", range(8))
def test_the_order_is_the_cheapest_of_all(seed):
    rng = np.random.default_rng(seed)
    lengths = {i: int(rng.integers(2, 30)) for i in "abcdef"}
    terms = [set(rng.choice(list("abcdef"), 2, replace=False)) for _ in range(8)]
    summed = sorted(set().union(*terms) - {"a"})
    found = work_of(tuple(elimination_order(terms, {"a"}, lengths)), terms, lengths)
    assert found == min(work_of(order, terms, lengths) for order in itertools.permutations(summed))


def test_long_contractions_are_planned_greedily():
    letters = "abcdefghijklmnop"
    spec = ",".join(a + b for a, b in itertools.pairwise(letters)) + "->ap"
    plan = plan_contraction(spec)
    assert plan.width == 3
    assert len(plan.order) == 14
    arrays = {str(k): RNG.normal(size=(3, 3)) for k in range(15)}
    found = run_network(plan.steps, arrays)[plan.result]
    np.testing.assert_allclose(found, np.linalg.multi_dot(list(arrays.values())), rtol=1e-12)
    beside = {i: {j for j in letters if abs(ord(i) - ord(j)) == 1} for i in letters}
    assert len(_greedy_order(list(letters[1:-1]), beside, dict.fromkeys(letters, 3))) == 14


def test_tensor_formats_are_contracted_by_plans():
    """Networks of formats with vectors on every axis: the plan is the product of vectors and factors, then the core."""
    sizes = (6, 5, 4)
    x, y, z = (RNG.normal(size=n) for n in sizes)
    cp = CP(RNG.normal(size=2), tuple(RNG.normal(size=(n, 2)) for n in sizes))
    tucker = Tucker(RNG.normal(size=(2, 3, 2)), tuple(RNG.normal(size=(n, r)) for n, r in zip(sizes, (2, 3, 2))))
    train = TensorTrain((RNG.normal(size=(6, 2)), RNG.normal(size=(2, 5, 3)), RNG.normal(size=(3, 4))))
    cases = (
        (cp, "r,ar,br,cr,a,b,c->", [cp.weights, *cp.factors]),
        (tucker, "pqr,ap,bq,cr,a,b,c->", [tucker.core, *tucker.factors]),
        (train, "aq,qbr,rc,a,b,c->", list(train.cores)),
    )
    for tensor, spec, arrays in cases:
        lengths = {}
        for term, array in zip(spec.partition("->")[0].split(","), [*arrays, x, y, z]):
            lengths.update(zip(term, array.shape))
        plan = plan_contraction(spec, lengths)
        found = run_network(plan.steps, {str(k): a for k, a in enumerate([*arrays, x, y, z])})[plan.result]
        expected = np.einsum("abc,a,b,c->", tensor.to_dense(), x, y, z)
        np.testing.assert_allclose(np.sum(found), expected, rtol=1e-12)
        assert plan.cost < tensor.to_dense().size * 2.5


@pytest.mark.parametrize("spec", ["ab,bc", "", "->a", "ab->c", "ab->aa", "a1->a"])
def test_refusals(spec):
    with pytest.raises(InvalidValueError, match="expected"):
        plan_contraction(spec)
    with pytest.raises(InvalidValueError, match="length of at least 1"):
        plan_contraction("ab->a", {"a": 0})
