"""Equivariant polynomials of matrices as an op: one contraction for each pattern, over batches and channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.graphs.patterns import Pattern
from sci.nn import op
from sci.nn.ops.checks import require_single_or_double
from sci.tensor import plan_contraction
from sci.tensor.contraction.network import run_network, run_network_vjp

__all__ = ["graph_polynomial", "pattern_subscripts"]

_BATCH = "z"


def pattern_subscripts(pattern: Pattern, batch: str = "") -> str:
    """Return the contraction that is P_H: a term for each edge, then one for each node without an edge.

    Parameters
    ----------
    pattern : Pattern
    batch : str
        Letter of an axis that every edge and the result have in front.

    Returns
    -------
    str
        For `sci.tensor.plan_contraction`.
    """
    terms = [batch + ascii_lowercase[a] + ascii_lowercase[b] for a, b in pattern.edges]
    terms += [ascii_lowercase[node] for node in pattern.isolated]
    terms += [batch] if batch and not pattern.edges else []
    return ",".join(terms) + "->" + batch + "".join(ascii_lowercase[m] for m in pattern.marks)


def _polynomial_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    plan, values, shape, places, pattern = residuals
    gradient = namespace(dout).zeros(shape, dout.dtype)
    own = 2 if places is None else 3
    flat = gradient.reshape(math.prod(shape[:-own]), *shape[-own:])
    result = dout.reshape(len(flat), *dout.shape[dout.ndim - len(pattern.marks) :])
    found = run_network_vjp(plan.steps, values, result) if plan.steps else {"0": result}
    for edge in range(pattern.degree):
        target = flat if places is None else flat[:, places[edge]]
        target += found[str(edge)]
    return (gradient,)


@op(vjp=_polynomial_vjp)
def graph_polynomial(x: Array, *, pattern: Pattern, channels: Sequence[int] | None = None) -> tuple[Array, Any]:
    """Return P_H(X)_{j...} = sum over the unmarked nodes of prod_{(a, b) in H} X_{i_a i_b}.

    A permutation of the nodes of X permutes the result: invariant numbers for no marks, vectors for one, matrices for
    two.

    Parameters
    ----------
    x : (..., n, n) array, or (..., c, n, n) with `channels`
        float32 or float64. The axes in front are batch axes.
    pattern : Pattern
        H.
    channels : sequence of int, optional
        For each edge of the pattern, in the order of `pattern.edges`, the channel of X that it takes.

    Returns
    -------
    (...), (..., n) or (..., n, n) array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    Order n^w by the width w of the plan, see `sci.tensor.plan_contraction`; the gradient costs about twice that and
    holds every intermediate result. Counts of large graphs leave the integers that a float holds: for exact ones see
    `count_copies`.

    References
    ----------
    O. Puny et al., ICML 2023, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.graphs import Pattern, graph_polynomial
    >>> square = np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]], float)
    >>> paths = Pattern([(0, 2), (2, 1)], marks=(0, 1))  # X^2
    >>> graph_polynomial(square, pattern=paths)[0]
    array([2., 0., 2., 0.])
    """
    require_single_or_double(x, "x")
    own = 2 if channels is None else 3
    if x.ndim < own or x.shape[-1] != x.shape[-2]:
        axes = "(..., n, n)" if channels is None else "(..., c, n, n)"
        raise ShapeError(f"x has shape {tuple(x.shape)}; expected square matrices, {axes}")
    places = None if channels is None else _checked_channels(channels, pattern, x.shape[-3])
    xp, n, lead = namespace(x), x.shape[-1], x.shape[: x.ndim - own]
    flat = x.reshape(math.prod(lead), *x.shape[x.ndim - own :])
    subscripts = pattern_subscripts(pattern, _BATCH)
    letters = {i: max(1, n) for i in subscripts if i.isalpha()} | {_BATCH: max(1, len(flat))}
    plan = plan_contraction(subscripts, letters)
    terms = subscripts.partition("->")[0].split(",")
    operands = {}
    for k, term in enumerate(terms):
        if len(term) == 3:
            operands[str(k)] = flat if places is None else flat[:, places[k]]
        else:
            operands[str(k)] = xp.ones(len(flat) if term == _BATCH else n, x.dtype)
    values = run_network(plan.steps, operands)
    out = values[plan.result].reshape((*lead, *[n] * len(pattern.marks)))
    return (out if plan.steps else out.copy()), (plan, values, tuple(x.shape), places, pattern)


def _checked_channels(channels: Sequence[int], pattern: Pattern, count: int) -> list[int]:
    places = [int(c) for c in channels]
    if len(places) != pattern.degree or any(not 0 <= c < count for c in places):
        raise InvalidValueError(
            f"channels are {places}; expected one of 0 to {count - 1} for each of the {pattern.degree} edges"
        )
    return places
