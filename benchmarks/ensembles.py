"""Intrinsic dimension, clusters and transport beside scikit-dimension, faiss, scikit-learn and POT.

    OMP_NUM_THREADS=1 python benchmarks/ensembles.py            # all, about two minutes
    OMP_NUM_THREADS=1 python benchmarks/ensembles.py --only clusters transport

CPU seconds of this process on one thread, the least of three runs where a run takes less than two seconds. A ratio is
ours over the peer's: below 1, ours is faster. A peer that is not installed is left out with a line. Limits of a core
with 512-bit vectors: k-means 2 flops a coordinate and pair, 64 (float32) or 32 (float64) flops a cycle.
"""

from __future__ import annotations

import argparse
import importlib
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.ensembles import exact_transport, intrinsic_dimension, k_means, sinkhorn
from sci.linalg import PackedPoints, log_sum_exp, nearest_k


def seconds(run: Callable[[], Any]) -> float:
    """Return the least CPU seconds of up to three runs, after one that compiles where it is short."""
    times = []
    for _ in range(3):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
        if times[-1] > 2:
            break
    return min(times)


def row(work: str, ours: float, peers: dict[str, float], note: str = "") -> None:
    """Print one line: our time, and each peer's with the ratio."""
    said = ", ".join(f"{name} {value:.3g} s (ratio {ours / value:.2f})" for name, value in peers.items())
    print(f"{work:<42} {ours:.3g} s{'; ' + said if said else ''}{'; ' + note if note else ''}", flush=True)


def peer(name: str) -> Any:
    """Return a peer's module, None with a line where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"# {name} is not installed: pip install 'sci-hpc[peers]'")
        return None


def dimension() -> None:
    """TwoNN and maximum likelihood of up to 100,000 points of dimension 30 on a manifold of dimension 5."""
    rng = np.random.default_rng(0)
    for n in (5_000, 100_000):
        x = np.tanh(rng.normal(size=(n, 5)) @ rng.normal(size=(5, 30)) / 3)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found: dict[str, Any] = {}
        for method in ("twonn", "mle"):
            ours = seconds(lambda m=method, x=x, found=found: found.update({m: intrinsic_dimension(x, m)}))
            peers = {}
            skdim = peer("skdim") if n == 5_000 else None
            if skdim is not None:
                theirs = skdim.id.TwoNN() if method == "twonn" else skdim.id.MLE(K=20)
                peers["scikit-dimension"] = seconds(lambda t=theirs, x=x: t.fit(x))
                found["theirs"] = theirs.dimension_
            theirs_text = f", scikit-dimension {found['theirs']:.4f}" if peers else ""
            row(f"{method}, {n:,} x 30", ours, peers, f"{found[method].value:.4f}{theirs_text}")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"#   memory grew by {grown:.0f} MB with {n:,} points" + (" (peer included)" if n == 5_000 else ""))


def clusters() -> None:
    """Ten iterations of k-means with 500 centers on 100,000 points of dimension 30, from the same start."""
    x = np.random.default_rng(1).normal(size=(100_000, 30)).astype(np.float32)
    start = x[:500].copy()
    packed = PackedPoints(x)
    found: dict[str, float] = {}
    run = lambda: found.update(ours=k_means(packed, 500, start=start, maxiter=10).inertia)  # noqa: E731
    ours, peers = seconds(run), {}
    faiss = peer("faiss")
    if faiss is not None:
        faiss.omp_set_num_threads(1)

        def faiss_run() -> None:
            kmeans = faiss.Kmeans(30, 500, niter=10, max_points_per_centroid=10**9)
            kmeans.train(x, init_centroids=start)
            found["faiss"] = kmeans.obj[-1]

        peers["faiss"] = seconds(faiss_run)
    cluster = peer("sklearn.cluster")
    if cluster is not None:

        def sklearn_run() -> None:
            found["scikit-learn"] = cluster.KMeans(500, init=start, n_init=1, max_iter=10, tol=0).fit(x).inertia_

        peers["scikit-learn"] = seconds(sklearn_run)
    row("k-means, 100,000 x 30, k = 500, float32", ours, peers, f"inertia {found}")
    row("  with k-means++", seconds(lambda: k_means(packed, 500, maxiter=10)), {})


def transport() -> None:
    """Half a step of Sinkhorn's iteration, and whole transports at small regularizations."""
    rng = np.random.default_rng(2)
    x, y = rng.random((8000, 3)), rng.random((8000, 3))
    h = np.full(8000, -np.log(8000.0))
    ot = peer("ot")
    for dtype in (np.float32, np.float64):
        a, b, c = PackedPoints(x.astype(dtype)), y.astype(dtype), h.astype(dtype)
        ours = seconds(lambda a=a, b=b, c=c: log_sum_exp(a, b, c, 100.0))
        print(f"half step, 8,000 x 8,000 in 3D, {np.dtype(dtype)}: {ours / 6.4e7 * 1e9:.2f} ns a pair")
    if ot is not None:
        lazy = seconds(
            lambda: ot.bregman.empirical_sinkhorn(
                x, y, 0.1, numIterMax=10, stopThr=0, isLazy=True, batchSize=500, warn=False
            )
        )
        print(f"POT lazy, the same pairs: {lazy / (2 * 10 * 6.4e7) * 1e9:.2f} ns a pair and half step")
    small_x, small_y = x[:300], y[:300] + 0.1
    cost = ((small_x[:, None] - small_y) ** 2).sum(axis=2)
    value, _ = exact_transport(cost)
    for reg in (1e-2, 1e-3):
        found = sinkhorn(small_x, small_y, reg, tol=1e-4, maxiter=20000)
        theirs = ""
        if ot is not None:
            plan = ot.sinkhorn(np.full(300, 1 / 300), np.full(300, 1 / 300), cost, reg, numItermax=2000, warn=False)
            theirs = f"; POT's plan has mass {plan.sum():.2g}"
        print(
            f"reg {reg:g}: value {found.value:.5f} (exact without it {value:.5f}), mass {found.mass.sum():.6f}, "
            f"{found.iterations} iterations{theirs}"
        )


def neighbors() -> None:
    """The 20 nearest neighbors of 20,000 points beside scikit-learn's brute force and tree."""
    sklearn = peer("sklearn.neighbors")
    for d in (3, 30):
        x = np.random.default_rng(3).normal(size=(20_000, d))
        peers = {}
        for method in ("brute", "kd_tree") if sklearn is not None else ():
            fitted = sklearn.NearestNeighbors(n_neighbors=20, algorithm=method, n_jobs=1).fit(x)
            peers[method] = seconds(lambda f=fitted: f.kneighbors())
        row(f"20 nearest of 20,000, dimension {d}", seconds(lambda x=x: nearest_k(x, 20)), peers)


PARTS: dict[str, Callable[[], None]] = {
    "neighbors": neighbors,
    "dimension": dimension,
    "clusters": clusters,
    "transport": transport,
}


def main() -> None:
    """Run the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    for name in parser.parse_args().only:
        PARTS[name]()


if __name__ == "__main__":
    main()
