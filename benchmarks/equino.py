"""EquiNO beside the FFT solver that it replaces: error of the stress, training cost, and time for each strain.

OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/equino.py [STEPS]

A cell of 25 x 25 pixels with a circular inclusion in a saturating matrix, strains up to 0.04 in each component; 50
snapshots, 16 modes, 512 collocation strains without labels, 40 test strains. Process CPU time, one thread.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from scipy.stats import qmc

from sci.applications import (
    EquiNO,
    LinearElastic,
    PeriodicRVE,
    Saturating,
    circular_inclusions,
    frobenius,
    pod_modes,
    snapshots,
)

N_MODES, N_SNAPSHOTS = 16, 50


def strains(n: int, seed: int) -> np.ndarray:
    points: np.ndarray = 0.04 * (2 * qmc.LatinHypercube(3, seed=seed).random(n) - 1)
    return points


def relative(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.sqrt(frobenius(found - exact, found - exact).sum() / frobenius(exact, exact).sum()))


def projected(fields: np.ndarray, modes: np.ndarray) -> np.ndarray:
    weight = np.array([1.0, 1.0, 2.0])[:, None, None]
    coefficients = np.tensordot(weight * fields, modes, ([1, 2, 3], [1, 2, 3])) / fields[0, 0].size
    return np.tensordot(coefficients, modes, 1)


def main(steps: int) -> None:
    rve = PeriodicRVE(
        circular_inclusions(25, [(0.5, 0.5, 0.25)]), [Saturating(4.78e3, 50.0, 0.06), LinearElastic(4.345e4, 2.992e4)]
    )
    start = time.process_time()
    fluctuation, stress = snapshots(rve, strains(N_SNAPSHOTS, 0))
    snapshot_seconds = time.process_time() - start
    test = strains(40, 1)
    start = time.process_time()
    exact_strain, exact = snapshots(rve, test)
    solve_seconds = (time.process_time() - start) / len(test)
    strain_modes, stress_modes = (pod_modes(fields, N_MODES)[0] for fields in (fluctuation, stress))
    operator = EquiNO(rve.composite, strain_modes, stress_modes, seed=0)
    start = time.process_time()
    losses = operator.fit(strains(512, 2), steps=steps)
    training_seconds = time.process_time() - start
    found = operator.predict(test)
    many = strains(4096, 3)
    operator.predict(many)
    start = time.process_time()
    operator.predict(many)
    predict_seconds = (time.process_time() - start) / len(many)
    start = time.process_time()
    _, coefficients = operator.solve_coefficients(test)
    reduced_seconds = (time.process_time() - start) / len(test)
    strain = operator.strain(test)
    gap = rve.composite.stress(strain) - found.stress
    total = snapshot_seconds + training_seconds
    mean = exact.mean(axis=(-2, -1))
    k = np.fft.fftfreq(25, 1 / 25)
    xx, yy, xy = np.moveaxis(np.fft.fft2(found.stress), 1, 0)
    parts = np.stack([k[:, None] * xx, k * yy])
    divergence = parts + np.stack([k * xy, k[:, None] * xy])
    rows = (
        ("FFT solver", 1e3 * solve_seconds, "ms a strain"),
        ("EquiNO, in batches", 1e3 * predict_seconds, f"ms a strain: {solve_seconds / predict_seconds:.0f} times less"),
        ("snapshots and training", total, f"s, repaid after {total / (solve_seconds - predict_seconds):.0f} strains"),
        ("reduced problem", 1e3 * reduced_seconds, f"ms a strain: {solve_seconds / reduced_seconds:.0f} times less"),
        ("its stress field", relative(np.tensordot(coefficients, stress_modes, 1), exact), "relative L2"),
        ("training, stress", losses["stress"][-1] ** 0.5, "relative error of the coefficients"),
        ("strain field", relative(strain, exact_strain + test[:, :, None, None]), "relative L2"),
        ("constitutive gap", relative(found.stress + gap, found.stress), "of the stress, needs no solver"),
        ("stress field", relative(found.stress, exact), "relative L2"),
        (f"best of {N_MODES} modes", relative(projected(exact, stress_modes), exact), "relative L2"),
        ("homogenized stress", float(np.linalg.norm(found.mean_stress - mean) / np.linalg.norm(mean)), "relative"),
        ("divergence of the stress", float(np.linalg.norm(divergence) / np.linalg.norm(parts)), "relative"),
    )
    for name, value, text in rows:
        print(f"{name:26s}{value:12.4g} {text}")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:] or (1500,)))
