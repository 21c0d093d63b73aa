"""Harmonics and equivariant products beside sphericart and e3nn-jax, and where each method of a product is the fastest.

    OMP_NUM_THREADS=1 python benchmarks/spherical.py                    # all, about a minute
    OMP_NUM_THREADS=1 python benchmarks/spherical.py --only harmonics

CPU seconds of this process on one thread, the least of several runs; ours and a peer's alternate. A ratio is ours
over the peer's: below 1, ours is faster. Errors are the largest difference from the peer, or from the sum over all
coefficients. e3nn-jax runs compiled by jax.jit, without the time to compile; of a product it makes all paths apart,
ours their sum. A peer that is not installed is left out with a line: pip install sphericart e3nn-jax.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.spherical import (
    clebsch_gordan_product,
    coupling_paths,
    spherical_harmonics,
    spherical_harmonics_gradient,
    wigner_matrices,
)
from sci.spherical.columns import quadrature_size
from sci.spherical.coupling import Parity, coupled_entries
from sci.spherical.gaunt import method_of, product_of
from sci.spherical.harmonics import harmonics_vjp
from sci.spherical.paths import product_vjp

Run = Callable[[], Any]
POINTS = 10_000
CHANNELS = 128
METHODS = ("sparse", "quadrature", "fft", "dense")


def seconds(runs: dict[str, Run], times: int = 7) -> dict[str, float]:
    """Return the least CPU seconds of each run; they alternate, each after a run of its own that is not counted.

    That run finds the memory that the one before left to the system, which costs more than harmonics of degree 8.
    """
    least = dict.fromkeys(runs, np.inf)
    for _ in range(times):
        for name, run in runs.items():
            run()
            start = time.process_time()
            run()
            least[name] = min(least[name], time.process_time() - start)
    return least


def peer(name: str) -> Any:
    """Return a peer's module, None with a line where it is not installed."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"# {name} is not installed: pip install {name.replace('_', '-')}")
        return None


def e3nn() -> Any:
    """Return e3nn_jax in double precision, or None."""
    found = peer("e3nn_jax")
    if found is not None:
        importlib.import_module("jax").config.update("jax_enable_x64", True)
    return found


def show(work: str, ours: float, peers: dict[str, float], note: str = "") -> None:
    """Print a line in nanoseconds."""
    said = ", ".join(f"{name} {1e9 * t:.4g} ({ours / t:.2f})" for name, t in peers.items())
    print(f"{work:<44}{1e9 * ours:>9.4g}  {said}{'; ' + note if note else ''}", flush=True)


def harmonics() -> None:
    """Print times of a point, by degree and precision."""
    cart, irreps = peer("sphericart"), e3nn()
    print(f"{'harmonics of 10,000 vectors':<44}{'ours, ns':>9}  peers, ns a point (ratio)")
    for dtype in (np.float64, np.float32):
        v = np.random.default_rng(0).normal(size=(POINTS, 3)).astype(dtype)
        for degree in (1, 2, 4, 8, 16):
            _harmonics(v, degree, cart, irreps if dtype is np.float64 else None)


def _harmonics(v: np.ndarray, degree: int, cart: Any, irreps: Any) -> None:
    dvalues = np.ones((POINTS, (degree + 1) ** 2), v.dtype)
    runs: dict[str, Run] = {
        "values": lambda: spherical_harmonics(v, degree),
        "gradients": lambda: spherical_harmonics_gradient(v, degree),
        "vjp": lambda: harmonics_vjp(v, dvalues, degree, False),
    }
    errors = ["", ""]
    if cart is not None:
        theirs = cart.SphericalHarmonics(degree)
        runs |= {
            "sphericart": lambda: theirs.compute(v),
            "sphericart gradients": lambda: theirs.compute_with_gradients(v),
        }
        differences = abs(theirs.compute(v) - spherical_harmonics(v, degree)).max()
        slopes = abs(theirs.compute_with_gradients(v)[1] - spherical_harmonics_gradient(v, degree)[1])
        far = np.linalg.norm(v, axis=1) > 0.1
        errors = [f"difference {differences:.0e}", f"difference {slopes[far].max():.0e} beyond a length of 0.1"]
    if irreps is not None:
        jax = importlib.import_module("jax")
        turned = jax.numpy.asarray(v[:, [1, 2, 0]])  # its polar axis is y

        @jax.jit
        def compiled(w: Any) -> Any:
            given = irreps.IrrepsArray("1o", w)
            return irreps.spherical_harmonics(list(range(degree + 1)), given, True, normalization="integral").array

        runs["e3nn-jax"] = lambda: compiled(turned).block_until_ready()
    taken = {name: t / POINTS for name, t in seconds(runs).items()}
    values = {name: taken[name] for name in ("sphericart", "e3nn-jax") if name in taken}
    show(f"values of degree {degree}, {v.dtype}", taken["values"], values, errors[0])
    slopes_of = {"sphericart": taken["sphericart gradients"]} if cart is not None else {}
    show(f"values and gradients of degree {degree}, {v.dtype}", taken["gradients"], slopes_of, errors[1])
    show(f"gradient of a loss of degree {degree}, {v.dtype}", taken["vjp"], slopes_of)


