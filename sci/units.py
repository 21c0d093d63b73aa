"""Conversions from the library's units (angstrom, elementary charge) by `scipy.constants`."""

from __future__ import annotations

from scipy import constants

from sci.errors import InvalidValueError

__all__ = ["BOHR", "COULOMB", "ENERGY_UNITS", "POTENTIAL_UNITS", "energy_factor", "potential_factor"]

BOHR: float = constants.physical_constants["Bohr radius"][0] / constants.angstrom
"""One bohr in angstrom."""

COULOMB: float = constants.e / (4 * constants.pi * constants.epsilon_0 * constants.angstrom)
"""One e/angstrom in volt; also one e^2/angstrom in electronvolt."""

POTENTIAL_UNITS = ("e/angstrom", "V", "kT/e", "kcal/mol/e", "hartree/e")
ENERGY_UNITS = ("e^2/angstrom", "eV", "kT", "kcal/mol", "kJ/mol", "hartree")

_ELECTRONVOLT_IN: dict[str, float] = {
    "eV": 1.0,
    "kcal/mol": constants.e * constants.N_A / (1000 * constants.calorie),
    "kJ/mol": constants.e * constants.N_A / 1000,
    "hartree": constants.e / constants.physical_constants["Hartree energy"][0],
}


def _volts_to(unit: str, temperature: float) -> float:
    if unit == "kT":
        if not 0 < temperature < float("inf"):
            raise InvalidValueError(f"temperature is {temperature} K; expected a positive number")
        return float(constants.e / (constants.k * temperature))
    return _ELECTRONVOLT_IN[unit]


def potential_factor(unit: str, temperature: float = 298.15) -> float:
    """Return the factor from e/angstrom to `unit`.

    Parameters
    ----------
    unit : {"e/angstrom", "V", "kT/e", "kcal/mol/e", "hartree/e"}
    temperature : float
        In kelvin; used by kT/e only.

    Raises
    ------
    InvalidValueError
        For an unknown unit or a temperature that is not positive.
    """
    if unit not in POTENTIAL_UNITS:
        raise InvalidValueError(f"unknown potential unit {unit!r}; expected one of {', '.join(POTENTIAL_UNITS)}")
    if unit == "e/angstrom":
        return 1.0
    return COULOMB * (1.0 if unit == "V" else _volts_to(unit.removesuffix("/e"), temperature))


def energy_factor(unit: str, temperature: float = 298.15) -> float:
    """Return the factor from e^2/angstrom to `unit` (see `ENERGY_UNITS`).

    Raises
    ------
    InvalidValueError
        For an unknown unit or a temperature that is not positive.
    """
    if unit not in ENERGY_UNITS:
        raise InvalidValueError(f"unknown energy unit {unit!r}; expected one of {', '.join(ENERGY_UNITS)}")
    return 1.0 if unit == "e^2/angstrom" else COULOMB * _volts_to(unit, temperature)
