"""Errors of operators trained on small Darcy flow and on Burgers' equation, by the peer's config and by a better one.

    OMP_NUM_THREADS=1 SCI_TEST_DATA=... python benchmarks/operator_training.py [--runs RUN ...] [--seeds 0 1 2]
    OMP_NUM_THREADS=1 python benchmarks/operator_training.py --runs mg-tfno [--samples N] [--epochs E] [--time T]
    python benchmarks/operator_training.py --launches

Darcy: 1000 samples of 16 x 16 points, tested on 50 of 16 x 16 and of 32 x 32; 8 x 8 modes, 32 channels, 4 layers;
"fno" is dense (340,833 parameters), "tfno" Tucker with rank 0.1 (49,977). Burgers: 800 samples of the first state on
16 points to the last, tested on 400; 8 modes, 32 channels.

"reference" is the config of the neuraloperator library's examples: 20 epochs in the order of the file, batches of 32,
AdamW 8e-3 with weight decay 1e-4, a cosine over 30 epochs, H1 loss. "better" sees as many samples: 20 passes, shuffled,
each sample in one of the eight symmetries of the square, drawn at random, batches of 16, AdamW 4e-3 with weight decay
1e-2 (tfno: 5e-3, 1e-4), a cosine that reaches 0 with the last step. (Burgers: 20 epochs, batches of 16, no symmetries.)

"mg-tfno" compresses an operator in its weights and in its domain: Navier-Stokes vorticity, viscosity 1e-4, from its
start to --time on 64 x 64 points of the torus, tested on 50 samples that no training saw. A dense FNO of 32 x 32 modes
and 32 channels; a TFNO with a 150th of its parameters; the same on multi-grid patches, with coordinates of the whole
torus; and two controls: a dense FNO with as many parameters as the TFNO, and the patches without coordinates. All are
trained alike.

`--launches` counts by cause what a step asks of a device, on the stand-in for CuPy of the tests: no GPU runs.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sci.backend import to_device
from sci.io import load_samples
from sci.nn import AdamW, RecordedStep, relative_l2, value_and_gradients
from sci.operators import FNO, TFNO, MultigridPatches, TrainingConfig, as_fields, train_operator
from sci.problems import navier_stokes

MODELS = {"fno": FNO, "tfno": TFNO}
# That library sums the loss over a batch: beside means eps is a 32nd of it, and the last 8 samples count as 8.
# It also takes Darcy flow for periodic.
REFERENCE = TrainingConfig(
    epochs=20, horizon=30, each_step=False, shuffle=False, equal_samples=True, eps=1e-8 / 32, periodic=True
)
BETTER = {
    "fno": TrainingConfig(epochs=20, batch_size=16, learning_rate=4e-3, weight_decay=1e-2, periodic=True),
    "tfno": TrainingConfig(epochs=20, batch_size=16, learning_rate=5e-3, weight_decay=1e-4, periodic=True),
}
RUNS = [
    f"{problem}-{model}-{config}"
    for problem in ("darcy", "burgers")
    for model in MODELS
    for config in ("reference", "better")
]


def darcy(folder: Path, model_name: str, better: bool, seed: int) -> dict[str, float]:
    """Return the errors of one training on Darcy flow."""
    samples = {
        n: tuple(as_fields(a, 2) for a in load_samples(folder / f"darcy_{n}.h5"))
        for n in ("train_16", "test_16", "test_32")
    }
    x, y = samples["train_16"]
    model = MODELS[model_name]((8, 8), 1, 1, 32, seed=seed)
    config = REFERENCE
    if better:
        config = replace(BETTER[model_name], square=True, periodic=False)
    tests = {"16": samples["test_16"], "32": samples["test_32"]}
    _, history = train_operator(model, x, y, config, tests=tests, seed=seed)
    return {name: float(values[-1]) for name, values in history.metrics.items()}


def burgers(folder: Path, model_name: str, better: bool, seed: int) -> dict[str, float]:
    """Return the errors of one training on Burgers' equation."""
    import h5py

    def read(name: str) -> tuple[np.ndarray, np.ndarray]:
        with h5py.File(folder / f"burgers_{name}_16.h5") as file:
            return as_fields(file["x"][()].astype(np.float32), 1), as_fields(file["y"][:, -1].astype(np.float32), 1)

    model = MODELS[model_name]((8,), 1, 1, 32, seed=seed)
    config = BETTER[model_name] if better else REFERENCE
    _, history = train_operator(model, *read("train"), config, tests={"16": read("test")}, seed=seed)
    return {name: float(values[-1]) for name, values in history.metrics.items()}


