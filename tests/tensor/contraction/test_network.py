"""Pairwise contractions against einsum, and the derivatives of networks against differences."""

from __future__ import annotations

import numpy as np

from sci.tensor.contraction.network import contract, run_network, run_network_vjp


def test_contract_is_einsum():
    rng = np.random.default_rng(0)
    lengths = dict(zip("abcde", (2, 3, 4, 5, 6)))
    for spec in ("ab,bc->ac", "abc,cd->bda", "ab,ab->ab", "a,b->ba", "abc,abd->dac", "ab,ba->", "abcd,bde->eac"):
        left, right = (rng.normal(size=[lengths[i] for i in s]) for s in spec.partition("->")[0].split(","))
        np.testing.assert_allclose(contract(spec, left, right), np.einsum(spec, left, right), atol=1e-13)


def test_conjugates_are_those_of_the_operands():
    rng = np.random.default_rng(1)
    left, right = (rng.normal(size=(2, 3, 3)) @ (1, 1j, 0) for _ in range(2))
    for flags in ((False, True), (True, False), (True, True)):
        a, b = (x.conj() if flag else x for x, flag in zip((left, right), flags))
        np.testing.assert_allclose(contract("ab,cb->ac", left, right, flags), a @ b.T, atol=1e-14)


def test_gradients_of_a_network():
    rng = np.random.default_rng(2)
    steps = (("u", "x", "a", "bi,ij->bj"), ("v", "u", "c", "bj,j->bj"), ("Y", "v", "d", "bj,jk->kb"))
    shapes = {"x": (4, 3), "a": (3, 5), "c": (5,), "d": (5, 2)}
    operands = {n: rng.normal(size=(*s, 2)).view(complex)[..., 0] for n, s in shapes.items()}
    values = run_network(steps, operands)
    dout = rng.normal(size=(2, 4, 2)).view(complex)[..., 0]
    gradients = run_network_vjp(steps, values, dout)
    assert set(gradients) == set(operands)
    for name, value in operands.items():
        step = rng.normal(size=(*value.shape, 2)).view(complex)[..., 0]
        ends = [run_network(steps, {**operands, name: value + t * step})["Y"] for t in (1e-6, -1e-6)]
        expected = ((ends[0] - ends[1]).conj() * dout).sum().real / 2e-6
        assert abs((gradients[name].conj() * step).sum().real - expected) < 1e-7 * abs(expected)
