"""The layers of TransNormerLLM: root mean square norm, rotations, gated linear attention, the gated unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    add,
    checkpoint,
    linear,
    multiply,
    op,
    reshape,
    silu,
    transpose,
    value_of,
)

__all__ = [
    "Recompute",
    "gated_unit",
    "lrpe",
    "recompute_by_layer",
    "residual_block",
    "simple_rms_norm",
    "transnormer_attention",
    "transnormer_decays",
]

Attend = Callable[[Any, Any, Any], Any]
Recompute: TypeAlias = Literal["none", "attention", "feedforward", "block"]
"""What of a block a training computes a second time on the way back, in the place of keeping it."""
_PARTS: tuple[Recompute, ...] = get_args(Recompute)


def recompute_by_layer(recompute: Recompute | Sequence[Recompute], layers: int) -> tuple[Recompute, ...]:
    """Return the choice of every layer, from one for all or one for each.

    Raises
    ------
    InvalidValueError
    """
    found = (recompute,) * layers if isinstance(recompute, str) else tuple(recompute)
    if len(found) != layers or not set(found) <= set(_PARTS):
        raise InvalidValueError(
            f"recompute is {recompute!r}; expected one of {', '.join(map(repr, _PARTS))}, or one for each of {layers} "
            "layers"
        )
    return found


def residual_block(x: Any, attention: Callable[[Any], Any], feedforward: Callable[[Any], Any], again: Recompute) -> Any:
    """Return y + feedforward(norm y) of y = x + attention(norm x); `again` is what `checkpoint` computes twice."""

    def first(x: Any) -> Any:
        return add(x, attention(simple_rms_norm(x)))

    def second(x: Any) -> Any:
        return add(x, feedforward(simple_rms_norm(x)))

    if again == "block":
        return checkpoint(lambda x: second(first(x)), x)
    x = checkpoint(first, x) if again == "attention" else first(x)
    return checkpoint(second, x) if again == "feedforward" else second(x)


def _simple_rms_norm_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `simple_rms_norm`: rho (dy - y mean(y dy)) with rho = 1 / sqrt(mean(x^2) + eps)."""
    unit, inverse = residuals
    return ((dout - unit * (unit * dout).mean(axis=-1, keepdims=True)) * inverse,)


@op(vjp=_simple_rms_norm_vjp)
def simple_rms_norm(x: Array, *, eps: float = 1e-6) -> tuple[Array, Any]:
    """Return x / sqrt(mean(x^2) + eps) over the last axis.

    Parameters
    ----------
    x : (..., n) array
        What is normalized.
    eps : float
        Added to the mean square.

    Returns
    -------
    array or variable

    References
    ----------
    TransNormerLLM (arXiv 2307.14995), equation 9; with the mean inside the root and no weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import simple_rms_norm
    >>> simple_rms_norm(np.array([[3.0, 4.0]])).round(3)
    array([[0.849, 1.131]])
    """
    inverse = 1 / namespace(x).sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    unit = x * inverse
    return unit, (unit, inverse)


def _lrpe_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    """Return the gradients of `lrpe` for x and theta."""
    x, t, cos, sin = residuals
    d = x.shape[-1]
    real, imaginary = dout[..., :d], dout[..., d:]
    turned = ((imaginary * cos - real * sin) * x * t[:, None]).sum(axis=-2)
    return real * cos + imaginary * sin, turned.reshape(-1, *turned.shape[-2:]).sum(axis=0)


@op(vjp=_lrpe_vjp)
def lrpe(x: Array, theta: Array, *, start: int = 0) -> tuple[Array, Any]:
    """Rotate by position: (x cos(theta t), x sin(theta t)), so that q_t . k_s becomes sum of q k cos(theta (t - s)).

    Parameters
    ----------
    x : (..., heads, n, d) array
    theta : (heads, d) array
        Angles, learned.
    start : int
        Position of the first token: with sequences over ranks, that of this rank's run.

    Returns
    -------
    (..., heads, n, 2 d) array

    Raises
    ------
    ShapeError

    Notes
    -----
    theta t is computed and reduced to one turn in float64, whatever the dtype, so that positions of 1e7 and more are
    as good as the first.

    References
    ----------
    TransNormerLLM, section 3.1: LRPE-d is this rotation and the decay together.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import lrpe
    >>> lrpe(np.ones((1, 2, 1)), np.array([[np.pi / 2]]), start=1).round(6)
    array([[[ 0.,  1.],
            [-1.,  0.]]])
    """
    if x.ndim < 3 or theta.shape != (x.shape[-3], x.shape[-1]):
        raise ShapeError(f"lrpe: x {x.shape} and theta {theta.shape}; expected (..., heads, n, d) and (heads, d)")
    xp = namespace(x, theta)
    t = xp.arange(start, start + x.shape[-2], dtype=np.float64)
    angle = theta[:, None, :].astype(np.float64, copy=False) * t[:, None]
    if theta.dtype != np.float64:
        # A product rounded to float32 is wrong by a whole turn after some million tokens.
        angle = xp.remainder(angle, 2 * np.pi).astype(theta.dtype)
    cos, sin = xp.cos(angle), xp.sin(angle)
    return xp.concatenate([x * cos, x * sin], axis=-1), (x, t.astype(theta.dtype, copy=False), cos, sin)


