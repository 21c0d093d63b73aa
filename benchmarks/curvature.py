"""Spike and bulk formulas beside random matrices, the law of 1/b beside real batches, and the cost of a product.

    OMP_NUM_THREADS=1 python benchmarks/curvature.py            # all, about two minutes
    OMP_NUM_THREADS=1 python benchmarks/curvature.py --only formulas

A formula is printed beside the mean of several matrices, with the standard error of that mean and the difference: at
most 2 % is asked. The digits are those of scikit-learn (extra `peers`): the constant (largest - outlier) /
(1/b - 1/N) of softmax regression is to stay within 30 %.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sci import nn
from sci.datasets import load_dataset
from sci.nn import GaussNewton, WignerNoise, WishartNoise, batch_curvature
from sci.operators import FNO, as_fields

DRAWS = 10


def row(work: str, predicted: np.ndarray, found: np.ndarray) -> float:
    """Print a line for each number: formula, mean of the draws, its standard error, difference; return the largest."""
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(len(found))
    for ours, theirs, spread in zip(np.atleast_1d(predicted), np.atleast_1d(mean), np.atleast_1d(error)):
        print(f"{work:<44} formula {ours:8.4f}  matrices {theirs:8.4f} +- {spread:.4f}  {ours / theirs - 1:+.2%}")
    return float(np.abs(predicted / mean - 1).max())


def formulas() -> None:
    """Spikes and edges of Wigner matrices and sample covariances of 1,500 and 1,200 parameters."""
    rng, worst = np.random.default_rng(0), []
    size, spikes = 1500, np.array([3.0, 1.5, 0.6])
    noise = WignerNoise(size, 1.0)
    for b in (500, 1000, 2000, 4000, 16000):
        count = int((noise.threshold(b) < spikes).sum())
        found = []
        for _ in range(DRAWS // 2):
            a = rng.normal(size=(size, size))
            a = (a + a.T) / np.sqrt(2 * b)
            a[np.arange(3), np.arange(3)] += spikes
            found.append(np.linalg.eigvalsh(a)[::-1][: count + 1])
        predicted = np.append(noise.spike_shift(spikes[:count], b), noise.bulk_edge(b))
        worst.append(row(f"Wigner, batch {b}: {count} spikes, edge", predicted, np.array(found)))
    size, spikes = 1200, np.array([20.0, 8.0])
    wishart = WishartNoise(size, 1.0)
    scales = np.sqrt(np.concatenate([spikes, np.ones(size - 2)]))
    for b in (600, 1200, 4800):
        draws = (rng.normal(size=(b, size)) * scales for _ in range(3 * DRAWS))
        small = (x @ x.T if b < size else x.T @ x for x in draws)
        found = np.array([np.linalg.eigvalsh(a / b)[::-1][:3] for a in small])
        predicted = np.append(wishart.spike_shift(spikes, b), wishart.bulk_edge(b))
        worst.append(row(f"Wishart, batch {b}: 2 spikes, edge", predicted, found))
    print(f"largest difference {max(worst):.2%}")


def _classify(v: Any, batch: Any) -> Any:
    return nn.linear(batch[0], v["w"])


def _entropy(z: Any, batch: Any) -> Any:
    return nn.cross_entropy(z, batch[1])


def digits() -> None:
    """Batches of scikit-learn's digits, softmax regression after 300 steps."""
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError:
        print("# sklearn.datasets is not installed: pip install 'sci-hpc[peers]'")
        return
    x, labels = datasets.load_digits(return_X_y=True)
    x = x / 16 - (x / 16).mean(axis=0)
    weights = nn.train(
        *(lambda v, batch: _entropy(_classify(v, batch), batch), {"w": np.zeros((10, 64))}, (x, labels)),
        optimizer=nn.SGDP(1.0, momentum=0.0, delta=0.0),
        epochs=300,
        batch_size=len(x),
    ).parameters
    found = batch_curvature(_classify, _entropy, weights, (x, labels), [16, 32, 64, 128, 256], batches=12)
    print(f"digits, outlier of all samples {found.outlier:.6f}, error of products {found.product_error:.0e}")
    constants = found.shift_constants()
    for b, largest, error, constant in zip(found.batch_sizes, found.largest, found.largest_errors, constants):
        print(f"  batch {b:>3}: largest {largest:.4f} +- {error:.4f}, constant {constant:.2f}")
    off = np.abs(constants / constants.mean() - 1).max()
    print(f"  constants within {off:.0%} of their mean {constants.mean():.2f}")
    print(f"  constant by the noise along the outlier alone: {found.spread / found.outlier:.2f}")


def products() -> None:
    """CPU seconds of one product beside one gradient, for an FNO on Darcy flow."""
    samples = load_dataset("darcy")
    x, y = (as_fields(a, 2).astype(np.float64) for a in (samples.x, samples.y))
    model = FNO((4, 4), 1, 1, 8, 2, seed=0)
    parameters = {n: p.astype("c16" if p.dtype.kind == "c" else "f8") for n, p in model.parameters.items()}

    def predict(v: Any, batch: Any) -> Any:
        return model.forward(v, batch[0])

    def squares(z: Any, batch: Any) -> Any:
        return nn.mean_squared_error(z, batch[1])

    product = GaussNewton(predict, squares, parameters, (x, y))
    v = np.random.default_rng(0).normal(size=product.size)
    times = []
    for run in (
        lambda: nn.value_and_gradients(lambda p: squares(predict(p, (x, y)), (x, y)), parameters),
        lambda: product(v),
    ):
        run()
        least = []
        for _ in range(10):
            start = time.process_time()
            run()
            least.append(time.process_time() - start)
        times.append(min(least))
    print(
        f"FNO, {product.size:,} parameters, 48 samples: gradient {1e3 * times[0]:.1f} ms, product "
        f"{1e3 * times[1]:.1f} ms (ratio {times[1] / times[0]:.2f}), error {product.error:.0e}"
    )


PARTS: dict[str, Callable[[], None]] = {"formulas": formulas, "digits": digits, "products": products}


def main() -> None:
    """Run the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    for name in parser.parse_args().only:
        PARTS[name]()


if __name__ == "__main__":
    main()
