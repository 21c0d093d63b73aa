"""Next-scale prediction: digits, ensembles of Navier-Stokes frames, and what a mask by blocks and a cache save.

    OMP_NUM_THREADS=1 python benchmarks/next_scale.py [--only digits flow speed] [--plot flow.png]

`digits` (scikit-learn, extra `peers`): 8 x 8 images as latents of 4 x 4 cells and 4 numbers, scales 1, 2, 3, 4, 64
codes, a transformer of width 32 and 2 blocks; the cross-entropy of 360 test digits in nats a code, beside that of the
codes' frequencies at each place. `flow`: the frame of a forced flow 2 time units later, given the present one on 4 x 4
cells and the viscosity, on 16 x 16 cells. Beside the truth: errors of single draws and of the mean of 16, their spread
(ratio 1 is a calibrated one), enstrophy by wave number over the truth's, and fields whose first scales are given.
`speed`: CPU time of attention by blocks over attention to all, and of draws without a cache over draws with it. Times
are CPU seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sci.compression import MultiScaleVQ, train_vector_quantizer
from sci.generative import NextScaleConfig, NextScaleModel, Sampling, ScaleTokens, train_next_scale
from sci.nn import AdamW, resample
from sci.problems import evolve_vorticity, kolmogorov_force, periodic_random_field, sample_generator
from sci.sequence import softmax_attention

CELLS, CONTEXT, MEMBERS = 16, 4, 16
SHIFTS = range(0, CELLS, 2)


def frequencies(train: ScaleTokens, test: ScaleTokens, vocabulary: int) -> float:
    """Return the cross-entropy of the test codes under the training codes' frequencies at each place."""
    found = []
    for own, other in zip(train.codes.T, test.codes.T):
        counts = np.bincount(own, minlength=vocabulary) + 0.5
        found.append(-np.log(counts / counts.sum())[other].mean())
    return float(np.mean(found))


def fitted(
    model: NextScaleModel, train: ScaleTokens, test: ScaleTokens, **options: Any
) -> tuple[NextScaleModel, float]:
    """Train, print the cross-entropies and return the model and its CPU seconds."""
    start = time.process_time()
    made, _ = train_next_scale(model, train, **options)
    seconds = time.process_time() - start
    nats, config = made.nats(test), made.config
    print(f"  {made}")
    print(f"  nats a code on test fields {np.average(nats, weights=config.blocks):.3f}, by scale {nats.round(3)}")
    base = frequencies(train, test, config.vocabulary)
    print(f"  frequencies at each place {base:.3f}, uniform {np.log(config.vocabulary):.3f}; {seconds:.0f} s of CPU")
    return made, seconds


def digits() -> None:
    """Print the digits case."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order].reshape(-1, 1, 8, 8) / 16, labels[order]
    scales, count = [(k, k) for k in (1, 2, 3, 4)], 1437
    plain = MultiScaleVQ(np.zeros((2, 4)), scales, patch=(2, 2))
    latents = plain.latent(images)
    images = plain.fields(latents - latents[:count].mean(axis=(0, 2, 3), keepdims=True))
    quantizer, _ = train_vector_quantizer(images[:count], scales, 64, patch=(2, 2), zero_code=True)
    config = NextScaleConfig.of(quantizer, width=32, heads=4, layers=2, classes=10)
    train, test = (
        ScaleTokens.of(config, quantizer, images[part], labels=labels[part])
        for part in (slice(count), slice(count, None))
    )
    errors = quantizer.relative_errors(images[count:], quantizer.encode(images[count:]))
    print(f"digits: {len(test)} test digits; squared relative error of the codes {(errors**2).round(3)}")
    fitted(NextScaleModel.create(config), train, test, epochs=20, optimizer=AdamW(3e-3))


def flows(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return frames (count, 6, 1, CELLS, CELLS) of vorticity, 2 time units apart, and viscosities (count,)."""
    force, frames, viscosities = kolmogorov_force(64), [], []
    for index in range(count):
        rng = sample_generator(0, index)
        viscosity = float(10 ** rng.uniform(-4.2, -3.0))
        first = 2 * periodic_random_field(64, rng, alpha=2.5, tau=7.0)
        found = evolve_vorticity(first, force, viscosity=viscosity, time=12.0, time_step=0.01, n_records=6)
        frames.append(resample(found[:, None] / 0.9, size=CELLS, method="area"))
        viscosities.append(viscosity)
    return np.array(frames, np.float32), np.array(viscosities)