@entry
def transnormer_decays(heads: int, layer: int, layers: int) -> np.ndarray:
    """Return the published decays of a layer: 2^(-8 h / heads) (1 - layer / (layers - 1) + 1e-5), h = 1 ... heads.

    Parameters
    ----------
    heads : int
        Number of heads.
    layer : int
        Counts from 0.
    layers : int
        With one layer the second factor is 1.

    Returns
    -------
    (heads,) float64 array
        The first head of the first layer forgets within a few tokens, its last head within some hundred; the last
        layer keeps everything.

    Raises
    ------
    InvalidValueError

    References
    ----------
    The published code of TransNormerLLM (slopes of Press et al., ALiBi, arXiv 2108.12409). Equation 3 of the paper,
    (8 h / heads) (1 - layer / layers), forgets within eight tokens; models in files without decays have it.

    Examples
    --------
    >>> from sci.sequence import transnormer_decays
    >>> transnormer_decays(4, 0, 2).round(3)
    array([0.25 , 0.063, 0.016, 0.004])
    """
    if heads < 1 or not 0 <= layer < layers:
        raise InvalidValueError(f"{heads} heads, layer {layer} of {layers}; expected 0 <= layer < layers and heads > 0")
    depth = 1 - layer / (layers - 1) + 1e-5 if layers > 1 else 1.0
    decays: np.ndarray = 2.0 ** (-8.0 * np.arange(1, heads + 1) / heads) * depth
    return decays


def _split_heads(x: Any, heads: int) -> Any:
    """Turn (batch, n, heads d) into (batch, heads, n, d)."""
    batch, n, width = value_of(x).shape
    x = reshape(x, shape=(batch, n, heads, width // heads))
    return transpose(x, axes=(0, 2, 1, 3))


def _join_heads(x: Any) -> Any:
    batch, heads, n, d = value_of(x).shape
    x = transpose(x, axes=(0, 2, 1, 3))
    return reshape(x, shape=(batch, n, heads * d))


@entry
def transnormer_attention(weights: Mapping[str, Array], x: Array, attend: Attend, *, heads: int, start: int = 0) -> Any:
    """Return (norm(attend(swish(x Wq), swish(x Wk), x Wv)) * x Wu) Wo.

    Parameters
    ----------
    weights : mapping
        q, k, v, u, o: (width, width) arrays or variables, rows are outputs; theta (heads, d) for a layer that rotates.
    x : (batch, n, width) array or Variable
    attend : callable
        Takes q, k, v (batch, heads, n, d) and returns the mixed values: `lightning_attention`.
    heads : int
        Number of heads, which divides the width.
    start : int
        Position of the first token, for the rotation.

    Returns
    -------
    (batch, n, width) array or Variable

    References
    ----------
    TransNormerLLM, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import transnormer_attention
    >>> weights = {name: np.eye(4) for name in "qkvuo"}
    >>> transnormer_attention(weights, np.ones((1, 3, 4)), lambda q, k, v: v, heads=2).shape
    (1, 3, 4)
    """
    q, k, v, gate = (linear(x, weights[name]) for name in ("q", "k", "v", "u"))
    q, k = (_split_heads(silu(a), heads) for a in (q, k))
    if "theta" in weights:
        q, k = (lrpe(a, weights["theta"], start=start) for a in (q, k))
    mixed = _join_heads(attend(q, k, _split_heads(v, heads)))
    mixed = simple_rms_norm(mixed)
    return linear(multiply(mixed, gate), weights["o"])


@entry
def gated_unit(weights: Mapping[str, Array], x: Array) -> Any:
    """Return ((x Wv) * (x Wu)) Wo, the gated unit without activation (SGLU).

    Parameters
    ----------
    weights : mapping
        v, u: (hidden, width), o: (width, hidden) arrays or variables.
    x : (batch, n, width) array or Variable

    Returns
    -------
    (batch, n, width) array or Variable
        As `x` is.

    References
    ----------
    TransNormerLLM, equation 8.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import gated_unit
    >>> weights = {"v": np.ones((3, 2)), "u": np.ones((3, 2)), "o": np.ones((2, 3))}
    >>> gated_unit(weights, np.ones((1, 1, 2)))
    array([[[12., 12.]]])
    """
    value, gate = (linear(x, weights[name]) for name in ("v", "u"))
    return linear(multiply(value, gate), weights["o"])
