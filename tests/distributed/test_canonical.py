"""Values that are equal have equal bytes, and values that differ do not."""

from __future__ import annotations

import enum
import functools
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sci.distributed import form
from sci.distributed.canonical import canonical, short_text
from sci.errors import DTypeError


class Color(enum.Enum):
    """Two members."""

    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Settings:
    """A field that counts, and one that does not."""

    rate: float
    note: Any = field(default=None, compare=False)


EQUAL = [
    (4, 4.0),
    (np.float64(0.1), 0.1),
    (np.int32(3), 3),
    (True, 1),
    (math.nan, float("nan")),
    ((1, "a"), [1, "a"]),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({1, 2}, frozenset({2, 1})),
    (np.arange(3.0), np.arange(6.0)[::2] / 2),
    (np.arange(2).astype(">i8"), np.arange(2)),
    (np.zeros((0, 3)), np.empty((0, 3))),
    (Settings(0.1, "here"), Settings(0.1, "there")),
    (np.random.default_rng(1), np.random.default_rng(1)),
    (Path("a/b"), "a/b"),
    (functools.partial(max, 1), functools.partial(max, 1)),
]
DIFFERENT = [
    None,
    0,
    4.05,
    4.050000000000001,
    math.inf,
    1 + 2j,
    "",
    "1",
    [],
    [1],
    [[1]],
    [1, 2],
    ["1", "2"],
    {"a": 1},
    {"a": 2},
    {1, 2, 3},
    np.arange(3.0),
    np.arange(3),
    np.arange(3.0)[:, None],
    np.arange(3.0, dtype=np.float32),
    np.array([0.0, 1.0, np.nextafter(2.0, 3.0)]),
    np.dtype("f4"),
    np.dtype("f8"),
    Color.RED,
    Color.BLUE,
    Settings(0.1),
    Settings(0.2),
    slice(0, 2),
    range(0, 2),
    np.random.default_rng(1),
    np.random.default_rng(2),
    np.sum,
    math.sin,
    Settings,
    functools.partial(max, 2),
    form(np.arange(3.0)),
    form(np.zeros((2, 3)), [0]),
]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal_values_have_equal_bytes(a: Any, b: Any) -> None:
    assert canonical(a) == canonical(b)


def test_different_values_have_different_bytes() -> None:
    assert len({canonical(value) for value in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize("value", [object(), iter([1]), np.array(["a"]), [object()]])
def test_what_cannot_be_compared_is_refused(value: Any) -> None:
    with pytest.raises(DTypeError, match="cannot be"):
        canonical(value)


def test_forms_say_what_may_differ() -> None:
    x = np.zeros((2, 3, 4), np.float32)
    assert str(form(x, [-2])) == "shape (2, *, 4) of float32"
    assert str(form(np.zeros(5), [0])) == "shape (*,) of float64"
    assert form(x, [0]) == form(x[:1], [0]) != form(x[:, :1], [0])
    assert form(x.astype(">f4")) == form(x)
    with pytest.raises(DTypeError, match="object"):
        form(np.array([None]))


def test_texts_are_short() -> None:
    assert short_text(4.05) == "4.05"
    assert short_text(np.arange(3)) == "[0, 1, 2]"
    assert short_text(np.arange(30.0)).startswith("an array of shape (30,) of float64, checksum ")
    assert len(short_text("x" * 500)) == 120
