"""Completion by alternating least squares beside tensorly's masked decompositions, and what augmentation brings.

    OMP_NUM_THREADS=1 python benchmarks/tensor_completion.py                      # about a minute
    SCI_TEST_DATA=folder OMP_NUM_THREADS=1 python benchmarks/tensor_completion.py --only temperatures

The peer is tensorly (`pip install tensorly`), whose masked decompositions impute what is missing and decompose again;
of three of its starts the best is shown, as judged by the truth. Times are CPU seconds of all starts. The temperatures
are those of `completion/us_temperature.h5` in the folder of test data.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.completion import (
    augmented_completion,
    complete_cp,
    complete_tucker,
    functional_cp,
    neural_completion,
    observe,
)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return a result and its CPU seconds."""
    begin = time.process_time()
    return work(), time.process_time() - begin


def masked_peer(index: np.ndarray, values: np.ndarray, shape: tuple[int, ...], rank: Any) -> tuple[list[Any], float]:
    """Return dense tensors of three starts of tensorly's masked CP or Tucker, and their CPU seconds."""
    import tensorly
    from tensorly.decomposition import parafac, tucker

    counts, sums = np.zeros(shape), np.zeros(shape)
    np.add.at(counts, tuple(index.T), 1)
    np.add.at(sums, tuple(index.T), values)
    offset = values.mean()
    given = np.where(counts > 0, sums / np.maximum(counts, 1) - offset, 0)
    decompose, back = (parafac, tensorly.cp_to_tensor) if isinstance(rank, int) else (tucker, tensorly.tucker_to_tensor)

    def starts() -> list[Any]:
        options = {"mask": (counts > 0).astype(float), "init": "random", "n_iter_max": 200, "tol": 1e-6}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [offset + back(decompose(given, rank=rank, random_state=seed, **options)) for seed in range(3)]

    found: tuple[list[Any], float] = timed(starts)
    return found


def sinusoids() -> None:
    """A tenth of 30^3 entries of a smooth tensor with a core of 2 x 2 x 2, noise 0.2: errors of all cells."""
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(5):
        rng, shape = np.random.default_rng(seed), (30, 30, 30)
        x = np.linspace(0, 1, 30)[:, None]
        waves = [np.sin(2 * np.pi * rng.uniform(0.5, 1.5, 2) * x + rng.uniform(0, 2 * np.pi, 2)) for _ in shape]
        full = np.einsum("ijk,ai,bj,ck->abc", rng.normal(size=(2, 2, 2)), *waves)
        full /= full.std()
        flat = rng.permutation(full.size)[:2700]
        index, cells = (np.stack(np.unravel_index(n, shape), axis=1) for n in (flat, np.arange(full.size)))
        values = full.ravel()[flat] + 0.2 * rng.normal(size=2700)
        seen = observe(index, values, shape=shape)
        for name, work in {
            "CP of rank 3": lambda seen=seen: complete_cp(seen, 3),
            "Tucker (2, 2, 2)": lambda seen=seen: complete_tucker(seen, (2, 2, 2)),
            "functional CP": lambda seen=seen: functional_cp(seen),
        }.items():
            model, seconds = timed(work)
            told = model.predict(cells)
            told = getattr(told, "mean", told) if name == "functional CP" else told
            found.setdefault(name, []).append((float(np.sqrt(((told - full.ravel()) ** 2).mean())), seconds))
        for name, rank in (("tensorly CP of rank 3", 3), ("tensorly Tucker (2, 2, 2)", (2, 2, 2))):
            tensors, seconds = masked_peer(index, values, shape, rank)
            found.setdefault(name, []).append((min(float(np.sqrt(((t - full) ** 2).mean())) for t in tensors), seconds))
    for name, rows in found.items():
        errors, seconds = np.array(rows).T
        print(f"{name:<28} error {errors.mean():.4f}, at most {errors.max():.4f}, {seconds.mean():.2f} s")


