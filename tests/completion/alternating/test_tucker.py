"""Tucker by alternating least squares: factors and core are ridge regressions, exact tensors come back, ranks agree."""

from __future__ import annotations

import numpy as np
import pytest
from completion_cases import sinusoids
from thread_ranks import ThreadComm, on_ranks

from sci.completion import complete_tucker, observe
from sci.errors import InvalidValueError

TRUTH = sinusoids((9, 8, 10), 0.5, 0.1, seed=2)
SEEN = observe(TRUTH.index, TRUTH.values, shape=TRUTH.full.shape)


def test_a_tensor_of_low_rank_comes_back() -> None:
    rng = np.random.default_rng(0)
    core, factors = rng.normal(size=(2, 3, 2)), [rng.normal(size=(15, r)) for r in (2, 3, 2)]
    full = np.einsum("ijk,ai,bj,ck->abc", core, *factors)
    flat = rng.permutation(full.size)[:1500]
    index = np.stack(np.unravel_index(flat, full.shape), axis=1)
    # The mean of the values is a term of its own.
    seen = observe(index, full.ravel()[flat], shape=full.shape)
    found = complete_tucker(seen, (3, 4, 3), ridge=1e-5, restarts=2, tol=0)
    cells = np.stack(np.indices(full.shape).reshape(3, -1), axis=1)
    assert np.sqrt(((found.predict(cells) - full.ravel()) ** 2).mean()) < 1e-2 * full.std()


def test_core_and_factors_are_the_ridge_regressions_on_the_entries() -> None:
    ridge = 0.5
    found = complete_tucker(SEEN, (2, 3, 2), ridge=ridge, restarts=1, maxiter=4000, tol=0)
    core, factors = np.asarray(found.tensor.core) / SEEN.scale, [np.asarray(f) for f in found.tensor.factors]
    rows = [f[SEEN.index[:, k]] for k, f in enumerate(factors)]
    c, y = SEEN.weights, SEEN.standardized
    z = np.einsum("na,nb,nc->nabc", *rows).reshape(len(y), -1)
    solved = np.linalg.solve((z.T * c) @ z + ridge * np.eye(z.shape[1]), z.T @ (c * y))
    np.testing.assert_allclose(core.ravel(), solved, atol=1e-3)
    a = np.einsum("abc,na,nc->nb", core, rows[0], rows[2])
    for place in range(SEEN.shape[1]):
        own = SEEN.index[:, 1] == place
        row = np.linalg.solve((a[own].T * c[own]) @ a[own] + ridge * np.eye(3), a[own].T @ (c * y)[own])
        np.testing.assert_allclose(factors[1][place], row, atol=1e-3)
    left = y - z @ core.ravel()
    cost = (c * left**2).sum() + ridge * ((core**2).sum() + sum((f**2).sum() for f in factors))
    np.testing.assert_allclose(found.history[-1], cost, rtol=1e-8)
    assert (np.diff(found.history) <= 1e-12 * found.history[0]).all()


@pytest.mark.parametrize("shape", [(12, 9), (5, 6, 4, 5)])
def test_any_number_of_axes(shape: tuple[int, ...]) -> None:
    truth = sinusoids(shape, 0.7, 0.05, seed=4)
    found = complete_tucker(observe(truth.index, truth.values, shape=shape), (2,) * len(shape), ridge=0.1)
    assert truth.rms(found.predict(truth.cells)) < 0.4
    assert found.tensor.tucker_ranks == (2,) * len(shape)


def test_ranks_find_the_same_tensor() -> None:
    whole = complete_tucker(SEEN, (2, 2, 2), restarts=1, maxiter=10)

    def own(comm: ThreadComm) -> np.ndarray:
        mine = slice(comm.rank, None, 2)
        seen = observe(TRUTH.index[mine], TRUTH.values[mine], shape=TRUTH.full.shape, comm=comm)
        return complete_tucker(seen, (2, 2, 2), restarts=1, maxiter=10).predict(TRUTH.cells)

    for predicted in on_ranks(2, own):
        np.testing.assert_allclose(predicted, whole.predict(TRUTH.cells), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("ranks", [(2, 2), (2, 0, 2), (11, 10, 10)])
def test_ranks_without_sense_are_refused(ranks: tuple[int, ...]) -> None:
    with pytest.raises(InvalidValueError, match="ranks are"):
        complete_tucker(SEEN, ranks)
