"""Dense associative memories: energies of couplings over distinct indices, and supervised learning from examples."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfinv

from sci.arguments import entry
from sci.backend import Array, as_finite, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn import ModelState

__all__ = ["DenseAssociativeMemory", "dataset_entropy", "examples_needed", "newton", "require_order", "require_signs"]

ORDERS = (2, 3, 4, 5, 6)


def require_order(order: int) -> None:
    """Raise InvalidValueError for an order of couplings that is not 2 to 6."""
    if order not in ORDERS:
        raise InvalidValueError(f"order is {order}; expected couplings of {ORDERS[0]} to {ORDERS[-1]} spins")


def require_signs(array: Array, name: str) -> None:
    """Raise InvalidValueError unless all entries are +1 or -1."""
    xp = namespace(array)
    if array.dtype.kind not in "if" or not bool((xp.abs(array) == 1).all()):
        raise InvalidValueError(f"{name} of dtype {array.dtype} hold other values than +1 and -1; expected signs alone")


def require_quality(quality: float, examples: int) -> None:
    """Raise InvalidValueError unless examples have a quality in (0, 1] and there are some."""
    if not 0 < quality <= 1 or examples < 1:
        raise InvalidValueError(
            f"quality {quality} and {examples} examples; expected a quality in (0, 1], and examples"
        )


@entry
def dataset_entropy(quality: float, examples: int) -> float:
    """Return rho = (1 - r^2) / (M r^2): how little M examples of quality r say about an archetype.

    Parameters
    ----------
    quality : float
        r in (0, 1]: an example has a sign of the archetype with probability (1 + r) / 2.
    examples : int
        M of each class.

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.generative import dataset_entropy
    >>> dataset_entropy(0.5, 12)
    0.25
    """
    require_quality(quality, examples)
    return (1 - quality**2) / (examples * quality**2)


@entry
def examples_needed(magnetization: float, quality: float) -> float:
    """Return the number of examples of a class that give an overlap m with its archetype at T = 0 and low load.

    M = 2 erfinv(m)^2 (1 - r^2) / r^2, the inverse of m = erf(1 / sqrt(2 rho)), whatever the order.

    Parameters
    ----------
    magnetization : float
        m in (0, 1).
    quality : float
        r in (0, 1].

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError

    References
    ----------
    E. Agliari et al., "Dense Hebbian neural networks: a replica symmetric picture of supervised learning", Physica A
    626, 129076 (2023).

    Examples
    --------
    >>> from sci.generative import examples_needed
    >>> round(examples_needed(0.9, 0.2), 2)
    64.93
    """
    require_quality(quality, 1)
    if not 0 < magnetization < 1:
        raise InvalidValueError(f"magnetization is {magnetization}; expected a number between 0 and 1")
    return 2 * float(erfinv(magnetization)) ** 2 * (1 - quality**2) / quality**2


@entry
class DenseAssociativeMemory:
    """Patterns stored in couplings of P spins: E = -(P - 1)! / N^(P - 1) sum over patterns of e_P(psi_1 s_1, ...).

    e_P is the elementary symmetric polynomial, the sum of products of P distinct spins; for large N the energy is
    -(N / P) sum of n^P, n = psi.s / N. The power n^P itself has terms in which an index stands twice, whose noise
    drowns patterns at high load. P = 2 is Hopfield's network.

    Parameters
    ----------
    patterns : (patterns, spins) array of +1 and -1
        On the CPU or a GPU.
    order : int
        P, 2 to 6.

    Attributes
    ----------
    patterns : (patterns, spins) float64 array
        psi: the signs, or the means of examples over the root of their mean square.
    order : int

    Raises
    ------
    ShapeError, InvalidValueError

    References
    ----------
    E. Agliari et al., "Dense Hebbian neural networks: a replica symmetric picture of supervised learning", Physica A
    626, 129076 (2023). D. Krotov and J. J. Hopfield, arXiv:1606.01164, for powers of overlaps.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import DenseAssociativeMemory
    >>> patterns = np.random.default_rng(0).choice([-1, 1], size=(5, 60))
    >>> memory = DenseAssociativeMemory(patterns, 4)
    >>> memory, bool((memory.fields(patterns[0]) * patterns[0] > 0).all())
    (DenseAssociativeMemory(5 patterns of 60 spins, couplings of 4 spins), True)
    """

    def __init__(self, patterns: Array, order: int) -> None:
        require_order(order)
        _require_matrix(patterns, order, "patterns", 2)
        require_signs(patterns, "patterns")
        self.patterns, self.order = patterns.astype(np.float64), order

    @classmethod
    def from_examples(cls, examples: Array, order: int, *, quality: float | None = None) -> DenseAssociativeMemory:
        """Return the memory of supervised learning: psi is the mean of the examples of a class, over sqrt(R).

        Parameters
        ----------
        examples : (classes, examples, spins) array of +1 and -1
        order : int
        quality : float, optional
            r, for R = r^2 + (1 - r^2) / M; without it R is the mean square of the means.

        Raises
        ------
        ShapeError, InvalidValueError
        """
        require_order(order)
        _require_matrix(examples, order, "examples", 3)
        require_signs(examples, "examples")
        mean = examples.astype(np.float64).mean(axis=1)
        if quality is not None:
            require_quality(quality, examples.shape[1])
        square = float((mean**2).mean()) if quality is None else quality**2 + (1 - quality**2) / examples.shape[1]
        if not square:
            raise InvalidValueError("the examples of each class have a mean of zero; expected examples of something")
        memory = object.__new__(cls)
        memory.patterns, memory.order = mean / math.sqrt(square), order
        return memory

    def to_state(self) -> ModelState:
        """Return the plain state, as a file holds it."""
        return ModelState("dense_memory", {"order": self.order}, {"patterns": self.patterns})

    @classmethod
    def from_state(cls, state: ModelState) -> DenseAssociativeMemory:
        """Return the memory of a state.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        patterns, order = state.parameters.get("patterns"), state.options.get("order")
        if state.name != "dense_memory" or set(state.parameters) != {"patterns"} or not isinstance(order, int):
            raise InvalidValueError(f"the state {state.name!r} is not that of a dense associative memory")
        require_order(order)
        _require_matrix(patterns, order, "patterns", 2)
        memory = object.__new__(cls)
        memory.patterns, memory.order = patterns.astype(np.float64), order
        return memory

    def __repr__(self) -> str:
        k, n = self.patterns.shape
        return f"DenseAssociativeMemory({k} patterns of {n} spins, couplings of {self.order} spins)"

    @property
    def scale(self) -> float:
        """(P - 1)! / N^(P - 1)."""
        return math.factorial(self.order - 1) / float(self.patterns.shape[1]) ** (self.order - 1)

    def fields(self, spins: Array) -> Array:
        """Return the fields -dE/ds of spins (..., N), of the same shape, float64.

        Raises
        ------
        ShapeError, InvalidValueError
        """
        s = self._checked(spins)
        powers, own = self._power_sums(s)
        e = newton([p - x for p, x in zip(powers, own)], self.order - 1)
        field = (self.patterns * e).sum(axis=-2) * self.scale
        return field.reshape(spins.shape)

    def energy(self, spins: Array) -> Array:
        """Return the energies of spins (..., N), (...) float64.

        Raises
        ------
        ShapeError, InvalidValueError
        """
        s = self._checked(spins)
        e = newton(self._power_sums(s)[0], self.order)[..., 0].sum(axis=-1)
        return (-self.scale * e).reshape(spins.shape[:-1])

    def overlaps(self, spins: Array) -> Array:
        """Return n = psi.s / N of spins (..., N), (..., patterns) float64."""
        found = self._checked(spins) @ self.patterns.T / self.patterns.shape[1]
        return found.reshape(*spins.shape[:-1], -1)

    def _power_sums(self, s: Array) -> tuple[list[Array], list[Array]]:
        """Return the sums over spins of (psi s)^j, j = 1 ... P, (chains, patterns, 1), and their terms."""
        x = self.patterns * s[:, None, :]
        own = [x**j for j in range(1, self.order + 1)]
        return [t.sum(axis=-1, keepdims=True) for t in own], own

    def _checked(self, spins: Array) -> Array:
        n = self.patterns.shape[1]
        if not spins.ndim or spins.shape[-1] != n:
            raise ShapeError(f"spins of shape {tuple(spins.shape)}; expected (..., {n})")
        require_signs(spins, "spins")
        return spins.reshape(-1, n).astype(np.float64)


def _require_matrix(array: Array, order: int, name: str, ndim: int) -> None:
    if array.ndim != ndim or not array.size or array.shape[-1] < order:
        kind = "(patterns, spins)" if ndim == 2 else "(classes, examples, spins)"
        raise ShapeError(f"{name} of shape {tuple(array.shape)}; expected {kind}, at least {order} spins")
    as_finite(array, name)


def newton(powers: list[Array], order: int) -> Array:
    """Return the elementary symmetric polynomial of an order from sums of powers, by Newton's identities."""
    e: list[Array] = [powers[0] ** 0]
    for j in range(1, order + 1):
        e.append(sum((-1) ** (k - 1) * e[j - k] * powers[k - 1] for k in range(1, j + 1)) / j)
    return e[order]
