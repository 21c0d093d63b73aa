"""Units against constants that are known by heart in chemistry and electrochemistry."""

from __future__ import annotations

import math

import pytest
from scipy import constants

from sci.errors import InvalidValueError
from sci.units import BOHR, COULOMB, ENERGY_UNITS, POTENTIAL_UNITS, energy_factor, potential_factor


def test_constants_are_those_of_scipy_up_to_its_edition_of_codata() -> None:
    volts = constants.e / (4e-10 * constants.pi * constants.epsilon_0)
    assert math.isclose(volts, COULOMB, rel_tol=1e-9)
    assert math.isclose(constants.physical_constants["Bohr radius"][0] / constants.angstrom, BOHR, rel_tol=1e-9)
    per_ev = {
        "kcal/mol": constants.e * constants.N_A / (1000 * constants.calorie),
        "kJ/mol": constants.e * constants.N_A / 1000,
        "hartree": constants.e / constants.physical_constants["Hartree energy"][0],
        "kT": constants.e / (constants.k * 298.15),
    }
    for unit, expected in per_ev.items():
        assert math.isclose(energy_factor(unit) / COULOMB, expected, rel_tol=1e-9)


def test_lengths_and_volts() -> None:
    assert math.isclose(BOHR, 0.529177210544, rel_tol=1e-9)
    assert math.isclose(COULOMB, 14.3996454785, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("unit", "value", "rel_tol"),
    [
        ("e/angstrom", 1.0, 0.0),
        ("V", 14.3996454785, 1e-9),
        ("kcal/mol/e", 332.06371, 1e-7),
        ("hartree/e", 0.529177210544, 1e-9),
        # 14.3996454785 V over 25.6926 mV, the thermal voltage at 25 degrees Celsius
        ("kT/e", 14.3996454785 / 0.0256925793, 1e-7),
    ],
)
def test_potentials(unit: str, value: float, rel_tol: float) -> None:
    assert math.isclose(potential_factor(unit), value, rel_tol=rel_tol)


@pytest.mark.parametrize(
    ("unit", "value", "rel_tol"),
    [
        ("e^2/angstrom", 1.0, 0.0),
        ("eV", 14.3996454785, 1e-9),
        ("kcal/mol", 332.06371, 1e-7),
        ("kJ/mol", 1389.35458, 1e-7),
        ("hartree", 0.529177210544, 1e-9),
        ("kT", 14.3996454785 / 0.0256925793, 1e-7),
    ],
)
def test_energies(unit: str, value: float, rel_tol: float) -> None:
    assert math.isclose(energy_factor(unit), value, rel_tol=rel_tol)


def test_the_bjerrum_length_of_vacuum_follows_the_temperature() -> None:
    # 560.8 angstrom at 298 K, and proportional to 1/T
    assert math.isclose(potential_factor("kT/e", 298.0), 560.74, rel_tol=1e-4)
    assert math.isclose(potential_factor("kT/e", 149.0), 2 * potential_factor("kT/e", 298.0), rel_tol=1e-14)
    assert potential_factor("V", 1.0) == potential_factor("V")


def test_every_unit_has_a_positive_factor() -> None:
    assert all(potential_factor(unit) > 0 for unit in POTENTIAL_UNITS)
    assert all(energy_factor(unit) > 0 for unit in ENERGY_UNITS)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_is_a_positive_number(temperature: float) -> None:
    for factor, unit in ((potential_factor, "kT/e"), (energy_factor, "kT")):
        with pytest.raises(InvalidValueError, match="temperature"):
            factor(unit, temperature)


def test_unknown_units_are_refused_with_the_list() -> None:
    with pytest.raises(InvalidValueError, match="unknown potential unit 'mV'; expected one of e/angstrom, V"):
        potential_factor("mV")
    with pytest.raises(InvalidValueError, match="unknown energy unit 'V'; expected one of"):
        energy_factor("V")


def test_temperatures_at_which_factors_overflow_are_refused() -> None:
    for factor, unit in ((potential_factor, "kT/e"), (energy_factor, "kT")):
        for temperature in (0.0, -1.0, 1e-300):
            with pytest.raises(InvalidValueError, match="expected a positive number of at least 1e-09"):
                factor(unit, temperature)
