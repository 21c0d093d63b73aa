"""What a call of attention does with scores, checked: caps, slopes, a bias, a mask, a callable, dropout."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.backend.philox import require_seed
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.sequence.attention.pattern import Pattern
from sci.sequence.checks import check_dtypes, check_finite
from sci.sequence.tiles.rules import PairScore, Planes, Rules, Scored

__all__ = ["Scores", "checked_cap", "checked_planes", "checked_rate", "checked_slopes", "require_method"]


@dataclass(frozen=True)
class Scores:
    """Options of a call, for this rank's queries and all keys; see `Rules`."""

    heads: int
    cap: float = 0.0
    slopes: Array | None = None
    bias: Planes | None = None
    mask: Planes | None = None
    rate: float = 0.0
    seed: int = 0
    score: PairScore | None = None
    parameters: Array | None = None
    leading: tuple[int, ...] = ()

    @property
    def has_cap_alone(self) -> bool:
        """Whether nothing but a cap, if that, is done with scores."""
        return not self.rate and all(x is None for x in (self.slopes, self.bias, self.mask, self.score))

    def rules(self, pattern: Pattern, queries: np.ndarray, keys: np.ndarray, sums: list[Array]) -> Rules:
        """Return the rules for queries and keys at some positions; the callable's gradient goes into `sums`."""
        told = pattern.told_apart and pattern.query_documents is not None and pattern.key_documents is not None
        scored = None
        if self.score is not None:
            scored = Scored(self.score, self.parameters, self.leading, sums)
        return Rules(
            np.arange(self.heads),
            pattern.places(queries),
            queries,
            keys,
            self.cap,
            self.slopes,
            None if self.bias is None else self.bias.of_keys(keys),
            None if self.mask is None else self.mask.of_keys(keys),
            pattern.query_documents[:, queries] if told else None,  # type: ignore[index]
            pattern.key_documents[:, keys] if told else None,  # type: ignore[index]
            self.rate,
            self.seed,
            scored,
        )

    def blind(self, pattern: Pattern, queries: np.ndarray) -> np.ndarray:
        """Return True for the heads and queries that a mask and the pattern leave without keys, (heads or rows, n)."""
        if self.mask is None:
            return pattern.blind(queries)
        planes, each = to_host(self.mask.array), self.heads // pattern.rows
        found = np.zeros((self.heads, queries.size), bool)
        for at in np.array_split(np.arange(queries.size), max(1, queries.size // 256)):
            table = _table(pattern, queries[at])
            for head, plane in enumerate(self.mask.plane.tolist()):
                own = planes[plane] if planes.shape[1] == 1 else planes[plane][at]
                found[head, at] = (own & table[head // each]).any(axis=1)
        return ~found


def _table(pattern: Pattern, queries: np.ndarray) -> np.ndarray:
    """Return True where a query sees a key, (rows, queries, m)."""
    keys = np.arange(pattern.m)
    table = np.zeros((pattern.rows, queries.size, pattern.m), bool)
    for low, high in pattern.ranges(queries):
        table |= (low[:, :, None] <= keys) & (keys <= high[:, :, None])
    if pattern.query_documents is not None and pattern.key_documents is not None:
        table &= pattern.query_documents[:, queries, None] == pattern.key_documents[:, None]
    return table


def require_method(method: str, scores: Scores, pattern: Pattern) -> None:
    """Raise for what a method cannot do, on all ranks alike.

    Raises
    ------
    InvalidValueError
        It names the method that can.
    """
    asked = {
        "bias": scores.bias,
        "mask": scores.mask,
        "score": scores.score,
        "cap": scores.cap or None,
        "slopes": scores.slopes,
        "dropout": scores.rate or None,
        "segments for each row of the batch": True if pattern.rows > 1 else None,
        "a document in several runs": True if pattern.query_documents is not None and pattern.told_apart else None,
    }
    takes: tuple[str, ...] = {"ring": tuple(asked), "ulysses": tuple(asked)[3:], "rsa": ()}[method]
    for name, value in asked.items():
        if value is not None and name not in takes:
            able = "'ring' and 'ulysses' do" if name in tuple(asked)[3:] else "'ring' does"
            raise InvalidValueError(f"method {method!r} does not take {name}; {able}")


def checked_cap(cap: float | None, dtype: Any) -> float:
    """Return the cap of scores in `dtype`, 0 for None.

    Raises
    ------
    InvalidValueError
    """
    if cap is None:
        return 0.0
    least = float(np.finfo(dtype).tiny)
    if not least <= cap <= 1 / least:
        raise InvalidValueError(
            f"cap is {cap}; expected a positive number from {least:.3g} to {1 / least:.3g}, or None"
        )
    return float(cap)


def checked_rate(rate: float, seed: int | None) -> tuple[float, int]:
    """Return the share of weights that dropout takes and its seed.

    Raises
    ------
    InvalidValueError
        For a share outside of [0, 1), and one without a seed.
    """
    if not 0 <= rate < 1:
        raise InvalidValueError(f"dropout is {rate}; expected 0 or more and less than 1")
    if rate and seed is None:
        raise InvalidValueError(f"dropout is {rate} without a seed; pass seed=, another one in each step")
    require_seed(int(seed or 0))
    return float(rate), int(seed or 0)


def checked_slopes(slopes: Any, leading: tuple[int, ...], dtype: Any, xp: Any) -> Array | None:
    """Return one slope for each head of a batch, in the dtype of sums.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        Also for a slope beyond `dtype`.
    """
    if slopes is None:
        return None
    given = np.asarray(to_host(slopes) if hasattr(slopes, "dtype") else slopes)
    if given.dtype.kind == "c":
        raise DTypeError(f"slopes have dtype {given.dtype}; expected real numbers")
    with np.errstate(over="ignore"):
        values = given.astype(np.float64).astype(dtype)
    if values.shape != leading[-1:]:
        raise ShapeError(f"slopes have shape {values.shape}; expected {leading[-1:]}, one for each head")
    check_finite({"slopes": values})
    return to_device(np.tile(values, math.prod(leading[:-1])), xp)


def checked_planes(
    array: Any, name: str, leading: tuple[int, ...], length: int, like: Array, dtype: Any
) -> tuple[Planes, tuple[int, ...]]:
    """Return a bias or a mask as planes, and its shape with all axes; keys are checked later.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    """
    shape = tuple(getattr(array, "shape", ()))
    full = (1,) * (len(leading) + 2 - len(shape)) + shape
    fits = 2 <= len(shape) <= len(leading) + 2
    fits = fits and all(a in (1, b) for a, b in zip(full, (*leading, length)))
    if not fits:
        raise ShapeError(
            f"{name} has shape {shape}; expected one that broadcasts to {(*leading, length)} and all keys, the rows of "
            "this rank's queries"
        )
    if name == "mask":
        if array.dtype != bool:
            raise InvalidValueError(f"mask has dtype {array.dtype}; expected booleans, True where a key is seen")
        namespace(like, array)
    else:
        check_dtypes({"q": like, name: array})
        check_finite({name: array})
    planes = math.prod(full[:-2])
    xp = namespace(array)
    made = xp.ascontiguousarray(array.astype(bool if name == "mask" else dtype, copy=False)).reshape(planes, *full[-2:])
    index = np.broadcast_to(np.arange(planes).reshape(full[:-2]), leading).reshape(-1)
    return Planes(made, np.ascontiguousarray(index)), full
