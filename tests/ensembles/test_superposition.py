"""Superposition by rotations beside SciPy and MDAnalysis, degenerate molecules, means, and ranks."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from thread_ranks import on_ranks

from sci.ensembles import Superposition, superpose
from sci.errors import SciError

RNG = np.random.default_rng(3)
MOLECULE = 2 * RNG.normal(size=(11, 3))
WEIGHTS = RNG.random(11)


def moved(shape: np.ndarray, count: int, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turns = Rotation.random(count, random_state=rng).as_matrix()
    return (shape + noise * rng.normal(size=(count, *shape.shape))) @ turns + 30 * rng.normal(size=(count, 1, 3))


def by_scipy(frames: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return aligned frames and RMSDs of `align_vectors`."""
    w = weights / weights.sum()
    middle = w @ reference
    aligned, rmsd = [], []
    for frame in frames:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            turn, _ = Rotation.align_vectors(reference - middle, frame - w @ frame, weights=weights)
        aligned.append(turn.apply(frame - w @ frame) + middle)
        rmsd.append(np.sqrt(w @ ((aligned[-1] - reference) ** 2).sum(axis=1)))
    return np.array(aligned), np.array(rmsd)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("noise", [0.0, 0.3, 5.0])
def test_frames_lie_where_scipy_puts_them(noise, weights):
    frames = moved(MOLECULE, 40, noise)
    found = superpose(frames, MOLECULE, weights)
    aligned, rmsd = by_scipy(frames, MOLECULE, np.ones(11) if weights is None else weights)
    np.testing.assert_allclose(found.aligned, aligned, atol=1e-11)
    np.testing.assert_allclose(found.rmsd, rmsd, atol=1e-12)
    assert found.unique.all()
    assert (found.iterations, found.converged) == (0, True)
    assert "40 frames of 11 atoms" in repr(found)


def test_mdanalysis_finds_the_same_distances():
    rms = pytest.importorskip("MDAnalysis.analysis.rms")
    frames = moved(MOLECULE, 5, 0.4)
    expected = [rms.rmsd(frame, MOLECULE, weights=WEIGHTS, center=True, superposition=True) for frame in frames]
    np.testing.assert_allclose(superpose(frames, MOLECULE, WEIGHTS).rmsd, expected, rtol=1e-9)


def test_atoms_of_weight_zero_ride_along():
    weights = (np.arange(11) < 4).astype(float)
    shape = MOLECULE.copy()
    shape[4:] += 9.0
    found = superpose(moved(shape, 3), MOLECULE, weights)
    np.testing.assert_allclose(found.aligned[:, 4:], np.broadcast_to(shape[4:], (3, 7, 3)), atol=1e-11)
    assert found.rmsd.max() < 1e-12


def test_a_mirror_image_is_not_turned_into_the_other():
    mirrored = MOLECULE * [1, 1, -1]
    found = superpose(mirrored[None], MOLECULE)
    assert found.rmsd[0] > 0.5
    np.testing.assert_allclose(found.rmsd, by_scipy(mirrored[None], MOLECULE, np.ones(11))[1], rtol=1e-12)


@pytest.mark.parametrize("axes", [[0, 1], [1, 2]])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_planar_molecules_have_one_rotation(axes, scale):
    plane = np.zeros((7, 3))
    plane[:, axes] = RNG.normal(size=(7, 2))
    frames = scale * moved(plane, 20)
    found = superpose(frames, scale * plane)
    assert found.unique.all()
    assert found.rmsd.max() < 1e-12 * scale * 30
    np.testing.assert_allclose(found.aligned, np.broadcast_to(scale * plane, (20, 7, 3)), atol=1e-11 * scale)


@pytest.mark.parametrize("turned", [False, True])
def test_atoms_on_a_line_lie_on_the_line_of_the_reference(turned):
    line = np.outer(RNG.normal(size=6), [1.0, -2.0, 0.5])
    frames = np.concatenate([moved(line, 20), -line[None], line[None]]) if turned else moved(line, 20)
    found = superpose(frames, line)
    assert not found.unique.any()
    assert found.rmsd.max() < 1e-11
    np.testing.assert_allclose(found.aligned, np.broadcast_to(line, frames.shape), atol=1e-10)
    # A line on a bent molecule: the least distance is that of the line along its first axis.
    bent = superpose(frames, MOLECULE[:6])
    np.testing.assert_allclose(bent.rmsd, by_scipy(frames, MOLECULE[:6], np.ones(6))[1], rtol=1e-9)


