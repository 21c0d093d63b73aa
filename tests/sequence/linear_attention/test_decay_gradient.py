"""The gradient of the decay at decays of any size, in single and double precision, over cuts and ranks."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

import sci
from sci.distributed import split
from sci.sequence import lightning_attention

DECAYS = np.array([0.0, 0.01, 0.1, 0.3, 0.7, 0.8, 1.5, 3.0, 4.5, 10.0, 20.0])


def arrays(n: int, d: int = 8, e: int = 6, dtype: str = "f8", seed: int = 0) -> list[np.ndarray]:
    """q, k, v, dout, the state before, and the gradient of the state after; no random sum is near zero."""
    rng, heads = np.random.default_rng(seed), len(DECAYS)
    shapes = [(heads, n, d), (heads, n, d), (heads, n, e), (heads, n, e), (heads, d, e), (heads, d, e)]
    return [(rng.normal(size=shape) + 0.3).astype(dtype) for shape in shapes]


def expected(q, k, v, dout, state, dstate, decay):
    """- sum over the pairs, by the recurrence of the state and of its derivative, token by token in float64."""
    q, k, v, dout, state, dstate, decay = (a.astype("f8") for a in (q, k, v, dout, state, dstate, decay))
    lam = np.exp(-decay)[:, None, None]
    change, total = np.zeros_like(state), np.zeros_like(decay)
    for t in range(q.shape[1]):
        change = lam * (change - state)
        state = lam * state + k[:, t, :, None] * v[:, t, None, :]
        total += np.einsum("hd,hde,he->h", q[:, t], change, dout[:, t])
    return total + np.einsum("hde,hde->h", change, dstate)


def found(q, k, v, dout, state, dstate, decay, **options):
    _, residuals = lightning_attention.forward(q, k, v, decay, state, **options)
    return lightning_attention.vjp((dout, dstate), residuals)[3]


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize(("dtype", "rtol"), [("f4", 5e-5), ("f8", 1e-12)])
@pytest.mark.parametrize("n", [1, 5, 191, 1500])
def test_every_decay_has_its_digits(n: int, dtype: str, rtol: float, kernels: str) -> None:
    given = [*arrays(n, dtype=dtype), DECAYS.astype(dtype)]
    with sci.options(kernels=kernels):
        gradient = found(*given)
    np.testing.assert_allclose(gradient, expected(*given), rtol=rtol)


@pytest.mark.parametrize("seed", range(3))
def test_random_signs_cancel_no_more_than_they_must(seed: int) -> None:
    """Sums of random signs, 2000 tokens in float32, against the square root of the sum of their squares."""
    rng, n = np.random.default_rng(seed), 2000
    q, k, v, dout = (rng.normal(size=(len(DECAYS), n, 16)).astype("f4") for _ in range(4))
    zero = np.zeros((len(DECAYS), 16, 16), "f4")
    given = (q, k, v, dout, zero, zero, DECAYS.astype("f4"))
    want, lam = expected(*given), np.exp(-DECAYS)
    size = 16 * np.sqrt(n * np.sum((np.arange(n)[:, None] * lam ** np.arange(n)[:, None]) ** 2, axis=0))
    assert (np.abs(found(*given) - want) <= 1e-5 * size).all()


def test_a_cut_sequence_has_the_sum_of_both_gradients() -> None:
    q, k, v, dout, state, dstate = arrays(40)
    whole, cut = found(q, k, v, dout, state, dstate, DECAYS), 7
    first, second = ([a[:, part] for a in (q, k, v, dout)] for part in (slice(0, cut), slice(cut, None)))
    (_, middle), residuals = lightning_attention.forward(*first[:3], DECAYS, state)
    _, later = lightning_attention.forward(*second[:3], DECAYS, middle)
    *_, after, dmiddle = lightning_attention.vjp((second[3], dstate), later)
    before = lightning_attention.vjp((first[3], dmiddle), residuals)[3]
    np.testing.assert_allclose(before + after, whole, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 31])
@pytest.mark.parametrize("method", ["gather", "ring"])
def test_ranks_share_the_boundaries(method: str, n: int) -> None:
    q, k, v, dout, state, dstate = arrays(n)
    whole = found(q, k, v, dout, state, dstate, DECAYS)

    def body(comm: ThreadComm) -> np.ndarray:
        mine = [a[:, split(n, comm)] for a in (q, k, v, dout)]
        return found(*mine, state, dstate, DECAYS, method=method, comm=comm)

    for gradient in on_ranks(3, body):
        np.testing.assert_allclose(gradient, whole, rtol=1e-12)
