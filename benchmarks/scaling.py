"""Scaling laws held against known exponents and held-out runs, mixtures of digits, and the theory of pruning.

    OMP_NUM_THREADS=1 python benchmarks/scaling.py                         # about a minute
    OMP_NUM_THREADS=1 python benchmarks/scaling.py --only curves
    OMP_NUM_THREADS=1 python benchmarks/scaling.py --train curves.csv      # train the curves again, a few minutes

`curves` reads the runs that the library ships, `sci dataset learning_curves`; `--train` makes them. The peer is what is
commonly done, `scipy.optimize.curve_fit` of the same law, with intervals from its covariance. `digits` needs
scikit-learn (extra `peers`).
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import curve_fit
from scipy.stats import binom, t

from sci.datasets import load_dataset
from sci.nn import AdamW, cosine, train
from sci.operators import FNO, TrainingConfig, as_fields, relative_errors, train_operator
from sci.problems import darcy_flow
from sci.scaling import extrapolate, fit_mixture, fit_power_law, information_gain, perceptron_error
from sci.sequence import TransNormer

CONFIDENCE = 0.9
CURVES = 10
"""The first half of them from sequence models on Markov sources, the second from operators on Darcy flow."""
SHARES = np.linspace(0.1, 0.9, 13)
"""Of the digits 0 to 4 in a mixture."""


# Sources whose laws are known


def exact_losses() -> tuple[np.ndarray, np.ndarray, float]:
    """Return sizes and losses of a law without noise, and its exponent."""
    x = np.geomspace(1e2, 1e7, 20)
    return x, 2.2 + (x / 300) ** -0.13, 0.13


def estimator_losses(p: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the expected log loss of the add-1/2 estimate of probabilities `p` from n draws: H + (V - 1) / 2 n."""
    found = []
    for k in n:
        counts = np.arange(k + 1)
        expected = [binom.pmf(counts, k, q) @ np.log(counts + 0.5) for q in p]
        found.append(np.log(k + len(p) / 2) - p @ np.array(expected))
    return np.array(found)


def zipf_errors(excess: float, n: np.ndarray) -> np.ndarray:
    """Return the probability that a number of i^-(1 + excess) has not been seen among n: n^(-excess / (1 + excess))."""
    p = np.arange(1, 1_000_001) ** -(1 + excess)
    p /= p.sum()
    return np.array([float(p @ np.exp(k * np.log1p(-np.minimum(p, 1 - 1e-16)))) for k in n])


