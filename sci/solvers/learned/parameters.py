"""Parameters of the learned V-cycle: a few numbers and a small network for each kind of level.

They are bounded so that the cycle stays symmetric and positive definite for any values.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, sqrt, tanh
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.solvers.network.numbers import SHAPES as NETWORK_SHAPES

__all__ = [
    "KINDS",
    "Parameters",
    "check_parameters",
    "consistent_gain",
    "flat_network",
    "gain_vjp",
    "initial_parameters",
    "kind_of",
    "modulations",
    "modulations_vjp",
    "weights",
    "weights_vjp",
]

Parameters: TypeAlias = dict[str, Array]
"""Arrays by name, `level<kind>.<name>`."""

KINDS = 3
"""Level 0, level 1, and all below it have parameters of their own."""

FEATURES, HIDDEN = 6, 8
IN_THE_OPEN = (1.0, 0.0, 1.0, 1.0, 0.0, 1.0)
"""Features of a cell in the middle of fluid."""
IN_A_PLANE = (1.0, 1.5, 1.5, 3.0, 4.5, 4.5)
"""Factors of the features on a grid of two axes, which has 4 faces per cell instead of 6, and 9 cells instead of 27."""
BOUNDS = (0.3, 0.45, 0.6)
"""Largest logarithm of the three modulations of a cell: Jacobi weight, transfer, Dirichlet term."""

LARGEST = 2.0 * exp(BOUNDS[0])
"""Bound on the eigenvalues of D A, where D is at most exp(BOUNDS[0]) over the diagonal of A: by Gershgorin's circles
those of a graph Laplacian over its diagonal are at most 2."""

STEPS = (1, 2, 2)
"""Pairs of Jacobi steps before, and mirrored after, the coarse correction, for each kind of level."""


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by its name."""
    network = {"w1": (FEATURES, HIDDEN), "b1": (HIDDEN,), "w2": (HIDDEN, 3), "b2": (3,)}
    scalars: dict[str, tuple[int, ...]] = {"tap": (), "gain": ()}
    return {
        f"level{kind}.{name}": shape
        for kind in range(KINDS)
        for name, shape in {**network, **scalars, "center": (STEPS[kind],), "spread": (STEPS[kind],)}.items()
    } | NETWORK_SHAPES


def initial_parameters(seed: int = 0) -> Parameters:
    """Return the untrained parameters: linear transfer, Chebyshev-like weights, no modulation.

    The first layer of each network is random, its last one zero, so that the seed does not change the untrained cycle.
    """
    rng = np.random.default_rng(seed)
    start = {"tap": 0.25, "center": -3.5, "spread": 0.7}
    parameters = {name: np.full(shape, start.get(name.split(".")[1], 0.0)) for name, shape in shapes().items()}
    for kind in range(KINDS):
        if STEPS[kind] == 2:
            parameters[f"level{kind}.spread"] = np.array([1.1, -0.8])
        parameters[f"level{kind}.w1"] = 0.5 * rng.normal(size=(FEATURES, HIDDEN))
        parameters[f"level{kind}.b1"] = 0.1 * rng.normal(size=HIDDEN)
    return parameters


def check_parameters(parameters: Mapping[str, Any]) -> Parameters:
    """Return the parameters as finite float64 arrays.

    Raises
    ------
    InvalidValueError, ShapeError
        If names or shapes are not those of this cycle, or a number is not finite.
    """
    expected = shapes()
    # Files of schema 1 spell it so.
    parameters = {name.replace(".centre", ".center"): value for name, value in parameters.items()}
    if not any(name.startswith("network.") for name in parameters):
        # Files from before networks were learned.
        parameters |= {name: np.zeros(shape) for name, shape in NETWORK_SHAPES.items()}
    if set(parameters) != set(expected):
        odd = sorted(set(parameters) ^ set(expected))
        raise InvalidValueError(f"the parameters {', '.join(odd)} are missing or unknown; is it a model of this cycle?")
    checked = {name: np.array(parameters[name], dtype=np.float64) for name in expected}
    for name, value in checked.items():
        if value.shape != expected[name]:
            raise ShapeError(f"parameter {name} has shape {value.shape}; expected {expected[name]}")
        if not np.isfinite(value).all():
            raise InvalidValueError(f"parameter {name} holds NaN or infinite numbers")
    return checked


def kind_of(depth: int) -> int:
    """Return the kind of parameters of the level at `depth`."""
    return min(depth, KINDS - 1)


def _roots(center: Array, spread: Array) -> tuple[Array, Array]:
    middle = 0.5 * LARGEST * (1.0 + np.exp(center))
    return middle, middle * sqrt(0.5) / (1.0 + np.exp(-spread))


