"""Sums on grids by Gaussians: the tolerance at every node, next to charges too, whatever the shape of the grid."""

from __future__ import annotations

import numpy as np
import pytest
from systems import cloud, relative

import sci
from sci.potentials import (
    Coulomb,
    Particles,
    PeriodicPotential,
    RangeSeparatedPotential,
    Yukawa,
    direct_sum,
    ewald_sum,
    split_kernel,
)
from sci.potentials.radial.split import Split
from sci.potentials.range_separated import bricks
from sci.potentials.range_separated.short_range import ShortRange

DENSE, SPARSE = (9.0, 7.0, 5.0), (70.0, 50.0, 30.0)


def chosen(particles: Particles, axes: list[np.ndarray], count: int = 600) -> tuple[np.ndarray, ...]:
    """Indices of nodes of a grid: those nearest to charges, and as many at random."""
    near = [np.abs(axis[:, None] - x) ** 2 for axis, x in zip(axes, particles.positions.T)]
    distance = (near[0][:, None, None] + near[1][:, None] + near[2]).min(axis=3).ravel()
    places = np.concatenate(
        [np.argsort(distance)[:count], np.random.default_rng(0).integers(distance.size, size=count)]
    )
    return np.unravel_index(places, [len(axis) for axis in axes])


def pairs(short: ShortRange, axes: list[np.ndarray], nodes: tuple[np.ndarray, ...]) -> np.ndarray:
    """The sums over all pairs of the kernel less its Gaussians, without a cutoff."""
    points = np.stack([axis[index] for axis, index in zip(axes, nodes)], axis=1)
    r2 = ((points[:, None] - short.sources[:, :3]) ** 2).sum(axis=2)
    apart, split = r2 > 1e-16, short.split
    value = split.kernel(np.sqrt(np.where(apart, r2, 1.0))) - split.gaussians.of_square(r2)
    return np.where(apart, value, -split.gaussians.at_zero) @ short.sources[:, 3]


def by_bricks(short: ShortRange, axes: list[np.ndarray]) -> np.ndarray:
    out = np.zeros([len(axis) for axis in axes])
    assert short.bricks is not None
    assert short.bricks.add_to(out, tuple(axes))
    return out


def worst(particles: Particles, counts: tuple[int, int, int], aside: list[float]) -> list[np.ndarray]:
    """Uneven axes with nodes so far aside of some charges along each axis."""
    low, high = particles.positions.min(axis=0) - 1.0, particles.positions.max(axis=0) + 1.0
    axes = []
    for axis, count in enumerate(counts):
        even = np.linspace(low[axis], high[axis], count - len(aside))
        axes.append(np.unique(np.concatenate([even, particles.positions[: len(aside), axis] + aside])))
    return axes


def about(near: float) -> list[float]:
    """Places just within and without a radius, along the axes and the diagonal."""
    return [near * 0.999, near * 1.001, near / 3**0.5 * 0.999, near / 3**0.5 * 1.001]


@pytest.mark.parametrize("size", [DENSE, SPARSE], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    ("kernel", "alpha"),
    [(Coulomb(), 0.5), (Yukawa(0.2), 0.5), (Yukawa(2.0), 0.0)],
    ids=["coulomb", "screened", "short"],
)
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_every_node_keeps_the_tolerance(size, kernel, alpha, tol):
    particles = cloud(150, size=size)
    split = split_kernel(kernel, tol, 90.0, alpha)
    short = ShortRange.of(particles.positions, particles.charges, split)
    aside = [0.0, 1e-9, 1e-5, 1e-3, 0.05, 0.3, 1.0, *about(short.bricks.gaussians.near)]
    axes = worst(particles, (26, 33, 29), aside)
    assert bricks.Bricks.dtype(short.bricks, tuple(axes)) == np.float64  # for a node lies on a charge
    nodes = chosen(particles, axes)
    exact = pairs(short, axes, nodes)
    found = by_bricks(short, axes)[nodes]
    # A charge may miss a part of tol / r, and of tol / cutoff where a Gaussian ends; charges far off add up at random.
    reached = np.sqrt(150 * min(1.0, 4 / 3 * np.pi * split.cutoff**3 / np.prod(size)) + 1)
    unit = tol / split.cutoff * reached
    points = np.stack([axis[index] for axis, index in zip(axes, nodes)], axis=1)
    distances = np.linalg.norm(points[:, None] - particles.positions, axis=2)
    most = (np.abs(particles.charges) / np.maximum(distances, short.bricks.gaussians.near)).max(axis=1)
    assert (np.abs(found - exact) < 1.2 * unit + 0.4 * tol * most).all()
    assert np.sqrt(((found - exact) ** 2).mean()) < 0.25 * unit


