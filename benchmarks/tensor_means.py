"""Bures-Wasserstein means of neighborhoods of a tensor field beside pyRiemann and batched NumPy, with their errors.

    OMP_NUM_THREADS=1 python benchmarks/tensor_means.py            # about a minute

CPU seconds of this process on one thread, the least of three runs, for each mean of 27 tensors of 3 x 3, checks of the
input included. A ratio is ours over the peer's: below 1, ours is faster. "NumPy" is the fixed point G <- G^(-1/2) (mean
(G^(1/2) X G^(1/2))^(1/2))^2 G^(-1/2) of all sets at once, by numpy.linalg.eigh. Both peers stop at 1e-8, the default of
pyRiemann; "converged" at 1e-14, or after 5,000 iterations. Errors are the largest of a few sets whose barycenter G is
known in 50 digits (X = T G T with maps T of mean I). Distances: the largest relative error against 60 digits. A peer
that is not installed is left out with a line.
"""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np

from sci.linalg import BuresWasserstein

SETS, K = 512, 27
PLAIN = BuresWasserstein()


def seconds(run: Callable[[], Any]) -> float:
    """Return the least CPU seconds of three runs, after one that compiles."""
    run()
    times = []
    for _ in range(3):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def peer(name: str) -> Any:
    """Return a peer's module, None with a line where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"# {name} is not installed: pip install 'sci-hpc[peers]'")
        return None


def definite(rng: np.random.Generator, shape: tuple[int, ...], condition: float) -> np.ndarray:
    """Return random matrices with eigenvalues up to a condition."""
    basis = np.linalg.qr(rng.normal(size=shape))[0]
    values = condition ** (rng.random(shape[:-1]) - 0.5)
    values[..., 0], values[..., 1] = condition**0.5, condition**-0.5
    matrices = (basis * values[..., None, :]) @ basis.swapaxes(-1, -2)
    return (matrices + matrices.swapaxes(-1, -2)) / 2


def known_set(rng: np.random.Generator, condition: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a set of 27 matrices and its exact barycenter."""
    center = definite(rng, (3, 3), condition)
    maps = definite(rng, (K - 1, 3, 3), 30.0)
    maps *= 0.7 * K / np.linalg.eigvalsh(maps.sum(axis=0))[-1]
    with mp.workdps(50):
        g = mp.matrix(center.tolist())
        exact = [mp.matrix(t.tolist()) for t in maps]
        last = K * mp.eye(3)
        for t in exact:
            last -= t
        found = np.array([(t * g * t).tolist() for t in [*exact, last]], dtype=float)
    return (found + found.swapaxes(-1, -2)) / 2, center


def fixed_point(sets: np.ndarray, tol: float, maxiter: int = 5000) -> tuple[np.ndarray, int]:
    """Return the means of all sets by G <- G^(-1/2) (mean (G^(1/2) X G^(1/2))^(1/2))^2 G^(-1/2), and the iterations."""
    mean, iteration = sets.mean(axis=1), 0
    while iteration < maxiter:
        iteration += 1
        values, vectors = np.linalg.eigh(mean)
        root = (vectors * np.sqrt(values)[..., None, :]) @ vectors.swapaxes(-1, -2)
        inverse = (vectors / np.sqrt(values)[..., None, :]) @ vectors.swapaxes(-1, -2)
        inner, basis = np.linalg.eigh(root[:, None] @ sets @ root[:, None])
        middle = ((basis * np.sqrt(np.abs(inner))[..., None, :]) @ basis.swapaxes(-1, -2)).mean(axis=1)
        new = inverse @ middle @ middle @ inverse
        new = (new + new.swapaxes(-1, -2)) / 2
        change = (np.linalg.norm(new - mean, axis=(1, 2)) / np.linalg.norm(mean, axis=(1, 2))).max()
        mean = new
        if change <= tol:
            break
    return mean, iteration


