"""The table of elements against those of other libraries."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.generative.crystals.elements import COMMON_STATES, MASSES, METALS, SYMBOLS, atomic_numbers


def test_symbols_and_masses_are_those_of_ase() -> None:
    data = pytest.importorskip("ase.data")
    assert list(SYMBOLS) == data.chemical_symbols[1:]
    np.testing.assert_allclose(MASSES[:94], data.atomic_masses[1:95], rtol=2e-4)


def test_states_and_metals_are_those_of_pymatgen() -> None:
    core = pytest.importorskip("pymatgen.core")
    for symbol in SYMBOLS:
        element = core.Element(symbol)
        assert COMMON_STATES.get(symbol, ()) == tuple(element.common_oxidation_states)
        assert (symbol in METALS) == element.is_metal


def test_some_elements_everybody_knows() -> None:
    assert SYMBOLS[78] == "Au"
    assert COMMON_STATES["O"] == (-2,)
    assert COMMON_STATES["Fe"] == (2, 3)
    assert "Ar" not in COMMON_STATES
    assert {"Na", "Fe", "U"} <= METALS
    assert not {"Si", "O", "He"} & METALS


def test_a_name_that_is_no_element_is_refused_with_its_atom() -> None:
    np.testing.assert_array_equal(atomic_numbers(["Na", "Cl"]), [11, 17])
    with pytest.raises(InvalidValueError, match=r"crystal 3: atom 1 .* 'Xx'"):
        atomic_numbers(["Na", "Xx"], "crystal 3: ")