COMPRESSION, TESTS = 150, 50
MODES, WIDTH = (32, 32), 32


def compressed(channels: int, modes: tuple[int, int], parameters: int, seed: int, positional_grid: bool) -> TFNO:
    """Return the TFNO whose number of parameters is the closest to `parameters` from below."""
    low, high = 1e-5, 1.0
    for _ in range(40):
        share = (low * high) ** 0.5
        model = TFNO(modes, channels, 1, WIDTH, rank_fraction=share, seed=seed, positional_grid=positional_grid)
        low, high = (share, high) if model.n_parameters <= parameters else (low, share)
    return TFNO(modes, channels, 1, WIDTH, rank_fraction=low, seed=seed, positional_grid=positional_grid)


def small_dense(parameters: int, seed: int) -> FNO:
    """Return the dense FNO of 12 x 12 modes with the most channels that `parameters` allow."""
    models = [FNO((12, 12), 1, 1, width, seed=seed) for width in range(4, 13)]
    return max((m for m in models if m.n_parameters <= parameters), key=lambda m: m.n_parameters)


def mg_tfno(n_samples: int, epochs: int, end: float, seed: int) -> None:
    """Train the operators of one table and print a line for each: parameters, domain, error, CPU time."""
    start = time.process_time()
    x, y = navier_stokes(n_samples + TESTS, 64, viscosity=1e-4, time=end, time_step=1e-2, seed=seed)
    x, y = as_fields(x, 2).astype(np.float32), as_fields(y[:, 0], 2).astype(np.float32)
    seconds = time.process_time() - start
    print(f"{n_samples} samples to time {end:g}, {epochs} passes, seed {seed}; data CPU {seconds:.0f} s", flush=True)
    dense = FNO(MODES, 1, 1, WIDTH, seed=seed)
    few = dense.n_parameters // COMPRESSION
    cut, blind = (MultigridPatches(1, 1 / 16, positional_grid=flag) for flag in (True, False))
    within = (20, 20)  # modes of a window of 40 x 40 points, as many per length as 32 on 64
    runs: list[tuple[str, FNO, MultigridPatches | None]] = [
        ("dense FNO", dense, None),
        ("TFNO", compressed(1, MODES, few, seed, True), None),
        ("TFNO on patches", compressed(cut.channels(1, 2), within, few, seed, False), cut),
        ("patches, no coordinates", compressed(blind.channels(1, 2), within, few, seed, False), blind),
        ("small dense FNO", small_dense(few, seed), None),
    ]
    test = {"64": (x[n_samples:], y[n_samples:])}
    config = TrainingConfig(epochs, 4, 4e-3, loss="l2", periodic=True)
    for name, model, patches in runs:
        start = time.process_time()
        _, history = train_operator(
            model, x[:n_samples], y[:n_samples], config, patches=patches, tests=test, standardize_inputs=True, seed=seed
        )
        points = (64, 64) if patches is None else patches.window((64, 64))
        print(
            f"{name:24}{model.n_parameters:>10,} parameters (1/{dense.n_parameters / model.n_parameters:.0f})  "
            f"{points[0]} x {points[1]} points  training {history.losses[-5:].mean():.3f}  "
            f"test {history.metrics['l2_64'][-1]:.4f}  CPU {time.process_time() - start:.0f} s",
            flush=True,
        )


