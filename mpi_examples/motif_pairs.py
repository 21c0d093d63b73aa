"""Accuracy against context where labels lie far away: windows, the whole sequence, and a linear recurrence.

mpirun -n 2 python mpi_examples/motif_pairs.py
python mpi_examples/motif_pairs.py --length 256 --pairs 8 --steps 400 --batch 32 --seeds 3 --tests 512 --plot FILE.png

Each sequence of `sci.problems.MotifPairs` is cut between the ranks. A block of softmax attention that sees a window, or
everything, and one of lightning attention learn the labels; no window can be better than `best_accuracy`, which is
exact. Before that, steps of training on the ranks are compared with those of one process. Without options: few, small
ones. The second command, which runs under mpirun too, takes two to three CPU minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

import sci
from sci.distributed import Comm, allreduce_sum, job, launched, split
from sci.nn import (
    AdamW,
    add,
    copy_to_ranks,
    cosine,
    embedding,
    linear,
    reshape,
    silu,
    sum_over_ranks,
    train,
    transpose,
    value_of,
    warm_up,
)
from sci.problems import MotifPairs
from sci.sequence import lightning_attention, simple_rms_norm, softmax_attention, token_loss, transnormer_attention

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--length", type=int, default=48, help="words of a sequence (48)")
parser.add_argument("--pairs", type=int, default=2, help="pairs of sites in a sequence (2)")
parser.add_argument("--steps", type=int, default=16, help="steps of a training (16)")
parser.add_argument("--seeds", type=int, default=1, help="trainings of each row (1)")
parser.add_argument("--batch", type=int, default=16, help="sequences of a step (16)")
parser.add_argument("--tests", type=int, default=256, help="sequences to count on (256)")
parser.add_argument("--plot", type=Path, metavar="FILE.png", help="picture of accuracy against context")
options = parser.parse_args()
comm = launched(MPI.COMM_WORLD)
WIDTH, HEADS = 32, 4
Weights = Mapping[str, Any]


def start(vocabulary: int, seed: int, kind: str, dtype: Any = np.float32) -> dict[str, np.ndarray]:
    """Return random weights."""
    rng = np.random.default_rng(seed)
    shapes = {
        "embedding": (vocabulary, WIDTH),
        "head": (2, WIDTH),
        "up": (2 * WIDTH, WIDTH),
        "down": (WIDTH, 2 * WIDTH),
    }
    shapes |= dict.fromkeys("qkvo" + "u" * (kind == "lightning"), (WIDTH, WIDTH))
    scale = {name: 1.0 if name == "embedding" else shape[1] ** -0.5 for name, shape in shapes.items()}
    found = {name: rng.normal(0, scale[name], shape).astype(dtype) for name, shape in shapes.items()}
    return found | {"up_bias": np.zeros(2 * WIDTH, dtype)}


def heads(x: Any) -> Any:
    """Turn (batch, n, width) into (batch, heads, n, head_dim)."""
    batch, n, _ = value_of(x).shape
    return transpose(reshape(x, shape=(batch, n, HEADS, WIDTH // HEADS)), axes=(0, 2, 1, 3))


def attend(weights: Weights, x: Any, context: int | None, comm: Comm) -> Any:
    """Mix the words: softmax over a window and what lies before it, or a recurrence that forgets nothing."""
    if context is None:
        still = np.zeros(HEADS, value_of(x).dtype)

        def mix(q: Any, k: Any, v: Any) -> Any:
            return lightning_attention(q, k, v, still, None, learn_decay=False, comm=comm)[0]

        return transnormer_attention(weights, x, mix, heads=HEADS)
    q, k, v = (heads(linear(x, weights[name])) for name in "qkv")
    out, _ = softmax_attention(q, k, v, window=(context - 1, 0), comm=comm)
    batch, n, _ = value_of(x).shape
    return linear(reshape(transpose(out, axes=(0, 2, 1, 3)), shape=(batch, n, WIDTH)), weights["o"])


def logits(weights: Weights, tokens: np.ndarray, context: int | None, comm: Comm) -> Any:
    """Return two logits for each of this rank's words."""
    x = embedding(weights["embedding"], tokens)
    x = add(x, attend(weights, simple_rms_norm(x), context, comm))
    hidden = silu(linear(simple_rms_norm(x), weights["up"], weights["up_bias"]))
    return linear(simple_rms_norm(add(x, linear(hidden, weights["down"]))), weights["head"])


