"""Completion of scattered entries beside least squares, Tucker with missing values and a Gaussian process.

    OMP_NUM_THREADS=1 python benchmarks/completion.py --data us_temperature.h5    # all, about three minutes
    OMP_NUM_THREADS=1 python benchmarks/completion.py --only synthetic limit

CPU seconds of this process on one thread. `us_temperature.h5` holds the temperatures of US stations in bins of
latitude, longitude and time (15 x 95 x 267), in the folds of the authors of FunBaT (their repository, MIT licence):
foldK/{train,test}_{index,value}. 76 % of the test entries of fold 0 are exact copies of training entries: the error of
cells that no training entry lies in is told apart. The authors print 1.171 for these data, of 34 s.

Limit of a sweep of the fit with R components on m entries, K axes: K (K - 1) m R (R + 1) / 2 multiplications entry by
entry; as two products of the matrix of entries with packed moments 4 m R (R + 1) / 2 flops and R (R + 1) / 2 (K + 1)
multiplications a pair of axes that occurs. `limit` prints what the sums take beside both.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.completion import (
    Observations,
    Prediction,
    complete_cp,
    functional_cp,
    functional_tucker,
    masked_components,
    observe,
)
from sci.completion.sums import EntrySums

SHAPE = (15, 95, 267)


def timed(run: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[float, Any]:
    """Return CPU seconds and the result of a call."""
    start = time.process_time()
    found = run(*arguments, **options)
    return time.process_time() - start, found


def peer(name: str) -> Any:
    """Return a peer's module, None with a line where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"# {name} is not installed: pip install 'sci-hpc[peers]'")
        return None


def rms(errors: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt((errors**2).mean()))


