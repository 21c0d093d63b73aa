"""Networks whose weights are codes of few bits: a perceptron on digits, operators on Darcy flow, one weight, products.

    OMP_NUM_THREADS=1 python benchmarks/codebooks.py                    # all, some minutes
    OMP_NUM_THREADS=1 python benchmarks/codebooks.py --only digits

`digits`: 64-128-64-10 on the digits of scikit-learn (extra `peers`), compressed by rounding to nearest, by one k-means
codebook, by several, with learned codebooks, and with learned codes; output errors of the layers are those of a
network's `WeightReport`. `operators`: an FNO and a TFNO trained on Darcy flow, compressed to 2 to 4 bits, errors on
samples that neither training nor calibration saw. `oscillation`: one weight under a straight-through gradient beside
what follows exactly, and flips of a network before and after freezing. `products`: the decoding product beside the
dense one, in CPU time.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.compression import CompressedModel, compress_model
from sci.nn import (
    Adam,
    AdamW,
    CodedWeight,
    FreeWeight,
    FrozenWeights,
    MappedParameters,
    ModelState,
    OscillationTracker,
    StatisticsQuantizer,
    cross_entropy,
    freeze_mask,
    linear,
    pack_codes,
    relu,
    statistics_codes,
    train,
)
from sci.operators import FNO, TFNO, TrainedOperator, TrainingConfig, relative_errors, train_operator
from sci.problems import darcy_flow

Arrays = dict[str, np.ndarray]
SIZES = (64, 128, 64, 10)


@dataclass(frozen=True)
class Perceptron:
    """Linear layers with relu between them, as a model that can be compressed."""

    parameters: Any

    def __call__(self, x: Any) -> Any:
        return forward(self.parameters, x)

    def to_state(self) -> ModelState:
        """Return its form in a file."""
        return ModelState("Perceptron", {}, self.parameters)

    @classmethod
    def from_state(cls, state: ModelState) -> Perceptron:
        """Return the model of a state."""
        return cls(state.parameters)


def forward(w: Any, x: Any) -> Any:
    """Return the outputs of a perceptron."""
    last = len(w) // 2 - 1
    for k in range(last + 1):
        x = linear(x, w[f"{k}.weight"], w[f"{k}.bias"])
        x = relu(x) if k < last else x
    return x


def drawn(seed: int, sizes: tuple[int, ...] = SIZES) -> Arrays:
    """Normal weights of variance 2 / fan in, biases of zero."""
    rng = np.random.default_rng(seed)
    found: Arrays = {}
    for k, (i, o) in enumerate(itertools.pairwise(sizes)):
        found[f"{k}.weight"] = (rng.normal(size=(o, i)) * np.sqrt(2 / i)).astype(np.float32)
        found[f"{k}.bias"] = np.zeros(o, np.float32)
    return found


def digits(seed: int) -> tuple[np.ndarray, ...]:
    """Return training and test digits, shuffled, from 0 to 1."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    x, y = (x[order] / 16).astype(np.float32), y[order].astype(np.int64)
    return x[:1297], y[:1297], x[1297:], y[1297:]