def loss(weights: Weights, batch: Any, *, context: int | None, comm: Comm) -> Any:
    """Return the mean cross-entropy of the labels; whole sequences on all ranks, each computes its run of words."""
    tokens, labels = batch
    names, own = list(weights), split(tokens.shape[1], comm)
    shared = dict(zip(names, copy_to_ranks(*(weights[n] for n in names), comm=comm)))
    scores = logits(shared, tokens[:, own], context, comm)
    return sum_over_ranks(
        token_loss(scores, labels[:, own], total=int((labels >= 0).sum()), ignore_index=-1), comm=comm
    )


def trained(problem: MotifPairs, seed: int, context: int | None, steps: int, comm: Comm, dtype: Any) -> Any:
    """Train on new sequences in every step."""
    weights = start(problem.vocabulary, seed, "lightning" if context is None else "softmax", dtype)
    return train(
        partial(loss, context=context, comm=comm),
        weights,
        problem.draw(steps * options.batch, seed=1 + seed),
        optimizer=AdamW(0.01),
        epochs=1,
        batch_size=options.batch,
        schedule=warm_up(0.1, cosine(1, 0.05)),
        schedule_each="step",
        clip=1.0,
    )


def accuracy(problem: MotifPairs, weights: Weights, context: int | None, seed: int) -> float:
    """Return the part of new labels, other ones for each training, that are right."""
    right = np.zeros(2)
    for done in range(0, options.tests, 64):
        tokens, labels = problem.draw(min(64, options.tests - done), seed=10**6 * (1 + seed) + done)
        own = split(problem.length, comm)
        found = np.asarray(logits(weights, tokens[:, own], context, comm)).argmax(axis=-1)
        asked = labels[:, own] >= 0
        right += (found == labels[:, own])[asked].sum(), asked.sum()
    total = allreduce_sum(right, comm)
    return float(total[0] / total[1])


def compare(problem: MotifPairs) -> float:
    """Return the largest difference, in float64, of weights trained for three steps on the ranks and on one process."""
    error = 0.0
    for context in (max(2, problem.length // 8), problem.length, None):
        spread, alone = (trained(problem, 0, context, 3, c, np.float64).parameters for c in (comm, None))
        error = max(error, *(float(np.abs(spread[n] - alone[n]).max()) for n in alone))
    return error


def draw(path: Path, problem: MotifPairs, rows: list[tuple[int | None, float, float]]) -> None:
    """Draw accuracy against context."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 3.8), layout="constrained")
    axes = figure.add_subplot()
    contexts = np.arange(1, problem.length + 1)
    axes.semilogx(
        contexts, [problem.best_accuracy(int(c)) for c in contexts], "k-", lw=1, base=2, label="best possible"
    )
    windows = [row for row in rows if row[0] is not None]
    places, means, errors = zip(*windows)
    axes.errorbar(places, means, errors, fmt="o", ms=5, capsize=3, label="softmax attention, trained")
    (linear_row,) = (row for row in rows if row[0] is None)
    axes.errorbar([problem.length], *linear_row[1:], fmt="s", ms=5, capsize=3, mfc="none", label="lightning attention")
    axes.set(xlabel="words of context", ylabel="accuracy", ylim=(0.48, 1.02))
    axes.legend(frameon=False, loc="upper left")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Compare with one process, train each row, and print the table."""
    problem = MotifPairs(options.length, options.pairs)
    error = compare(problem)
    assert error < 1e-10, error
    windows = [c for c in (4, 16, 64) if c < problem.length] + [problem.length]
    asked = options.tests * options.pairs * options.seeds
    tolerance = 5 * 0.5 / np.sqrt(asked)
    rows: list[tuple[int | None, float, float]] = []
    for context in [*windows, None]:
        done = [trained(problem, s, context, options.steps, comm, np.float32) for s in range(options.seeds)]
        found = [accuracy(problem, d.parameters, context, s) for s, d in enumerate(done)]
        mean = float(np.mean(found))
        spread = float(np.std(found, ddof=1) / np.sqrt(len(found))) if len(found) > 1 else 0.0
        bar = max(spread, float(np.sqrt(mean * (1 - mean) / asked)))
        rows.append((context, mean, bar))
        best = problem.best_accuracy(context or problem.length)
        name = "lightning, all" if context is None else "softmax, all" if context == problem.length else "softmax"
        if comm.rank == 0:
            print(
                f"{name:>14} {context or problem.length:>5} words: {mean:.3f} +- {bar:.3f}, best {best:.3f}", flush=True
            )
        assert mean < best + tolerance, (context, found, best)
    if options.plot is not None and comm.rank == 0:
        draw(options.plot, problem, rows)
    if comm.rank == 0:
        print(f"PASS {comm.size} ranks, weights {error:.1e} from those of one process, no window above its bound")


with job(comm), sci.options(progress="off"):
    main()
