"""Exact partition functions: sums over all states, transfer matrices, and the solutions of Onsager and Kaufman."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from scipy.special import ellipk, logsumexp

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.generative.spins.lattice import LatticeModel, require_beta

__all__ = ["ExactSums", "enumerate_states", "every_state", "kaufman_log_z", "onsager", "transfer_matrix"]

_MOST_STATES = 1 << 22
_LARGEST_MATRIX = 4096
_LARGEST_COUPLING = 350
"""Of the formulas of Onsager and Kaufman: exp(2 J) is a number."""
_LEAST_TRACE = 1e-250
"""Beside the largest entries of the factors: what they lose to underflow, 1e-308 of these, is then no part of it."""


@dataclass(frozen=True)
class ExactSums:
    """Exact results for a lattice model at one temperature.

    Parameters
    ----------
    log_z : float
        Log of the partition function.
    energy : float
        Mean energy of the whole lattice.
    magnetization : float
        Mean of the field's observable for a site: the spin of `IsingModel`, [s = 0] of `PottsModel`.
    n_sites : int
    beta : float

    Examples
    --------
    >>> from sci.generative import ExactSums
    >>> ExactSums(2.0, -1.0, 0.5, 4, 0.5)
    ExactSums(log Z 2, energy -1, magnetization 0.5, free energy -1 for a site)
    """

    log_z: float
    energy: float
    magnetization: float
    n_sites: int
    beta: float

    @property
    def free_energy(self) -> float:
        """-log Z / beta for a site; minus infinity at beta = 0."""
        return -self.log_z / (self.beta * self.n_sites) if self.beta else -math.inf

    def __repr__(self) -> str:
        return (
            f"ExactSums(log Z {self.log_z:.12g}, energy {self.energy:.6g}, magnetization {self.magnetization:.6g}, "
            f"free energy {self.free_energy:.6g} for a site)"
        )


def every_state(n_sites: int, values: np.ndarray) -> np.ndarray:
    """Return all states of few sites, (len(values)^n_sites, n_sites), the last site changing fastest.

    Raises
    ------
    InvalidValueError
        For more than 2^22 states.
    """
    count = len(values) ** n_sites
    if count > _MOST_STATES:
        raise InvalidValueError(f"{len(values)}^{n_sites} states to enumerate; expected at most {_MOST_STATES:,}")
    digits = np.indices((len(values),) * n_sites, dtype=np.int8).reshape(n_sites, count)
    return np.ascontiguousarray(values[digits].T)


@entry
def enumerate_states(model: LatticeModel, *, beta: float = 1.0) -> ExactSums:
    """Sum over all states of a small lattice.

    Parameters
    ----------
    model : IsingModel or PottsModel
        Of at most 2^22 states in all: 22 spins.
    beta : float

    Returns
    -------
    ExactSums

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.generative import IsingModel, enumerate_states
    >>> round(enumerate_states(IsingModel((3, 3), 0.3, 0.1)).log_z, 6)
    7.541054
    """
    require_beta(beta, model)
    states = every_state(model.n_sites, model.values).reshape(-1, *model.shape)
    energies = model.energy(states)
    log_z = float(logsumexp(-beta * energies))
    weights = np.exp(-beta * energies - log_z)
    observed = model.lifted(states).reshape(len(states), -1).mean(axis=1)
    return ExactSums(log_z, float(weights @ energies), float(weights @ observed), model.n_sites, beta)


def _columns(model: LatticeModel, cross: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the states of a cross-section, (n, sites), and their bonds and sites that coupling and field multiply."""
    sites = math.prod(cross)
    states = every_state(sites, model.values)
    bonds = np.zeros(len(states))
    for axis in range(len(cross)):
        grid = states.reshape(-1, *cross)
        bonds += model.alike(grid, np.roll(grid, -1, axis=axis + 1)).reshape(len(states), -1).sum(axis=1)
    return states, bonds, model.lifted(states).sum(axis=1, dtype=float)


