"""Tell four classes of covariance matrices apart whose differences lie in the weakest directions, by SPDNet and GBWBN.

    python examples/spd_network.py --plot spd_network.png

Sixteen sources are mixed by a rotation; their powers fall over five decades, each sample has a gain of its own, and in
class k every fourth of the eight weakest sources, the k-th, is 2.5 times as strong. A sample is the covariance of 40
measurements. Networks of one size train alike, without and with batch normalization.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from sci import nn
from sci.linalg import BuresWasserstein

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--samples", type=int, default=400, help="for training, and as many for the test (400)")
parser.add_argument("--seed", type=int, default=0, help="of the networks (0)")
parser.add_argument("--plot", type=Path, metavar="FILE.png")
a = parser.parse_args()

CLASSES, SIZES = 4, (16, 12, 8)


def covariances(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return covariance matrices (count, 1, 16, 16) and their classes."""
    rng, n = np.random.default_rng(seed), SIZES[0]
    mixing = np.linalg.qr(np.random.default_rng(100).normal(size=(n, n)))[0]
    classes, source = np.arange(count) % CLASSES, np.arange(n)
    power = 10 ** np.linspace(0, -5, n) * np.exp(0.5 * rng.normal(size=(count, 1)))
    power *= np.where((source >= n // 2) & (source % CLASSES == classes[:, None]), 2.5, 1.0)
    signals = mixing @ (np.sqrt(power)[..., None] * rng.normal(size=(count, n, 40)))
    return (signals @ signals.swapaxes(-1, -2) / 40)[:, None], classes


def accuracy(model: nn.SPDNet) -> float:
    """Return the fraction of the test that a network gets right."""
    return float((model(test).argmax(axis=1) == test_classes).mean())


data, classes = covariances(a.samples, 1)
test, test_classes = covariances(a.samples, 2)
print(f"condition of the matrices: {np.median(np.linalg.cond(data)):.1e}")

metric = BuresWasserstein()
centers = [metric.barycenter(data[classes == k, 0]).mean for k in range(CLASSES)]
distances = np.stack([metric.distance(test[:, 0], center) for center in centers])
print(f"nearest barycenter: {(distances.argmin(axis=0) == test_classes).mean():.3f} of the test")

logs, test_logs = nn.logeig(data)[:, 0], nn.logeig(test)[:, 0]
mean, deviation = logs.mean(axis=0), logs.std(axis=0)
linear = nn.train(
    lambda v, batch: nn.cross_entropy(nn.linear((batch[0] - mean) / deviation, v["weight"], v["bias"]), batch[1]),
    {"weight": np.zeros((CLASSES, logs.shape[1])), "bias": np.zeros(CLASSES)},
    (logs, classes),
    optimizer=nn.Adam(1e-2),
    epochs=40,
    batch_size=40,
    title="linear",
).parameters
scores = nn.linear((test_logs - mean) / deviation, linear["weight"], linear["bias"])
linear_accuracy = (scores.argmax(axis=1) == test_classes).mean()
print(f"linear in the logarithms of the whole matrices: {linear_accuracy:.3f} of the test")

networks = {
    "SPDNet": {"batch_norm": False},
    "with GBWBN": {"scale": 0.5},
    "with GBWBN, theta = 1/2": {"scale": 0.5, "theta": 0.5},
}
print(f"{'':26s}loss, last epoch    test, running statistics    test, calibrated    outside      s")
losses, found = {}, {}
for name, options in networks.items():
    model = nn.SPDNet(SIZES, CLASSES, dtype=np.float64, seed=a.seed, **options)
    start = time.process_time()
    done = nn.train(
        model.loss(),
        model.parameters,
        (data, classes),
        buffers=model.statistics,
        optimizer=nn.Adam(1e-2),
        schedule=nn.cosine(a.epochs),
        epochs=a.epochs,
        batch_size=40,
        title=name,
    )
    seconds = time.process_time() - start
    trained = model.with_parameters(done.parameters)
    calibrated = trained.calibrate(data, batch_size=40)
    found[name] = accuracy(trained), accuracy(calibrated)
    losses[name] = done.losses.reshape(a.epochs, -1).mean(axis=1)
    outside = max((float(s.max()) for n, s in calibrated.statistics.items() if n.endswith("outside")), default=0.0)
    print(
        f"{name:26s}{losses[name][-1]:16.3f}{found[name][0]:24.3f}{found[name][1]:20.3f}{outside:15.3f}{seconds:7.1f}"
    )

if a.plot:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, values in losses.items():
        left.plot(np.arange(1, a.epochs + 1), values, "o-", label=name)
    left.axhline(np.log(CLASSES), color="gray", linestyle=":")
    left.annotate("guessing", (a.epochs, np.log(CLASSES)), (0, 3), textcoords="offset points", ha="right", color="gray")
    left.set(xlabel="epoch", ylabel="cross-entropy", ylim=(0, None), title="training")
    left.legend(fontsize=8, loc="lower left")
    place = np.arange(len(found))
    for k, kind in enumerate(("running statistics", "calibrated")):
        right.bar(place + 0.4 * k - 0.2, [pair[k] for pair in found.values()], 0.38, label=kind, color=("C7", "C2")[k])
    right.axhline(linear_accuracy, color="black", linestyle="--", label="linear in logarithms of whole matrices")
    right.axhline(1 / CLASSES, color="gray", linestyle=":")
    right.set_xticks(place, [name.replace("with ", "").replace(", ", "\n") for name in found])
    right.set(ylabel="right answers in the test", ylim=(0, 1.35), title="test", yticks=[0, 0.25, 0.5, 0.75, 1])
    right.legend(fontsize=8, loc="upper left")
    figure.savefig(a.plot, dpi=110)
