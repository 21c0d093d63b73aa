"""Adapters, signatures and companded weights of perceptrons on the digits of scikit-learn (extra `peers`).

    OMP_NUM_THREADS=1 python benchmarks/adapters.py                     # all, a few minutes
    OMP_NUM_THREADS=1 python benchmarks/adapters.py --only loldu

`loldu`: a network trained on upright digits learns transposed and mirrored ones from 400 samples: its head alone, its
head and LoLDU maps of both hidden weights, or all of it, at several rates. `signatures`: what training on noisy or
blurred digits adds to the weights, added to the clean network. `compander`: weights trained through an arctangent, or
as they are. Accuracies are those of 500 test digits.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from sci.nn import (
    Adam,
    Compander,
    FreeWeight,
    LoLDU,
    MappedParameters,
    WeightMap,
    cosine,
    cross_entropy,
    linear,
    patched,
    relu,
    train,
    weight_signature,
)

Arrays = dict[str, np.ndarray]
HEAD = ("2.weight", "2.bias")
SIZES = (64, 128, 64, 10)


def digits(seed: int, count: int = 1297) -> tuple[np.ndarray, ...]:
    """Return training and test digits, shuffled, from 0 to 1."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    x, y = (x[order] / 16).astype(np.float32), y[order].astype(np.int64)
    return x[:count], y[:count], x[-500:], y[-500:]


def drawn(seed: int, sizes: tuple[int, ...] = SIZES) -> Arrays:
    """Normal weights of variance 2 / fan in, biases of zero."""
    rng = np.random.default_rng(seed)
    found: Arrays = {}
    for k, (i, o) in enumerate(itertools.pairwise(sizes)):
        found[f"{k}.weight"] = (rng.normal(size=(o, i)) * np.sqrt(2 / i)).astype(np.float32)
        found[f"{k}.bias"] = np.zeros(o, np.float32)
    return found


def logits(p: Mapping[str, Any], x: Any) -> Any:
    """Output of the perceptron."""
    for k in range(2):
        x = relu(linear(x, p[f"{k}.weight"]) + p[f"{k}.bias"])
    return linear(x, p["2.weight"]) + p["2.bias"]


def accuracy(p: Mapping[str, Any], x: np.ndarray, y: np.ndarray) -> float:
    """Share of right digits."""
    return float((np.asarray(logits(p, x)).argmax(1) == y).mean())


class Spoiled:
    """Samples that are spoiled anew in every batch."""

    def __init__(self, x: np.ndarray, y: np.ndarray, spoil: Callable[[np.ndarray, Any], np.ndarray]) -> None:
        self.x, self.y, self.spoil, self.rng = x, y, spoil, np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.spoil(self.x[indices], self.rng).astype(np.float32), self.y[indices]


def fitted(
    start: Arrays, data: Any, weights: Callable[[Any], Any], epochs: int, rate: float, slow: float = 1.0
) -> Arrays:
    """Train by Adam in batches of 64, the rate along half a cosine; numbers of LoLDU maps at `slow` times the rate."""

    def loss(v: Any, batch: Any) -> Any:
        return cross_entropy(logits(weights(v), batch[0]), batch[1])

    done = train(
        *(loss, start, data),
        optimizer=Adam(rate, rates={n: slow for n in start if n.endswith((".z", ".scale"))}),
        epochs=epochs,
        batch_size=64,
        schedule=cosine(epochs),
        schedule_each="step",
        title="",
    )
    return done.parameters


def whole(v: Any) -> Any:
    """All parameters are trained."""
    return v


def mapped_fit(
    model: Arrays, maps: Mapping[str, WeightMap], data: Any, epochs: int, rate: float, slow: float = 1.0
) -> Arrays:
    """Train the arrays of maps; return the folded model."""
    mapped = MappedParameters(model, maps)
    return mapped.fold(fitted(mapped.start(), data, mapped.weights, epochs, rate, slow))


def turned(x: np.ndarray) -> np.ndarray:
    """Transpose and mirror digits."""
    return np.ascontiguousarray(x.reshape(-1, 8, 8).transpose(0, 2, 1)[:, :, ::-1]).reshape(-1, 64)


