"""Second-order steps, pruning and learning rates that transfer, on digits and on small Darcy flow.

    OMP_NUM_THREADS=1 python benchmarks/training.py                # all but the FNO, about three minutes
    OMP_NUM_THREADS=1 python benchmarks/training.py --only mfac
    OMP_NUM_THREADS=1 python benchmarks/training.py --only fno     # about half an hour

The digits are those of scikit-learn (extra `peers`), 1,400 for training and 397 for tests; times are CPU seconds of one
process, of all that is compared in one run.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sci.nn import (
    MFAC,
    SGDP,
    Adam,
    AdamW,
    Checkpoint,
    Optimizer,
    Role,
    coherence,
    cosine,
    cross_entropy,
    equiangular_logits,
    equiangular_vectors,
    linear,
    prune,
    relative_l2,
    relu,
    rescaled,
    tanh,
    train,
    value_and_gradients,
    with_roles,
)
from sci.operators import FNO, TrainingConfig, as_fields, relative_errors, train_operator
from sci.problems import darcy_flow

Arrays = dict[str, np.ndarray]


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training and test digits, shuffled, from -0.5 to 0.5."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = (x[order] / 16 - 0.5), y[order].astype(np.int64)
    return x[:1400], y[:1400], x[1400:], y[1400:]


def roles(width: int, inputs: int = 64, outputs: int = 10, layers: int = 1) -> dict[str, Role]:
    """Roles of a perceptron of tanh layers."""
    found = {"0": Role("input", inputs, width), "0.bias": Role("bias", inputs, width)}
    for k in range(1, layers):
        found |= {str(k): Role("hidden", width, width), f"{k}.bias": Role("bias", width, width)}
    return found | {"out": Role("output", width, outputs), "out.bias": Role("bias", width, outputs)}


def drawn(own: Mapping[str, Role], seed: int) -> Arrays:
    """Normal weights of deviation 1 / sqrt(fan in), biases of zero."""
    rng = np.random.default_rng(seed)
    return {
        n: np.zeros(r.fan_out) if r.kind == "bias" else rng.normal(size=(r.fan_out, r.fan_in)) / math.sqrt(r.fan_in)
        for n, r in own.items()
    }


def logits(p: Mapping[str, Any], x: Any) -> Any:
    """Output of the perceptron."""
    for k in range(sum(name.isdigit() for name in p)):
        x = tanh(linear(x, p[str(k)]) + p[f"{k}.bias"])
    return linear(x, p["out"]) + p["out.bias"]


def loss(p: Mapping[str, Any], batch: Any) -> Any:
    """Mean cross-entropy of a batch."""
    return cross_entropy(logits(p, batch[0]), batch[1])


def accuracy(p: Mapping[str, Any], x: np.ndarray, y: np.ndarray) -> float:
    """Share of right digits."""
    return float((np.asarray(logits(p, x)).argmax(axis=1) == y).mean())


def fitted(start: Arrays, optimizer: Optimizer, x: np.ndarray, y: np.ndarray, epochs: int) -> tuple[Checkpoint, float]:
    """Return a training of batches of 64 along half a cosine, and its CPU seconds."""
    start = {name: array.copy() for name, array in start.items()}
    begin = time.process_time()
    done = train(loss, start, (x, y), optimizer=optimizer, epochs=epochs, batch_size=64, schedule=cosine(epochs))
    return done, time.process_time() - begin


def mfac() -> None:
    """M-FAC beside Adam and momentum-free descent: loss after 10 epochs, epochs to Adam's, time a step."""
    x, y, tests, labels = digits()
    start, steps = drawn(roles(40), 0), 10 * math.ceil(len(x) / 64)
    tried: dict[str, list[Optimizer]] = {
        "Adam": [Adam(r) for r in (3e-3, 1e-2, 3e-2, 1e-1)],
        "descent": [SGDP(r, momentum=0.0, delta=0.0) for r in (0.1, 0.3, 1.0, 2.0)],
        "M-FAC": [MFAC(r, window=m, damping=1e-3) for m in (32, 64) for r in (1e-2, 3e-2, 1e-1)],
    }
    best: dict[str, tuple[float, Optimizer]] = {}
    spent: dict[str, list[float]] = {}
    for name, optimizers in tried.items():
        for optimizer in optimizers:
            done, seconds = fitted(start, optimizer, x, y, 10)
            final = float(loss(done.parameters, (x, y)))
            label = f"{name} {getattr(optimizer, 'window', '')} rate {getattr(optimizer, 'learning_rate', 0):g}"
            right = accuracy(done.parameters, tests, labels)
            print(f"{label:<22} loss {final:.4f}  test {right:.3f}  {1e3 * seconds / steps:.2f} ms a step")
            spent.setdefault(name, []).append(seconds)
            if name not in best or final < best[name][0]:
                best[name] = (final, optimizer)
    for epochs in range(1, 11):
        done, _ = fitted(start, best["M-FAC"][1], x, y, epochs)
        if float(loss(done.parameters, (x, y))) <= best["Adam"][0]:
            print(f"M-FAC reaches the loss of 10 epochs of Adam in {epochs} epochs (at most 5 are asked)")
            break
    else:
        print("M-FAC does not reach the loss of 10 epochs of Adam in 10 epochs")
    ratio = float(np.median(spent["M-FAC"]) / np.median(spent["Adam"]))
    print(f"a step of M-FAC takes {ratio:.2f} of one of Adam (at most 1.5 is asked)")