@pytest.mark.parametrize("tol", [1e-3, 1e-6])
def test_floats_keep_the_tolerance_of_loose_splits(tol):
    particles = cloud(400)
    split = split_kernel(Coulomb(), tol, 90.0, 0.5)
    short = ShortRange.of(particles.positions, 1e40 * particles.charges, split)
    axes = worst(particles, (26, 33, 29), [0.02, 0.05, 0.1, 0.3, *about(short.bricks.gaussians.near)])
    assert short.bricks.dtype(tuple(axes)) == np.float32
    nodes = chosen(particles, axes)
    exact, double = pairs(short, axes, nodes), np.zeros((26, 33, 29))
    found = by_bricks(short, axes)[nodes]
    kernel = bricks.get_kernel("particles/bricks.cu", "bricks", np.float64)
    short.bricks.launch(kernel, double, tuple(axes), (0, 1, 2))
    assert relative(found, exact) < min(tol, relative(double[nodes], exact) + 3e-7)
    within = np.abs(found - exact) / (np.abs(exact) + np.sqrt((exact**2).mean()))
    assert within.max() < 0.5 * tol


def test_on_grids_of_any_shape_and_order():
    particles = cloud(300)
    short = ShortRange.of(particles.positions, particles.charges, split_kernel(Coulomb(), 1e-9, 90.0, 0.5))
    full = [np.linspace(-1.0, top, n) for top, n in ((21.0, 23), (15.0, 18), (10.0, 17))]
    whole = by_bricks(short, full)
    scale = np.sqrt((whole**2).mean())
    for parts in (
        (slice(None), slice(None), slice(3, 7)),  # a slab as commands write them
        (slice(None), slice(5, 9), slice(2, 6)),
        (slice(7, 8), slice(None), slice(None)),
        (slice(7, 12), slice(0, 4), slice(0, 9)),
    ):
        axes, out = [axis[part] for axis, part in zip(full, parts)], np.zeros(whole[parts].shape)
        short.add_to_grid(out, *axes)
        assert np.abs(out - whole[parts]).max() < 2e-8 * scale
    assert bricks.axis_order((128, 128, 4), np.dtype(np.float64)) == (0, 2, 1)
    assert bricks.axis_order((128, 128, 128), np.dtype(np.float32)) == (0, 1, 2)
    assert bricks.axis_order((4, 128, 128), np.dtype(np.float32)) == (0, 1, 2)
    assert bricks.axis_order((128, 4, 4), np.dtype(np.float64)) == (1, 2, 0)
    assert bricks.axis_order((128, 128, 1), np.dtype(np.float64)) is None  # a plane: pairs take less


def test_the_reference_takes_bricks_that_no_charge_reaches(monkeypatch):
    ions = Particles([[0.0, 0.0, 0.0], [9.0, 1.0, 0.0]], [1.0, -1.0])
    phi, axes = RangeSeparatedPotential(ions, 1e-5), [np.linspace(-4.0, 12.0, 32)] * 3
    compiled = phi.on_grid(*axes)
    monkeypatch.setattr(bricks, "use_compiled", lambda *_: False)
    assert relative(phi.on_grid(*axes), compiled) < 1e-6


def test_far_from_all_charges_nothing_is_added():
    particles = cloud(5)
    short = ShortRange.of(particles.positions, particles.charges, split_kernel(Coulomb(), 1e-6, 900.0, 0.5))
    axes = [500.0 + np.arange(8.0)] * 3
    np.testing.assert_array_equal(by_bricks(short, axes), np.zeros((8, 8, 8)))
    short.sources[:, 3] = 0.0
    np.testing.assert_array_equal(by_bricks(short, [np.arange(8.0)] * 3), np.zeros((8, 8, 8)))


@pytest.mark.parametrize("tol", [1e-4, 1e-7])
def test_potentials_on_grids_keep_their_tolerance(tol):
    particles = cloud(400, size=(25.0, 14.0, 9.0))
    axes = [np.linspace(a - 1.0, b + 1.0, n) for (a, b, n) in ((0, 25, 26), (0, 14, 37), (0, 9, 18))]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    chosen = np.random.default_rng(0).choice(len(nodes), 2000, replace=False)
    phi = RangeSeparatedPotential(particles, tol)
    assert phi._short.bricks is not None
    assert relative(phi.on_grid(*axes).ravel()[chosen], direct_sum(particles, nodes[chosen])) < tol
    cell = Particles(particles.positions, particles.charges, cell=np.diag([25.0, 15.0, 10.0]))
    exact = ewald_sum(cell, nodes[chosen], tol=tol / 100)
    assert relative(PeriodicPotential(cell, tol).on_grid(*axes).ravel()[chosen], exact) < tol


def test_where_gaussians_do_not_apply_pairs_do():
    particles = cloud(60)
    shifted = split_kernel(Coulomb(), 1e-6, 90.0, 0.5)
    shifted = Split(shifted.kernel, shifted.alpha, shifted.cutoff, shifted.gaussians, 0.9 * shifted.b)
    short = ShortRange.of(particles.positions, particles.charges, shifted)
    assert short.bricks is None
    axes, out = [np.linspace(0.1, 8.0, 9)] * 3, np.zeros((9, 9, 9))
    short.add_to_grid(out, *axes)
    with sci.options(kernels="reference"):
        short.add_to_grid(again := np.zeros((9, 9, 9)), *axes)
    np.testing.assert_allclose(out, again, atol=1e-12 * np.abs(again).max())
    assert "charges, Continuation" in repr(
        ShortRange.of(particles.positions, particles.charges, split_kernel(Coulomb(), 1e-6, 90.0, 0.5)).bricks
    )
