"""Errors and times of potentials of atoms: what the long range is worth, other potentials learned, time an atom.

    OMP_NUM_THREADS=1 python benchmarks/atomistic.py [--only melt|gas|emt|lj|times] [--plot FILE.png]

`melt` and `gas`: molten sodium chloride at 1.5 g/cm^3 and 1,300 K, and a gas of ions of a tenth of that density at
3,000 K, by `sci.atomistic.ionic_melt`; the same network, data and steps without charges, with those of the ions, and
with charges learned from `--start` times these; errors on ten other configurations. `emt` and `lj`: copper by ASE's
effective medium theory, argon by Lennard-Jones (extra `structures`).
`times`: CPU seconds an atom of energies and forces, and of a step of training, on one thread. `--plot` draws forces of
`melt` and `gas` beside the truth.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.atomistic import (
    AtomisticConfig,
    AtomisticPotential,
    Configuration,
    PotentialTraining,
    ionic_melt,
    predict_configurations,
    train_potential,
)

SETS: dict[str, dict[str, Any]] = {
    "melt": {"between": 25, "density": 1.5, "temperature": 1300.0},
    "gas": {"between": 40, "density": 0.15, "temperature": 3000.0},
}
CHARGES = {"Na": 1.0, "Cl": -1.0}
TRAINING = PotentialTraining(epochs=60, batch_size=2)
TRAINED = 30


def learn(name: str, data: list[Configuration], **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Train on the first configurations, print the errors on the others, and return their forces, true and found."""
    species = sorted(set(data[0].species))
    start = time.process_time()
    potential = AtomisticPotential(AtomisticConfig(species, cutoff=5.0, channels=8, **options), seed=0)
    trained, _ = train_potential(potential, data[:TRAINED], TRAINING)
    seconds = time.process_time() - start
    found = predict_configurations(trained, data[TRAINED:])
    errors = found.errors
    print(
        f"{name:28} forces {1e3 * errors['force']:7.1f} meV/angstrom {100 * errors['force_relative']:6.2f} %   "
        f"energy {1e3 * errors['energy']:7.3f} meV an atom   training {seconds:.0f} s"
    )
    if options.get("charges") == "learned":
        made = np.concatenate([trained.charges(one) for one in data[TRAINED:]])
        kinds = np.concatenate([one.species for one in data[TRAINED:]])
        told = (f"{s} {made[kinds == s].mean():.3f}, spread {made[kinds == s].std():.3f}" for s in species)
        print(f"{'':28} charges {'; '.join(told)}")
    forces = [one.forces for one in data[TRAINED:]], [one.forces for one in found.predictions]
    return np.concatenate(forces[0]), np.concatenate(forces[1])


def ions(name: str, part: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the forces on ions with and without the long range."""
    data = ionic_melt(16, TRAINED + 10, start=400, seed=1, **SETS[name])
    rms = np.sqrt(np.mean([one.forces**2 for one in data]))
    edge = data[0].volume ** (1 / 3)
    print(f"{name}: 32 ions in a cell of {edge:.1f} angstrom, forces of {1e3 * rms:.0f} meV/angstrom")
    start = {species: part * q for species, q in CHARGES.items()}
    return {
        "short range alone": learn("  short range alone", data),
        "with the long range": learn("  with the long range", data, charges=CHARGES),
        "with learned charges": learn("  with learned charges", data, charges="learned", charge_start=start),
    }


def crystals(kind: str) -> list[Configuration]:
    """Return disturbed crystals with the energies, forces and stresses of a calculator of ASE."""
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.calculators.lj import LennardJones

    rng, found = np.random.default_rng(0), []
    for _ in range(TRAINED + 10):
        if kind == "emt":
            atoms = bulk("Cu", cubic=True) * (2, 2, 2)
            atoms.calc = EMT()
        else:
            atoms = bulk("Ar", "fcc", a=5.3, cubic=True) * (2, 2, 2)
            atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=9.0, smooth=True)
        atoms.set_cell(np.array(atoms.cell) @ (np.eye(3) + 0.02 * rng.normal(size=(3, 3))), scale_atoms=True)
        atoms.positions += (0.12 if kind == "emt" else 0.25) * rng.normal(size=atoms.positions.shape)
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        labels["stress"] = atoms.get_stress(voigt=False)
        found.append(Configuration(atoms.get_chemical_symbols(), atoms.positions, np.array(atoms.cell), **labels))
    return found


def times() -> None:
    """Print CPU times an atom."""
    rng = np.random.default_rng(0)
    sites = 2.55 * np.stack(np.meshgrid(*[np.arange(10)] * 3), axis=-1).reshape(-1, 3)
    places, cell = sites + 0.1 * rng.normal(size=sites.shape), 25.5 * np.eye(3)
    atoms = Configuration(("Cu",) * 1000, places, cell, energy=0.0, forces=np.zeros((1000, 3)))
    for channels, layers in ((8, 1), (8, 2), (16, 2), (32, 2)):
        for dtype in (np.float64, np.float32):
            potential = AtomisticPotential(
                AtomisticConfig(["Cu"], cutoff=5.0, channels=channels, layers=layers), dtype=dtype
            )
            pairs = int(potential.neighborhood(atoms).present.sum()) / atoms.n
            forces = seconds(lambda potential=potential: potential(atoms)) / atoms.n  # type: ignore[misc]
            step = PotentialTraining(epochs=1, batch_size=1)
            trained = seconds(lambda p=potential, s=step: train_potential(p, [atoms], s)) / atoms.n  # type: ignore[misc]
            print(
                f"{layers} layers, {channels:2} channels, {np.dtype(dtype).name}, {pairs:.0f} neighbors: forces "
                f"{1e6 * forces:5.0f} us an atom, a step of training {1e6 * trained:5.0f}"
            )


def seconds(run: Callable[[], Any]) -> float:
    """Return the least CPU time of three runs."""
    run()
    taken = []
    for _ in range(3):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


def plot(found: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]], path: str) -> None:
    """Draw forces that were found over true ones."""
    import matplotlib.pyplot as plt

    names = {"melt": "molten NaCl, 1.5 g/cm³", "gas": "gas of ions, 0.15 g/cm³"}
    figure, axes = plt.subplots(1, len(found), figsize=(4.2 * len(found), 4), squeeze=False)
    for axis, (name, pairs) in zip(axes[0], found.items()):
        for (label, (truth, forces)), color in zip(pairs.items(), ("#c44e52", "#2b5d8a", "#55a868")):
            error = 100 * np.sqrt(((forces - truth) ** 2).mean() / (truth**2).mean())
            axis.plot(truth.ravel(), forces.ravel(), ".", ms=2.5, color=color, label=f"{label}: {error:.1f} %")
        ends = [float(truth.min()), float(truth.max())]
        axis.plot(ends, ends, color="gray", lw=0.6)
        axis.set(title=names[name], xlabel="force component (eV/Å)", ylabel="prediction (eV/Å)")
        axis.legend(frameon=False, markerscale=4, loc="upper left")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=("melt", "gas", "emt", "lj", "times"))
    parser.add_argument("--plot")
    parser.add_argument("--start", type=float, default=0.5)
    a = parser.parse_args()
    chosen = a.only or ["melt", "gas", "emt", "lj", "times"]
    found = {name: ions(name, a.start) for name in chosen if name in SETS}
    if a.plot:
        plot(found, a.plot)
    for name, title in (("emt", "copper, EMT of ASE"), ("lj", "argon, Lennard-Jones of ASE")):
        if name in chosen:
            learn(title, crystals(name))
    if "times" in chosen:
        times()


if __name__ == "__main__":
    main()
