"""Where to split: a model of the seconds that building and using a potential take, as functions of alpha."""

from __future__ import annotations

import math

import numpy as np

from sci.potentials.radial.kernels import RadialKernel
from sci.potentials.radial.split import Split, split_kernel
from sci.potentials.range_separated.assemble import (
    MOMENT,
    box_counts,
    box_reach,
    long_range_degrees,
    moment_layout,
    octaves,
)
from sci.tensor.boxes.expansion import BOX_DEGREES
from sci.tensor.boxes.grid import BoxGrid

__all__ = ["LEAST_TOL", "box_layout", "build_seconds", "choose_split", "expansion_seconds", "target_seconds"]

Domain = tuple[tuple[float, float], ...]

# Seconds on one core of a processor with 256-bit vectors (`benchmarks/potential.py --calibrate` prints them beside
# those of the machine at hand); only their ratios matter for the choice.
FLOP = 4.5e-11
PAIR = 3.6e-9
BOX_TERM = 1e-10
BOX_COEFFICIENT = 4e-9
VISIT = 6e-8
TILE = 16
TUCKER_RANK_SHARE = 0.6
NEAR_SHARE = 0.5
LEAST_TOL = 1e-13
"""Tolerance below which a long range would be rounding."""


def _lengths(domain: Domain) -> np.ndarray:
    return np.array([b - a for a, b in domain])


def build_seconds(split: Split, domain: Domain, eps: float, charges: int) -> float:
    """Return the model's time for coefficients and decomposition, without the re-expansion."""
    lengths, exponents = _lengths(domain), split.gaussians.exponents
    degree, grid = moment_layout(float(exponents[-1]), domain, eps, charges)
    reach, counts, flops = box_reach(degree, eps), grid.counts, 0.0
    for members in octaves(exponents):
        top = float(exponents[members[-1]])
        counts = box_counts(top, domain, reach, counts)
        moments = np.array(counts) * (degree + 1)
        nodes = np.array(long_range_degrees(top, domain, eps)) + 1
        width = 2 * math.sqrt(math.log(100 / eps)) / max(top, 1e-300)
        band = np.minimum(1, (width + lengths / counts) / lengths + 32 / nodes)
        products = (
            moments.prod() * nodes[2] * band[2]
            + moments[0] * moments[1] * nodes[1] * nodes[2] * band[1]
            + moments[0] * nodes.prod() * band[0]
        )
        flops += 2 * len(members) * float(products)
    m = np.array(long_range_degrees(float(exponents[-1]), domain, eps)) + 1.0
    return charges * (degree + 1) ** 3 * MOMENT + FLOP * (flops + 10 * float(m.prod()) * float(m.max()))


def _tucker_rank(alpha: float, domain: Domain, tol: float) -> float:
    return TUCKER_RANK_SHARE * float(np.mean([d + 1 for d in long_range_degrees(alpha, domain, tol)]))


def expansion_seconds(grid: BoxGrid, degree: int, tucker_rank: float) -> float:
    """Return the model's time to re-expand the Tucker form over the boxes of `grid`."""
    return float(grid.size * (degree + 1) ** 3) * (2 * tucker_rank * FLOP + BOX_COEFFICIENT)


def box_layout(alpha: float, domain: Domain, tol: float, targets: float) -> tuple[BoxGrid, int]:
    """Return the boxes and the degree of the local re-expansion that serve `targets` evaluations fastest."""
    lengths, rank = _lengths(domain), _tucker_rank(alpha, domain, tol)
    best: tuple[float, BoxGrid, int] | None = None
    for degree in BOX_DEGREES:
        reach = box_reach(degree, tol)
        if reach == 0:
            continue
        counts = np.maximum(1, np.ceil(alpha * lengths / 2 / reach)).astype(int)
        grid = BoxGrid(domain, (int(counts[0]), int(counts[1]), int(counts[2])))
        lanes = targets + grid.size * TILE / 2  # tiles end at boxes, so half a tile a box is idle
        seconds = expansion_seconds(grid, degree, rank) + lanes * BOX_TERM * (degree + 1) ** 3
        if best is None or seconds < best[0]:
            best = (seconds, grid, degree)
    assert best is not None  # the largest degree resolves some box at any tolerance allowed
    return best[1], best[2]


def target_seconds(split: Split, domain: Domain, density: float, targets: float, tol: float) -> float:
    """Return the model's time for `targets` evaluations in `domain`, the re-expansion included."""
    grid, degree = box_layout(split.alpha, domain, tol, targets)
    expansion = expansion_seconds(grid, degree, _tucker_rank(split.alpha, domain, tol))
    return expansion + targets * BOX_TERM * (degree + 1) ** 3 + pair_seconds(split, domain, density, targets)


def pair_seconds(split: Split, domain: Domain, density: float, targets: float) -> float:
    """Return the model's time for the short range at `targets` points in `domain`."""
    side = float(_lengths(domain).prod() * TILE / targets) ** (1 / 3)
    reach: float = split.cutoff * (1 + 0.5 / 3.5) + 0.5 * min(side, split.cutoff)
    pairs = density * 4 / 3 * math.pi * reach**3
    return targets * (VISIT + pairs * PAIR)


def _density(cell_counts: np.ndarray, volume: float) -> float:
    """Mean density that targets see: most of them between the particles, a share of them near some."""
    n = float(cell_counts.sum())
    near = float((cell_counts.astype(float) ** 2).sum()) / n / volume * cell_counts.size
    return (1 - NEAR_SHARE) * n / volume + NEAR_SHARE * near


def choose_split(
    kernel: RadialKernel,
    tol: float,
    eps: float,
    domain: Domain,
    cell_counts: np.ndarray,
    expected_targets: float,
) -> Split:
    """Return the split whose build and use take the least time together.

    Parameters
    ----------
    kernel : Coulomb or Yukawa
    tol, eps : float
        Tolerance of the potential, see `split_kernel`, and of the one-dimensional expansions.
    domain : ((a1, b1), (a2, b2), (a3, b3))
    cell_counts : (c1, c2, c3) int
        Particles in equal cells of the domain, for their density.
    expected_targets : float
        Evaluations that the build is spread over.
    """
    lengths = _lengths(domain)
    diagonal, density = float(np.linalg.norm(lengths)), _density(cell_counts, float(lengths.prod()))
    best: tuple[float, Split] | None = None
    if kernel.kappa > 0:
        split = split_kernel(kernel, tol, diagonal, 0.0)
        best = pair_seconds(split, domain, density, expected_targets), split
    for reach in np.geomspace(2, 60, 30) if tol >= LEAST_TOL else ():
        alpha = 2 * reach / float(lengths.max())
        split = split_kernel(kernel, tol, diagonal, alpha)
        seconds = build_seconds(split, domain, eps, int(cell_counts.sum())) + target_seconds(
            split, domain, density, expected_targets, tol
        )
        if best is None or seconds < best[0]:
            best = (seconds, split)
    assert best is not None
    return best[1]
