"""Crystals, and models that make them, in files."""

from __future__ import annotations

import json

import numpy as np

from sci.atomistic import Configuration
from sci.errors import FileFormatError, SciError
from sci.generative import CrystalDiffusion, Crystals
from sci.generative.crystals.elements import SYMBOLS
from sci.io.codecs.models import model_codec
from sci.io.core.datasets import Group, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec

__all__: list[str] = []

model_codec(CrystalDiffusion, kind="crystal_diffusion")


@codec(Crystals, kind="crystals", units="angstrom")
class _CrystalsCodec:
    """`atom_counts` and `cells` (3, 3) by crystal; `numbers`, the atomic numbers, and `positions` by atom, the crystals
    one after the other; attribute `formulas` (JSON), for whoever reads the file."""

    @staticmethod
    def write(group: Group, object: Crystals) -> None:
        write_text(group, "formulas", json.dumps(object.formulas))
        counts = np.array([len(numbers) for numbers in object.numbers], np.int64)
        write_array(group, "atom_counts", counts, "1", ("crystal",))
        write_array(group, "cells", np.array([one.cell for one in object]), "angstrom", ("crystal", "row", "column"))
        write_array(group, "numbers", np.concatenate(object.numbers), "1", ("atom",))
        positions = np.concatenate([np.asarray(one.positions) for one in object])
        write_array(group, "positions", positions, "angstrom", ("atom", "xyz"))

    @staticmethod
    def read(group: Group) -> Crystals:
        read_text(group, "formulas")
        counts = read_array(group, "atom_counts", (None,), ("i8",))
        if counts.min(initial=1) < 1 or not len(counts):
            raise FileFormatError(f"the counts of atoms of {group.name} are damaged; make the file again")
        n, atoms = len(counts), int(counts.sum())
        cells = read_array(group, "cells", (n, 3, 3))
        numbers = read_array(group, "numbers", (atoms,), ("i8",))
        positions = read_array(group, "positions", (atoms, 3))
        if not 1 <= int(numbers.min()) <= int(numbers.max()) <= 118:
            raise FileFormatError(f"the atomic numbers of {group.name} are damaged; expected 1 to 118")
        ends = np.cumsum(counts)
        found = []
        for k in range(n):
            own = slice(int(ends[k] - counts[k]), int(ends[k]))
            try:
                found.append(Configuration([SYMBOLS[z - 1] for z in numbers[own]], positions[own], cells[k]))
            except SciError as error:
                raise FileFormatError(f"{group.name}: crystal {k}: {error}; the file is damaged") from error
        try:
            return Crystals(found)
        except SciError as error:
            raise FileFormatError(f"{group.name}: {error}; the file is damaged") from error

    @staticmethod
    def n_bytes(object: Crystals) -> int:
        return sum(32 * len(numbers) + 80 for numbers in object.numbers)