def _bonds_between(model: LatticeModel, states: np.ndarray) -> np.ndarray:
    """Return the sum over sites of what the coupling multiplies, for all pairs of columns, (n, n)."""
    table = model.alike(model.values[:, None], model.values[None, :]).astype(float)
    hot = (states[:, :, None] == model.values).astype(float)
    left = np.einsum("nsa,ab->nsb", hot, table).reshape(len(states), -1)
    return np.asarray(left @ hot.reshape(len(states), -1).T)


@entry
def transfer_matrix(model: LatticeModel, *, beta: float = 1.0) -> ExactSums:
    """Return partition function, energy and magnetization of a periodic strip by its transfer matrix.

    The matrix T joins the states of two neighboring cross-sections, those at right angles to the longest axis, of
    length b: Z = trace T^b, and means are traces with what is averaged in place.

    Parameters
    ----------
    model : IsingModel or PottsModel
        Of at most 4,096 states in a cross-section: strips of 12 spins, bars of 3 x 4.
    beta : float

    Returns
    -------
    ExactSums
        To rounding: 1e-12 of log Z.

    Raises
    ------
    InvalidValueError
        Also for frustrated lattices so cold that no product of matrix entries is representable.

    Notes
    -----
    Cost: log2(b) products of matrices of n x n, n the states of a cross-section; memory 5 such matrices. The 10 x 10
    torus that the authors of marginalization models train on has every bond twice in the matrix product of their code:
    their "sigma = 0.1, bias 0.2" is J = 0.2 and h = 0.2 here, of log Z = 78.6881.

    References
    ----------
    H. A. Kramers and G. H. Wannier, Phys. Rev. 60, 252 (1941).

    Examples
    --------
    >>> from sci.generative import IsingModel, transfer_matrix
    >>> round(transfer_matrix(IsingModel((10, 10), 0.2, 0.2)).log_z, 4)
    78.6881
    """
    require_beta(beta, model)
    axis = int(np.argmax(model.shape))
    cross = tuple(n for k, n in enumerate(model.shape) if k != axis)
    if model.n_states ** math.prod(cross) > _LARGEST_MATRIX:
        raise InvalidValueError(
            f"{model!r} has {model.n_states}^{math.prod(cross)} states in a cross-section; expected at most "
            f"{_LARGEST_MATRIX:,}"
        )
    states, bonds, sites = _columns(model, cross)
    own = beta * (model.coupling * bonds + model.field * sites)
    between = _bonds_between(model, states)
    logs = beta * model.coupling * between + 0.5 * (own[:, None] + own[None, :])
    scale = float(logs.max())
    matrix = np.exp(logs - scale)
    length = model.shape[axis]
    rest, more = _power(matrix, length - 1)
    joint = matrix * rest.T  # the weight of states s and t of two neighbors
    total = float(joint.sum())
    if total < _LEAST_TRACE:
        raise InvalidValueError(
            f"beta is {beta} for {model!r}, a lattice that cannot satisfy all of its bonds; expected a warmer one: the "
            "weights of its states are not representable beside that of a satisfied bond"
        )
    joint /= total
    weights = joint.sum(axis=1)
    coupled = float((joint * between).sum() + weights @ bonds)
    lifted = float(weights @ sites)
    energy = -length * (model.coupling * coupled + model.field * lifted)
    log_z = math.log(total) + more + length * scale
    return ExactSums(log_z, energy, lifted / math.prod(cross), model.n_sites, beta)


def _power(matrix: np.ndarray, exponent: int) -> tuple[np.ndarray, float]:
    """Return P and c with matrix^exponent = P e^c, by squares."""
    result, of_result, square, of_square = None, 0.0, matrix, 0.0
    while exponent:
        if exponent & 1:
            result = square if result is None else result @ square
            of_result += of_square
            result, of_result = _scaled(result, of_result)
        exponent >>= 1
        if exponent:
            square, of_square = _scaled(square @ square, 2 * of_square)
    assert result is not None
    return result, of_result


def _scaled(matrix: np.ndarray, log_scale: float) -> tuple[np.ndarray, float]:
    most = float(matrix.max())
    return matrix / most, log_scale + math.log(most)