def relative(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the largest relative error of the matrices of a batch."""
    return float((np.linalg.norm(found - exact, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))).max())


def means(condition: float, dtype: Any = np.float64) -> None:
    """Time and error of the means of sets of one condition."""
    rng = np.random.default_rng(0)
    sets = definite(rng, (SETS, K, 3, 3), condition).astype(dtype)
    known = [known_set(rng, condition) for _ in range(8)]
    given, exact = np.array([s for s, _ in known]).astype(dtype), np.array([c for _, c in known])
    ours = seconds(lambda: PLAIN.barycenter(sets)) / SETS
    found = PLAIN.barycenter(given)
    passes = PLAIN.barycenter(sets).iterations.mean()
    print(
        f"condition {condition:g}, {np.dtype(dtype)}: {ours * 1e6:.2f} us a mean, {passes:.1f} iterations, "
        f"error {relative(found.mean, exact):.1e} (stated {float(found.error.max()):.1e})",
        flush=True,
    )
    if dtype == np.float32:
        return
    for words, tol, few in (("default", 1e-8, SETS), ("converged", 1e-14, 32)):
        theirs = seconds(lambda tol=tol, few=few: fixed_point(sets[:few], tol)) / few
        mean, iterations = fixed_point(given, tol)
        report("NumPy", words, ours, theirs, relative(mean, exact), iterations)
    riemann = peer("pyriemann.geometry.mean")
    for words, tol, maxiter in (("default", 1e-8, 50), ("converged", 1e-14, 5000)) if riemann else ():

        def run(sets: np.ndarray, tol: float = tol, maxiter: int = maxiter) -> np.ndarray:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return np.array([riemann.mean_wasserstein(s, tol=tol, maxiter=maxiter) for s in sets])

        some = sets[: 8 if words == "default" else 2]
        report("pyRiemann", words, ours, seconds(lambda some=some: run(some)) / len(some), relative(run(given), exact))


def report(name: str, words: str, ours: float, theirs: float, error: float, iterations: int | None = None) -> None:
    """Print the line of a peer."""
    count = "" if iterations is None else f", {iterations} iterations"
    print(
        f"    {name}, {words}: {theirs * 1e6:.1f} us (ratio {ours / theirs:.4f}), error {error:.1e}{count}", flush=True
    )


def distances() -> None:
    """Errors of distances of close matrices, and the time of one."""
    riemann = peer("pyriemann.geometry.distance")
    rng = np.random.default_rng(1)
    for apart in (1.0, 1e-4, 1e-8):
        p = definite(rng, (20, 3, 3), 10.0)
        factor = np.eye(3) + apart * rng.normal(size=(20, 3, 3))
        q = factor @ p @ factor.swapaxes(-1, -2)
        q = (q + q.swapaxes(-1, -2)) / 2
        exact = np.array([exact_distance(a, b) for a, b in zip(p, q)])
        errors = {"ours": PLAIN.distance(p, q)}
        if riemann:
            errors["pyRiemann"] = riemann.distance_wasserstein(p, q)
        said = ", ".join(f"{name} {float(abs(found / exact - 1).max()):.1e}" for name, found in errors.items())
        print(f"distances of matrices {apart:g} apart, relative error: {said}")
    p, q = definite(rng, (4096, 3, 3), 10.0), definite(rng, (4096, 3, 3), 10.0)
    ours = seconds(lambda: PLAIN.distance(p, q)) / len(p)
    theirs = seconds(lambda: riemann.distance_wasserstein(p, q)) / len(p) if riemann else float("nan")
    print(f"a distance: {ours * 1e6:.2f} us, pyRiemann {theirs * 1e6:.2f} us (ratio {ours / theirs:.2f})")


def exact_distance(p: np.ndarray, q: np.ndarray) -> float:
    """Return the distance by its formula of traces, in 60 digits."""

    def root(a: Any) -> Any:
        values, basis = mp.eigsy(a)
        return basis * mp.diag([mp.sqrt(x) for x in values]) * basis.T

    with mp.workdps(60):
        a, b = mp.matrix(p.tolist()), mp.matrix(q.tolist())
        inner = root(root(a) * b * root(a))
        return float(mp.sqrt(sum(a[i, i] + b[i, i] - 2 * inner[i, i] for i in range(3))))


def main() -> None:
    """Run all."""
    for condition in (3.0, 10.0, 1e3, 1e6):
        means(condition)
    means(10.0, np.float32)
    distances()


if __name__ == "__main__":
    main()