def naive_fit(x: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return limit, amplitude and exponent of `curve_fit` from a usual start, and their covariance."""

    def law(x: np.ndarray, limit: float, amplitude: float, exponent: float) -> np.ndarray:
        return np.asarray(limit + amplitude * x**-exponent)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, covariance = curve_fit(law, x, loss, p0=(loss.min(), 1.0, 0.5), maxfev=20_000)
    return found, covariance


def laws() -> None:
    """Exponents and limits of three sources that are known, here and by the naive fit."""
    p = np.random.default_rng(0).dirichlet(np.ones(16))
    n = np.array([200, 400, 800, 1600, 3200, 6400, 12800])
    many = np.geomspace(100, 10_000, 10).round()
    x, y, exponent = exact_losses()
    cases = [("no noise, exponent 0.13", x, y, exponent, 2.2)]
    cases.append(("add-1/2 estimator", n.astype(float), estimator_losses(p, n), 1.0, -float(p @ np.log(p))))
    cases += [(f"Zipf, c = {c}", many, zipf_errors(c, many), c / (1 + c), 0.0) for c in (0.5, 1.0, 2.0)]
    print(f"{'source':<26}{'exponent':>10}{'fitted':>10}{'curve_fit':>11}{'limit off':>12}{'curve_fit':>12}{'ms':>8}")
    for name, x, loss, known, limit in cases:
        begin = time.process_time()
        law = fit_power_law(x, loss).law
        ms = 1e3 * (time.process_time() - begin)
        try:
            (peer_limit, _, peer), _ = naive_fit(x, loss)
        except RuntimeError:
            peer_limit = peer = np.nan
        print(
            f"{name:<26}{known:>10.4f}{law.exponents[0]:>10.4f}{peer:>11.4f}{law.limit - limit:>12.1e}"
            f"{peer_limit - limit:>12.1e}{ms:>8.0f}"
        )


# Curves of the library's own training


def markov_source(seed: int, letters: int = 16) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the transition matrix of a random source, its stationary state, and its entropy rate in nats."""
    matrix = np.random.default_rng(seed).dirichlet(np.full(letters, 0.3), size=letters)
    values, vectors = np.linalg.eig(matrix.T)
    state = np.abs(vectors[:, np.argmax(values.real)].real)
    state /= state.sum()
    rate = -float((state[:, None] * matrix * np.log(np.maximum(matrix, 1e-300))).sum())
    return matrix, state, rate


def drawn_texts(matrix: np.ndarray, state: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return texts of 33 letters, (count, 33)."""
    sums = matrix.cumsum(axis=1)
    texts = np.empty((count, 33), np.int64)
    texts[:, 0] = rng.choice(len(state), count, p=state)
    for k in range(1, 33):
        texts[:, k] = np.minimum((rng.random(count)[:, None] > sums[texts[:, k - 1]]).sum(axis=1), len(state) - 1)
    return texts


def sequence_curve(seed: int) -> tuple[np.ndarray, list[float], float]:
    """Return numbers of texts, losses on new ones of one-layer sequence models that saw each once, and the entropy."""
    matrix, state, entropy = markov_source(seed)
    sizes = np.append(np.geomspace(128, 2048, 9).round().astype(int), 8192)
    tests = drawn_texts(matrix, state, 2048, np.random.default_rng(1000 + seed))
    losses = []
    for k, n in enumerate(sizes):
        rng = np.random.default_rng([seed, k])
        model = TransNormer.create(seed=100 * seed + k, width=16, heads=2, layers=1, hidden=32, vocabulary=16)
        done = train(
            lambda v, batch, model=model: model.loss(v, batch[0]),
            *(model.parameters, (drawn_texts(matrix, state, n, rng),)),
            optimizer=AdamW(0.01),
            epochs=1,
            batch_size=8,
            schedule=cosine(1),
        )
        losses.append(float(model.loss(done.parameters, tests)))
    return sizes, losses, entropy


def operator_curve(seed: int) -> tuple[np.ndarray, list[float], float]:
    """Return numbers of samples, and errors on new ones of operators that saw each 16 times."""
    sizes = np.append(np.geomspace(40, 320, 7).round().astype(int), 960)
    x, y = (as_fields(v.astype(np.float32), 2) for v in darcy_flow(3000, 16, seed=seed))
    tests, errors = slice(2800, 3000), []
    for k, n in enumerate(sizes):
        own = np.random.default_rng([seed, k]).choice(2800, n, replace=False)
        model = FNO((4, 4), 1, 1, 8, seed=100 * seed + k)
        config = TrainingConfig(epochs=16, batch_size=16, learning_rate=0.02, loss="l2")
        trained, _ = train_operator(model, x[own], y[own], config, seed=k)
        errors.append(float(relative_errors(trained(x[tests]), y[tests])["l2"]))
    return sizes, errors, 0.0


def train_curves(path: Path) -> None:
    """Train all curves and write them as a table."""
    lines = [
        "# Losses of the library's own trainings against the number of samples (benchmarks/scaling.py --train).",
        "# Curves 0 to 4: TransNormer, one layer of width 16, one pass over texts of 33 letters of a Markov source",
        "# of 16 letters; nats a letter on 2,048 new texts; known_limit is the entropy rate of the source.",
        "# Curves 5 to 9: FNO of width 8, 4 x 4 modes, 16 epochs of Darcy flow on 16 x 16 points; relative L2 error",
        "# on 200 new samples; no limit is known, and known_limit is 0.",
        "curve,samples,loss,known_limit",
    ]
    for curve in range(CURVES):
        begin = time.process_time()
        sizes, losses, known = (sequence_curve if curve < CURVES // 2 else operator_curve)(curve)
        lines += [f"{curve},{n},{loss:.7g},{known:.7g}" for n, loss in zip(sizes, losses)]
        print(f"curve {curve}: {len(sizes)} runs, {time.process_time() - begin:.1f} CPU s", flush=True)
        path.write_text("\n".join(lines) + "\n")


def held_out() -> Iterator[dict[str, Any]]:
    """Yield for each curve what a fit to all runs but the largest says of that one, and what the naive fit says."""
    table = load_dataset("learning_curves")
    for curve in range(CURVES):
        own = table["curve"] == curve
        x, loss = table["samples"][own], table["loss"][own]
        fit = fit_power_law(x[:-1], loss[:-1], seed=curve)
        low, high = fit.interval(x[-1], confidence=CONFIDENCE)
        yield {
            "curve": curve,
            "beyond": x[-1] / x[-2],
            "last": loss[-2],
            "loss": loss[-1],
            "law": float(fit.law(x[-1])),
            "interval": (float(low), float(high)),
            "limit": fit.parameter_intervals(CONFIDENCE)["limit"],
            "known": table["known_limit"][own][0],
            "naive": _naive_interval(x[:-1], loss[:-1], x[-1]),
        }


def _naive_interval(x: np.ndarray, loss: np.ndarray, at: float) -> tuple[float, float]:
    """Return the interval of another run from the covariance of the naive fit."""
    try:
        (limit, amplitude, exponent), covariance = naive_fit(x, loss)
    except RuntimeError:
        return np.nan, np.nan
    power = at**-exponent
    slope = np.array([1.0, power, -amplitude * power * np.log(at)])
    rest = loss - limit - amplitude * x**-exponent
    free = len(x) - 3
    spread = float(np.sqrt(slope @ covariance @ slope + rest @ rest / free)) * t.ppf((1 + CONFIDENCE) / 2, free)
    return limit + amplitude * power - spread, limit + amplitude * power + spread


def curves() -> None:
    """Intervals of the largest run of each curve, from the smaller ones."""
    hits, naive, widths, limits = 0, 0, [], 0
    print(
        f"{'curve':<7}{'beyond':>8}{'run':>9}{'law':>9}{'interval':>19}{'':>4}{'curve_fit':>19}{'':>4}{'limit':>19}{'known':>8}"
    )
    for found in held_out():
        (low, high), (a, b), (c, d) = found["interval"], found["naive"], found["limit"]
        inside, peer = low <= found["loss"] <= high, a <= found["loss"] <= b
        hits, naive = hits + inside, naive + peer
        widths.append((high - low) / (b - a))
        known = f"{found['known']:>8.4f}" if found["known"] else f"{'':>8}"
        limits += bool(found["known"]) and bool(c <= found["known"] <= d)
        print(
            f"{found['curve']:<7}{found['beyond']:>8.1f}{found['loss']:>9.4f}{found['law']:>9.4f}"
            f"{low:>10.4f}-{high:<8.4f}{'yes' if inside else 'NO':>4}{a:>10.4f}-{b:<8.4f}{'yes' if peer else 'NO':>4}"
            f"{c:>10.4f}-{d:<8.4f}{known}"
        )
    print(f"{CONFIDENCE:.0%} intervals hold {hits} of {CURVES} held-out runs (at least 8 are asked); curve_fit {naive}")
    print(f"width over that of curve_fit: median {np.nanmedian(widths):.2f}")
    print(f"intervals of the limit hold the entropy rate in {limits} of {CURVES // 2} curves")


# Mixtures, information, pruning


def mixture_errors(seed: int, repeats: int = 32) -> dict[str, float]:
    """Return mean absolute errors of predicted accuracies of mixtures of digits 0 to 4 with 5 to 9.

    A ridge classifier of 75, 150, 300 and 600 digits; every other share is fitted, the rest is held out.
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    x, y = x[order] / 16, y[order]
    tests, pool, labels = x[:400], x[400:], y[400:]
    parts = [np.flatnonzero(labels < 5), np.flatnonzero(labels >= 5)]

    def accuracy(share: float, n: int) -> float:
        found = []
        for repeat in range(repeats):
            rng, first = np.random.default_rng(repeat), round(share * n)
            own = np.concatenate([rng.choice(p, k, replace=False) for p, k in zip(parts, (first, n - first))])
            found.append((_ridge(pool[own], labels[own], tests) == y[:400]).mean())
        return float(np.mean(found))

    measured = {n: np.array([accuracy(q, n) for q in SHARES]) for n in (75, 150, 300, 600)}
    ratios = np.stack([SHARES, 1 - SHARES], axis=1)
    pilots = [p[:150] for p in parts]
    predicted, errors = {}, {}
    for n in (75, 150):
        fit = fit_mixture(
            *([pool[p] for p in pilots], tests[:200], ratios[::2], measured[n][::2]),
            labels=[labels[p] for p in pilots],
            validation_labels=y[:200],
            label_cost=8.0,
        )
        predicted[n] = np.array([fit.predict(q) for q in ratios])
        errors[f"held out {n}"] = np.abs(predicted[n] - measured[n])[1::2].mean()
        quadratic = np.polyval(np.polyfit(SHARES[::2], measured[n][::2], 2), SHARES)
        errors[f"quadratic {n}"] = np.abs(quadratic - measured[n])[1::2].mean()
    for n in (300, 600):
        pairs = list(zip(predicted[75], predicted[150]))
        for way in ("log", "power"):
            further = [extrapolate((75.0, 150.0), pair, float(n), map=way) for pair in pairs]
            errors[f"{way} {n}"] = np.abs(np.array(further) - measured[n]).mean()
        errors[f"as at 150 {n}"] = np.abs(predicted[150] - measured[n]).mean()
    return {name: float(value) for name, value in errors.items()}


def _ridge(x: np.ndarray, y: np.ndarray, tests: np.ndarray) -> np.ndarray:
    """Return the classes of `tests` by ridge regression on targets of -1 and 1."""
    mean, targets = x.mean(axis=0), np.where(y[:, None] == np.arange(10), 1.0, -1.0)
    centered = x - mean
    weights = np.linalg.solve(centered.T @ centered + np.eye(x.shape[1]), centered.T @ targets)
    return np.asarray(((tests - mean) @ weights + targets.mean(axis=0)).argmax(axis=1))


def digits() -> None:
    """Mean absolute errors of predicted accuracies, three orders of the digits."""
    found = [mixture_errors(seed) for seed in range(3)]
    for name in found[0]:
        print(f"{name:<18}" + "  ".join(f"{errors[name]:.4f}" for errors in found))
    print("held out at most 0.02, twofold beyond (300) at most 0.025 are asked")


def information() -> None:
    """The gain of a known channel against its mutual information."""
    joint = np.random.default_rng(1).dirichlet(np.full(8, 0.5), size=4) / 4  # four images, eight words
    sizes = np.array([400, 800, 1600, 3200, 6400])
    alone = estimator_losses(joint.sum(axis=0), sizes)
    given = conditional_losses(joint, sizes)
    gain = information_gain(fit_power_law(sizes.astype(float), alone), fit_power_law(sizes.astype(float), given))
    product = joint.sum(axis=0) * joint.sum(axis=1)[:, None]
    print(
        f"mutual information {float((joint * np.log(joint / product)).sum()):.6f}, limit of the gain {gain.limit:.6f}"
    )


def conditional_losses(joint: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the expected log loss of add-1/2 estimates of each row of a joint distribution, from n draws of both."""
    found = []
    for k in n:
        counts, total = np.arange(k + 1), 0.0
        for row in joint:
            seen = binom.pmf(counts, k, row.sum()) @ np.log(counts + len(row) / 2)
            logs = np.array([binom.pmf(counts, k, q) @ np.log(counts + 0.5) for q in row])
            total += row.sum() * seen - row @ logs
        found.append(total)
    return np.array(found)


def pruning() -> None:
    """Theory beside max-margin perceptrons of 100 weights."""
    for alpha, fraction in ((2.0, 1.0), (2.0, 0.3), (4.0, 1.0), (4.0, 0.5)):
        theory = perceptron_error(alpha, fraction).error
        found = [student_error(alpha, fraction, 100, seed) for seed in range(12)]
        error = float(np.std(found, ddof=1) / np.sqrt(len(found)))
        away = (np.mean(found) - theory) / error
        print(
            f"alpha {alpha:g}, hardest {fraction:.0%}: theory {theory:.4f}, students {np.mean(found):.4f} "
            f"+- {error:.4f}, {away:+.1f} standard errors"
        )


def student_error(alpha: float, fraction: float, d: int, seed: int) -> float:
    """Return the error of one max-margin student of `d` weights, taught the hardest fraction."""
    from scipy.optimize import nnls

    rng = np.random.default_rng(seed)
    teacher = rng.normal(size=d)
    points = rng.normal(size=(int(alpha * d / fraction), d))
    side = points @ teacher
    keep = np.argsort(np.abs(side))[: int(alpha * d)]
    signed = np.sign(side[keep])[:, None] * points[keep]
    # The shortest w with signed w >= 1, by its dual with multipliers from 0 (Lawson and Hanson).
    matrix, target = np.vstack([signed.T, np.ones(len(signed))]), np.append(np.zeros(d), 1.0)
    multipliers, _ = nnls(matrix, target, maxiter=100 * len(signed))
    w = -(matrix @ multipliers - target)[:-1]
    return float(np.arccos(abs(w @ teacher) / np.linalg.norm(w) / np.linalg.norm(teacher)) / np.pi)


PARTS: dict[str, Callable[[], None]] = {
    **{"laws": laws, "curves": curves, "information": information, "digits": digits, "pruning": pruning}
}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--train", type=Path, metavar="CURVES.csv", help="train the curves and write them")
    a = parser.parse_args()
    if a.train:
        train_curves(a.train)
        return
    for name in a.only or PARTS:
        begin = time.process_time()
        print(f"--- {name}")
        PARTS[name]()
        print(f"{time.process_time() - begin:.1f} CPU s")


if __name__ == "__main__":
    main()