def test_a_single_atom_is_moved_and_not_turned():
    found = superpose(RNG.normal(size=(5, 1, 3)))
    assert found.rmsd.max() == 0
    assert not found.unique.any()
    np.testing.assert_allclose(found.aligned, np.broadcast_to(found.aligned[0], (5, 1, 3)), atol=1e-15)


def test_a_symmetric_mirror_image_has_the_least_distance_though_many_rotations():
    """The two smallest singular values cancel: a square pyramid and its mirror image."""
    shape = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    handed = np.diag([-1.0, -1, -1])
    found = superpose((shape @ handed)[None], shape)
    np.testing.assert_allclose(found.rmsd, by_scipy((shape @ handed)[None], shape, np.ones(6))[1], atol=1e-9)


def test_the_mean_is_that_of_the_aligned_frames():
    frames = moved(MOLECULE, 200, 0.3)
    found = superpose(frames, weights=WEIGHTS, tol=1e-9)
    assert found.converged
    assert found.iterations < 15
    w = WEIGHTS / WEIGHTS.sum()
    mean = found.aligned.mean(axis=0)
    np.testing.assert_allclose(mean, found.reference, atol=1e-7)
    assert found.rmsd.mean() < superpose(frames, frames[0], WEIGHTS).rmsd.mean()
    np.testing.assert_allclose(w @ found.reference, w @ frames[0], atol=1e-9)
    # The shape without noise is near.
    assert superpose(found.reference[None], MOLECULE, WEIGHTS).rmsd[0] < 0.1
    assert not superpose(frames, maxiter=1, tol=1e-12).converged


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(1, 12), atoms=st.integers(1, 6), size=st.integers(1, 4), single=st.booleans(), data=st.data())
def test_every_rank_count_gives_the_same_bits(frames, atoms, size, single, data):
    x = moved(MOLECULE[:atoms], frames, 0.5).astype(np.float32 if single else np.float64)
    bounds = [0, *sorted(data.draw(st.lists(st.integers(0, frames), min_size=size - 1, max_size=size - 1))), frames]

    def body(comm) -> Superposition:
        return superpose(x[bounds[comm.rank] : bounds[comm.rank + 1]], comm=comm)

    one, found = superpose(x), on_ranks(size, body)
    for name in ("aligned", "rmsd", "unique"):
        np.testing.assert_array_equal(np.concatenate([getattr(f, name) for f in found]), getattr(one, name))
    for other in found:
        np.testing.assert_array_equal(other.reference, one.reference)
        assert other.iterations == one.iterations
    assert one.aligned.dtype == x.dtype


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: superpose(np.zeros((0, 2, 3))), "no frame on any rank"),
        (lambda: superpose(np.zeros((2, 0, 3))), "at least one atom"),
        (lambda: superpose(np.zeros((2, 3))), r"frames has shape \(2, 3\)"),
        (lambda: superpose(MOLECULE[None] * np.nan), "NaN or infinite"),
        (lambda: superpose(MOLECULE[None], MOLECULE[:4]), r"reference has shape \(4, 3\)"),
        (lambda: superpose(MOLECULE[None], weights=-WEIGHTS), "expected weights from 0"),
        (lambda: superpose(MOLECULE[None], weights=0 * WEIGHTS), "expected weights from 0"),
        (lambda: superpose(MOLECULE[None], tol=0.0), "expected a tol"),
        (lambda: superpose(1e200 * MOLECULE[None], MOLECULE), r"frames holds numbers up to .*e\+200; expected 1e-70"),
        (lambda: superpose(MOLECULE[None], 1e-99 * MOLECULE), r"reference holds numbers up to .*e-99; expected"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(SciError, match=says), np.errstate(all="ignore"):
        call()
