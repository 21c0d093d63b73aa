"""The Tucker fit: messages and core against a loop over entries, evidence, and ranks of processes."""

from __future__ import annotations

import numpy as np
import pytest
from completion_cases import sinusoids
from thread_ranks import ThreadComm, on_ranks

from sci.completion import FunctionalTucker, functional_tucker, observe
from sci.completion.functional.tucker_fit import _Fit
from sci.completion.sums import EntrySums
from sci.errors import InvalidValueError

TRUTH = sinusoids((6, 7, 5), 0.5, 0.1)
RANKS = (2, 3, 2)


def _loop(fit: _Fit, seen, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Precision and information for unit noise of axis k, entry by entry with full matrices."""
    second = np.outer(fit.core, fit.core) + fit.covariance
    second = second.reshape(*RANKS, *RANKS)
    n, r = seen.shape[k], RANKS[k]
    precision, information = np.zeros((n, r, r)), np.zeros((n, r))
    for row, y, c in zip(seen.index, seen.standardized, seen.weights):
        u, s = [], []
        for j, at in enumerate(row):
            full = np.zeros((RANKS[j], RANKS[j]))
            full[np.triu_indices(RANKS[j])] = fit.moments[j][at]
            s.append(full + np.triu(full, 1).T)
            u.append(fit.means[j][at])
        s[k], u[k] = np.ones((r, r)), np.ones(r)
        names = "abc"
        precision[row[k]] += c * np.einsum(f"abcdef,ad,be,cf->{names[k]}{'def'[k]}", second, *s)
        information[row[k]] += c * y * np.einsum(f"abc,a,b,c->{names[k]}", fit.core.reshape(RANKS), *u)
    return precision, information


def test_messages_and_core_use_all_covariances() -> None:
    seen = observe(TRUTH.index, TRUTH.values, shape=TRUTH.full.shape)
    fit = _Fit(seen, EntrySums(seen), RANKS, [2.5, 1.5, 0.0], [0])
    history = fit.run(3, 0.0)
    assert np.diff(history).min() > 0
    assert np.linalg.eigvalsh(fit.covariance).min() > 0
    for k in range(3):
        precision, information = fit._messages(k, *fit._summed(k))
        want = _loop(fit, seen, k)
        np.testing.assert_allclose(precision, want[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(information, want[1], rtol=1e-9, atol=1e-9)
    gram = fit._update_core(1, *fit._summed(1), 1.0)
    zz, zy = np.zeros((12, 12)), np.zeros(12)
    for row, y, c in zip(seen.index, seen.standardized, seen.weights):
        s = []
        for j, at in enumerate(row):
            full = np.zeros((RANKS[j], RANKS[j]))
            full[np.triu_indices(RANKS[j])] = fit.moments[j][at]
            s.append(full + np.triu(full, 1).T)
        zz += c * np.kron(np.kron(s[0], s[1]), s[2])
        u = [fit.means[j][at] for j, at in enumerate(row)]
        zy += c * y * np.kron(np.kron(u[0], u[1]), u[2])
    np.testing.assert_allclose(gram, zz, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(fit.core, np.linalg.solve(zz / fit.noise + np.eye(12), zy / fit.noise), rtol=1e-7)


def test_the_evidence_chooses_ranks_and_the_length_scales_are_learned() -> None:
    truth = sinusoids((20, 20, 20), 0.2, 0.2, seed=1)
    seen = observe(truth.index, truth.values, shape=truth.full.shape)
    models = {r: functional_tucker(seen, r, restarts=1) for r in ((1, 1, 1), (2, 2, 2), (4, 4, 4))}
    assert max(models, key=lambda r: models[r].bounds[0]) == (2, 2, 2)
    best = models[2, 2, 2]
    assert (np.diff(best.history, axis=0) > 0).all()
    assert truth.rms(best.predict(truth.cells).mean) < 0.06
    assert abs(best.noise_deviation - 0.2) < 0.015
    assert min(factor.lengths.max() for factor in best.factors) > 0.1


def test_the_start_of_the_highest_bound_is_returned() -> None:
    seen = observe(TRUTH.index, TRUTH.values, shape=TRUTH.full.shape)
    alone = [_Fit(seen, EntrySums(seen), (2, 2, 2), [2.5] * 3, [3, b]).run(4, 0.0)[-1] for b in range(3)]
    model = functional_tucker(seen, (2, 2, 2), restarts=3, maxiter=4, tol=0.0, seed=3)
    np.testing.assert_allclose(model.bounds, [max(alone)], rtol=1e-12)
    assert len(set(np.round(alone, 3))) > 1


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_have_the_model_of_one_process(size: int) -> None:
    def body(comm: ThreadComm | None) -> FunctionalTucker:
        mine = slice(None) if comm is None else slice(comm.Get_rank(), None, size)
        seen = observe(TRUTH.index[mine], TRUTH.values[mine], shape=TRUTH.full.shape, comm=comm)
        return functional_tucker(seen, (2, 2, 2), restarts=1, maxiter=4)

    want = body(None).predict(TRUTH.cells)
    for model in on_ranks(size, body):
        found = model.predict(TRUTH.cells)
        np.testing.assert_allclose(found.mean, want.mean, rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.deviation, want.deviation, rtol=1e-6)


@pytest.mark.parametrize("ranks", [(2, 2), (0, 1, 1), (7, 7, 7)])
def test_cores_that_do_not_fit_are_refused(ranks: tuple[int, ...]) -> None:
    seen = observe(TRUTH.index, TRUTH.values, shape=TRUTH.full.shape)
    with pytest.raises(InvalidValueError, match="functional_cp takes more"):
        functional_tucker(seen, ranks)
