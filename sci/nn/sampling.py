"""Draws of classes from logits: temperature, the likeliest classes alone."""

from __future__ import annotations

import numpy as np

from sci.backend import require_finite
from sci.errors import InvalidValueError

__all__ = ["class_probabilities", "draw_classes", "require_sampling"]


def require_sampling(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise InvalidValueError for settings that `class_probabilities` does not take; 0 is a temperature of draws."""
    if not 0 <= temperature < np.inf:
        raise InvalidValueError(f"temperature is {temperature}; expected a number of 0 or more: 0 takes the likeliest")
    if top_k is not None and top_k < 1:
        raise InvalidValueError(f"top_k is {top_k}; expected 1 or more classes, or None for all")
    if top_p is not None and not 0 < top_p <= 1:
        raise InvalidValueError(f"top_p is {top_p}; expected a probability above 0, at most 1, or None")


def class_probabilities(
    logits: np.ndarray,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    what: str = "the logits",
) -> np.ndarray:
    """Return the probabilities (..., V) from which classes are drawn, float64.

    Parameters
    ----------
    logits : (..., V) array
    temperature : float
        Above 0; logits are divided by it.
    top_k : int, optional
        Only so many of the likeliest classes, and those as likely as the last of them.
    top_p : float, optional
        Only the likeliest classes that have this probability together, in (0, 1]; one at least. Counted among `top_k`.
    what : str
        What an error calls the logits.

    Raises
    ------
    InvalidValueError
        For logits that are NaN or infinite.

    References
    ----------
    Holtzman et al., The Curious Case of Neural Text Degeneration (arXiv 1904.09751), for `top_p`.
    """
    require_finite(logits, what)
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore"):  # -inf at the least temperatures, of weight 0
        scores /= temperature
    if top_k is not None and top_k < scores.shape[-1]:
        least = np.partition(scores, -top_k, axis=-1)[..., -top_k, None]
        scores = np.where(scores < least, -np.inf, scores)
    weights = np.exp(scores)
    weights /= weights.sum(axis=-1, keepdims=True)
    if top_p is not None and top_p < 1:
        order = np.argsort(-weights, axis=-1, kind="stable")
        ranked = np.take_along_axis(weights, order, axis=-1)
        kept = np.cumsum(ranked, axis=-1) - ranked < top_p  # what is likelier does not yet reach top_p
        np.put_along_axis(weights, order, np.where(kept, ranked, 0.0), axis=-1)
        weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def draw_classes(
    logits: np.ndarray,
    uniform: np.ndarray,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    what: str = "the logits",
) -> np.ndarray:
    """Return classes (...) drawn from logits (..., V) by uniform numbers (...) in [0, 1).

    At temperature 0 each is the likeliest, the first of equal ones; else see `class_probabilities`.
    """
    if temperature == 0:
        require_finite(logits, what)
        return np.asarray(logits.argmax(axis=-1), np.int64)
    kept = class_probabilities(logits, temperature=temperature, top_k=top_k, top_p=top_p, what=what)
    ends = np.cumsum(kept, axis=-1)
    # The last sum is 1 to rounding: a number between the two takes the last class of a weight.
    classes = (ends <= (uniform * ends[..., -1])[..., None]).sum(axis=-1)
    return np.asarray(classes, np.int64)
