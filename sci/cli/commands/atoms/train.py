"""`sci atoms train DATA.extxyz -o MODEL.h5`: a potential of atoms from configurations with labels."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sci.atomistic import (
    AtomisticConfig,
    AtomisticPotential,
    Configuration,
    PotentialTraining,
    prediction_errors,
    train_potential,
)
from sci.atomistic.config import names_in
from sci.cli.common import chosen_namespace, load_as, saver_of, write_trained
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.estimates.networks.atoms import potential_needs, training_bound
from sci.cli.outcome import computing, require_writable, tell
from sci.cli.sharing import from_first
from sci.distributed import size
from sci.errors import FileFormatError, InvalidValueError
from sci.io import read_configurations
from sci.nn import Checkpoint

__all__ = ["configurations_of", "labelled", "run"]


@dataclass(frozen=True)
class _Data:
    """Configurations to train on and to test, and the checkpoint to go on from."""

    configurations: list[Configuration]
    tests: dict[str, list[Configuration]]
    resume: Checkpoint | None


def run(a: argparse.Namespace) -> None:
    """Train a potential and write it."""
    chosen_namespace(a, on_device=False)
    outputs = [p for p in (a.output, a.checkpoint) if p]
    inputs = [p for p in (a.input, a.test) if p]
    require_writable(outputs, inputs, overwrite=a.overwrite, continued=[a.resume], comm=a.comm)
    data = from_first(a.comm, lambda: _read(a))
    config = PotentialTraining(
        *(a.epochs, a.batch, a.learning_rate, a.energy_weight, a.force_weight, a.stress_weight),
        horizon=a.horizon,
        average=a.average,
        patience=a.patience,
    )
    if a.patience is not None and not data.tests:
        raise InvalidValueError("--patience watches the errors on --test; give it, or leave --patience out")
    potential = AtomisticPotential(_config(a, data), seed=a.seed, dtype=_dtype(a))
    if not _fits(a, potential, data, config):
        return

    start = time.perf_counter()
    trained, history = train_potential(
        *(potential, data.configurations, config),
        tests=data.tests,
        seed=a.seed,
        save=saver_of(a),
        resume=data.resume,
        comm=a.comm,
    )
    with computing():
        shown = {"": data.configurations, **{f"_{name}": some for name, some in data.tests.items()}}
        errors = {name: prediction_errors(trained, some, comm=a.comm) for name, some in shown.items()}
    if not write_trained(a, trained, history):
        return
    report: dict[str, Any] = {
        "model": str(a.output),
        "species": list(trained.config.species),
        "parameters": trained.n_parameters,
        "configurations": len(data.configurations),
        "steps": history.step,
        "loss": float(history.losses[-1]),
    }
    report |= {f"{kind}{name}": value for name, found in errors.items() for kind, value in found.items()}
    report["seconds"] = time.perf_counter() - start
    tell(a, report, _rows(report))


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    rows = [
        ("species", ", ".join(report["species"])),
        ("parameters", str(report["parameters"])),
        ("configurations", str(report["configurations"])),
        ("steps", f"{report['steps']}, last loss {report['loss']:.3e}"),
    ]
    for suffix, where in (("", "errors"), ("_test", "errors of the test")):
        found = {name: report[f"{name}{suffix}"] for name in LABELS if f"{name}{suffix}" in report}
        if found:
            rows.append((where, labelled(found)))
    return [*rows, ("seconds", f"{report['seconds']:.2f}"), (report["model"], "")]


LABELS = ("energy", "force", "force_relative", "stress")


def labelled(errors: dict[str, float]) -> str:
    """Return root mean squares of errors as one line.

    >>> labelled({"energy": 0.0021, "force": 0.05, "force_relative": 0.031})
    'energy 2.1 meV an atom, forces 50 meV/angstrom (3.1 %)'
    """
    parts = []
    if "energy" in errors:
        parts.append(f"energy {1e3 * errors['energy']:.3g} meV an atom")
    if "force" in errors:
        relative = f" ({100 * errors['force_relative']:.2g} %)" if "force_relative" in errors else ""
        parts.append(f"forces {1e3 * errors['force']:.3g} meV/angstrom{relative}")
    if "stress" in errors:
        parts.append(f"stress {1e3 * errors['stress']:.3g} meV/angstrom^3")
    return ", ".join(parts)


def _dtype(a: argparse.Namespace) -> Any:
    return np.float32 if a.precision == "single" else np.float64


def _config(a: argparse.Namespace, data: _Data) -> AtomisticConfig:
    """Return the potential's choices."""
    charges: Any = None
    start: Any = None
    if a.charges is not None:
        pairs = dict(a.charges)
        charges = "given" if "given" in pairs else pairs
        if len(pairs) != len(a.charges) or ("given" in pairs and len(pairs) > 1):
            raise InvalidValueError("--charges names a species twice, or `given` beside charges; expected one of each")
        if "learned" in pairs:
            charges = "learned"
            start = {name: q for name, q in pairs.items() if name != "learned"} or None
    message_degree = min(1, a.degree) if a.message_degree is None else a.message_degree
    return AtomisticConfig(
        names_in([one.species for one in data.configurations]),
        *(a.cutoff, a.layers, a.channels, a.degree, message_degree, a.correlation, a.radial),
        charges=charges,
        tol=a.tol,
        charge_start=start,
    )


