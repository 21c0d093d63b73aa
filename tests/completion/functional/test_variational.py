"""The variational fit: its updates against an explicit loop over entries, and its bound against the definition."""

from __future__ import annotations

import numpy as np
import pytest
from completion_cases import sinusoids
from thread_ranks import ThreadComm, on_ranks

from sci.completion import masked_components, observe
from sci.completion.functional.variational import Variational

TRUTH = sinusoids((7, 8, 6), 0.4, 0.1)
COMPONENTS = masked_components(3, 2, pairs=1)


def _fit(comm: object = None, rows: slice = slice(None)) -> Variational:
    seen = observe(TRUTH.index[rows], TRUTH.values[rows], shape=TRUTH.full.shape, comm=comm)
    fit = Variational(seen, COMPONENTS, [2.5, 1.5, 0.0], 3, 0)
    fit.start()
    return fit


def _unpacked(fit: Variational, k: int) -> tuple[np.ndarray, np.ndarray]:
    u = fit.means[k].reshape(fit.shape[k], 3, -1)
    return u, fit.moments[k].reshape(fit.shape[k], 3, -1)[..., fit.triangle]


def test_messages_are_expectations_over_the_other_factors() -> None:
    fit = _fit()
    fit.sweep(0)
    seen = observe(TRUTH.index, TRUTH.values, shape=TRUTH.full.shape)
    for k in range(3):
        precision, information = fit._messages(k, *fit._summed(k))
        free, fixed = COMPONENTS.along(k)
        want_p, want_i = np.zeros_like(precision), np.zeros_like(information)
        tables = [_unpacked(fit, j) for j in range(3)]
        for row, y, c in zip(seen.index, seen.standardized, seen.weights):
            others = [j for j in range(3) if j != k]
            g = np.prod([tables[j][1][row[j]] for j in others], axis=0)
            a = np.prod([tables[j][0][row[j]] for j in others], axis=0)
            want_p[row[k]] += c * g[:, free[:, None], free]
            want_i[row[k]] += c * (y * a[:, free] - g[:, free[:, None], fixed].sum(axis=-1))
        np.testing.assert_allclose(precision, want_p, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(information, want_i, rtol=1e-10, atol=1e-10)


def test_the_bound_rises_in_every_sweep_and_the_noise_is_the_misfit() -> None:
    fit = _fit()
    bounds = np.array([fit.sweep(number) for number in range(25)])
    assert (np.diff(bounds, axis=0) > 0).all()
    seen = observe(TRUTH.index, TRUTH.values, shape=TRUTH.full.shape)
    tables = [_unpacked(fit, j) for j in range(3)]
    mean = np.prod([tables[j][0][seen.index[:, j]] for j in range(3)], axis=0).sum(axis=-1)
    square = np.prod([tables[j][1][seen.index[:, j]] for j in range(3)], axis=0).sum(axis=(-1, -2))
    y, c = seen.standardized[:, None], seen.weights[:, None]
    misfit = (c * ((y - mean) ** 2 + square - mean**2)).sum(axis=0) / seen.n_entries
    np.testing.assert_allclose(fit.noise, misfit, rtol=1e-10)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_ranks_take_the_steps_of_one_process(size: int) -> None:
    """Entries sharded, restarts spread; with four ranks the last one has none, and one restart leaves early."""
    alone = _fit()
    expected = []
    for number in range(4):
        expected.append(alone.sweep(number))
        if number == 1:
            alone.leave(np.array([1]))

    def body(comm: ThreadComm) -> tuple[np.ndarray, np.ndarray, list]:
        fit = _fit(comm, slice(comm.Get_rank(), None, size))
        bounds = []
        for number in range(4):
            bounds.append(fit.sweep(number))
            if number == 1:
                fit.leave(np.array([1]))
        return np.array(bounds), fit.every_noise(), [fit.gathered(k) for k in range(3)]

    for bounds, noise, gathered in on_ranks(size, body):
        np.testing.assert_allclose(bounds, expected, rtol=1e-7)
        np.testing.assert_allclose(noise, alone.noise, rtol=1e-7)
        for k, arrays in enumerate(gathered):
            for name, want in alone.gathered(k).items():
                np.testing.assert_allclose(arrays[name], want, rtol=1e-5, atol=1e-5 * np.abs(want).max())
