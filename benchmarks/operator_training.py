"""Errors of operators trained on small Darcy flow and on Burgers' equation, by the peer's config and by a better one.

    OMP_NUM_THREADS=1 SCI_TEST_DATA=... python benchmarks/operator_training.py [--runs RUN ...] [--seeds 0 1 2]

Darcy: 1000 samples of 16 x 16 points, tested on 50 of 16 x 16 and of 32 x 32; 8 x 8 modes, 32 channels, 4 layers;
"fno" is dense (340,833 parameters), "tfno" Tucker with rank 0.1 (49,977). Burgers: 800 samples of the first state on
16 points to the last, tested on 400; 8 modes, 32 channels.

"reference" is the config of the neuraloperator library's examples: 20 epochs in the order of the file, batches of 32,
AdamW 8e-3 with weight decay 1e-4, a cosine over 30 epochs, H1 loss. "better" sees as many samples: 20 passes, shuffled,
each sample in one of the eight symmetries of the square, drawn at random, batches of 16, AdamW 4e-3 with weight decay
1e-2 (tfno: 5e-3, 1e-4), a cosine that reaches 0 with the last step. (Burgers: 20 epochs, batches of 16, no symmetries.)
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from sci.io import load_samples
from sci.operators import FNO, TFNO, TrainingConfig, as_fields, train_operator

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


def main() -> None:
    """Run the trainings that are asked for and print a line for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    folder = Path(os.environ["SCI_TEST_DATA"]) / "operators"
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
