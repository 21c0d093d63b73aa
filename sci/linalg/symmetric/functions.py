"""Functions of eigenvalues: their values, and their divided differences, exact at and near repeated eigenvalues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from types import ModuleType
from typing import Literal, TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError
from sci.linalg.symmetric.matrices import require_nonsingular, require_positive

__all__ = ["FUNCTIONS", "FunctionName", "SpectralFunction", "chosen"]

FunctionName: TypeAlias = Literal["sqrt", "inverse_sqrt", "log", "exp", "inverse", "power", "rectify"]
"""Functions of symmetric matrices; `power` takes `exponent`, and `rectify` takes `threshold`."""


@dataclass(frozen=True)
class Rule:
    """A function of eigenvalues in array calls; p is its parameter.

    Parameters
    ----------
    value : callable
        f(xp, x, p).
    difference : callable
        (f(a) - f(b)) / (a - b) of (xp, a, b, p) for a >= b, f'(a) for a = b.
    """

    value: Callable[[ModuleType, Array, float], Array]
    difference: Callable[[ModuleType, Array, Array, float], Array]


def _log_difference(xp: ModuleType, a: Array, b: Array, p: float) -> Array:
    t = (a - b) / b
    return xp.where(t == 0, 1, xp.log1p(t) / xp.where(t == 0, 1, t)) / b


def _exp_difference(xp: ModuleType, a: Array, b: Array, p: float) -> Array:
    # exp of the mean times sinhc of half the gap, arranged so that neither overflows alone.
    gap = a - b
    return xp.exp(a) * xp.where(gap == 0, 1, -xp.expm1(-gap) / xp.where(gap == 0, 1, gap))


def _power_difference(xp: ModuleType, a: Array, b: Array, p: float) -> Array:
    # With log(a/b) from log1p: (1 - (b/a)^p) / (1 - b/a) for p > 0, ((a/b)^p - 1) / (a/b - 1) for p < 0, so that no
    # power overflows.
    end = a if p > 0 else b
    gap = (a - b) / end
    change = xp.expm1(-abs(p) * xp.log1p((a - b) / b)) * (-1 if p > 0 else 1)
    return end ** (p - 1) * xp.where(gap == 0, p, change / xp.where(gap == 0, 1, gap))


def _rectify_difference(xp: ModuleType, a: Array, b: Array, p: float) -> Array:
    gap = a - b
    return xp.where(b > p, 1, xp.where(a > p, (a - p) / xp.where(gap == 0, 1, gap), 0)).astype(a.dtype)


FUNCTIONS: dict[str, Rule] = {
    "sqrt": Rule(lambda xp, x, p: xp.sqrt(x), lambda xp, a, b, p: 1 / (xp.sqrt(a) + xp.sqrt(b))),
    "inverse_sqrt": Rule(
        lambda xp, x, p: 1 / xp.sqrt(x),
        lambda xp, a, b, p: -1 / (xp.sqrt(a) * xp.sqrt(b) * (xp.sqrt(a) + xp.sqrt(b))),
    ),
    "log": Rule(lambda xp, x, p: xp.log(x), _log_difference),
    "exp": Rule(lambda xp, x, p: xp.exp(x), _exp_difference),
    "inverse": Rule(lambda xp, x, p: 1 / x, lambda xp, a, b, p: -1 / a / b),
    "power": Rule(lambda xp, x, p: x**p, _power_difference),
    "rectify": Rule(lambda xp, x, p: xp.maximum(x, p), _rectify_difference),
}
_DEGREES = {"sqrt": 0.5, "inverse_sqrt": -0.5, "log": 0.0, "inverse": -1.0}


@dataclass(frozen=True)
class SpectralFunction:
    """One of the functions with its parameter.

    Parameters
    ----------
    name : str
    parameter : float
        Exponent of `power`, threshold of `rectify`; else 0.
    """

    name: str
    parameter: float

    @property
    def degree(self) -> float | None:
        """p where f(s x) = s^p f(x), or log, whose differences scale as those of degree 0; None where units matter."""
        return self.parameter if self.name == "power" else _DEGREES.get(self.name)

    def _needs(self, gradient: bool) -> str:
        """Return the property that matrices need: nonsingular, definite, semidefinite, or only symmetric."""
        if self.name == "inverse":
            return "nonsingular"
        if self.degree is None:
            return "symmetric"
        return "definite" if self.name == "log" or self.degree < 0 or gradient else "semidefinite"

    def check_domain(self, values: Array, *, gradient: bool) -> None:
        """Refuse eigenvalues (..., n) of which the function, or its gradient, has no finite value.

        Raises
        ------
        InvalidValueError
            Names the first such matrix and its smallest eigenvalue.
        """
        what, need = f"gradient of {self.name}" if gradient else self.name, self._needs(gradient)
        if need == "nonsingular":
            require_nonsingular(abs(values), what, "the smallest magnitude of its eigenvalues", values.shape[-1])
        elif need != "symmetric":
            require_positive(values, what, definite=need == "definite")

    def least_margin(self, matrices: Array, *, gradient: bool) -> float:
        """Return the bound that the margins of the kernels exceed for matrices in the domain of `check_domain`."""
        rounding = int(matrices.shape[-1]) * float(np.finfo(matrices.dtype).eps)
        return {"symmetric": 0.0, "semidefinite": -4 * rounding}.get(self._needs(gradient), rounding)

    def value(self, values: Array) -> Array:
        """Return f of eigenvalues in its domain; those negative by rounding count as 0."""
        xp = namespace(values)
        if self.degree is not None and self.name != "inverse":
            values = xp.maximum(values, 0)
        return FUNCTIONS[self.name].value(xp, values, self.parameter)

    def differences(self, values: Array) -> Array:
        """Return the divided differences f[x_i, x_j] (..., n, n) of eigenvalues (..., n)."""
        xp, rows, columns = namespace(values), values[..., :, None], values[..., None, :]
        return FUNCTIONS[self.name].difference(xp, xp.maximum(rows, columns), xp.minimum(rows, columns), self.parameter)


def chosen(name: str, exponent: float | None, threshold: float | None) -> SpectralFunction:
    """Return a function with its parameter, which only `power` and `rectify` have.

    Raises
    ------
    InvalidValueError
    """
    given = {"power": ("exponent", exponent), "rectify": ("threshold", threshold)}
    for owner, (word, number) in given.items():
        if (number is not None) != (name == owner):
            must = f"a number with {owner!r}" if name == owner else f"None, because only {owner!r} has one"
            raise InvalidValueError(f"{word} is {number} with {name!r}; expected {must}")
        if number is not None and not isfinite(number):
            raise InvalidValueError(f"{word} is {number}; expected a finite number")
    parameter = given[name][1] if name in given else 0.0
    return SpectralFunction(name, float(parameter or 0.0))
