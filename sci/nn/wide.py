"""Limits of wide networks: the linear network of infinite width, and the kernels of infinitely wide ReLU networks."""

from __future__ import annotations

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array, as_finite, namespace
from sci.errors import InvalidValueError, ShapeError

__all__ = ["infinite_linear_network", "relu_kernels", "sampled_linear_network"]


def _problem(x: Real, y: Real) -> tuple[np.ndarray, np.ndarray]:
    inputs, outputs = (as_finite(np.asarray(v, dtype=float), n, shape=(None, None)) for v, n in ((x, "x"), (y, "y")))
    if len(inputs) != len(outputs) or not inputs.size or not outputs.size:
        raise ShapeError(f"x {inputs.shape}, y {outputs.shape}; expected (n, d) and (n, o) with one n, not empty")
    return inputs, outputs


@entry
def infinite_linear_network(
    x: Real, y: Real, *, rate: float, steps: int, scales: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """Return the outputs of an infinitely wide linear network with one hidden layer along its gradient descent.

    Under the maximal update rule the network f(x) = V U x / sqrt(n), u_ij = s_1 N(0, 1), v_ij = s_2 N(0, 1) / sqrt(n),
    has for n to infinity the outputs of a network of width d + o that starts at U = (s_1 1; 0), V = (0, s_2 1).

    Parameters
    ----------
    x, y : (n, d), (n, o) arrays
    rate : float
        Of gradient descent on half the mean over the samples of |f(x) - y|^2.
    steps : int
    scales : (float, float)
        s_1 and s_2.

    Returns
    -------
    (steps, n, o) float64 array
        Outputs before each step.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    References
    ----------
    Yang and Hu, ICML 2021, arXiv:2011.14522, section 6 and appendix (the limit of one hidden linear layer).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import infinite_linear_network
    >>> infinite_linear_network(np.eye(1), np.eye(1), rate=0.25, steps=3).ravel()
    array([0.       , 0.5      , 0.7734375])
    """
    inputs, outputs = _problem(x, y)
    d, o = inputs.shape[1], outputs.shape[1]
    u = np.vstack([scales[0] * np.eye(d), np.zeros((o, d))])
    v = np.hstack([np.zeros((o, d)), scales[1] * np.eye(o)])
    return _descent(inputs, outputs, u, v, rate, steps)


@entry
def sampled_linear_network(
    x: Real, y: Real, width: int, *, rate: float, steps: int, scales: tuple[float, float] = (1.0, 1.0), seed: int = 0
) -> np.ndarray:
    """Return the outputs of a linear network of finite width along its descent, as `infinite_linear_network`.

    Parameters
    ----------
    x, y : (n, d), (n, o) arrays
    width : int
    rate, steps, scales
        As in `infinite_linear_network`.
    seed : int

    Returns
    -------
    (steps, n, o) float64 array

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    Notes
    -----
    Its distance to the limit falls as width^(-1/2).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import infinite_linear_network, sampled_linear_network
    >>> x = y = np.eye(3)
    >>> limit = infinite_linear_network(x, y, rate=0.5, steps=20)
    >>> bool(abs(sampled_linear_network(x, y, 10_000, rate=0.5, steps=20) - limit).max() < 0.1)
    True
    """
    inputs, outputs = _problem(x, y)
    if width < 1:
        raise InvalidValueError(f"width is {width}; expected a positive number")
    rng = np.random.default_rng(seed)
    u = scales[0] * rng.standard_normal((width, inputs.shape[1])) / np.sqrt(width)
    v = scales[1] * rng.standard_normal((outputs.shape[1], width)) / np.sqrt(width)
    return _descent(inputs, outputs, u, v, rate, steps)


def _descent(x: np.ndarray, y: np.ndarray, u: np.ndarray, v: np.ndarray, rate: float, steps: int) -> np.ndarray:
    if steps < 1:
        raise InvalidValueError(f"steps is {steps}; expected a positive number")
    found = []
    for _ in range(steps):
        hidden = x @ u.T
        output = hidden @ v.T
        found.append(output)
        off = (output - y) / len(x)
        u, v = u - rate * (off @ v).T @ x, v - rate * off.T @ hidden
    return np.array(found)


@entry
def relu_kernels(
    x: Array, y: Array, *, layers: int, weight_variance: float = 2.0, bias_variance: float = 0.0
) -> tuple[Array, Array]:
    """Return the Gaussian-process kernel and the neural tangent kernel of infinitely wide ReLU networks.

    With K_0 = s_b + s_w x.y / d and c the correlation of K_l, K_(l+1) = s_b + s_w sqrt(K_xx K_yy) (sqrt(1 - c^2) +
    c arccos(-c)) / 2 pi, and T_(l+1) = K_(l+1) + s_w T_l arccos(-c) / 2 pi from T_0 = K_0.

    Parameters
    ----------
    x, y : (n, d), (m, d) arrays
    layers : int
        Hidden layers.
    weight_variance, bias_variance : float
        s_w of weights times the root of their fan in, and s_b.

    Returns
    -------
    gaussian, tangent : (n, m) arrays

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    References
    ----------
    Cho and Saul, NIPS 2009 (arc-cosine kernels); Lee et al., arXiv:1711.00165; Jacot et al., arXiv:1806.07572.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import relu_kernels
    >>> gaussian, tangent = relu_kernels(np.eye(2), np.eye(2), layers=1)
    >>> gaussian.round(6)
    array([[1.     , 0.31831],
           [0.31831, 1.     ]])
    """
    xp = namespace(x, y)
    left, right = as_finite(x, "x", shape=(None, None), xp=xp), as_finite(y, "y", shape=(None, None), xp=xp)
    if left.shape[1] != right.shape[1] or not left.shape[1]:
        raise ShapeError(f"x {left.shape}, y {right.shape}; expected (n, d) and (m, d)")
    if layers < 0 or weight_variance <= 0 or bias_variance < 0:
        raise InvalidValueError(
            f"layers {layers}, weight_variance {weight_variance}, bias_variance {bias_variance}; expected layers and "
            "a variance of biases from 0, and a positive variance of weights"
        )
    d = left.shape[1]
    kernel = bias_variance + weight_variance * (left @ right.T) / d
    squares = [bias_variance + weight_variance * (v * v).sum(axis=1) / d for v in (left, right)]
    tangent = kernel
    for _ in range(layers):
        size = xp.sqrt(squares[0][:, None] * squares[1])
        c = xp.clip(kernel / xp.where(size > 0, size, 1), -1, 1)
        angle = xp.arccos(-c)
        kernel = bias_variance + weight_variance * size * (xp.sqrt(1 - c * c) + c * angle) / (2 * np.pi)
        tangent = kernel + weight_variance * tangent * angle / (2 * np.pi)
        squares = [bias_variance + weight_variance * s / 2 for s in squares]
    return kernel, tangent
