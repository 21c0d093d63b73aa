"""Contraction of many tensors: the order of elimination, what it costs, and the pairwise steps that do it.

A contraction sums a product of tensors over indices. Eliminating an index multiplies the tensors that have it and sums
it out, which leaves one tensor over the indices that shared a tensor with it. What that costs depends on the set of
indices eliminated before, not on their order, so that dynamic programming over sets finds the cheapest order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from sci.arguments import entry
from sci.backend import Array
from sci.errors import InvalidValueError
from sci.tensor.contraction.network import Step, run_network

__all__ = ["ContractionPlan", "contract_all", "elimination_order", "plan_contraction"]

_EXACT = 12
"""Summed indices up to which the order is the cheapest; beyond, the cheapest next one is taken."""
_LENGTH = 64
"""Length of an index that is not given."""


@dataclass(frozen=True)
class ContractionPlan:
    """The steps of a contraction of tensors "0", "1", ..., for `run_network` and `run_network_vjp`.

    Parameters
    ----------
    subscripts : str
        As given to `plan_contraction`.
    order : str
        The summed indices in the order of their elimination.
    steps : tuple of Step
        The result of the last is the contraction. Empty where the only tensor is the result.
    width : int
        Most indices that one step runs over: with lengths n, the work is of order n^width.
    cost : float
        Multiplications and additions of all steps.

    Examples
    --------
    >>> from sci.tensor import plan_contraction
    >>> plan_contraction("ab,bc,cd->ad", {"a": 2, "b": 100, "c": 3, "d": 100})
    ContractionPlan('ab,bc,cd->ad', order 'bc', 2 steps, width 3, 1200 products)
    """

    subscripts: str
    order: str
    steps: tuple[Step, ...]
    width: int
    cost: float

    def __repr__(self) -> str:
        return (
            f"ContractionPlan({self.subscripts!r}, order {self.order!r}, {len(self.steps)} steps, width {self.width}, "
            f"{self.cost:.6g} products)"
        )

    @property
    def result(self) -> str:
        """Name of the array that is the contraction."""
        return self.steps[-1][0] if self.steps else "0"


@entry
def plan_contraction(subscripts: str, lengths: Mapping[str, int] | None = None) -> ContractionPlan:
    """Plan the contraction of several tensors as pairwise products of least work.

    Parameters
    ----------
    subscripts : str
        Like "ab,bc,ca->", with an explicit right side. An index may be in any number of tensors, twice in one (its
        diagonal), or in one alone (its sum). Indices of the right side stand once there, and in some tensor.
    lengths : mapping, optional
        Length of each index; 64 for those that are not in it. They decide the order.

    Returns
    -------
    ContractionPlan

    Raises
    ------
    InvalidValueError

    Notes
    -----
    The order of elimination is the cheapest one for up to 12 summed indices, found over their 2^s sets. Of the tensors
    that have the eliminated index all but the largest are multiplied first; the last product sums, as one product of
    matrices. Plans are kept.

    Examples
    --------
    >>> from sci.tensor import plan_contraction
    >>> triangles = plan_contraction("ab,bc,ca->")
    >>> triangles.width, triangles.steps[0]
    (3, ('t0', '0', '2', 'ab,ca->bc'))
    """
    given = tuple(sorted((lengths or {}).items()))
    if any(len(index) != 1 or n < 1 for index, n in given):
        raise InvalidValueError(f"lengths {dict(given)}; expected a length of at least 1 for each letter")
    return _planned(subscripts.replace(" ", ""), given)


def contract_all(subscripts: str, *operands: Array) -> Array:
    """Return the contraction of arrays by its plan, e.g. contract_all("zab,zbr,zar->zr", x, u, v).

    Parameters
    ----------
    subscripts : str
        As for `plan_contraction`, without spaces.
    *operands : arrays
        One for each term.

    Returns
    -------
    array
    """
    terms = subscripts.partition("->")[0].split(",")
    given = {i: max(1, n) for term, a in zip(terms, operands) for i, n in zip(term, a.shape)}
    plan = _planned(subscripts, tuple(sorted(given.items())))
    return run_network(plan.steps, {str(k): a for k, a in enumerate(operands)})[plan.result]


@functools.lru_cache(maxsize=4096)
def _planned(subscripts: str, given: tuple[tuple[str, int], ...]) -> ContractionPlan:
    left, arrow, output = subscripts.partition("->")
    terms = left.split(",")
    known = set(left) - {","}
    if not arrow or not left or not all(i.isalpha() for i in known | set(output)):
        raise InvalidValueError(f"subscripts {subscripts!r}; expected letters, like 'ab,bc->ac'")
    if len(set(output)) != len(output) or not set(output) <= known:
        raise InvalidValueError(
            f"subscripts {subscripts!r}: an index of {output!r} is twice in it, or in no tensor; expected each once"
        )
    lengths = dict.fromkeys(sorted(known), _LENGTH) | dict(given)
    builder = _Builder(terms, output, lengths)
    order = elimination_order([set(term) for term in terms], set(output), lengths)
    for index in order:
        builder.eliminate(index)
    builder.finish()
    return ContractionPlan(subscripts, "".join(order), tuple(builder.steps), builder.width, builder.cost)


def elimination_order(terms: list[set[str]], output: set[str], lengths: Mapping[str, int]) -> list[str]:
    """Return the summed indices in the order that costs least.

    Parameters
    ----------
    terms : list of set of str
        Indices of each tensor.
    output : set of str
        Indices that are kept.
    lengths : mapping
        Length of every index.

    Returns
    -------
    list of str
    """
    beside: dict[str, set[str]] = {index: set() for term in terms for index in term}
    for term in terms:
        for index in term:
            beside[index] |= term - {index}
    summed = sorted(set(beside) - output)
    cheapest = _cheapest_order if len(summed) <= _EXACT else _greedy_order
    return cheapest(summed, beside, lengths)


def _work(index: str, gone: frozenset[str], beside: Mapping[str, set[str]], lengths: Mapping[str, int]) -> float:
    """Return the products that eliminate an index after those `gone`: it meets whatever they connect it with."""
    found, todo = {index}, [index]
    while todo:
        for other in beside[todo.pop()]:
            if other not in found:
                found.add(other)
                if other in gone:
                    todo.append(other)
    return math.prod(float(lengths[i]) for i in found if i not in gone)


def _cheapest_order(summed: list[str], beside: Mapping[str, set[str]], lengths: Mapping[str, int]) -> list[str]:
    best: dict[frozenset[str], tuple[float, list[str]]] = {frozenset(): (0.0, [])}
    for _ in summed:
        level: dict[frozenset[str], tuple[float, list[str]]] = {}
        for gone, (cost, order) in best.items():
            for index in summed:
                if index in gone:
                    continue
                total = cost + _work(index, gone, beside, lengths)
                key = gone | {index}
                if key not in level or total < level[key][0]:
                    level[key] = (total, [*order, index])
        best = level
    return best[frozenset(summed)][1]


def _greedy_order(summed: list[str], beside: Mapping[str, set[str]], lengths: Mapping[str, int]) -> list[str]:
    order: list[str] = []
    while len(order) < len(summed):
        gone = frozenset(order)
        order.append(min((i for i in summed if i not in gone), key=lambda i: _work(i, gone, beside, lengths)))
    return order


class _Builder:
    """The tensors that are left while steps are written down."""

    def __init__(self, terms: list[str], output: str, lengths: Mapping[str, int]) -> None:
        self.steps: list[Step] = []
        self.width, self.cost = 0, 0.0
        self._output, self._lengths, self._made = output, lengths, 0
        self._tensors = {str(k): term for k, term in enumerate(terms)}
        for name, term in list(self._tensors.items()):
            if len(set(term)) != len(term):
                self._reduce(name, "".join(dict.fromkeys(term)))

    def eliminate(self, index: str) -> None:
        """Multiply the tensors that have an index, the smallest first, and sum it out."""
        names = sorted((n for n, term in self._tensors.items() if index in term), key=self._size)
        while len(names) > 1:
            first, second = names[:2]
            rest = "".join(self._tensors[n] for n in self._tensors if n not in (first, second))
            joined = "".join(dict.fromkeys(self._tensors[first] + self._tensors[second]))
            kept = "".join(i for i in joined if i in rest or i in self._output)
            names = sorted([*names[2:], self._multiply(first, second, kept)], key=self._size)
        if names and index in self._tensors[names[0]]:
            self._reduce(names[0], self._tensors[names[0]].replace(index, ""))

    def finish(self) -> None:
        """Multiply what is left, and bring the axes into the order of the output."""
        while len(self._tensors) > 1:
            first, second, *others = sorted(self._tensors, key=self._size)
            joined = "".join(dict.fromkeys(self._tensors[first] + self._tensors[second]))
            self._multiply(first, second, joined if others else self._output)
        ((name, term),) = self._tensors.items()
        if term != self._output:
            self._reduce(name, self._output)

    def _size(self, name: str) -> tuple[float, str]:
        return math.prod(float(self._lengths[i]) for i in self._tensors[name]), name

    def _multiply(self, first: str, second: str, kept: str) -> str:
        """Multiply two tensors; an index of one alone that is not kept is summed out of it before."""
        for name, other in ((first, second), (second, first)):
            alone = [i for i in self._tensors[name] if i not in kept and i not in self._tensors[other]]
            if alone:
                found = self._reduce(name, "".join(i for i in self._tensors[name] if i not in alone))
                first, second = (found if n == name else n for n in (first, second))
        a, b = self._tensors.pop(first), self._tensors.pop(second)
        return self._step(first, second, f"{a},{b}->{kept}", set(a + b), kept)

    def _reduce(self, name: str, kept: str) -> str:
        term = self._tensors.pop(name)
        return self._step(name, "", f"{term}->{kept}", set(term), kept)

    def _step(self, first: str, second: str, indices: str, over: set[str], kept: str) -> str:
        made = f"t{self._made}"
        self._made += 1
        self.steps.append((made, first, second, indices))
        self.width = max(self.width, len(over))
        self.cost += math.prod(float(self._lengths[i]) for i in over)
        self._tensors[made] = kept
        return made