def temperatures() -> None:
    """Root mean square error on the test entries of both folds of US temperatures."""
    with h5py.File(Path(os.environ["SCI_TEST_DATA"]) / "completion" / "us_temperature.h5") as file:
        folds = [{name: file[f"fold{k}/{name}"][()] for name in _PARTS} for k in (0, 1)]
    shape = tuple(int(n) + 1 for n in np.max([f[name].max(axis=0) for f in folds for name in _PARTS[::2]], axis=0))
    for label, rank in (
        ("CP of rank 5", 5),
        ("CP of rank 8", 8),
        ("CP of rank 12", 12),
        ("Tucker (3, 3, 3)", (3, 3, 3)),
    ):
        line = f"{label:<18}"
        for fold in folds:
            index, values = fold["test_index"], fold["test_value"]
            seen = observe(fold["train_index"], fold["train_value"], shape=shape)
            complete: Any = complete_cp if isinstance(rank, int) else complete_tucker
            model, seconds = timed(lambda seen=seen, rank=rank, complete=complete: complete(seen, rank))
            line += f"  {np.sqrt(((model.predict(index) - values) ** 2).mean()):.3f} in {seconds:.2f} s"
        fold = folds[0]
        tensors, seconds = masked_peer(fold["train_index"], fold["train_value"], shape, rank)
        best = min(np.sqrt(((t[tuple(fold["test_index"].T)] - fold["test_value"]) ** 2).mean()) for t in tensors)
        print(f"{line}   tensorly, fold 0: {best:.3f} in {seconds:.0f} s", flush=True)


_PARTS = ("train_index", "train_value", "test_index", "test_value")


def augmentation() -> None:
    """Errors of networks on two sparse positive tensors, relative to the deviation of the values, of five seeds.

    One is of rank 3, the other the logarithm of 0.1 and such a tensor, which is of no low rank.
    """
    begin = time.process_time()
    for name, link in (("rank 3", np.asarray), ("logarithm", lambda x: np.log(x + 0.1))):
        found = [_errors(seed, link) for seed in range(5)]
        plain = np.mean([(row["plain"] + row["plain, the next seed"]) / 2 for row in found])
        print(f"{name}: error relative to the deviation of the values, and to plain, both seeds")
        for kind in found[0]:
            values = [row[kind] for row in found]
            spread = np.std(values, ddof=1) / np.sqrt(len(values))
            print(f"  {kind:<36} {np.mean(values):.3f} +- {spread:.3f}, {np.mean(values) / plain:.3f}", flush=True)
    print(f"{time.process_time() - begin:.0f} CPU s")


def _errors(seed: int, link: Callable[[np.ndarray], np.ndarray]) -> dict[str, float]:
    """Return the errors of all kinds on test entries, noise and all, and those of the noise alone."""
    rng, shape = np.random.default_rng(100 + seed), (40, 40, 20)
    factors = [np.abs(rng.normal(size=(n, 3))) for n in shape]
    index = np.stack([(n * rng.random(3000) ** 1.5).astype(int) for n in shape], axis=1)
    truth = link(np.prod([f[index[:, k]] for k, f in enumerate(factors)], axis=0).sum(axis=1))
    y = truth + 0.1 * rng.normal(size=3000)
    order = np.random.default_rng(seed).permutation(3000)
    tests, own = order[:300], order[300:]
    seen, options = observe(index[own], y[own], shape=shape), {"epochs": 30, "seed": seed}
    field = functional_cp(seen, smoothness=0)
    two = [neural_completion(seen, epochs=30, seed=s).predict(index[tests]) for s in (seed, seed + 1)]
    told = {"plain": two[0], "plain, the next seed": two[1], "mean of both": (two[0] + two[1]) / 2}
    for draw in ("influence", "uniform", "frequency"):
        told[f"augmented, {draw}"] = augmented_completion(seen, draw=draw, **options).predict(index[tests])
    labelled = augmented_completion(seen, labels=lambda x: field.predict(x).mean, **options)
    told["uniform, labels of functional CP"] = labelled.predict(index[tests])
    told["functional CP"] = field.predict(index[tests]).mean
    told["functional CP, converged"] = (
        functional_cp(seen, smoothness=0, maxiter=400, tol=1e-8).predict(index[tests]).mean
    )
    told |= {f"CP of rank {r}": complete_cp(seen, r).predict(index[tests]) for r in (4, 5, 6)}
    told["the noise alone"] = truth[tests]
    return {kind: float(np.sqrt(((values - y[tests]) ** 2).mean()) / y.std()) for kind, values in told.items()}


PARTS = {"sinusoids": sinusoids, "temperatures": temperatures, "augmentation": augmentation}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append")
    chosen = parser.parse_args().only
    for name in chosen or [n for n in PARTS if n != "temperatures" or os.environ.get("SCI_TEST_DATA")]:
        print(f"--- {name}")
        PARTS[name]()


if __name__ == "__main__":
    main()
