"""Codebooks and mappings learned together from a layer's outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.compression.networks.problems import Problem, Quadratic
from sci.nn import Adam, CodebookWeight, CodedWeight, pack_codes

__all__ = ["descend", "learn", "polish"]

_BOOK_RATE, _SCORE_RATE = 0.01, 0.01
"""Learning rates: of values over the root mean square of their group, and of scores, whose unit is a gap of values."""
_REFITS = 8
"""Steps of conjugate gradients for codebooks of given codes."""


def learn(problem: Problem, maps: Mapping[str, CodebookWeight], steps: int, sweeps: int) -> dict[str, CodedWeight]:
    """Return the weights of a layer as codes: the best of the start of the maps, `steps` of Adam, and both polished.

    Polish, `sweeps` over all codes, needs a quadratic problem of one weight. The error is at most that of the start.
    """
    start = {name: m.coded(m.start()) for name, m in maps.items()}
    found = [start, *([descend(problem, maps, steps)] if steps else [])]
    if sweeps and isinstance(problem, Quadratic):
        name = problem.name
        found += [{name: polish(problem, coded[name], sweeps)} for coded in found]
    return min(found, key=lambda coded: _value(problem, coded))


def _value(problem: Problem, coded: Mapping[str, CodedWeight]) -> float:
    return problem.value_and_gradients({**problem.weights, **{n: c.decode() for n, c in coded.items()}})[0]


def descend(problem: Problem, maps: Mapping[str, CodebookWeight], steps: int) -> dict[str, CodedWeight]:
    """Return the best codes on the way of Adam from the start of the maps, along half a cosine.

    Codebooks are trained in units of the root mean square of their group, so that one rate is right for all.
    """
    units = {name: _units(m) for name, m in maps.items()}
    arrays = {name: {key: a.copy() for key, a in m.start().items()} for name, m in maps.items()}
    flat = {f"{name}.{key}": a for name, own in arrays.items() for key, a in own.items()}
    for name, unit in units.items():
        arrays[name]["codebooks"] /= unit
    optimizer = Adam(1.0, rates={key: _SCORE_RATE if key.endswith(".scores") else _BOOK_RATE for key in flat})
    state, best = optimizer.start(flat), math.inf
    kept: dict[str, CodedWeight] = {}
    for step in range(steps + 1):
        real = {name: {**own, "codebooks": own["codebooks"] * units[name]} for name, own in arrays.items()}
        found = {name: m.forward(real[name]) for name, m in maps.items()}
        value, slopes = problem.value_and_gradients({**problem.weights, **{n: w for n, (w, _) in found.items()}})
        if value < best:
            best, kept = value, {name: m.coded(real[name]) for name, m in maps.items()}
        gradients = {}
        for name, m in maps.items():
            own = m.vjp(slopes[name], found[name][1])
            own["codebooks"] *= units[name]
            gradients.update({f"{name}.{key}": g for key, g in own.items()})
        optimizer.update(flat, gradients, state, step + 1, 0.5 * (1 + math.cos(math.pi * step / max(steps, 1))))
    return kept


def _units(weight_map: CodebookWeight) -> np.ndarray:
    """Return the root mean square of each codebook's values, 1 where they are zero."""
    squares = np.sqrt((weight_map.codebooks.astype(np.float64) ** 2).mean(axis=1, keepdims=True))
    return np.where(squares > 0, squares, 1).astype(weight_map.codebooks.dtype)


def polish(problem: Quadratic, weight: CodedWeight, sweeps: int) -> CodedWeight:
    """Return better codes and codebooks: each code in turn the best with all others held, then codebooks refit.

    With R = W H - B, entry (r, c) alone is best at w - R / H_cc; its code is that of the nearest value, which no
    choice beats while the other columns stand. Rows do not know of each other, so that a sweep takes one column of all
    rows after the other. Codebooks with codes held are a least-squares problem. Neither step increases the error.
    """
    matrices, rows, columns = problem.matrix.shape
    codes = weight.codes.reshape(matrices, rows, columns).astype(np.int64)
    groups, books = weight.groups.reshape(matrices, rows), weight.codebooks.astype(np.float64)
    diagonal = np.einsum("mcc->mc", problem.gram)
    for _ in range(sweeps):
        matrix = books[groups[..., None], codes]
        values, changed = books[groups], 0
        residual = matrix @ problem.gram - problem.cross
        for c in range(columns):
            now = matrix[..., c]
            wanted = now - residual[..., c] / diagonal[:, None, c]
            code = np.abs(values - wanted[..., None]).argmin(axis=2)
            step = np.take_along_axis(values, code[..., None], 2)[..., 0] - now
            if not step.any():
                continue
            changed += int(np.count_nonzero(step))
            codes[..., c], matrix[..., c] = code, now + step
            residual += step[..., None] * problem.gram[:, None, c]
        books = _refit(problem, books, groups, codes)
        if not changed:
            break
    return _with(weight, codes.reshape(-1, columns), books)


def _with(weight: CodedWeight, codes: np.ndarray, books: np.ndarray) -> CodedWeight:
    packed = pack_codes(codes, weight.bits)
    options: dict[str, Any] = {"row_axes": weight.row_axes, "dtype": weight.dtype}
    kept = books.astype(weight.codebooks.dtype)
    return CodedWeight(weight.shape, packed, kept, weight.groups, weight.bits, **options)


def _refit(problem: Quadratic, books: np.ndarray, groups: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return codebooks of a smaller error with the codes held, by conjugate gradients without a matrix."""
    place = (groups[..., None] * books.shape[1] + codes).reshape(-1)

    def matrix_of(flat: np.ndarray) -> np.ndarray:
        found: np.ndarray = flat[place].reshape(problem.matrix.shape)
        return found

    def gathered(matrix: np.ndarray) -> np.ndarray:
        return np.bincount(place, weights=matrix.reshape(-1), minlength=books.size)

    found = books.reshape(-1).copy()
    r = gathered(problem.cross - matrix_of(found) @ problem.gram)
    p, square = r.copy(), float(r @ r)
    for _ in range(_REFITS):
        if square <= 0:
            break
        product = gathered(matrix_of(p) @ problem.gram)
        curvature = float(p @ product)
        if curvature <= 0:
            break
        alpha = square / curvature
        found += alpha * p
        r -= alpha * product
        square, before = float(r @ r), square
        p = r + (square / before) * p
    return found.reshape(books.shape)
