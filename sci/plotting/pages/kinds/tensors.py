"""Charts of tensors in formats: how the terms and ranks share the norm, and a plane of the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sci.backend import to_host
from sci.plotting.pages.charts import image, lines
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.panels import Panel, Table, number
from sci.plotting.pages.registry import figures_of

__all__: list[str] = []

PLANE = 160
"""Largest side of the plane of values that is drawn."""


@figures_of("cp")
def _cp(contents: Contents) -> Iterator[Panel]:
    tensor = contents.object
    yield _facts(tensor, {"CP rank": len(tensor.weights)})
    sizes = np.abs(to_host(tensor.weights))
    for factor in tensor.factors:
        sizes = sizes * np.linalg.norm(to_host(factor), axis=0)
    yield _decay("Size of the terms", {"term": np.sort(sizes)[::-1]}, "term", "norm of the term")
    factors = [to_host(factor) for factor in tensor.factors]
    yield from _plane(factors[0] * to_host(tensor.weights), factors[1], factors[2:])


@figures_of("tucker")
def _tucker(contents: Contents) -> Iterator[Panel]:
    tensor = contents.object
    core = to_host(tensor.core)
    yield _facts(tensor, {"Tucker ranks": core.shape})
    values = {}
    for axis in range(core.ndim):
        unfolded = np.moveaxis(core, axis, 0).reshape(core.shape[axis], -1)
        values[f"axis {axis}"] = np.linalg.svd(unfolded, compute_uv=False)
    yield _decay("Singular values of the core", values, "index", "singular value")
    middle = core
    for factor in tensor.factors[2:]:
        row = to_host(factor)[len(factor) // 2]
        middle = np.tensordot(middle, row, axes=(2, 0))
    first, second = (to_host(factor)[:PLANE] for factor in tensor.factors[:2])
    yield _values(first @ middle @ second.T, tensor)


@figures_of("tensor_train")
def _tensor_train(contents: Contents) -> Iterator[Panel]:
    tensor = contents.object
    cores = [to_host(core) for core in tensor.cores]
    ranks = [core.shape[-1] for core in cores[:-1]]
    yield _facts(tensor, {"ranks": ranks})
    values = {}
    for k, core in enumerate(cores[:-1]):
        values[f"bond {k}"] = np.linalg.svd(core.reshape(-1, core.shape[-1]), compute_uv=False)
    yield _decay("Singular values of the cores", values, "index", "singular value")
    right = np.ones(1)
    for core in reversed(cores[2:]):
        right = core[:, core.shape[1] // 2] @ right if core.ndim == 3 else core[:, core.shape[1] // 2]
    second = cores[1] @ right if cores[1].ndim == 3 else cores[1]
    yield _values(cores[0][:PLANE] @ second[:, :PLANE], tensor)


def _facts(tensor: Any, ranks: Mapping[str, Any]) -> Table:
    shape = tuple(tensor.shape)
    whole, stored = float(np.prod(shape, dtype=float)), tensor.nbytes / np.dtype(tensor.dtype).itemsize
    rows = [("shape", " x ".join(map(str, shape))), *((name, number(value)) for name, value in ranks.items())]
    rows += [("dtype", str(tensor.dtype)), ("numbers stored", number(int(stored)))]
    return Table("Tensor", [*rows, ("numbers of the whole tensor over those stored", f"{whole / stored:.3g}")])


def _decay(title: str, values: Mapping[str, np.ndarray], x_label: str, y_label: str) -> Panel:
    curves = {name: (np.arange(1, len(v) + 1), np.maximum(v, 1e-300)) for name, v in values.items()}
    return lines(title, (np.zeros(0), x_label), curves, y_label, log=True, marks=True)


def _plane(first: np.ndarray, second: np.ndarray, others: list[np.ndarray]) -> Iterator[Panel]:
    weights = np.ones(first.shape[1])
    for factor in others:
        weights = weights * factor[len(factor) // 2]
    yield _values((first[:PLANE] * weights) @ second[:PLANE].T, None)


def _values(plane: np.ndarray, tensor: Any) -> Panel:
    """Return a plane of values; the absolute values of complex ones."""
    quantity = "value"
    if np.iscomplexobj(plane):
        plane, quantity = np.abs(plane), "absolute value"
    axes = [(np.arange(n), f"{name} index") for n, name in zip(plane.shape, ("first", "second"))]
    note = "The other indices are in the middle."
    return image("Values of the tensor", plane, axes[0], axes[1], quantity, note=note)
