"""Cases of the kernels that sum pairs of charges: isolated, in cells of every shape, few and many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import sci
from sci.kernels import get_kernel
from sci.potentials.pairs.cell import Frame
from sci.potentials.pairs.chunks import SOURCE, Chunks, order_of_keys, pack_chunks, scatter_chunks
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.pair_sum import launched_sums
from sci.potentials.pairs.reference import reference_sums

Pair = tuple[np.ndarray, np.ndarray]

CUTOFF = 2.5
SKEW = np.array([[1.0, 0.0, 0.0], [0.4, 0.9, 0.0], [-0.3, 0.35, 1.2]])
LATTICES = {"none": None, "cube": np.eye(3), "skew": SKEW, "flat": np.diag([0.3, 2.0, 1.7])}


def apart(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return n places, about one in a unit volume and none close to another."""
    side = int(np.ceil(n ** (1 / 3)))
    corners = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:n]
    return corners + 0.25 * rng.random((n, 3))


def systems(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield places and lattices."""
    for n in (1, 9, 40, 150):
        for lattice in LATTICES.values():
            side = int(np.ceil(n ** (1 / 3)))
            if lattice is None:
                yield apart(rng, n), None
            else:
                yield apart(rng, n) / side @ (side * lattice), side * lattice
    yield np.concatenate([apart(rng, 20), apart(rng, 20) + np.array([4e4, 3e5, 0.0])]), None


def _pairs(rng: np.random.Generator, dtype: str, degree: int, screened: int, forces: int) -> Iterator[Pair]:
    b = 0.6 ** np.arange(degree + 1) * rng.normal(size=degree + 1) / CUTOFF
    kernel = PairKernel(CUTOFF, b, 0.4 if screened else 0.0)
    instance = get_kernel(SOURCE, "pairs", np.dtype(dtype), degree, bool(screened), bool(forces))
    for positions, lattice in systems(rng):
        frame, charges = Frame.of(positions, CUTOFF, lattice), rng.uniform(-1, 1, len(positions))
        found, extra = launched_sums(instance, Chunks.of(frame, charges, np.dtype(dtype)), kernel)
        expected, wanted = reference_sums(frame, charges, kernel, bool(forces))
        yield (
            np.concatenate([found.ravel(), extra[:9]]),
            np.concatenate([expected.ravel(), wanted[:9]]),
        )


def _order_of_keys(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for n, bins in ((1, 1), (2, 9), (50, 7), (500, 4000), (33, 1)):
        keys = rng.integers(0, bins, n)
        with sci.options(kernels="compiled"):
            found = order_of_keys(keys, bins)
        yield found, np.argsort(keys, kind="stable")


def _pack_chunks(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    width = 64 // np.dtype(dtype).itemsize
    for n in (1, 5, 16, 31, 200):
        positions, charges = rng.normal(size=(n, 3)), rng.normal(size=n)
        positions[n // 2 :: 7] = positions[0]  # ties
        members = np.full((n // (width - 2) + 1, width), -1)
        members[:, : width - 2].flat[:n] = rng.permutation(n)
        found = []
        for mode in ("compiled", "reference"):
            with sci.options(kernels=mode):
                arrays = pack_chunks(positions, charges, members[(members >= 0).any(axis=1)].copy(), np.dtype(dtype))
            found.append(np.concatenate([np.where(np.abs(a) > 1e3, 0, a).ravel().astype(float) for a in arrays]))
        yield found[0], found[1]


def _scatter_chunks(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    width = 64 // np.dtype(dtype).itemsize
    for n in (1, 7, 16, 40, 333):
        members = np.full((n // width + 2, width), -1)
        members.flat[rng.permutation(members.size)[:n]] = rng.permutation(n)
        own = rng.normal(size=(len(members), 4, width))
        other = rng.normal(size=own.shape).astype(dtype)
        found = []
        for mode in ("compiled", "reference"):
            with sci.options(kernels=mode):
                found.append(scatter_chunks(own, other, members, n))
        yield found[0], found[1]


BY_DTYPE = {
    "pairs": _pairs,
    "order_of_keys": _order_of_keys,
    "pack_chunks": _pack_chunks,
    "scatter_chunks": _scatter_chunks,
}