def loldu() -> None:
    """Three seeds of one move of domain: LoLDU of rank 32 and the head, beside the head alone, at each rate."""
    backbone = SIZES[0] * SIZES[1] + SIZES[1] * SIZES[2]
    print("seed  rate: head, of it LoLDU  head   LoLDU + head  more    (untouched, all weights)")
    for seed in range(3):
        x, y, tests, labels = digits(seed)
        model = fitted(drawn(seed), (x, y), whole, 40, 2e-3)
        data, tests = (turned(x[:400]), y[:400]), turned(tests)
        head: dict[str, WeightMap] = {name: FreeWeight(model[name]) for name in HEAD}
        maps: dict[str, WeightMap] = {f"{k}.weight": LoLDU(model[f"{k}.weight"], 32) for k in range(2)}
        both = MappedParameters(model, {**maps, **head})
        moved = float(np.abs(logits(both.fold(both.start()), tests) - logits(model, tests)).max())
        numbers = MappedParameters(model, maps).n_trained
        a, full = accuracy(model, tests, labels), fitted(model, data, whole, 60, 1e-3)
        for rate, slow in ((1e-2, 1.0), (3e-2, 0.1), (3e-2, 0.3), (1e-1, 0.1)):
            b = accuracy(mapped_fit(model, head, data, 60, rate), tests, labels)
            c = accuracy(mapped_fit(model, {**maps, **head}, data, 60, rate, slow), tests, labels)
            print(
                f"{seed}     {rate:g}, {slow:g}                {b:.3f}  {c:.3f}         {c - b:+.3f}"
                f"  ({a:.3f}, {accuracy(full, tests, labels):.3f})"
            )
    print(f"{numbers} numbers, {100 * numbers / backbone:.2f} % of the backbone; the start moved by {moved:.1e}")


def noise(x: np.ndarray, rng: Any) -> np.ndarray:
    """Add normal noise of deviation 0.4."""
    return x + 0.4 * rng.normal(size=x.shape)


def blur(x: np.ndarray, rng: Any) -> np.ndarray:
    """Blur by a Gaussian of one point."""
    return np.asarray(gaussian_filter(x.reshape(-1, 8, 8), (0, 1, 1)).reshape(len(x), 64))


def contrast(x: np.ndarray, rng: Any) -> np.ndarray:
    """Lower the contrast."""
    return 0.15 * x + 0.4


def signatures() -> None:
    """Clean, robust and patched networks of a common start, on clean and on spoiled digits."""
    print(
        "spoiled by  seed  clean network  robust network  patched: spoiled, clean  gap recovered  clean loss (points)"
    )
    for name, spoil in (("noise", noise), ("blur", blur), ("contrast", contrast)):
        for seed in range(3):
            x, y, tests, labels = digits(seed)
            start = fitted(drawn(seed), (x[:300], y[:300]), whole, 15, 2e-3)
            clean = fitted(start, (x, y), whole, 40, 1e-3)
            robust = fitted(start, Spoiled(x, y, spoil), whole, 40, 1e-3)
            signature = weight_signature(start, clean, robust)
            worse = spoil(tests, np.random.default_rng(9)).astype(np.float32)
            base, low, high = (
                accuracy(clean, tests, labels),
                accuracy(clean, worse, labels),
                accuracy(robust, worse, labels),
            )
            for alpha in (1.5, 1.0, 0.5):
                found = patched(clean, [(signature, alpha)])
                there, here = accuracy(found, worse, labels), accuracy(found, tests, labels)
                recovered = 100 * (there - low) / (high - low)
                print(
                    f"{name:10} {seed}  {low:.3f}  {high:.3f}  alpha {alpha}: {there:.3f}, {here:.3f}  "
                    f"{recovered:.0f} %  {100 * (base - here):.1f}"
                )
            if seed == 0:
                parts = [
                    np.linalg.norm(robust[n] - clean[n]) / np.linalg.norm(clean[n]) for n in clean if "weight" in n
                ]
                print("           relative difference by layer:", " ".join(f"{p:.3f}" for p in parts))


def compander() -> None:
    """300 training digits, four seeds."""
    sizes, rows = (64, 256, 256, 10), []
    for seed in range(4):
        x, y, tests, labels = digits(0, 300)
        start = drawn(seed, sizes)
        plain = fitted(start, (x, y), whole, 60, 2e-3)
        maps: dict[str, WeightMap] = {n: (Compander if "weight" in n else FreeWeight)(w) for n, w in start.items()}
        companded = mapped_fit(start, maps, (x, y), 60, 2e-3)
        for p in (plain, companded):
            weights = [p[f"{k}.weight"] for k in range(3)]
            small = np.mean([(np.abs(w) < 0.01).mean() for w in weights])
            rows.append((accuracy(p, tests, labels), small, max(float(np.abs(w).max()) for w in weights)))
    table = np.array(rows).reshape(4, 2, 3)
    for name, part in (("plain", table[:, 0]), ("companded", table[:, 1])):
        mean, deviation = part.mean(0), part.std(0)
        print(
            f"{name:10} accuracy {mean[0]:.4f} +- {deviation[0]:.4f}  |w| < 0.01: {mean[1]:.4f}  max |w| {mean[2]:.3f}"
        )
    fewer = 1 - table[:, 1, 1].mean() / table[:, 0, 1].mean()
    print(f"share near zero: {100 * fewer:.1f} % fewer")


PARTS: dict[str, Callable[[], None]] = {"loldu": loldu, "signatures": signatures, "compander": compander}


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=tuple(PARTS))
    only = parser.parse_args().only
    for name, part in PARTS.items():
        if only in (None, name):
            print(f"\n{name}")
            begin = time.process_time()
            part()
            print(f"{time.process_time() - begin:.0f} s")


if __name__ == "__main__":
    main()