@entry
def kaufman_log_z(a: int, b: int, coupling: float) -> float:
    """Return log Z of the Ising model on an a x b torus without a field, beta = 1, for any size.

    Parameters
    ----------
    a, b : int
        At least 2.
    coupling : float
        J > 0.

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError

    References
    ----------
    B. Kaufman, Phys. Rev. 76, 1232 (1949), equation 72.

    Examples
    --------
    >>> from sci.generative import IsingModel, kaufman_log_z, transfer_matrix
    >>> exact = transfer_matrix(IsingModel((6, 9), 0.4)).log_z
    >>> abs(kaufman_log_z(6, 9, 0.4) - exact) < 1e-11
    True
    """
    if min(a, b) < 2 or not 0 < coupling <= _LARGEST_COUPLING:
        raise InvalidValueError(
            f"a torus of {a} x {b}, J = {coupling}; expected sides of at least 2 and J > 0, at most {_LARGEST_COUPLING}"
        )
    double = 2 * coupling
    center = math.cosh(double) / math.tanh(double)
    gamma = np.arccosh(np.maximum(1.0, center - np.cos(np.pi * np.arange(2 * a) / a)))
    gamma[0] = double + math.log(math.tanh(coupling))  # negative above the critical temperature, and so a product
    terms, signs = [], []
    for which in (gamma[1::2], gamma[0::2]):
        half = 0.5 * b * which
        logs = np.abs(half) + np.log1p(np.exp(-2 * np.abs(half)))
        terms.append(float(logs.sum()))
        signs.append(1.0)
        with np.errstate(divide="ignore"):
            logs = np.abs(half) + np.log(-np.expm1(-2 * np.abs(half)))
        terms.append(float(logs.sum()))
        signs.append(float(np.prod(np.sign(half))))
    most = max(terms)
    total = sum(sign * math.exp(term - most) for sign, term in zip(signs, terms))
    return 0.5 * a * b * math.log(2 * math.sinh(double)) + most + math.log(0.5 * total)


@entry
def onsager(coupling: float) -> ExactSums:
    """Return Onsager's and Yang's solution of the infinite square lattice without a field, at beta = 1, for one site.

    Parameters
    ----------
    coupling : float
        J > 0; critical at log(1 + sqrt(2)) / 2 = 0.4407.

    Returns
    -------
    ExactSums
        Of one site; `magnetization` is the spontaneous one, 0 above the critical temperature.

    Raises
    ------
    InvalidValueError

    References
    ----------
    L. Onsager, Phys. Rev. 65, 117 (1944); C. N. Yang, Phys. Rev. 85, 808 (1952).

    Examples
    --------
    >>> from sci.generative import onsager
    >>> onsager(0.5)
    ExactSums(log Z 1.02579281269, energy -0.872782, magnetization 0.911319, free energy -1.02579 for a site)
    """
    if not 0 < coupling <= _LARGEST_COUPLING:
        raise InvalidValueError(f"coupling is {coupling}; expected a positive number, at most {_LARGEST_COUPLING}")
    double = 2 * coupling
    modulus = 2 * math.tanh(double) / math.cosh(double)

    def slope(angle: float) -> float:
        return math.log1p(math.sqrt(max(0.0, 1 - (modulus * math.sin(angle)) ** 2)))

    integral = scipy.integrate.quad(slope, 0, math.pi / 2, epsabs=1e-13, epsrel=1e-13)[0]
    log_z = math.log(math.sqrt(2) * math.cosh(double)) + integral / math.pi
    lean = 2 * math.tanh(double) ** 2 - 1
    elliptic = float(ellipk(min(modulus**2, 1 - 1e-16))) * lean if lean else 0.0
    energy = -coupling / math.tanh(double) * (1 + 2 / math.pi * elliptic)
    above = math.sinh(double)
    return ExactSums(log_z, energy, (1 - above**-4) ** 0.125 if above > 1 else 0.0, 1, 1.0)