def _fits(a: argparse.Namespace, potential: AtomisticPotential, data: _Data, config: PotentialTraining) -> bool:
    """Return True if the training fits into memory and disk and is to be done."""
    arrays, weights = len(potential.parameters), float(sum(p.nbytes for p in potential.parameters.values()))
    copies = 3 + (config.average is not None) + (config.patience is not None)
    checkpoint = 2 * file_bytes(copies * weights, copies * arrays) if a.checkpoint else 0.0
    return goes_on(
        a,
        lambda: potential_needs(potential, data.configurations, config, size(a.comm)),
        bound=training_bound(potential, data.configurations, config.batch_size),
        disk=file_bytes(weights, arrays) + checkpoint,
        outputs=[a.output, a.checkpoint],
        remedy="use a smaller --batch, --channels or --cutoff",
        about={"parameters": potential.n_parameters, "configurations": len(data.configurations)},
    )


def configurations_of(a: argparse.Namespace, path: Path) -> list[Configuration]:
    """Read the configurations of a file; labels that were named and are in no frame are refused."""
    names = {"energy": a.energy_name, "forces": a.forces_name, "stress": a.stress_name}
    found = read_configurations(path, **names)
    for label, name in names.items():
        if name != label and all(getattr(one, label) is None for one in found):
            raise FileFormatError(f"{path}: no frame has {name!r}, of --{label}-name; expected the name of a label")
    return found


def require_charges(path: Path, configurations: list[Configuration]) -> None:
    """Refuse a file whose frames lack the charges that a potential takes from it."""
    for which, one in enumerate(configurations):
        if one.charges is None:
            raise FileFormatError(
                f"{path}: frame {which} (counted from 0) has no charges, and the potential takes those of the file; "
                "expected initial_charges:R:1 in Properties"
            )


def _read(a: argparse.Namespace) -> _Data:
    """Read configurations, tests, and the checkpoint to go on from."""
    found = configurations_of(a, a.input)
    for which, one in enumerate(found):
        if one.energy is None and one.forces is None and one.stress is None:
            raise FileFormatError(
                f"{a.input}: frame {which} (counted from 0) has no {a.energy_name}, {a.forces_name} or "
                f"{a.stress_name}; expected one at least: name them by --energy-name, --forces-name, --stress-name"
            )
    tests = {"test": configurations_of(a, a.test)} if a.test else {}
    if a.charges is not None and "given" in dict(a.charges):
        require_charges(a.input, found)
        require_charges(a.test, tests.get("test", []))
    resume = load_as(a.resume, Checkpoint, "a checkpoint of a training") if a.resume else None
    return _Data(found, tests, resume)
