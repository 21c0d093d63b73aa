"""Conversions from the library's units (angstrom, elementary charge), with the CODATA values of 2022.

The constants are written out: importing `scipy.constants` would take half of the start of a command, and its values
change with the version of SciPy.
"""

from __future__ import annotations

import math

from sci.errors import InvalidValueError

__all__ = ["BOHR", "COULOMB", "ENERGY_UNITS", "POTENTIAL_UNITS", "energy_factor", "potential_factor"]

_CHARGE = 1.602176634e-19
"""Elementary charge, coulomb (exact)."""
_BOLTZMANN = 1.380649e-23
"""Boltzmann constant, joule/kelvin (exact)."""
_AVOGADRO = 6.02214076e23
"""Avogadro constant, 1/mol (exact)."""
_EPSILON_0 = 8.8541878188e-12
"""Vacuum permittivity, farad/meter."""
_HARTREE = 4.359744722206e-18
"""Hartree energy, joule."""
_CALORIE = 4.184
"""Thermochemical calorie, joule (exact)."""
_ANGSTROM = 1e-10

BOHR: float = 5.29177210544e-11 / _ANGSTROM
"""One bohr in angstrom."""

COULOMB: float = _CHARGE / (4 * math.pi * _EPSILON_0 * _ANGSTROM)
"""One e/angstrom in volt; also one e^2/angstrom in electronvolt."""

POTENTIAL_UNITS = ("e/angstrom", "V", "kT/e", "kcal/mol/e", "hartree/e")
"""Units of a potential."""
ENERGY_UNITS = ("e^2/angstrom", "eV", "kT", "kcal/mol", "kJ/mol", "hartree")
"""Units of an energy."""

LEAST_TEMPERATURE = 1e-9
"""Kelvin; far below, factors of kT leave the range of float64."""

_ELECTRONVOLT_IN: dict[str, float] = {
    "eV": 1.0,
    "kcal/mol": _CHARGE * _AVOGADRO / (1000 * _CALORIE),
    "kJ/mol": _CHARGE * _AVOGADRO / 1000,
    "hartree": _CHARGE / _HARTREE,
}


def _volts_to(unit: str, temperature: float) -> float:
    if unit == "kT":
        if not LEAST_TEMPERATURE <= temperature < float("inf"):
            raise InvalidValueError(
                f"temperature is {temperature} K; expected a positive number of at least {LEAST_TEMPERATURE:g}"
            )
        return float(_CHARGE / (_BOLTZMANN * temperature))
    return _ELECTRONVOLT_IN[unit]


def potential_factor(unit: str, temperature: float = 298.15) -> float:
    """Return the factor from e/angstrom to `unit`.

    Parameters
    ----------
    unit : {"e/angstrom", "V", "kT/e", "kcal/mol/e", "hartree/e"}
    temperature : float
        In kelvin; used by kT/e only.

    Returns
    -------
    float

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

    Parameters
    ----------
    unit : str
        Name of the unit.
    temperature : float
        Kelvin, for kT.

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError
        For an unknown unit or a temperature that is not positive.
    """
    if unit not in ENERGY_UNITS:
        raise InvalidValueError(f"unknown energy unit {unit!r}; expected one of {', '.join(ENERGY_UNITS)}")
    return 1.0 if unit == "e^2/angstrom" else COULOMB * _volts_to(unit, temperature)