def weights(parameters: Parameters, kind: int) -> list[float]:
    """Return the damping of each Jacobi step of a level, in order.

    A pair of steps multiplies the error by p(D A), p(t) = ((t - m)^2 - g^2) / (m^2 - g^2), where m exceeds LARGEST / 2
    and g < m / sqrt(2). So |p| < 1 on (0, LARGEST], and the steps contract the energy of every error.
    """
    middle, gap = _roots(parameters[f"level{kind}.center"], parameters[f"level{kind}.spread"])
    return [float(w) for m, g in zip(middle, gap) for w in (1.0 / (m - g), 1.0 / (m + g))]


def weights_vjp(dweights: Array, parameters: Parameters, kind: int) -> tuple[Array, Array]:
    """Return the gradients for `center` and `spread` from those for the weights."""
    center, spread = parameters[f"level{kind}.center"], parameters[f"level{kind}.spread"]
    middle, gap = _roots(center, spread)
    low, high = -dweights[0::2] / (middle - gap) ** 2, -dweights[1::2] / (middle + gap) ** 2
    dgap = high - low
    dmiddle = low + high + dgap * gap / middle
    return dmiddle * (middle - 0.5 * LARGEST), dgap * gap / (1.0 + np.exp(spread))


def _bends(dtype: Any) -> np.ndarray:
    return np.array([tanh(0.5 * bound) for bound in BOUNDS], dtype=dtype)


def modulations(parameters: Parameters, kind: int, features: Array) -> tuple[Array, Any]:
    """Return three factors of each cell, (..., 3), from its features (..., FEATURES).

    A layer of HIDDEN units and one of three, both with s(x) = x / (1 + |x|), and (1 + c s) / (1 - c s), which lies
    between exp(-bound) and exp(bound) for c = tanh(bound / 2). Divisions alone are fast in a kernel.
    """
    xp, dtype = namespace(features), features.dtype
    w1, b1, w2, b2 = (xp.asarray(parameters[f"level{kind}.{n}"], dtype=dtype) for n in ("w1", "b1", "w2", "b2"))
    bends = xp.asarray(_bends(dtype))
    inner = features @ w1 + b1
    hidden = inner / (1 + xp.abs(inner))
    outer = hidden @ w2 + b2
    last = outer / (1 + xp.abs(outer))
    return (1 + bends * last) / (1 - bends * last), (features, hidden, last, w2, bends)


def modulations_vjp(dout: Array, residuals: Any) -> dict[str, Array]:
    """Return the gradients of the network's parameters."""
    features, hidden, last, w2, bends = residuals
    xp = namespace(dout)
    outer = (dout * 2 * bends / (1 - bends * last) ** 2 * (1 - xp.abs(last)) ** 2).reshape(-1, 3)
    flat = hidden.reshape(-1, HIDDEN)
    inner = (outer @ w2.T) * (1 - xp.abs(flat)) ** 2
    first = features.reshape(-1, FEATURES).T @ inner
    return {"w1": first, "b1": inner.sum(axis=0), "w2": flat.T @ outer, "b2": outer.sum(axis=0)}


def _open_transfer(parameters: Parameters, kind: int) -> tuple[float, Any]:
    """Return the modulation of the transfer in the middle of fluid, and the residuals for its gradients."""
    factors, residuals = modulations(parameters, kind, np.array([IN_THE_OPEN]))
    return float(factors[0, 1]), residuals


def consistent_gain(parameters: Parameters, kind: int) -> Array:
    """Return the gain (logarithm of the correction scale) with which a smooth residual keeps its size between levels.

    Restriction and interpolation both carry the modulation m of the transfer, so exp(gain) m^2 = 1. Levels that share
    their parameters would otherwise multiply the same excess once per level, the more the larger the grid.
    """
    return np.array(-2.0 * np.log(_open_transfer(parameters, kind)[0]))


def gain_vjp(gradients: Parameters, parameters: Parameters, kind: int) -> None:
    """Add the gradient of the gain of a level, if it is the consistent one, to those of the network."""
    weight, residuals = _open_transfer(parameters, kind)
    dfactors = np.array([[0.0, -2.0 * float(gradients[f"level{kind}.gain"]) / weight, 0.0]])
    for name, gradient in modulations_vjp(dfactors, residuals).items():
        gradients[f"level{kind}.{name}"] = gradients[f"level{kind}.{name}"] + gradient
    gradients[f"level{kind}.gain"] = np.zeros(())


def flat_network(parameters: Parameters, kind: int, plane: bool) -> np.ndarray:
    """Return a network as the kernel reads it: W1, b1, W2, b2 and the constants c, in float32.

    On a grid of two axes (`plane`) W1 carries the factors of the features, so that the network sees a plane as infinite
    in the third direction.
    """
    layers = [parameters[f"level{kind}.{name}"] for name in ("w1", "b1", "w2", "b2")]
    if plane:
        layers[0] = layers[0] * np.array(IN_A_PLANE)[:, None]
    return np.concatenate([*map(np.ravel, layers), _bends(np.float64)]).astype(np.float32)