def _gradients(weights: Arrays, x: np.ndarray, y: np.ndarray) -> Arrays:
    found: Arrays = value_and_gradients(lambda p: loss(p, (x, y)), weights)[1]
    return found


def pruning() -> None:
    """Accuracy of pruned perceptrons: by magnitude, by the Fisher matrix, and with compensation."""
    x, y, tests, labels = digits()
    done, _ = fitted(drawn(roles(40), 0), AdamW(3e-3, weight_decay=1e-2), x, y, 60)
    weights = done.parameters
    chosen = np.random.default_rng(1).choice(len(x), 512, replace=False)
    single = [_gradients(weights, x[k : k + 1], y[k : k + 1]) for k in chosen]
    rows = {name: np.stack([g[name] for g in single]) for name in weights}
    print(f"dense {accuracy(weights, tests, labels):.3f}")
    for sparsity in (0.5, 0.7, 0.8, 0.9):
        found = {
            "magnitude": prune(weights, rows, sparsity, saliency="magnitude", compensate=False)[0],
            "fisher": prune(weights, rows, sparsity, compensate=False)[0],
            "fisher, joint update": prune(weights, rows, sparsity)[0],
        }
        print(
            f"{sparsity:.0%} dropped: " + ", ".join(f"{n} {accuracy(p, tests, labels):.3f}" for n, p in found.items())
        )


def _best_rate(logs: np.ndarray, losses: np.ndarray) -> float:
    """Return the log2 rate of least loss by a parabola through the logarithms around the least one."""
    k = int(np.clip(np.nanargmin(losses), 1, len(logs) - 2))
    a, b, _ = np.polyfit(logs[k - 1 : k + 2], np.log(losses[k - 1 : k + 2]), 2)
    return float(np.clip(-b / (2 * a), logs[0], logs[-1])) if a > 0 else float(logs[np.nanargmin(losses)])


def _moves(run: Callable[[Any, bool, float, int], float], sizes: list[Any], logs: np.ndarray, seeds: int) -> None:
    """Print losses and best rates of each size, standard and under the rule, and how far they move."""
    for maximal in (False, True):
        found = []
        for size in sizes:
            losses = np.array([np.mean([run(size, maximal, 2.0**r, s) for s in range(seeds)]) for r in logs])
            found.append(_best_rate(logs, losses))
            name = "maximal update" if maximal else "standard"
            print(f"{name:<15} {size!s:<10} best log2 rate {found[-1]:6.2f}  losses {np.round(losses, 4)}", flush=True)
        print(
            f"{'maximal update' if maximal else 'standard'}: the best rate moves {max(found) - min(found):.2f} octaves"
        )


def perceptron() -> None:
    """Best rate of Adam for perceptrons of three layers of width 32 to 512."""
    x, y, _, _ = digits()

    def run(width: int, maximal: bool, rate: float, seed: int) -> float:
        own, base = roles(width, layers=3), roles(32, layers=3)
        start, optimizer = drawn(own, seed), Adam(rate)
        if maximal:
            start, optimizer = rescaled(start, own, base), with_roles(optimizer, own, base=base)
        done, _ = fitted(start, optimizer, x, y, 3)
        return float(loss(done.parameters, (x, y)))

    _moves(run, [32, 128, 512], np.arange(-11.0, -3.0), 2)


