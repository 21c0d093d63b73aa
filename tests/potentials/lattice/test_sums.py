"""Sums of Gaussians along one axis of a lattice: against the direct sum in extended precision, and the weights."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from sci.potentials.lattice.sums import WEIGHTS, AxisLattice


@pytest.mark.parametrize("weights", WEIGHTS)
def test_differences_of_sublattices_keep_their_digits(weights: str) -> None:
    """Sums of size n differ by numbers of size 1; mpmath sums with 40 digits."""
    axis = AxisLattice.of(np.array([0.0, 0.37, 0.37, 0.5]), 1.0, 30, weights)
    x, exponents = np.array([3.1, 14.9, 15.25]), np.array([0.02, 1.3])
    reference, differences = axis.sums(x, exponents)
    with mpmath.workdps(40):

        def direct(offset: int, place: float, t: float) -> mpmath.mpf:
            distances = (mpmath.mpf(place) - i - mpmath.mpf(axis.offsets[offset]) for i in range(axis.count))
            return mpmath.fsum(w * mpmath.exp(-((t * d) ** 2)) for w, d in zip(axis.weights[offset], distances))

        for m, place in enumerate(x):
            for k, t in enumerate(exponents):
                whole = direct(0, place, t)
                assert abs(reference[m, k] - whole) <= 1e-14 * abs(whole)
                for o in range(len(axis.offsets)):
                    exact = direct(o, place, t) - whole
                    assert abs(differences[o, m, k] - exact) <= 5e-14 * max(abs(exact), abs(whole) / 30)


def test_particles_at_one_coordinate_share_an_offset() -> None:
    axis = AxisLattice.of(np.array([0.5, 0.0, 0.5]), 2.0, 4, "plain")
    assert axis.offsets.tolist() == [0.0, 0.5]
    assert axis.which.tolist() == [1, 0, 1]
    assert (axis.weights == 1).all()
    assert repr(axis) == "AxisLattice(period=2, 2 offsets, 4 sites)"


def test_evjen_counts_the_faces_half() -> None:
    """A site on the face stands on both ends with weight one half: the total is the number of cells."""
    axis = AxisLattice.of(np.array([0.0, 0.5]), 1.0, 5, "evjen")
    assert axis.weights[0].tolist() == [0.5, 1, 1, 1, 1, 0.5]
    assert axis.weights[1].tolist() == [1, 1, 1, 1, 1, 0]


def test_smooth_weights_are_one_inside_and_zero_at_the_ends() -> None:
    axis = AxisLattice.of(np.array([0.5]), 1.0, 101, "smooth")
    assert axis.weights[0, 50] == 1
    assert max(axis.weights[0, 0], axis.weights[0, -1]) < 1e-17
    np.testing.assert_allclose(axis.weights[0], axis.weights[0, ::-1], atol=1e-15)


@pytest.mark.parametrize(("low", "high"), [(0.0, 10.0), (2.4, 2.4), (-5.0, -1.0), (3.3, 7.9)])
def test_indices_are_those_of_the_sites_in_a_range(low: float, high: float) -> None:
    axis = AxisLattice.of(np.array([0.0, 0.4]), 1.0, 8, "plain")
    for particle in (0, 1):
        places = particle * 0.4 + np.arange(8)
        assert list(axis.indices(particle, low, high)) == np.flatnonzero((places >= low) & (places <= high)).tolist()