def rotations() -> None:
    """Print times of the matrices of a rotation, of all degrees."""
    irreps, count = e3nn(), 1000
    turns = np.linalg.qr(np.random.default_rng(0).normal(size=(count, 3, 3)))[0]
    turns *= np.sign(np.linalg.det(turns))[:, None, None]
    print(f"{'Wigner matrices of 1,000 rotations':<44}{'ours, ns':>9}  peers, ns a rotation (ratio)")
    for degree in (2, 4, 8):
        runs: dict[str, Run] = {"ours": lambda degree=degree: wigner_matrices(turns, degree)}
        if irreps is not None:
            jax = importlib.import_module("jax")
            kinds = [irreps.Irrep(ell, (-1) ** ell) for ell in range(degree + 1)]
            compiled = jax.jit(lambda r, kinds=kinds: [kind.D_from_matrix(r) for kind in kinds])
            runs["e3nn-jax"] = lambda compiled=compiled, jax=jax: jax.block_until_ready(compiled(turns))
        taken = {name: t / count for name, t in seconds(runs, 3).items()}
        ours = taken.pop("ours")
        orthogonal = max(abs(d @ d.swapaxes(1, 2) - np.eye(d.shape[1])).max() for d in wigner_matrices(turns, degree))
        show(f"degrees 0 to {degree}", ours, taken, f"D D' differs from 1 by {orthogonal:.0e}")


def products() -> None:
    """Print times of a pair of features by degree and method, and what "auto" chooses."""
    print(f"{'Gaunt product of 128 channels, us a pair':<34}" + "".join(f"{name:>11}" for name in METHODS) + "  auto")
    for dtype in (np.float64, np.float32):
        for degree in (1, 2, 3, 4, 6, 8, 10, 12):
            _products((degree, degree, degree), dtype)
        _products((6, 2, 6), dtype)


def _products(degrees: tuple[int, int, int], dtype: Any) -> None:
    batch, rng = 32, np.random.default_rng(0)
    x, y = (rng.normal(size=(batch, (d + 1) ** 2, CHANNELS)).astype(dtype) for d in degrees[:2])
    wide = 8 if dtype is np.float64 else 6
    runs = {m: lambda m=m: product_of(x, y, degrees[2], m) for m in METHODS if m != "dense" or max(degrees) <= wide}
    taken = {name: 1e6 * t / (batch * CHANNELS) for name, t in seconds(runs, 3).items()}
    chosen = method_of(degrees, x)
    best = min(taken, key=taken.__getitem__)
    error = max(abs(run() - runs["sparse"]()).max() for run in runs.values())
    entries = len(coupled_entries(*degrees, "gaunt").values)
    adds = quadrature_size(degrees) * sum((d + 1) ** 2 for d in degrees)
    cells = "".join(f"{taken[m]:>11.3f}" if m in taken else f"{'':>11}" for m in METHODS)
    note = f"{chosen}, {taken[chosen] / taken[best]:.2f} of the fastest ({best})"
    counts = f"{entries} entries, {adds} multiply-adds at points"
    print(
        f"{f'degrees {degrees}, {np.dtype(dtype)}':<34}{cells}  {note}; {counts}, differences {error:.0e}", flush=True
    )


def paths() -> None:
    """Print times of products over all paths, with a weight each, and of their gradients."""
    irreps = e3nn()
    print(f"{'Clebsch-Gordan product of 128 channels':<44}{'ours, ns':>9}  peers, ns a pair (ratio)")
    for degree in (2, 4):
        _paths(degree, irreps)


def _paths(degree: int, irreps: Any) -> None:
    batch, rng = 16, np.random.default_rng(0)
    x, y, dz = rng.normal(size=(3, batch, (degree + 1) ** 2, CHANNELS))
    degrees = (degree, degree, degree)
    parities: tuple[Parity, ...] = ("even", "odd")
    for parity in parities:
        count = len(coupling_paths(*degrees, parity))
        weights = rng.normal(size=(count, CHANNELS))
        runs: dict[str, Run] = {
            "ours": lambda p=parity, w=weights: clebsch_gordan_product(x, y, degree, parity=p, weights=w),
            "gradients": lambda p=parity, w=weights: product_vjp(dz, x, y, w, degrees, p),
        }
        if irreps is not None:
            runs["e3nn-jax"] = _e3nn_product(irreps, x, y, degree, parity)
        taken = {name: t / (batch * CHANNELS) for name, t in seconds(runs, 5).items()}
        ours, gradients = taken.pop("ours"), taken.pop("gradients")
        show(f"degree {degree}, {count} {parity} paths", ours, taken)
        show(f"degree {degree}, {count} {parity} paths, three gradients", gradients, {})


def _e3nn_product(irreps: Any, x: np.ndarray, y: np.ndarray, degree: int, parity: str) -> Run:
    """Return the product of e3nn-jax, channel by channel: (batch, channels, coefficients)."""
    jax = importlib.import_module("jax")
    kind = irreps.Irreps([(1, (ell, (-1) ** ell)) for ell in range(degree + 1)])
    sign = 1 if parity == "even" else -1
    keep = [irreps.Irrep(ell, sign * (-1) ** ell) for ell in range(degree + 1)]
    a, b = (jax.numpy.asarray(f.swapaxes(1, 2).copy()) for f in (x, y))

    @jax.jit
    def compiled(a: Any, b: Any) -> Any:
        left, right = irreps.IrrepsArray(kind, a), irreps.IrrepsArray(kind, b)
        return irreps.tensor_product(left, right, filter_ir_out=keep).array

    return lambda: compiled(a, b).block_until_ready()


PARTS = {"harmonics": harmonics, "rotations": rotations, "products": products, "paths": paths}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=sorted(PARTS))
    chosen = parser.parse_args().only
    for name, part in PARTS.items():
        if chosen in (None, name):
            part()