def fno() -> None:
    """Best rate of AdamW for FNOs of width and modes (8, 4), (16, 8), (32, 16) on Darcy flow of 16 x 16 points."""
    x, y = _darcy(1000)

    def run(size: tuple[int, int], maximal: bool, rate: float, seed: int) -> float:
        base: dict[str, Any] = {"base_channels": 8, "base_modes": (4, 4)} if maximal else {}
        model = FNO((size[1],) * 2, 1, 1, size[0], seed=seed, **base)
        config = TrainingConfig(epochs=8, batch_size=32, learning_rate=rate, loss="l2")
        trained, _ = train_operator(model, x, y, config)
        return float(np.mean(relative_errors(trained(x), y)["l2"]))

    _moves(run, [(8, 4), (16, 8), (32, 16)], np.arange(-8.0, -2.0), 1)


def _darcy(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and solutions of Darcy flow at 16 x 16 points."""
    x, y = darcy_flow(samples, 64, subsample=4, seed=0)
    return as_fields(x.astype(np.float32), 2), as_fields(y.astype(np.float32), 2)


MFACS = ((32, 0.01, 0.01, 0.0), (64, 0.01, 0.01, 0.0), (32, 0.1, 0.2, 0.9), (32, 0.03, 0.05, 0.9))
"""Window, damping, rate and momentum on Darcy flow."""


def darcy() -> None:
    """M-FAC beside AdamW for an FNO of width 8 and modes 4 on Darcy flow: loss after 8 epochs."""
    x, y = _darcy(400)
    targets = (y - y.mean()) / y.std()
    model = FNO((4, 4), 1, 1, 8)

    def field_loss(p: Mapping[str, Any], batch: Any) -> Any:
        return relative_l2(model.forward(p, batch[0]), target=batch[1])

    for name, optimizers in (
        ("AdamW", [AdamW(r) for r in (1e-2, 3e-2, 6e-2)]),
        ("M-FAC", [MFAC(r, window=m, damping=d, momentum=b) for m, d, r, b in MFACS]),
    ):
        for optimizer in optimizers:
            start = {n: p.copy() for n, p in model.parameters.items()}
            begin = time.process_time()
            done = train(
                *(field_loss, start, (x, targets)),
                optimizer=optimizer,
                epochs=8,
                batch_size=20,
                schedule=cosine(8),
            )
            ms = 1e3 * (time.process_time() - begin) / done.step
            error = float(field_loss(done.parameters, (x, targets)))
            damping = f" damping {optimizer.damping:g}" if isinstance(optimizer, MFAC) else ""
            print(f"{name} rate {optimizer.learning_rate:g}{damping}: relative L2 {error:.4f}, {ms:.1f} ms a step")


def directions() -> None:
    """Accuracy of perceptrons of 64 units with a trained last layer, and with fixed directions of d dimensions."""
    x, y, tests, labels = digits()
    for d in (None, 10, 5, 3, 2):
        vectors = None if d is None else equiangular_vectors(10, d)
        found = []
        for seed in range(3):
            start = drawn(
                {"0": Role("input", 64, 64), "0.bias": Role("bias", 64, 64), "out": Role("output", 64, d or 10)}, seed
            )

            def scores(p: Mapping[str, Any], x: Any, vectors: Any = vectors) -> Any:
                features = linear(relu(linear(x, p["0"]) + p["0.bias"]), p["out"])
                return features if vectors is None else equiangular_logits(features, vectors)

            done = train(
                lambda p, batch, scores=scores: cross_entropy(scores(p, batch[0]), batch[1]),
                *(start, (x, y)),
                optimizer=Adam(3e-3),
                epochs=20,
                batch_size=64,
                schedule=cosine(20),
                seed=seed,
            )
            found.append(float((np.asarray(scores(done.parameters, tests)).argmax(axis=1) == labels).mean()))
        name = "trained layer" if vectors is None else f"d = {d}, cosines up to {coherence(vectors):.3f}"
        print(f"{name:<28} accuracy {np.mean(found):.4f}  {np.round(found, 4)}")


PARTS = {
    "directions": directions,
    "mfac": mfac,
    "pruning": pruning,
    "darcy": darcy,
    "perceptron": perceptron,
    "fno": fno,
}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append")
    for name in parser.parse_args().only or [name for name in PARTS if name != "fno"]:
        print(f"--- {name}")
        PARTS[name]()


if __name__ == "__main__":
    main()