CAUSES = (
    ("_pad", "weights with room for a tile"),
    ("_ends|require_finite", "check of Adam's moments"),
    ("nn/optim/", "Adam"),
    ("losses.py|tape.py", "loss and its derivative"),
    ("coordinates.py|shaping.py", "coordinates beside the field"),
    ("outer_sum", "products and sums for gradients"),
    ("launch.py", "transforms, mixing, pointwise layers"),
    ("perceptron.py|pointwise.py", "products and sums for gradients"),
    ("", "bias, column weights, sum of gradients"),
)
"""What the code says that asked, in the order of the choice, and what it is called."""


def step_launches() -> None:
    """Print the launches of a training step by cause, and those of a recorded step."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "cases"))
    import fake_cupy

    xp = fake_cupy.make()
    sys.modules["cupy"] = xp
    model, rng, optimizer = FNO((16, 16), 1, 1, 32), np.random.default_rng(0), AdamW(1e-3)
    own = {name: to_device(p, xp) for name, p in model.parameters.items()}
    x, y = (to_device(rng.normal(size=(2, 1, 32, 32)).astype("f4"), xp) for _ in "xy")
    state, found = optimizer.start(own), Counter()
    done = fake_cupy._done

    def counted(again: Any) -> None:
        frames = [f for f in traceback.extract_stack() if "/sci/" in f.filename]
        kernel = "launch.py " if frames[-1].filename.endswith("kernels/launch.py") else ""
        last = next(f for f in reversed(frames) if not f.filename.endswith("kernels/launch.py"))
        where = f"{kernel}{last.filename.partition('/sci/')[2]} {last.name}"
        found[next(name for pattern, name in CAUSES if re.search(pattern, where))] += 1
        done(again)

    fake_cupy._done = counted
    for step in (1, 2):
        found.clear()
        _, gradients = value_and_gradients(lambda v: relative_l2(model.forward(v, x), target=y), own)
        optimizer.update(own, gradients, state, step, 1.0)
    for name, count in found.most_common():
        print(f"{name:<40}{count:>5}")
    print(f"{'all':<40}{found.total():>5}")
    recorded = RecordedStep(lambda v, b: relative_l2(model.forward(v, b[0]), target=b[1]), own, optimizer, (x, y))
    with fake_cupy.counting() as asked:
        recorded((x, y))
        print(f"{recorded!r}: {dict(asked)}, of which two launches copy the batch and one the optimizer's numbers")


def main() -> None:
    """Run the trainings that are asked for and print a line for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", nargs="+", choices=[*RUNS, "mg-tfno"], default=RUNS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    flow = parser.add_argument_group("mg-tfno")
    flow.add_argument("--samples", type=int, default=1000)
    flow.add_argument("--epochs", type=int, default=30)
    flow.add_argument("--time", type=float, default=5.0)
    parser.add_argument("--launches", action="store_true")
    arguments = parser.parse_args()
    if arguments.launches:
        step_launches()
        return
    if "mg-tfno" in arguments.runs:
        for seed in arguments.seeds:
            mg_tfno(arguments.samples, arguments.epochs, arguments.time, seed)
        arguments.runs.remove("mg-tfno")
    folder = Path(os.environ.get("SCI_TEST_DATA", "")) / "operators"
    for run in arguments.runs:
        problem, model, config = run.split("-")
        found = []
        for seed in arguments.seeds:
            start = time.process_time()
            errors = {"darcy": darcy, "burgers": burgers}[problem](folder, model, config == "better", seed)
            text = "  ".join(f"{name} {error:.4f}" for name, error in errors.items())
            print(f"{run:24} seed {seed}  {text}  CPU {time.process_time() - start:.0f} s", flush=True)
            found.append(errors)
        mean = "  ".join(f"{name} {np.mean([e[name] for e in found]):.4f}" for name in found[0])
        print(f"{run:24} mean    {mean}", flush=True)


if __name__ == "__main__":
    main()