def fold_of(path: Path, fold: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return indices and values of training and test, and which test entries lie in unseen cells."""
    with h5py.File(path) as file:
        parts = [file[f"fold{fold}/{name}"][()] for name in ("train_index", "train_value", "test_index", "test_value")]
    train, y, test, truth = parts[0].astype(int), parts[1], parts[2].astype(int), parts[3]
    cells = [np.ravel_multi_index(tuple(index.T), SHAPE) for index in (train, test)]
    pairs = set(zip(cells[0].tolist(), y.tolist()))
    copied = np.array([pair in pairs for pair in zip(cells[1].tolist(), truth.tolist())])
    unseen = ~np.isin(cells[1], cells[0])
    print(
        f"fold {fold}: {len(y)} training entries, {len(truth)} test entries, of which {copied.mean():.1%} are copies "
        f"of training entries and {unseen.mean():.1%} lie in unseen cells"
    )
    return train, y, test, truth, unseen


@dataclass
class Lines:
    """Lines of one fold."""

    truth: np.ndarray
    unseen: np.ndarray

    def __call__(self, name: str, seconds: float, found: np.ndarray) -> float:
        """Print errors and time of a method, and return its error."""
        error = found - self.truth
        told = f"rmse {rms(error):.3f}, unseen cells {rms(error[self.unseen]):.3f}, {seconds:.2f} s"
        print(f"  {name:<44} {told}", flush=True)
        return rms(error)

    def intervals(self, found: Prediction, told: float) -> None:
        """Print coverage and score of the intervals of 90 %."""
        (low, high), y = found.interval(0.9), self.truth
        inside = (y >= low) & (y <= high)
        score = high - low + 20 * np.maximum(low - y, 0) + 20 * np.maximum(y - high, 0)
        print(
            f"  {'its 90 % intervals':<44} cover {inside.mean():.3f}, unseen cells {inside[self.unseen].mean():.3f}; "
            f"median width {np.median(high - low):.2f}, interval score {score.mean():.2f}; told error {told:.3f}"
        )


def temperatures(path: Path | None) -> None:
    """US temperatures, both folds."""
    if path is None:
        print("# US temperatures: no --data")
        return
    means = [_fold(path, fold) for fold in (0, 1)]
    print(f"mean over the folds: {np.mean(means):.4f}")


def _fold(path: Path, fold: int) -> float:
    train, y, test, truth, unseen = fold_of(path, fold)
    line = Lines(truth, unseen)
    spent, seen = timed(observe, train, y, shape=SHAPE)
    seconds, model = timed(functional_cp, seen)
    found = model.predict(test)
    error = line("functional CP, 19 components, mean of 4", spent + seconds, found.mean)
    line.intervals(found, model.left_out_rms)
    seconds, model = timed(functional_cp, seen, restarts=1)
    line("functional CP, one start", seconds, model.predict(test).mean)
    seconds, tucker = timed(functional_tucker, seen, (3, 3, 3), restarts=1)
    line("functional Tucker (3, 3, 3)", seconds, tucker.predict(test).mean)
    for rank in (5, 8):
        seconds, low = timed(complete_cp, seen, rank)
        line(f"CP by alternating least squares, rank {rank}", seconds, low.predict(test))
    _peers(train, y, test, line)
    return error


def _peers(train: np.ndarray, y: np.ndarray, test: np.ndarray, line: Lines) -> None:
    dense, mask = np.zeros(SHAPE), np.zeros(SHAPE)
    np.add.at(dense, tuple(train.T), y - y.mean())
    np.add.at(mask, tuple(train.T), 1.0)
    dense, mask = dense / np.maximum(mask, 1), np.minimum(mask, 1.0)
    if tensorly := peer("tensorly"):
        from tensorly.decomposition import parafac, tucker

        options = {"mask": mask, "n_iter_max": 100, "random_state": 0, "init": "random"}
        seconds, found = timed(tucker, dense, (3, 3, 3), **options)
        line("tensorly tucker(mask=), (3, 3, 3)", seconds, tensorly.tucker_to_tensor(found)[tuple(test.T)] + y.mean())
        seconds, found = timed(parafac, dense, 5, **options)
        line("tensorly parafac(mask=), rank 5", seconds, tensorly.cp_to_tensor(found)[tuple(test.T)] + y.mean())
    if peer("sklearn"):
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import Matern, WhiteKernel

        few = np.random.default_rng(0).permutation(len(y))[:1500]
        kernel = 1.0 * Matern([3.0, 5.0, 5.0], nu=1.5) + WhiteKernel(0.1)
        gp = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        seconds, fitted = timed(gp.fit, train[few].astype(float), y[few])
        line("scikit-learn GP on 1,500 entries", seconds, fitted.predict(test.astype(float)))


def case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a 30^3 tensor of sinusoids with a core of 2^3 and unit deviation, and a tenth of it with noise 0.2."""
    rng, x = np.random.default_rng(seed), np.linspace(0, 1, 30)[:, None]
    factors = [np.sin(2 * np.pi * rng.uniform(0.5, 1.5, 2) * x + rng.uniform(0, 2 * np.pi, 2)) for _ in range(3)]
    full = np.einsum("abc,ia,jb,kc->ijk", rng.normal(size=(2, 2, 2)), *factors)
    full /= full.std()
    flat = rng.permutation(full.size)[:2700]
    index = np.stack(np.unravel_index(flat, full.shape), axis=1)
    return full, index, full.ravel()[flat] + 0.2 * rng.normal(size=2700)


def synthetic(path: Path | None) -> None:
    """Sinusoids, ten seeds."""
    components = masked_components(3, 5, main=0, pairs=0)
    fits: dict[str, Callable[[Observations], Any]] = {
        "functional CP, 5 components, mean of 4": lambda seen: functional_cp(seen, components, maxiter=45),
        "functional CP, default 19 components": functional_cp,
        "functional Tucker (2, 2, 2), best of 4": lambda seen: functional_tucker(seen, (2, 2, 2)),
    }
    for name, fit in fits.items():
        errors, spent = [], []
        for seed in range(10):
            full, index, y = case(seed)
            cells = np.stack(np.unravel_index(np.arange(full.size), full.shape), axis=1)
            seconds, model = timed(fit, observe(index, y, shape=full.shape))
            errors.append(rms(model.predict(cells).mean - full.ravel()))
            spent.append(seconds)
        print(
            f"{name:<44} rmse {np.median(errors):.4f} in the middle, {max(errors):.4f} at most, {np.mean(spent):.2f} s"
        )


def limit(path: Path | None) -> None:
    """The sums over entries of a sweep: ours, entry by entry, and multiplications."""
    rng = np.random.default_rng(0)
    cases = {
        "20,000 entries of 88 sites x 267 times": _sites(rng),
        "100,000 scattered of 100^3": rng.integers(0, 100, (100_000, 3)),
    }
    for name, index in cases.items():
        seen = observe(index, rng.normal(size=len(index)))
        r = masked_components(3).n_components
        packed = r * (r + 1) // 2
        tables = [rng.normal(size=(n, packed)) for n in seen.shape]
        sums = EntrySums(seen)
        _sweep(sums, tables)
        ours = min(timed(_sweep, sums, tables)[0] for _ in range(3))
        plain = min(timed(_plain, seen, tables)[0] for _ in range(3))
        m = len(seen.values)
        print(
            f"{name:<44} {1e3 * ours:.1f} ms, entry by entry in NumPy {1e3 * plain:.1f} ms; {6e-6 * m * packed:.0f} M "
            f"multiplications entry by entry are {6e-6 * m * packed / ours / 1e3:.1f} G/s"
        )


def _sweep(sums: EntrySums, tables: list[np.ndarray]) -> None:
    for k in range(3):
        sums(k, tables)
        tables[k] = tables[k].copy()  # as a fit does, which makes new factors


def _sites(rng: np.random.Generator) -> np.ndarray:
    lat, lon = np.divmod(rng.permutation(15 * 95)[:88], 95)
    site, t = rng.integers(0, 88, 26_000), rng.integers(0, 267, 26_000)
    return np.stack([lat[site], lon[site], t], axis=1)


def _plain(seen: Observations, tables: list[np.ndarray]) -> None:
    for k in range(3):
        others = [j for j in range(3) if j != k]
        order = np.argsort(seen.index[:, k], kind="stable")
        rows = seen.weights[order, None] * tables[others[0]][seen.index[order, others[0]]]
        rows *= tables[others[1]][seen.index[order, others[1]]]
        np.add.reduceat(rows, np.flatnonzero(np.diff(seen.index[order, k], prepend=-1)))


PARTS = {"temperatures": temperatures, "synthetic": synthetic, "limit": limit}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="us_temperature.h5")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    chosen = parser.parse_args()
    for name in chosen.only:
        PARTS[name](chosen.data)
