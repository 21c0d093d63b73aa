"""Do three numbers add up to 0? Attention to pairs of keys, which decides it, and trained attention to single keys.

python examples/triples.py

Each of 16 random numbers has the label 1 if two numbers of its sequence complete it to a sum of 0 modulo 185, which is
so for about half of them. `sci.sequence.triples` decides that for every input by one head of width 4. One block of
softmax attention to single keys and a feed-forward network, of width 4 and 32, is trained on new sequences in every
step. The same block learns pairs, x_i + x_j = 0 modulo 23, by the same training. It takes one CPU minute.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np

import sci
from sci.nn import (
    AdamW,
    add,
    cosine,
    embedding,
    linear,
    reshape,
    silu,
    train,
    transpose,
    value_of,
    warm_up,
)
from sci.sequence import simple_rms_norm, softmax_attention, token_loss, triples

LENGTH, HIDDEN, TESTS = 16, 128, 1000
MODULI = {2: 23, 3: 185}
"""Modulus by the numbers of a sum; with it about half of the labels are 1."""
Weights = Mapping[str, Any]


def draw(terms: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n sequences and the labels of their numbers, by all sums."""
    modulus = MODULI[terms]
    x = np.random.default_rng(seed).integers(0, modulus, (n, LENGTH))
    sums = x[:, :, None] + x[:, None, :]
    if terms == 2:
        return x, (sums % modulus == 0).any(axis=2).astype(np.int64)
    there = np.zeros((n, modulus), bool)
    np.put_along_axis(there, (sums % modulus).reshape(n, -1), True, axis=1)
    return x, np.take_along_axis(there, -x % modulus, axis=1).astype(np.int64)


def start(width: int, modulus: int, seed: int) -> dict[str, np.ndarray]:
    """Return weights: numbers as points on circles, which are trained too, and random ones."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi / modulus * np.arange(modulus)[:, None] * np.arange(1, width // 2 + 1)
    shapes = dict.fromkeys("qkvo", (width, width))
    shapes |= {"up": (HIDDEN, width), "down": (width, HIDDEN), "head": (2, width)}
    found = {name: rng.normal(0, shape[1] ** -0.5, shape).astype("f4") for name, shape in shapes.items()}
    points = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    return found | {"points": points.astype("f4"), "up_bias": np.zeros(HIDDEN, "f4")}


def logits(weights: Weights, x: np.ndarray, heads: int) -> Any:
    """Return two logits for each number, from one block."""
    h = embedding(weights["points"], x)
    batch, n, width = value_of(h).shape

    def split(name: str) -> Any:
        shape = (batch, n, heads, width // heads)
        return transpose(reshape(linear(h, weights[name]), shape=shape), axes=(0, 2, 1, 3))

    out, _ = softmax_attention(split("q"), split("k"), split("v"))
    out = reshape(transpose(out, axes=(0, 2, 1, 3)), shape=(batch, n, width))
    h = add(h, linear(out, weights["o"]))
    hidden = silu(linear(simple_rms_norm(h), weights["up"], weights["up_bias"]))
    return linear(simple_rms_norm(add(h, linear(hidden, weights["down"]))), weights["head"])


def trained(terms: int, width: int, steps: int, seed: int) -> float:
    """Return the accuracy on new sequences after training."""
    heads, batch = max(1, width // 8), 128

    def loss(weights: Weights, data: Any) -> Any:
        return token_loss(logits(weights, data[0], heads), data[1], total=data[1].size)

    found = train(
        loss,
        start(width, MODULI[terms], seed),
        draw(terms, steps * batch, 1 + seed),
        optimizer=AdamW(0.01),
        epochs=1,
        batch_size=batch,
        schedule=warm_up(0.1, cosine(1, 0.05)),
        schedule_each="step",
        clip=1.0,
    )
    x, labels = draw(terms, TESTS, 10**6 + seed)
    return float((np.asarray(logits(found.parameters, x, heads)).argmax(axis=-1) == labels).mean())


def decided(seed: int) -> float:
    """Return the accuracy of `triples` on the same new sequences."""
    x, labels = draw(3, TESTS, 10**6 + seed)
    return float(np.mean([(triples(numbers, MODULI[3]) == right).mean() for numbers, right in zip(x, labels)]))


def row(name: str, terms: int, found: list[float]) -> None:
    """Print mean and standard error, beside the accuracy of saying the same always."""
    labels = np.concatenate([draw(terms, TESTS, 10**6 + seed)[1].ravel() for seed in range(len(found))])
    spread = np.std(found, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.sqrt(0.25 / labels.size)
    always = max(labels.mean(), 1 - labels.mean())
    print(f"{name:<38} {np.mean(found):.4f} +- {spread:.4f}, always the same {always:.4f}", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000, help="steps of 128 sequences (1000)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each row (3)")
    options = parser.parse_args()
    exact = [decided(seed) for seed in range(options.seeds)]
    assert min(exact) == 1.0, exact
    row("triples, pairs of keys, width 4, exact", 3, exact)
    for terms, name in ((3, "triples"), (2, "pairs")):
        for width in (4, 32):
            found = [trained(terms, width, options.steps, seed) for seed in range(options.seeds)]
            row(f"{name}, single keys, width {width}, trained", terms, found)


if __name__ == "__main__":
    with sci.options(progress="off"):
        main()