def share_right(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Share of right digits."""
    return float((model(x).argmax(axis=1) == y).mean())


def trained_perceptron(seed: int, x: np.ndarray, y: np.ndarray) -> Perceptron:
    """Return a perceptron trained on digits."""
    done = train(
        lambda v, batch: cross_entropy(forward(v, batch[0]), batch[1]),
        *(drawn(seed), (x, y)),
        optimizer=Adam(2e-3),
        epochs=40,
        batch_size=64,
        seed=seed,
    )
    return Perceptron(done.parameters)


def rounded_to_nearest(model: Perceptron, bits: int) -> Perceptron:
    """Return the model with each weight on 2^bits values at equal distances between its least and largest entry."""
    found = {}
    for name, w in model.parameters.items():
        low, high = float(w.min()), float(w.max())
        step = (high - low) / (2**bits - 1)
        found[name] = (low + np.rint((w - low) / step) * step).astype(np.float32) if w.ndim == 2 else w
    return Perceptron(found)


def layer_errors(model: CompressedModel) -> str:
    """Return the output errors of the layers."""
    return " ".join(f"{r.error:.4f}" for r in model.reports.values())


def run_digits(bits: int) -> None:
    """Compress a perceptron on digits in several ways."""
    for seed in range(3):
        x, y, xt, yt = digits(seed)
        model = trained_perceptron(seed, x, y)
        print(f"digits, seed {seed}: float32 {share_right(model, xt, yt):.3f}, {bits} bits:")
        print(f"    rounded to nearest      {share_right(rounded_to_nearest(model, bits), xt, yt):.3f}")
        ways: dict[str, dict[str, int]] = {
            "one k-means codebook": {"groups": 1, "steps": 0, "sweeps": 0},
            "4 codebooks, codes only": {"groups": 4, "steps": 0, "sweeps": 0},
            "learned by gradients": {"groups": 4, "steps": 300, "sweeps": 0},
            "learned code by code": {"groups": 4, "steps": 0, "sweeps": 20},
            "learned by both": {"groups": 4, "steps": 300, "sweeps": 20},
        }
        for name, options in ways.items():
            start = time.process_time()
            small = compress_model(model, bits, x[:800], **options)
            seconds = time.process_time() - start
            right = share_right(small, xt, yt)
            print(
                f"    {name:24}{right:.3f}  layers {layer_errors(small)}  outputs {small.output_error:.4f}  "
                f"{small.ratio:.1f} times smaller  {seconds:.1f} s"
            )


def trained_operators() -> tuple[dict[str, TrainedOperator], tuple[np.ndarray, ...]]:
    """Return operators trained on Darcy flow, and samples."""
    x, y = (a[:, None].astype(np.float32) for a in darcy_flow(240, 32, seed=0))
    config = TrainingConfig(epochs=40, batch_size=16, learning_rate=8e-3, periodic=False)
    models: dict[str, FNO] = {
        "FNO": FNO((12, 12), 1, 1, 24, 4),
        "TFNO": TFNO((12, 12), 1, 1, 32, 4, rank_fraction=0.2),
    }
    found = {name: train_operator(m, x[:180], y[:180], config)[0] for name, m in models.items()}
    return found, (x[:180], y[:180], x[180:], y[180:])


def run_operators(bits: int) -> None:
    """Compress operators on Darcy flow."""
    models, (x, _, xt, yt) = trained_operators()
    for name, model in models.items():
        before = relative_errors(model(xt), yt, periodic=False)["l2"]
        print(f"{name} on Darcy flow, 32 x 32: {model.model.nbytes:,} bytes, error {before:.5f}")
        for b, (label, options) in itertools.product(
            sorted({2, 3, 4, bits}), {"codes only": {"steps": 0, "sweeps": 0}, "learned": {}}.items()
        ):
            start = time.process_time()
            small = compress_model(model, b, x, **options)
            seconds = time.process_time() - start
            after = relative_errors(small(xt), yt, periodic=False)["l2"]
            print(
                f"    {b} bits, {label:12}{small.ratio:5.1f} times smaller  error {after:.5f} "
                f"({after / before - 1:+.1%})  outputs moved {small.output_error:.4f}  {seconds:.1f} s"
            )


def one_weight(f: float, rate: float, steps: int) -> tuple[float, float]:
    """Return share of time at the upper level and flips per step of one weight under a straight-through gradient.

    The loss is (q(w) - w*)^2 / 2, w* at the fraction f between two levels -1/2 and 1/2 of q.
    """
    target, w, tracker = f - 0.5, 0.01, OscillationTracker(np.array([1]))
    for _ in range(steps):
        q = 0.5 if w >= 0 else -0.5
        w -= rate * (q - target)
        tracker.update(np.array([int(w >= 0)]))
    return float(tracker.mean[0]), float(tracker.flips[0])


def run_oscillation(bits: int) -> None:
    """Follow one weight, and the weights of a perceptron before and after freezing."""
    for f, rate in itertools.product((0.1, 0.25, 0.4, 0.5, 0.73), (0.3, 0.05, 0.011)):
        duty, flips = one_weight(f, rate, 20_000)
        print(
            f"w* at {f:4}, rate {rate:5}: time at the upper level {duty:.4f}, flips a step {flips:.4f} "
            f"(expected {f:.4f}, {2 * min(f, 1 - f):.4f})"
        )
    x, y, xt, yt = digits(0)
    start = trained_perceptron(0, x, y).parameters
    maps = {n: StatisticsQuantizer(a, bits) if a.ndim == 2 else FreeWeight(a) for n, a in start.items()}
    mapped = MappedParameters(start, maps)
    values = [f"{n}.value" for n, a in start.items() if a.ndim == 2]

    def loss(v: Any, batch: Any) -> Any:
        return cross_entropy(forward(mapped.weights(v), batch[0]), batch[1])

    options: dict[str, Any] = {"epochs": 10, "batch_size": 64}
    done = train(loss, mapped.start(), (x, y), optimizer=Adam(1e-3), **options)
    masks = {n: lambda w: freeze_mask(w, bits, 0.005) for n in values}
    for label, optimizer in (
        ("free", AdamW(1e-4, weight_decay=0.01)),
        ("frozen but near thresholds", FrozenWeights(AdamW(1e-4, weight_decay=0.01), masks)),
    ):
        trackers = {n: OscillationTracker(statistics_codes(done.parameters[n], bits)) for n in values}
        counts = [0]
        again = train(
            *(loss, done.parameters, (x, y)),
            optimizer=_Watched(optimizer, trackers, bits, counts),
            **options,
        )
        right = share_right(Perceptron(mapped.fold(again.parameters)), xt, yt)
        flips = sum(round(float(t.flips.sum()) * t.steps) for t in trackers.values())
        moving = sum(int(t.oscillating().sum()) for t in trackers.values())
        total = sum(start[n.removesuffix(".value")].size for n in values)
        print(
            f"{label}: right {right:.3f}, {flips} flips in {next(iter(trackers.values())).steps} steps, {counts[0]} of "
            f"them far from thresholds, {moving} of {total:,} weights oscillate"
        )


@dataclass(frozen=True)
class _Watched:
    """An optimizer that counts flips after each step, and those of weights that were far from thresholds before."""

    optimizer: Any
    trackers: dict[str, OscillationTracker]
    bits: int
    counts: list[int]

    def start(self, parameters: Any) -> Any:
        return self.optimizer.start(parameters)

    def update(self, parameters: Any, gradients: Any, state: Any, step: int, factor: float) -> None:
        before = {n: (statistics_codes(parameters[n], self.bits), freeze_mask(parameters[n], self.bits, 0.005))
                  for n in self.trackers}  # fmt: skip
        self.optimizer.update(parameters, gradients, state, step, factor)
        for n, tracker in self.trackers.items():
            codes = statistics_codes(parameters[n], self.bits)
            self.counts[0] += int(((codes != before[n][0]) & before[n][1]).sum())
            tracker.update(codes)


def best_time(call: Callable[[], Any], repeats: int = 7) -> float:
    """Return the least CPU time of a call in milliseconds."""
    found = math.inf
    for _ in range(repeats):
        start = time.process_time()
        call()
        found = min(found, time.process_time() - start)
    return 1e3 * found


def run_products(bits: int) -> None:
    """Compare products with codes and with floats."""
    rng = np.random.default_rng(0)
    for n, b in itertools.product((256, 1024, 4096), sorted({2, 4, bits} - {1, 8})):
        codes, books = rng.integers(0, 1 << b, (n, n)), rng.normal(size=(1, 1 << b)).astype(np.float32)
        weight = CodedWeight((n, n), pack_codes(codes, b), books, np.zeros(n, np.int64), b)
        for rows in (1, 4, 16, 64):
            compare_products(weight, rng.normal(size=(rows, n)).astype(np.float32))


def compare_products(weight: CodedWeight, x: np.ndarray) -> None:
    """Compare the product of one matrix with codes and with floats."""
    dense = weight.decode()
    weight.product(x)
    coded, plain = best_time(lambda: weight.product(x)), best_time(lambda: x @ dense.T)
    print(
        f"{weight.shape}, {weight.bits} bits, {len(x):2} rows: {coded:.3f} ms from {weight.nbytes / 1e3:,.0f} kB, "
        f"dense {plain:.3f} ms from {dense.nbytes / 1e3:,.0f} kB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    runs = {"digits": run_digits, "operators": run_operators, "oscillation": run_oscillation, "products": run_products}
    parser.add_argument("--only", choices=runs)
    parser.add_argument("--bits", type=int, default=2)
    a = parser.parse_args()
    for name, run in runs.items():
        if a.only in (None, name):
            run(a.bits)


if __name__ == "__main__":
    main()
