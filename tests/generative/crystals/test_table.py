"""Crystals over the periodic table: places, round trips, and what is refused."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from sci.errors import InvalidValueError, SciError, ShapeError
from sci.generative import decode_crystal, encode_crystal
from sci.generative.crystals.elements import SYMBOLS
from sci.generative.crystals.table import cell_from_parameters, cell_parameters, slots_of, table_places, wrapped

Atoms = tuple[np.ndarray, np.ndarray, np.ndarray]


def elemental() -> list[Atoms]:
    """Return the 71 elemental crystals of ASE."""
    dcdft = pytest.importorskip("ase.collections").dcdft
    return [(a.numbers, a.get_scaled_positions(), np.array(a.cell)) for a in (dcdft[name] for name in dcdft.names)]


def prototypes() -> list[Atoms]:
    """Return the 288 prototypes of AFLOW that pymatgen ships."""
    spec = importlib.util.find_spec("pymatgen")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("pymatgen is missing")
    path = Path(spec.submodule_search_locations[0], "analysis", "prototypes", "aflow_prototypes.json.gz")
    if not path.exists():
        pytest.skip("pymatgen ships no prototypes")
    found = []
    for entry in json.loads(gzip.decompress(path.read_bytes())):
        sites = entry["snl"]["sites"]
        numbers = [SYMBOLS.index(site["species"][0]["element"]) + 1 for site in sites]
        cell = np.array(entry["snl"]["lattice"]["matrix"])
        found.append((np.array(numbers), np.array([site["abc"] for site in sites]), cell))
    return found


def require_round_trips(crystals: list[Atoms]) -> None:
    """Assert that atoms come back to the bit, and lengths and angles to rounding."""
    for numbers, fractions, cell in crystals:
        tensor, parameters = encode_crystal(numbers, fractions, cell, slots=int(slots_of(numbers).max()) + 1)
        found, places, rows = decode_crystal(tensor, parameters)
        order = np.argsort(numbers, kind="stable")
        np.testing.assert_array_equal(found, numbers[order])
        right = fractions if np.linalg.det(cell) > 0 else -fractions
        np.testing.assert_array_equal(places, wrapped(right)[order])
        np.testing.assert_allclose(rows @ rows.T, cell @ cell.T, rtol=0, atol=2e-15 * np.abs(cell @ cell.T).max())


def test_the_elemental_crystals_of_ase_come_back() -> None:
    crystals = elemental()
    assert len(crystals) == 71
    require_round_trips(crystals)


def test_the_prototypes_of_aflow_come_back() -> None:
    crystals = prototypes()
    assert len(crystals) == 288
    require_round_trips(crystals)


def test_every_element_has_a_place_of_its_own_in_its_column() -> None:
    places = table_places()
    assert len({tuple(p) for p in places.tolist()}) == 118
    where = {symbol: tuple(p) for symbol, p in zip(SYMBOLS, places.tolist())}
    columns = {"H": 0, "Cs": 0, "Mg": 1, "Sc": 2, "Lu": 2, "Lr": 2, "Hf": 3, "Fe": 7, "B": 12, "C": 13, "F": 16}
    assert {symbol: where[symbol][1] for symbol in columns} == columns
    assert where["He"] == (0, 17)
    assert (where["La"], where["Yb"], where["Ac"], where["No"]) == ((7, 3), (7, 16), (8, 3), (8, 16))


def test_parameters_are_those_of_ase_and_flat_angles_keep_their_digits() -> None:
    geometry = pytest.importorskip("ase.geometry.cell")
    rng = np.random.default_rng(0)
    for _ in range(50):
        cell = rng.normal(size=(3, 3))
        parameters = cell_parameters(cell)
        np.testing.assert_allclose(parameters, geometry.cell_to_cellpar(cell), rtol=1e-10)
        np.testing.assert_allclose(cell_parameters(cell_from_parameters(parameters)), parameters, rtol=1e-9)
    skew = np.array([[1.0, 0, 0], [1.0, 1e-4, 0], [0, 0, 1.0]])
    np.testing.assert_allclose(np.radians(cell_parameters(skew)[5]), np.arctan2(1e-4, 1), rtol=1e-14)
    np.testing.assert_array_equal(cell_from_parameters([1, 2, 3, 90, 90, 90]), np.diag([1.0, 2, 3]))


def test_a_left_handed_cell_keeps_the_handedness_of_its_atoms() -> None:
    cell, rng = np.diag([3.0, 4.0, -5.0]), np.random.default_rng(1)
    places = rng.uniform(size=(4, 3))
    tensor, parameters = encode_crystal([6, 7, 8, 9], places, cell, slots=1)
    _, found, rows = decode_crystal(tensor, parameters)

    def volume(fractions: np.ndarray, cell: np.ndarray) -> float:
        edges = fractions[1:] - fractions[0]
        return float(np.linalg.det((edges - np.round(edges)) @ cell))

    assert volume(found, rows) == pytest.approx(volume(places, cell), rel=1e-12)


def test_zero_and_one_are_one_coordinate() -> None:
    for value in (0.0, 1.0, -1.0, -1e-17, 2.0):
        tensor, _ = encode_crystal([1], [[value, 0.5, 0.25]], np.eye(3), slots=1)
        assert tensor[0, 0, 0].tolist() == [0.0, 0.5, 0.25]


def test_what_is_no_crystal_is_refused_with_its_atom() -> None:
    cell = 4 * np.eye(3)
    with pytest.raises(InvalidValueError, match=r"atom 3 .* is number 3 of Na, and there are 2 slots.* slots=4"):
        encode_crystal([11, 11, 17, 11, 11], np.arange(15).reshape(5, 3) / 20, cell, slots=2)
    for number in (0, 119, -1):
        with pytest.raises(InvalidValueError, match=rf"atom 1 .* number {number}"):
            encode_crystal([1, number], [[0, 0, 0], [0.5, 0, 0]], cell, slots=2)
    for flat in (np.zeros((3, 3)), np.ones((3, 3)), np.diag([1.0, 1.0, 0.0])):
        with pytest.raises(InvalidValueError, match="span no volume"):
            encode_crystal([1], [[0, 0, 0]], flat, slots=1)
    with pytest.raises(InvalidValueError, match=r"atoms 0 and 2 .* both at"):
        encode_crystal([1, 2, 3], [[0, 0, 0], [0.5, 0, 0], [1, 1, 0]], cell, slots=1)
    with pytest.raises(InvalidValueError, match="slots is 0"):
        encode_crystal([1], [[0, 0, 0]], cell, slots=0)
    with pytest.raises(ShapeError, match="integers"):
        encode_crystal([1.5], [[0, 0, 0]], cell, slots=1)
    with pytest.raises(SciError, match="fractions"):
        encode_crystal([1], [[0, 0, np.nan]], cell, slots=1)


def test_what_decodes_to_no_crystal_is_refused() -> None:
    tensor, parameters = np.full((1, 9, 18, 3), -1.0), [3, 3, 3, 90, 90, 90]
    with pytest.raises(InvalidValueError, match="no slot"):
        decode_crystal(tensor, parameters)
    tensor[0, 0, 5] = 0.5
    with pytest.raises(InvalidValueError, match="slot 0 at row 0, column 5"):
        decode_crystal(tensor, parameters)
    tensor[0, 0, 5], tensor[0, 0, 0] = -1, 0.5
    for wrong in ([3, 3, 3, 170, 20, 20], [3, -3, 3, 90, 90, 90], [3, 3, 3, 0, 90, 90]):
        with pytest.raises(InvalidValueError, match="cell parameters"):
            decode_crystal(tensor, wrong)
