"""The product of query and key projections of attention, as one matrix per head that can be quantized."""

from __future__ import annotations

from typing import Any

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn.ops.products import einsum

__all__ = ["product_logits", "query_key_product"]


@entry
def query_key_product(w_query: Array, w_key: Array, n_heads: int) -> Array:
    """Return W_q^T W_k for each head: logits are x P x^T in the place of (x W_q^T)(x W_k^T)^T.

    Rounding W_q and W_k apart lets the errors of both meet in every logit; rounding the product, for example by
    `StatisticsQuantizer`, makes one. Biases of queries and keys have no place in it.

    Parameters
    ----------
    w_query, w_key : (n_heads head_dim, channels) arrays
        Weights of `linear` that make queries and keys, head after head.
    n_heads : int

    Returns
    -------
    (n_heads, channels, channels) array

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    n_heads channels^2 numbers take the place of 2 n_heads head_dim channels, and the product with x costs
    channels / (2 head_dim) times the two projections: with n_heads head_dim = channels, n_heads / 2 times as many of
    both, and n_heads times the work of the logits.

    References
    ----------
    Query-key reparametrization of oscillation-free quantization, arXiv:2302.02210.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import linear, product_logits, query_key_product
    >>> rng = np.random.default_rng(0)
    >>> x, w_q, w_k = rng.normal(size=(5, 8)), rng.normal(size=(8, 8)), rng.normal(size=(8, 8))
    >>> q, k = (linear(x, w).reshape(5, 2, 4) for w in (w_q, w_k))
    >>> logits = product_logits(x[None], query_key_product(w_q, w_k, 2))
    >>> bool(np.abs(logits[0] - np.einsum("ihd,jhd->hij", q, k)).max() < 1e-12)
    True
    """
    if w_query.ndim != 2 or w_query.shape != w_key.shape:
        shown = f"{tuple(w_query.shape)} and {tuple(w_key.shape)}"
        raise ShapeError(f"query_key_product of {shown}; expected (heads head_dim, channels) twice")
    if n_heads < 1 or len(w_query) % n_heads:
        raise InvalidValueError(
            f"query_key_product: n_heads={n_heads} of {len(w_query)} rows; expected a divisor of them"
        )
    q, k = (w.reshape(n_heads, -1, w.shape[1]) for w in (w_query, w_key))
    return namespace(w_query, w_key).matmul(q.swapaxes(1, 2), k)


@entry
def product_logits(x: Any, product: Any) -> Any:
    """Return the attention logits x_i P_h x_j of tokens, for products of `query_key_product`.

    Parameters
    ----------
    x : (batch, tokens, channels) array or variable
        What queries and keys are made of.
    product : (heads, channels, channels) array or variable

    Returns
    -------
    (batch, heads, tokens, tokens) array or variable
        Without the factor 1 / sqrt(head_dim).

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import product_logits
    >>> product_logits(np.ones((1, 3, 2)), np.ones((4, 2, 2))).shape
    (1, 4, 3, 3)
    """
    return einsum("bhic,bjc->bhij", einsum("bic,hcd->bhid", x, product), x)
