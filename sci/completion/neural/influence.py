"""How much each entry of a training has to do with the error elsewhere, from gradients of the last layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sci.arguments import Real, entry
from sci.backend import as_finite
from sci.errors import InvalidValueError, ShapeError

__all__ = ["entity_importance", "last_layer_influence"]


@entry
def last_layer_influence(
    features: Real,
    errors: Real,
    held_out_features: Real,
    held_out_errors: Real,
    *,
    weights: Real | None = None,
    held_out_weights: Real | None = None,
    ridge: float | None = None,
) -> np.ndarray:
    """Return by how much a step along the gradient of each entry lowers the mean squared error of others.

    With x = (features, 1) and e = f - y, a loss c e^2 has the gradient g = 2 c e x for weights and bias of the last
    layer, and a step of rate eta on entry n changes the mean loss of the entries held out by
    -eta <g_n, g> + O(eta^2), g being the gradient of the latter. The inner products are returned.

    Parameters
    ----------
    features : (m, H) array
        Last hidden values of the entries.
    errors : (m,) array
        Predicted less observed.
    held_out_features : (v, H) array
    held_out_errors : (v,) array
    weights : (m,) array, optional
        How often each entry was observed; 1 unless given.
    held_out_weights : (v,) array, optional
    ridge : float, optional
        If given, the errors are those of the ridge regression of the last layer that minimizes
        sum_n c_n e_n^2 + ridge |w|^2, bias included, and what is returned is by how much the mean squared error of the
        entries held out rises without entry n, exactly: <g, d> + <d, C d> with the change of the weights
        d = H^-1 g_n / (1 - h_n), H the Hessian, h_n = 2 c_n <x_n, H^-1 x_n>, and C the mean of x x^T of those held out.

    Returns
    -------
    (m,) float64 array
        Positive for an entry that lowers the error of the others.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    References
    ----------
    Pruthi et al., NeurIPS 2020, arXiv:2002.08484 (inner products along a training); Koh and Liang, ICML 2017,
    arXiv:1703.04730 (with the Hessian).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import last_layer_influence
    >>> last_layer_influence(np.ones((2, 1)), np.array([1.0, -1.0]), np.ones((1, 1)), np.array([0.5]))
    array([ 4., -4.])
    """
    x, e, c = _checked(features, errors, weights, "")
    v, d, w = _checked(held_out_features, held_out_errors, held_out_weights, "held_out_")
    if x.shape[1] != v.shape[1]:
        raise ShapeError(f"features of {x.shape[1] - 1} and {v.shape[1] - 1} hidden values; expected as many")
    towards = 2 * (w * d) @ v / w.sum()
    if ridge is None:
        return np.asarray(2 * c * e * (x @ towards))
    if not 0 < ridge < np.inf:
        raise InvalidValueError(f"ridge is {ridge:g}; expected a positive number")
    hessian = 2 * (x.T * c) @ x + 2 * ridge * np.eye(x.shape[1])
    inverse = np.linalg.solve(hessian, x.T).T
    leverage = 2 * c * (x * inverse).sum(axis=1)
    change = (2 * c * e / (1 - leverage))[:, None] * inverse
    return np.asarray(change @ towards + ((change @ ((v.T * w) @ v / w.sum())) * change).sum(axis=1))


def _checked(
    features: Real, errors: Real, weights: Real | None, prefix: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features with a column of ones, errors and weights."""
    x = np.asarray(as_finite(features, f"{prefix}features", shape=(None, None)), dtype=float)
    e = np.asarray(as_finite(errors, f"{prefix}errors", shape=(len(x),)), dtype=float)
    given = np.ones(len(x)) if weights is None else weights
    c = np.asarray(as_finite(given, f"{prefix}weights", shape=(len(x),)), dtype=float)
    if not len(x) or c.min() < 0 or c.sum() == 0:
        raise InvalidValueError(f"{prefix}weights: {len(x)} entries; expected at least one, of positive weight")
    return np.concatenate([x, np.ones((len(x), 1))], axis=1), e, c


@entry
def entity_importance(index: np.ndarray, influence: Real, shape: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Return for each axis the share of each place in the sum of |influence| of the entries.

    Parameters
    ----------
    index : (m, K) integer array
        Cells of the entries.
    influence : (m,) array
    shape : sequence of K int

    Returns
    -------
    tuple of K (n_k,) float64 arrays
        Each with sum 1.

    Raises
    ------
    InvalidValueError, ShapeError
        Also if no entry has an influence.

    References
    ----------
    Oh, Kim, Rossi and Kumar, CIKM 2021, arXiv:2108.10248.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import entity_importance
    >>> entity_importance(np.array([[0, 1], [1, 1]]), np.array([1.0, -3.0]), (2, 2))
    (array([0.25, 0.75]), array([0., 1.]))
    """
    size = np.abs(as_finite(influence, "influence", shape=(None,)))
    cells = np.asarray(index)
    if cells.shape != (len(size), len(shape)) or cells.dtype.kind not in "iu":
        raise ShapeError(f"index has shape {cells.shape} and dtype {cells.dtype}; expected integers ({len(size)}, K)")
    if not len(size) or size.sum() == 0 or cells.min() < 0 or (cells >= tuple(shape)).any():
        raise InvalidValueError(f"influence adds up to {size.sum():g}; expected some, of cells within {tuple(shape)}")
    return tuple(np.bincount(cells[:, k], size, n) / size.sum() for k, n in enumerate(shape))