def pairs(frames: np.ndarray, viscosities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return present frames, the next ones, and a feature of the viscosity."""
    features = np.log10(viscosities / 2.5e-4)[:, None]
    present, later = (np.concatenate([frames[:, k + step] for k in (2, 3, 4)]) for step in (0, 1))
    return present, later, np.tile(features, (3, 1))


def shifted(fields: np.ndarray) -> np.ndarray:
    """Return fields shifted along the lines of equal force: flows of the same equation."""
    return np.concatenate([np.roll(fields, (k, -k), (2, 3)) for k in SHIFTS])


def spectrum(fields: np.ndarray) -> np.ndarray:
    """Return the mean enstrophy of the wave numbers 1, 2, ... up to the grid's last."""
    k = np.fft.fftfreq(CELLS, 1 / CELLS)
    shell = np.rint(np.hypot(k[:, None], k)).astype(int).ravel()
    power = (np.abs(np.fft.fft2(fields)) ** 2).reshape(-1, CELLS**2).mean(axis=0) / CELLS**4
    return np.bincount(shell, power)[1 : CELLS // 2 + 1]


def size(fields: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt((fields.astype(np.float64) ** 2).mean()))


def coarse(fields: np.ndarray) -> np.ndarray:
    """Return what is given of the present frame."""
    return np.asarray(resample(fields, size=CONTEXT, method="area"))


def flow(plot: str | None, epochs: int) -> None:
    """Print the case of Navier-Stokes frames."""
    start = time.process_time()
    frames, viscosities = flows(364)
    print(f"flow: 364 runs in {time.process_time() - start:.0f} s of CPU")
    present, later, features = pairs(frames[:300], viscosities[:300])
    now, truth, about = pairs(frames[300:], viscosities[300:])
    quantizer, _ = train_vector_quantizer(
        later, [(k, k) for k in (1, 2, 4, 8)], 128, patch=(2, 2), one_each=True, rounds=15
    )
    config = NextScaleConfig.of(quantizer, width=64, heads=4, layers=3, hidden=128, features=1, context=1)
    train = ScaleTokens.of(
        config,
        quantizer,
        shifted(later),
        features=np.tile(features, (len(SHIFTS), 1)),
        context=coarse(shifted(present)),
    )
    test = ScaleTokens.of(config, quantizer, truth, features=about, context=coarse(now))
    model, _ = fitted(NextScaleModel.create(config), train, test, epochs=epochs, optimizer=AdamW(3e-3), drop=0.0)
    rows = np.arange(0, len(truth), 3)
    ensembles(model, quantizer, truth[rows], now[rows], about[rows], plot)


def ensembles(
    model: NextScaleModel,
    quantizer: MultiScaleVQ,
    truth: np.ndarray,
    now: np.ndarray,
    about: np.ndarray,
    plot: str | None,
) -> None:
    """Print errors, spread and spectra of ensembles, and those of fields whose coarse scales are given."""
    repeated = np.repeat(np.arange(len(truth)), MEMBERS)
    given = {"features": about[repeated], "context": coarse(now)[repeated]}
    codes = quantizer.encode(truth)
    known, reference = quantizer.decode(codes), spectrum(truth)
    upsampled = resample(coarse(now), size=CELLS, method="linear")
    print(f"  {len(truth)} test frames, {MEMBERS} draws each; root mean squares, the frames' is {size(truth):.3f}")
    print(f"  codes of the truth {size(known - truth):.3f}, the given cells {size(upsampled - truth):.3f}")
    print(f"  enstrophy over the truth's, k = 1 ... {CELLS // 2}: codes {np.round(spectrum(known) / reference, 2)}")
    drawn = {}
    for name, rule in {"the model's": None, "top_p 0.8": Sampling(top_p=0.8)}.items():
        found = quantizer.decode(model.sample(quantizer, len(repeated), sampling=rule, seed=1, **given))
        drawn[name] = found = found.reshape(len(truth), MEMBERS, *truth.shape[1:])
        mean, spread = found.mean(axis=1), float(np.sqrt(found.var(axis=1, ddof=1).mean()))
        ratio = spread * (1 + 1 / MEMBERS) ** 0.5 / size(mean - truth)
        print(f"  {name}: a draw {size(found - truth[:, None]):.3f}, the mean {size(mean - truth):.3f}, ", end="")
        print(f"spread {spread:.3f}, ratio {ratio:.2f}; enstrophy {np.round(spectrum(found) / reference, 2)}")
    one = {"features": about, "context": coarse(now)}
    for scales in (2, 3):
        finer = quantizer.decode(model.sample(quantizer, len(truth), given=codes[:scales], seed=2, **one))
        alone = quantizer.decode(codes[:scales])
        print(f"  {scales} of 4 scales given: they alone {size(alone - truth):.3f}, with drawn ones ", end="")
        print(f"{size(finer - truth):.3f}; enstrophy {np.round(spectrum(finer) / reference, 2)}")
    if plot:
        draw(plot, truth, upsampled, drawn["the model's"], known)


def draw(path: str, truth: np.ndarray, given: np.ndarray, drawn: np.ndarray, known: np.ndarray) -> None:
    """Draw what is given, the truth and draws of three frames, and the spectra."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(11, 5))
    grid = figure.add_gridspec(3, 8)
    titles = ("given cells", "truth", "draw 1", "draw 2", "mean of 16")
    for row, frame in enumerate((5, 25, 45)):
        shown = (given[frame], truth[frame], drawn[frame, 0], drawn[frame, 1], drawn[frame].mean(axis=0))
        limit = np.abs(truth[frame]).max()
        for column, (title, field) in enumerate(zip(titles, shown)):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(field[0].T, origin="lower", cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes.set_xticks([]), axes.set_yticks([])
            if row == 0:
                axes.set_title(title, fontsize=9)
    axes = figure.add_subplot(grid[:, 5:])
    k = np.arange(1, CELLS // 2 + 1)
    axes.loglog(k, spectrum(truth), "k", label="truth")
    axes.loglog(k, spectrum(known), "k:", label="codes of the truth")
    axes.loglog(k, spectrum(drawn), label="draws")
    axes.loglog(k, spectrum(drawn.mean(axis=1)), "--", label="mean of 16")
    axes.set_xlabel("wave number"), axes.set_ylabel("enstrophy"), axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def seconds(run: Callable[[], Any]) -> float:
    """Return the least CPU time of `run`."""
    run()
    times = []
    for _ in range(5):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def speed() -> None:
    """Print what is saved by tiles that no query sees, and by kept keys and values."""
    for sides in ((1, 2, 3, 4, 5, 6, 8, 10, 13, 16), (1, 2, 4, 8, 16, 32, 64)):
        blocks = [k * k for k in sides]
        q, k, v = np.random.default_rng(0).normal(size=(3, 4, sum(blocks), 32)).astype(np.float32)
        times = [seconds(lambda b=b, a=(q, k, v): softmax_attention(*a, blocks=b)) for b in (blocks, None)]
        seen, share = np.dot(blocks, np.cumsum(blocks)) / sum(blocks) ** 2, times[0] / times[1]
        print(f"speed: {sum(blocks)} tokens, blocks see {seen:.2f} of the pairs: {share:.2f} of the time")
    scales = [(k, k) for k in (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)]
    quantizer = MultiScaleVQ(np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32), scales)
    model = NextScaleModel.create(NextScaleConfig.of(quantizer, width=64, layers=3))
    kept = seconds(lambda: model.sample(quantizer, 8, batch_size=8))
    whole = whole_passes(model, quantizer)
    print(f"speed: 8 fields of 680 codes in {kept:.2f} s; passes without a cache {whole / kept:.1f} times that")


def whole_passes(model: NextScaleModel, quantizer: MultiScaleVQ) -> float:
    """Return the CPU time of passes over the first 1, 2, ... scales, as draws without a cache make them."""
    codes = model.sample(quantizer, 8, batch_size=8)
    total = 0.0
    for count in range(1, len(codes) + 1):
        first = MultiScaleVQ(quantizer.codebook, quantizer.scales[:count])
        part = NextScaleConfig.of(first, width=64, layers=3)
        cut = {**model.parameters, "position": model.parameters["position"][: part.length]}
        cut["level"] = model.parameters["level"][:count]
        shorter, tokens = NextScaleModel(part, cut), ScaleTokens.of_codes(part, first, codes[:count])
        total += seconds(lambda m=shorter, t=tokens: m(t))
    return total


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=("digits", "flow", "speed"), default=("digits", "flow", "speed"))
    parser.add_argument("--epochs", type=int, default=6, help="of the training on flows (default: 6)")
    parser.add_argument("--plot", metavar="PNG", help="draw frames and spectra of the flows")
    given = parser.parse_args(arguments)
    if "digits" in given.only:
        digits()
    if "flow" in given.only:
        flow(given.plot, given.epochs)
    if "speed" in given.only:
        speed()


if __name__ == "__main__":
    main()
