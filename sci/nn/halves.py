"""Activations in two bytes: what a tape keeps between the forward pass and the way back, as bfloat16."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError

__all__ = ["HalvedActivations", "activations_asked", "asked", "keeper_of"]

_ASKED = threading.local()
"""The precision of activations that is asked for in this thread, for models with tapes of their own."""

_UPPER = int(sys.byteorder == "little")
"""Which two bytes of four hold the sign and the exponent."""
_LEAST = 256
"""Numbers from which an array is held in two bytes; norms and losses stay as they are."""


def keeper_of(activations: Any) -> HalvedActivations | None:
    """Return the keeper of a precision; None for None.

    Raises
    ------
    InvalidValueError
    """
    if activations is None:
        return None
    if activations != "bfloat16":
        raise InvalidValueError(f"activations is {activations!r}; expected 'bfloat16', or None for the arrays' own")
    return HalvedActivations()


@contextlib.contextmanager
def asked(activations: Any) -> Iterator[None]:
    """Tell models that make tapes of their own, in the block, in this thread, which precision is asked for."""
    before, _ASKED.activations = activations_asked(), activations
    try:
        yield
    finally:
        _ASKED.activations = before


def activations_asked() -> Any:
    """Return the precision that `asked` tells; None outside."""
    return getattr(_ASKED, "activations", None)


class _Halves:
    """A float32 array of bfloat16 numbers, as its upper halves."""

    __slots__ = ("__weakref__", "codes", "shape")

    def __init__(self, array: Array) -> None:
        xp = namespace(array)
        self.codes, self.shape = xp.ascontiguousarray(array).reshape(-1).view(np.uint16)[_UPPER::2].copy(), array.shape

    def array(self) -> Array:
        found = namespace(self.codes).zeros(self.codes.size, np.float32)
        found.view(np.uint16)[_UPPER::2] = self.codes
        return found.reshape(self.shape)


class HalvedActivations:
    """A keeper of a tape: outputs of ops are rounded to bfloat16, and take two bytes where gradients need them.

    Notes
    -----
    float32 arrays of 256 numbers or more. An op computes in float32 from rounded inputs, its sums are float32, and its
    output is rounded to the nearest, ties to even: as hardware does that multiplies bfloat16 and adds up in float32.
    Gradients stay float32, from op to op and over ranks. Of what an op keeps beside inputs and outputs, arrays of an
    output's shape are rounded too, like the slope of an activation; others, like the log-sum-exp of attention, are not.
    """

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._known: dict[int, tuple[weakref.ref[Any], weakref.ref[_Halves] | None]] = {}

    def hold(self, array: Array) -> None:
        """Note an array that takes its memory anyway: a weight, or the input of a stage."""
        self._held.add(id(array))

    def rounded(self, value: Array) -> Array:
        """Return an output rounded to bfloat16; as it is, if it is a view of one, of a weight, or of another kind."""
        if not _eligible(value) or self._is_held(value) or self._is_known(value):
            return value
        found = _nearest(value)
        self._known[id(found)] = weakref.ref(found), None
        return found

    def kept(self, residuals: Any, given: Any, seen: Any) -> Any:
        """Return residuals with arrays of bfloat16 numbers in two bytes; an output among them as it was rounded."""
        pairs = list(zip(given, seen)) if isinstance(given, tuple) else [(given, seen)]
        outputs = {id(a): b for a, b in pairs}
        shapes = {b.shape for _, b in pairs if b is not None}

        def half(leaf: Any) -> Any:
            leaf = outputs.get(id(leaf), leaf)
            if not _eligible(leaf) or self._is_held(leaf):
                return leaf
            if self._is_known(leaf) or leaf.shape in shapes:
                return self._half(self.rounded(leaf))
            return self._half(leaf) if _is_half(leaf) else leaf

        return _mapped(residuals, half)

    def opened(self, kept: Any) -> Any:
        """Return the residuals, with arrays of float32."""
        return _mapped(kept, lambda leaf: leaf.array() if isinstance(leaf, _Halves) else leaf)

    def _half(self, array: Array) -> _Halves:
        """Return the upper halves of an array, the same for several ops that keep it."""
        before = self._known.get(id(array))
        if before is not None and before[0]() is array and before[1] is not None:
            found = before[1]()
            if found is not None:
                return found
        made = _Halves(array)
        self._known[id(array)] = weakref.ref(array), weakref.ref(made)
        return made

    def _is_known(self, array: Any) -> bool:
        """Whether an array, or what it is a view of, was rounded here."""
        for a in (array, array.base):
            before = self._known.get(id(a))
            if a is not None and before is not None and before[0]() is a:
                return True
        return False

    def _is_held(self, array: Any) -> bool:
        return id(array) in self._held or id(array.base) in self._held


def _eligible(leaf: Any) -> bool:
    return getattr(leaf, "dtype", None) == np.float32 and hasattr(leaf, "ndim") and leaf.size >= _LEAST


def _is_half(array: Array) -> bool:
    """Whether all numbers are of bfloat16: a copy of what was rounded."""
    words = namespace(array).ascontiguousarray(array).reshape(-1).view(np.uint16)
    return not bool(words[1 - _UPPER :: 2].any())


def _nearest(array: Array) -> Array:
    """Return float32 numbers rounded to bfloat16, ties to even, as an array of its own; NaN stays NaN."""
    xp = namespace(array)
    found = xp.ascontiguousarray(array).copy()
    bits = found.reshape(-1).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    odd += np.uint32(0x7FFF)
    bits += odd
    bits &= np.uint32(0xFFFF0000)
    with np.errstate(over="ignore", invalid="ignore"):  # the sum of finite numbers may be infinite, and then NaN
        suspect = xp.isnan(array.sum())
    return xp.where(xp.isnan(array), array, found) if suspect else found


def _mapped(tree: Any, change: Any) -> Any:
    """Return a tree of tuples, lists, dicts and dataclasses with its leaves changed; itself, where none is."""
    if isinstance(tree, (tuple, list)):
        found = [_mapped(branch, change) for branch in tree]
        if all(a is b for a, b in zip(found, tree)):
            return tree
        return type(tree)._make(found) if hasattr(tree, "_make") else type(tree)(found)
    named = tree if isinstance(tree, dict) else _fields(tree)
    if named is None:
        return change(tree)
    made = {key: _mapped(branch, change) for key, branch in named.items()}
    if all(made[key] is branch for key, branch in named.items()):
        return tree
    if isinstance(tree, dict):
        return made
    again = copy.copy(tree)
    for key, branch in made.items():
        object.__setattr__(again, key, branch)
    return again


def _fields(tree: Any) -> dict[str, Any] | None:
    """Return the fields of a dataclass object by name; None of anything else."""
    if not dataclasses.is_dataclass(tree) or isinstance(tree, type):
        return None
    return {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
