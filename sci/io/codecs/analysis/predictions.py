"""Predictions of potentials of atoms in files."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from sci.atomistic import Configuration, Prediction, Predictions
from sci.errors import FileFormatError, SciError
from sci.io.core.datasets import Group, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec

__all__: list[str] = []

KNOWN = ("cell", "charges", "energy", "forces", "stress", "predicted_stress")
"""Columns of `known`: which of these a configuration has; zeros stand for the others."""


@codec(Predictions, kind="atomic_predictions")
class _PredictionsCodec:
    """Attribute `species` (JSON), the names; by atom, the configurations one after the other: `species_numbers`,
    `positions`, `charges`, `forces`, `predicted_forces`; by configuration: `atom_counts`, `cells`, `periodic`,
    `energies`, `predicted_energies`, `stresses`, `predicted_stresses`, and `known`, which of cell, charges, energy,
    forces, stress and predicted stress there are: zeros stand for the others."""

    @staticmethod
    def write(group: Group, object: Predictions) -> None:
        ones, found = object.configurations, object.predictions
        names = sorted({name for one in ones for name in one.species})
        write_text(group, "species", json.dumps(names))
        numbers = [names.index(name) for one in ones for name in one.species]
        known = [
            [getattr(one, n) is not None for n in KNOWN[:5]] + [p.stress is not None] for one, p in zip(ones, found)
        ]
        configuration, atom, matrix = ("configuration",), ("atom",), ("configuration", "row", "column")
        write_array(group, "atom_counts", np.array([one.n for one in ones], np.int64), "1", configuration)
        write_array(group, "known", np.array(known, np.uint8), "1", ("configuration", "label"))
        write_array(
            group, "periodic", np.array([one.periodic for one in ones], np.uint8), "1", ("configuration", "axis")
        )
        write_array(group, "species_numbers", np.array(numbers, np.int64), "1", atom)
        by_atom = {
            "positions": ([one.positions for one in ones], "angstrom"),
            "charges": ([np.zeros(one.n) if one.charges is None else one.charges for one in ones], "e"),
            "forces": ([np.zeros((one.n, 3)) if one.forces is None else one.forces for one in ones], "eV/angstrom"),
            "predicted_forces": ([p.forces for p in found], "eV/angstrom"),
        }
        for name, (arrays, units) in by_atom.items():
            joined = np.concatenate([np.asarray(a, dtype=np.float64) for a in arrays])
            write_array(group, name, joined, units, ("atom", "xyz")[: joined.ndim])
        energies = {"energies": [one.energy or 0.0 for one in ones], "predicted_energies": [p.energy for p in found]}
        for name, values in energies.items():
            write_array(group, name, np.array(values), "eV", configuration)
        zero = np.zeros((3, 3))
        matrices: dict[str, tuple[list[Any], str]] = {
            "cells": ([one.cell for one in ones], "angstrom"),
            "stresses": ([one.stress for one in ones], "eV/angstrom^3"),
            "predicted_stresses": ([p.stress for p in found], "eV/angstrom^3"),
        }
        for name, (tensors, units) in matrices.items():
            write_array(group, name, np.array([zero if t is None else t for t in tensors]), units, matrix)

    @staticmethod
    def read(group: Group) -> Predictions:
        names = json.loads(read_text(group, "species"))
        counts = read_array(group, "atom_counts", (None,), ("i8",))
        n, atoms = len(counts), int(counts.sum())
        numbers = read_array(group, "species_numbers", (atoms,), ("i8",))
        if not isinstance(names, list) or counts.min(initial=1) < 1 or not _within(numbers, len(names)):
            raise FileFormatError(f"the species or counts of {group.name} are damaged; make the file again")
        known = read_array(group, "known", (n, len(KNOWN)), ("u1",)).astype(bool)
        periodic = read_array(group, "periodic", (n, 3), ("u1",)).astype(bool)
        shapes = {"positions": (atoms, 3), "charges": (atoms,), "forces": (atoms, 3), "predicted_forces": (atoms, 3)}
        shapes |= {"energies": (n,), "predicted_energies": (n,)}
        shapes |= dict.fromkeys(("cells", "stresses", "predicted_stresses"), (n, 3, 3))
        data = {name: read_array(group, name, shape) for name, shape in shapes.items()}
        ends = np.cumsum(counts)
        ones, found = [], []
        for k in range(n):
            own, has = slice(int(ends[k] - counts[k]), int(ends[k])), dict(zip(KNOWN, known[k].tolist()))
            try:
                one = Configuration(
                    [str(names[z]) for z in numbers[own]],
                    data["positions"][own],
                    data["cells"][k] if has["cell"] else None,
                    periodic[k].tolist(),
                    data["charges"][own] if has["charges"] else None,
                    float(data["energies"][k]) if has["energy"] else None,
                    data["forces"][own] if has["forces"] else None,
                    data["stresses"][k] if has["stress"] else None,
                )
            except SciError as error:
                raise FileFormatError(f"{group.name}: configuration {k}: {error}; the file is damaged") from error
            stress = data["predicted_stresses"][k] if has["predicted_stress"] else None
            ones.append(one)
            found.append(Prediction(float(data["predicted_energies"][k]), data["predicted_forces"][own], stress))
        return Predictions(ones, found)

    @staticmethod
    def n_bytes(object: Predictions) -> int:
        return sum(8 * (12 * one.n + 32) for one in object.configurations)


def _within(numbers: np.ndarray, count: int) -> bool:
    return numbers.size == 0 or (int(numbers.min()) >= 0 and int(numbers.max()) < count)
