"""Vector quantization at a fixed rate beside zfp's fixed rate on flows, and tokens of digits, on samples not seen.

    OMP_NUM_THREADS=1 python benchmarks/vector_quantization.py              # all, about a minute
    OMP_NUM_THREADS=1 python benchmarks/vector_quantization.py --only digits

`flow`: frames (128 x 128, float32) of Navier-Stokes flows of viscosity 1e-4, codebooks trained on other flows. Errors
are in L2 over all test frames, relative to their norm; seconds are those of this process for all of them. The ratio
counts the bytes of codes and amplitudes, not the codebook, whose size stands beside it. `digits`: 8 x 8 digits less
their mean as latents 4 x 4 x 4 with scales 1, 2, 3, 4 and 64 codes, one of them zero: the square of the relative error
of test digits after each scale. Peers that are not installed are left out with a line: pip install zfpy scikit-learn.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sci.compression import MultiScaleVQ, compress, encode_fields, train_smoothing, train_vector_quantizer, unit_rms
from sci.problems import navier_stokes

CELLS, PATCH, CODES = 128, (4, 4), 256
FLOW = {"viscosity": 1e-4, "time": 20.0, "time_step": 5e-3, "n_records": 8}
DIGIT_SCALES = ((1, 1), (2, 2), (3, 3), (4, 4))


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a run, and its result."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def peer(name: str, package: str) -> Any:
    """Return a peer's module, None with a line where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"# {name} is not installed: pip install {package}")
        return None


def frames(samples: int, seed: int) -> np.ndarray:
    """Return frames (n, 1, cells, cells) of so many flows, float32."""
    _, later = navier_stokes(samples, CELLS, seed=seed, **FLOW)
    return later.reshape(-1, 1, CELLS, CELLS).astype(np.float32)


def error(found: np.ndarray, fields: np.ndarray) -> float:
    """Return the relative error in L2 over all fields."""
    return float(np.linalg.norm((found - fields).astype(float)) / np.linalg.norm(fields.astype(float)))


def row(name: str, *numbers: Any) -> None:
    print(f"{name:34s}" + "".join(f"{n:>14}" for n in numbers), flush=True)


def flow(samples: int, rounds: int) -> None:
    """Fixed rates of frames that were not trained on."""
    training, tests = frames(samples, seed=0), frames(3, seed=10**6)
    row("flow", "ratio", "relative L2", "encode s", "decode s", "codebook")
    latent = tuple(CELLS // p for p in PATCH)
    for stages in (1, 2, 4):
        scaled = unit_rms(training)[0]
        options = {"patch": PATCH, "one_each": True, "rounds": rounds}
        spent, (quantizer, _) = seconds(partial(train_vector_quantizer, scaled, [latent] * stages, CODES, **options))
        codes(f"{stages} stages of 4 x 4, {CODES} codes", quantizer, tests)
        smoothed = partial(train_smoothing, quantizer, scaled, convolutions=min(stages, 2))
        more, (smoother, _) = seconds(smoothed)
        codes("    with convolutions", smoother, tests)
        print(f"#   trained in {spent:.1f} and {more:.1f} CPU s on {len(training)} frames", flush=True)
    sizes = [(2**k, 2**k) for k in range(6)]
    quantizer, _ = train_vector_quantizer(scaled, sizes, CODES, patch=PATCH, rounds=rounds)
    codes(f"scales 1 to 32, one codebook of {CODES}", quantizer, tests)
    codes("    with convolutions", train_smoothing(quantizer, scaled, convolutions=4)[0], tests)
    for tol in (0.0184, 0.0059):
        spent, packed = seconds(partial(list, map(partial(compress, tol=tol), tests[:, 0])))
        back, found = seconds(lambda p=packed: [part.decompress() for part in p])
        ratio, reached = tests.nbytes / sum(len(part.data) for part in packed), error(np.stack(found)[:, None], tests)
        row("transforms, no random access", f"{ratio:.1f}", f"{reached:.4f}", f"{spent:.3f}", f"{back:.3f}")
    zfp = peer("zfpy", "zfpy")
    for rate in (1, 2, 4) if zfp else ():
        spent, packed = seconds(
            partial(list, map(partial(zfp.compress_numpy, rate=rate, write_header=False), tests[:, 0]))
        )
        back, found = seconds(partial(unpacked, zfp, packed, rate))
        ratio = tests.nbytes / sum(map(len, packed))
        row(
            f"zfp, rate {rate}",
            f"{ratio:.1f}",
            f"{error(np.stack(found)[:, None], tests):.4f}",
            f"{spent:.3f}",
            f"{back:.3f}",
        )


def unpacked(zfp: Any, packed: list[bytes], rate: int) -> list[np.ndarray]:
    """Return the frames of zfp's streams without headers."""
    kind = zfp.dtype_to_ztype(np.dtype(np.float32))
    return [zfp._decompress(part, kind, (CELLS, CELLS), rate=rate) for part in packed]


def codes(name: str, quantizer: MultiScaleVQ, tests: np.ndarray) -> None:
    """Print ratio and error of a quantizer."""
    spent, coded = seconds(lambda: encode_fields(quantizer, tests))
    back, found = seconds(lambda: coded.decode(quantizer))
    kept = sum(a.nbytes for a in (quantizer.codebook, *(quantizer.smoothing or ())))
    book = f"{kept // 1024} kB"
    row(name, f"{tests.nbytes / coded.nbytes:.1f}", f"{error(found, tests):.4f}", f"{spent:.3f}", f"{back:.3f}", book)


def digits(rounds: int) -> None:
    """Tokens of digits from coarse to fine, and at the finest scale alone."""
    datasets = peer("sklearn.datasets", "scikit-learn")
    if datasets is None:
        return
    x = datasets.load_digits().images[:, None] / 16.0
    x = x[np.random.default_rng(0).permutation(len(x))]
    training, tests = x[:1400] - x[:1400].mean(), x[1400:] - x[:1400].mean()
    row("digits: squared relative error", *(f"scale {s[0]}" for s in DIGIT_SCALES))
    for scales in (DIGIT_SCALES, DIGIT_SCALES[-1:]):
        quantizer, history = train_vector_quantizer(training, scales, 64, patch=(2, 2), zero_code=True, rounds=rounds)
        found = quantizer.relative_errors(tests, quantizer.encode(tests)) ** 2
        row(f"{quantizer.n_codes} tokens, 64 codes", *[""] * (4 - len(found)), *(f"{e:.3f}" for e in found))
        use = [f"{history.metrics[f'perplexity_{k}'][-1]:.1f}" for k in range(len(scales))]
        row("    perplexity of the codes", *[""] * (4 - len(found)), *use)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("flow", "digits"))
    parser.add_argument("--samples", type=int, default=10, help="flows to train on, of 8 frames each")
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    if args.only != "digits":
        flow(args.samples, args.rounds)
    if args.only != "flow":
        digits(args.rounds)


if __name__ == "__main__":
    main()
