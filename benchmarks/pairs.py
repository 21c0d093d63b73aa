"""Sums over pairs of charges at the charges themselves, beside the sums at points: CPU milliseconds on one thread.

    python benchmarks/pairs.py [--charges 23558] [--repeats 7]

Charges lie at random at the density of water's atoms, in a cube with periods, or without. "at points" is the kernel for
potentials and gradients anywhere, each pair from both ends in float64, with its cells and images; "float64" and
"float32" sum each pair once, and sort anew each time. A useful pair is one within the cutoff, counted once.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

import sci
from sci.potentials.ewald import ewald_split
from sci.potentials.forcefield.images import cell_images
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.pair_sum import pair_sums
from sci.potentials.radial.split import Split
from sci.potentials.range_separated.short_range import ShortRange
from sci.tensor.boxes.grid import BoxGrid, Tiles

DENSITY = 0.1
CASES = ((1e-3, 7.0), (1e-4, 9.0), (1e-6, 9.0), (1e-8, 9.0))
"""Tolerances and cutoffs in angstrom."""


def milliseconds(actions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the least CPU milliseconds of each action, taken in turns."""
    best = dict.fromkeys(actions, math.inf)
    for _ in range(repeats + 1):  # the first compiles
        for name, action in actions.items():
            start = time.process_time()
            action()
            best[name] = min(best[name], 1e3 * (time.process_time() - start))
    return best


def at_points(positions: np.ndarray, charges: np.ndarray, split: Split, edge: float, periodic: bool) -> np.ndarray:
    """Sum the short range and its gradient at the charges as at any points."""
    sources = positions, charges
    if periodic:
        margin = np.full(3, split.cutoff / edge)
        images, numbers = cell_images(positions / edge, edge * np.eye(3), margin)
        sources = images, charges[numbers]
    count = max(1, int(2 * edge / split.cutoff))
    out = np.zeros((len(charges), 4))
    tiles = Tiles.of(positions, BoxGrid(((0.0, edge),) * 3, (count,) * 3))
    ShortRange.of(*sources, split).add_to(out, positions, tiles)
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charges", type=int, default=23558)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    n, rng = options.charges, np.random.default_rng(0)
    edge = (n / DENSITY) ** (1 / 3)
    positions, charges = edge * rng.random((n, 3)), rng.normal(size=n)
    print(f"{'':24}{'useful':>9}{'at points':>11}{'float64':>9}{'float32':>9}{'ns a useful pair':>18}")
    for periodic in (True, False):
        for tol, cutoff in CASES:
            split = ewald_split(ewald_split(1.0, 0.1 * tol).cutoff / cutoff, 0.1 * tol)
            kernel, lattice = PairKernel.of(split), edge * np.eye(3) if periodic else None
            tree = cKDTree(positions, boxsize=edge if periodic else None)
            useful = (tree.count_neighbors(tree, split.cutoff) - n) / 2
            actions = {
                "points": lambda s=split, p=periodic: at_points(positions, charges, s, edge, p),
                "double": lambda k=kernel, a=lattice: pair_sums(positions, charges, k, lattice=a),
                "single": lambda k=kernel, a=lattice: pair_sums(positions, charges, k, lattice=a, rounding=math.inf),
            }
            with sci.options(threads=1):
                found = milliseconds(actions, options.repeats)
            single = found["single"] if split.degree <= 16 else math.nan
            print(
                f"{'periodic' if periodic else 'isolated':<10}{tol:7.0e}{split.cutoff:7.1f}{useful / 1e6:8.2f}M"
                f"{found['points']:11.1f}{found['double']:9.1f}{single:9.1f}"
                f"{1e6 * found['double'] / useful:10.2f}{1e6 * single / useful:8.2f}"
            )


if __name__ == "__main__":
    main()
