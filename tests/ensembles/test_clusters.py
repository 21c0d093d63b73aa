"""k-means: the same on any number of ranks, a descent to a fixed point, and selection by scores."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from thread_ranks import ThreadComm, on_ranks

from sci.ensembles import Clusters, k_means, prototype_scores, select
from sci.errors import InvalidValueError, SciError

RNG = np.random.default_rng(4)
BLOBS = np.concatenate([RNG.normal(size=(50, 4)) + 20 * center for center in np.eye(4)])


def test_blobs_are_found() -> None:
    found = k_means(BLOBS, 4, seed=1)
    assert found.converged
    assert [len(set(part)) for part in np.split(found.labels, 4)] == [1] * 4
    assert len(set(found.labels)) == 4
    assert "4 centers of dimension 4, 200 points" in repr(found)


def test_the_result_is_a_fixed_point_of_both_steps() -> None:
    x = RNG.normal(size=(500, 3))
    found = k_means(x, 20, seed=3)
    assert found.converged
    distances = cdist(x, found.centers)
    np.testing.assert_array_equal(found.labels, distances.argmin(axis=1))
    means = [x[found.labels == c].mean(axis=0) for c in range(20)]
    np.testing.assert_allclose(found.centers, means, atol=1e-13)
    np.testing.assert_allclose(found.inertia, (distances.min(axis=1) ** 2).sum(), rtol=1e-13)


def test_the_best_of_several_starts_is_kept() -> None:
    x = RNG.normal(size=(400, 3))
    alone = [k_means(x, 25, seed=seed) for seed in range(7, 12)]
    found = k_means(x, 25, starts=5, seed=7)
    best = min(alone, key=lambda clusters: clusters.inertia)
    assert len({one.inertia for one in alone}) > 1
    assert found.inertia == best.inertia
    np.testing.assert_array_equal(found.labels, best.labels)


def test_every_step_descends() -> None:
    x, start = RNG.normal(size=(300, 2)), RNG.normal(size=(12, 2))
    inertia = [k_means(x, 12, start=start, maxiter=m).inertia for m in range(1, 8)]
    assert all(later <= earlier for earlier, later in pairwise(inertia))


def test_the_start_is_drawn_by_squared_distance() -> None:
    """One of four blobs is left out by hardly any start: the chance is about 1/400 a draw."""
    missed = sum(k_means(BLOBS, 4, seed=seed, maxiter=1).inertia > 5000 for seed in range(30))
    assert missed <= 1


def _parts(x: np.ndarray, k: int, size: int, seed: int, cuts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    edges = [0, *cuts, len(x)]

    def body(comm: ThreadComm) -> Clusters:
        return k_means(x[edges[comm.rank] : edges[comm.rank + 1]], k, seed=seed, comm=comm)

    found = on_ranks(size, body)
    for other in found:
        np.testing.assert_array_equal(other.centers, found[0].centers)
        assert other.inertia == found[0].inertia
    return found[0].centers, np.concatenate([f.labels for f in found])


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 4), st.integers(1, 9), st.integers(0, 10**6), st.sampled_from(["f4", "f8"]))
def test_any_number_of_ranks_gives_the_same_bits(size: int, k: int, seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 3)).astype(dtype)
    cuts = sorted(rng.integers(0, 61, size - 1).tolist())  # a rank may be empty
    serial = k_means(x, k, seed=seed)
    centers, labels = _parts(x, k, size, seed, cuts)
    np.testing.assert_array_equal(centers, serial.centers)
    np.testing.assert_array_equal(labels, serial.labels)


def test_a_center_without_points_moves_to_a_far_one() -> None:
    x = np.array([[0.0], [1.0], [2.0], [10.0]])
    found = k_means(x, 3, start=np.array([[1.0], [100.0], [200.0]]))
    assert sorted(np.bincount(found.labels, minlength=3)) == [1, 1, 2]
    assert found.converged


def test_sums_are_right_whatever_the_unit() -> None:
    for unit in (1e-20, 1e12):
        np.testing.assert_allclose(
            k_means(unit * BLOBS, 4, seed=1).inertia / unit**2, k_means(BLOBS, 4, seed=1).inertia
        )


def test_an_outlier_leaves_the_others_their_digits() -> None:
    """One coordinate far larger than the other, and one point far from the rest."""
    x = np.array([1e12, 1e-6]) * RNG.normal(size=(200, 2))
    np.testing.assert_allclose(k_means(x, 1).centers[0], x.mean(axis=0), rtol=1e-9)
    line = np.append(RNG.normal(size=400) * 3, 1e15)[:, None]
    found = k_means(line, 2, start=np.array([[0.0], [1e15]]))
    np.testing.assert_allclose(found.centers[0], line[:400].mean(axis=0), rtol=1e-9)


def test_scores_are_distances_and_the_hard_ones_are_far() -> None:
    found = k_means(BLOBS, 4, seed=1)
    scores = prototype_scores(BLOBS, found.centers)
    np.testing.assert_allclose(scores, cdist(BLOBS, found.centers).min(axis=1), rtol=1e-13)
    chosen = [select(scores, 0.25, mode) for mode in ("hard", "easy")]
    hard, easy = (found.indices for found in chosen)
    assert len(hard) == len(easy) == 50
    assert scores[hard].min() >= np.delete(scores, hard).max()
    assert scores[easy].max() <= np.delete(scores, easy).min()
    assert [found.threshold for found in chosen] == [scores[hard].min(), scores[easy].max()]
    assert "50 of 200 points, easy: scores to" in repr(chosen[1])
    np.testing.assert_array_equal(select(np.ones(5), 0.4).indices, [0, 1])


def test_the_representative_of_a_center_is_its_nearest_point() -> None:
    found = k_means(BLOBS, 4, seed=1)
    distances = cdist(BLOBS, found.centers)
    expected = [int(np.where(found.labels == c, distances[:, c], np.inf).argmin()) for c in range(4)]
    assert found.representatives().tolist() == expected
    alone = Clusters(np.zeros((3, 1)), np.array([2, 2, 0]), np.array([1.0, 1.0, 4.0]), 6.0, 1, True)
    assert alone.representatives().tolist() == [2, -1, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: k_means(BLOBS, 201), "k is 201, but there are 200 points"),
        (lambda: k_means(BLOBS, 0), "k is 0"),
        (lambda: k_means(BLOBS, 2, starts=0), "starts 0"),
        (lambda: k_means(BLOBS, 2, start=BLOBS[:2], starts=2), "leave out one"),
        (lambda: k_means(np.ones((5, 2)), 2), "only 1 points differ"),
        (lambda: k_means(BLOBS, 3, start=np.ones((2, 4))), "start has shape"),
        (lambda: k_means(BLOBS * np.inf, 2), "NaN or infinite"),
        (lambda: select(np.ones(4), 0.0), "a fraction of 0.0"),
        (lambda: select(np.ones(0), 0.5), "of 0 points"),
        (lambda: select(np.ones(4), 0.5, "middle"), "mode"),
        (lambda: prototype_scores(BLOBS, np.ones((2, 3))), "y has shape"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(SciError, match=message), np.errstate(invalid="ignore"):
        call()


def test_ranks_that_disagree_are_told() -> None:
    def body(comm: ThreadComm) -> None:
        with pytest.raises(InvalidValueError, match="seed differs between ranks"):
            k_means(BLOBS, 3, seed=comm.rank, comm=comm)

    on_ranks(2, body)
