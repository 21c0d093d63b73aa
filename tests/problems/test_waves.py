"""Waves: exact dispersion, the energy that is kept, the same numbers on ranks, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.distributed import block
from sci.errors import InvalidValueError, ShapeError
from sci.problems import leapfrog_waves, wave_energy, wave_fields

RNG = np.random.default_rng(3)


@pytest.mark.parametrize(("grid", "modes"), [((32,), (3,)), ((16, 24), (2, -5)), ((8, 12, 10), (1, 2, 4))])
@pytest.mark.parametrize("courant", [0.05, 0.3])
def test_plane_waves_have_the_dispersion_of_the_scheme(grid, modes, courant):
    half = [np.pi * m / n for m, n in zip(modes, grid)]
    omega = 2 * np.arcsin(np.sqrt(courant * sum(np.sin(h) ** 2 for h in half)))
    phase = sum(np.ix_(*(2 * h * np.arange(n) for h, n in zip(half, grid))))
    later = leapfrog_waves(np.cos(phase), np.cos(phase - omega), 200, courant=courant, every=50)
    for k, found in enumerate(later):
        np.testing.assert_allclose(found, np.cos(phase - (50 * (k + 1) + 1) * omega), atol=1e-10)


@pytest.mark.parametrize("shape", [(17,), (9, 12), (5, 6, 7)])
@pytest.mark.parametrize("varying", [False, True])
def test_energy_is_kept(shape, varying):
    u = RNG.normal(size=(2, *shape))
    courant = 0.05 + 0.25 * RNG.random(shape) if varying else 1 / 3
    later = leapfrog_waves(*u, 400, courant=courant, every=1)
    first = wave_energy(*u, courant=courant)
    assert first > 0
    for k in (1, 57, 399):
        np.testing.assert_allclose(wave_energy(later[k - 1], later[k], courant=courant), first, rtol=1e-11)


@pytest.mark.parametrize("size", [2, 4])
def test_ranks_follow_the_same_waves(size):
    grid = (12, 10)
    u, courant = RNG.normal(size=(2, *grid)), 0.1 + 0.3 * RNG.random(grid)
    expected, energy = leapfrog_waves(*u, 30, courant=courant, every=10), wave_energy(*u, courant=courant)

    def body(comm):
        d = block(grid, comm)
        mine = [a[d.slices] for a in (*u, courant)]
        options = {"courant": mine[2], "decomposition": d}
        return d.slices, leapfrog_waves(*mine[:2], 30, every=10, **options), wave_energy(*mine[:2], **options)

    for slices, found, e in on_ranks(size, body):
        np.testing.assert_array_equal(found, expected[(slice(None), *slices)])
        np.testing.assert_allclose(e, energy, rtol=1e-13)


def test_samples_do_not_depend_on_the_ranks():
    whole = wave_fields(3, 8, n_steps=3, seed=4)
    assert whole.shape == (3, 5, 8, 8)
    parts = on_ranks(2, lambda comm: wave_fields(3, 8, n_steps=3, seed=4, comm=comm))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(leapfrog_waves(*whole[0, :2], 3), whole[0, 2:])
    assert leapfrog_waves(*whole[0, :2].astype("f4"), 2).dtype == "f4"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: leapfrog_waves(*np.zeros((2, 8, 8)), 1, courant=0.51), InvalidValueError, "grow without end"),
        (lambda: leapfrog_waves(*np.zeros((2, 8)), 1, courant=0.0), InvalidValueError, "expected above 0"),
        (lambda: leapfrog_waves(np.zeros(8), np.zeros(9), 1), ShapeError, "expected the same"),
        (lambda: leapfrog_waves(*np.zeros((2, 8)), 1, courant=np.ones(7)), ShapeError, "courant has shape"),
        (lambda: leapfrog_waves(*np.zeros((2, 8)), -1), InvalidValueError, "n_steps=-1"),
        (lambda: leapfrog_waves(*np.full((2, 8), np.nan), 1), InvalidValueError, "before"),
        (lambda: wave_fields(1, 8, courant=0.6), InvalidValueError, "at most 1/2"),
    ],
)
def test_misfits_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
