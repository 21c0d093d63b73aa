"""Draws from logits: temperature, the likeliest codes alone, and guidance by a condition."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.backend import require_finite
from sci.errors import InvalidValueError

__all__ = ["Sampling", "draw", "guided"]


@entry
@dataclass(frozen=True)
class Sampling:
    """How codes are drawn from logits.

    Parameters
    ----------
    temperature : float
        Logits are divided by it; below 1 the likelier codes get likelier.
    top_k : int, optional
        Only so many of the likeliest codes.
    top_p : float, optional
        Only the likeliest codes that have this probability together, in (0, 1]; one at least.
    guidance : float
        Strength s of the guidance by the condition: at scale k of K, from 0, the logits are
        (1 + t) l(condition) - t l(none) with t = s k / (K - 1). 0 is none.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    A filter cuts off rare codes: samples look cleaner, and an ensemble has too little spread. With `top_k` and `top_p`
    the second counts probabilities among the first.

    References
    ----------
    Tian et al., Visual Autoregressive Modeling (arXiv 2404.02905), whose program lets the guidance grow with the scale;
    Ho and Salimans, Classifier-Free Diffusion Guidance (arXiv 2207.12598); Holtzman et al. (arXiv 1904.09751) for
    `top_p`.

    Examples
    --------
    >>> from sci.generative import Sampling
    >>> Sampling(temperature=0.9, top_k=16)
    Sampling(temperature=0.9, top_k=16, top_p=None, guidance=0.0)
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    guidance: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise InvalidValueError(f"temperature is {self.temperature}; expected a positive number, 1 for the model's")
        if self.top_k is not None and self.top_k < 1:
            raise InvalidValueError(f"top_k is {self.top_k}; expected 1 or more codes, or None for all")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InvalidValueError(f"top_p is {self.top_p}; expected a probability above 0, at most 1, or None")
        if not 0 <= self.guidance < math.inf:
            raise InvalidValueError(f"guidance is {self.guidance}; expected 0 or more")

    def strength(self, level: int, levels: int) -> float:
        """Return the guidance at a scale: it grows from 0 at the first to the whole at the last."""
        return self.guidance * (level / (levels - 1) if levels > 1 else 1.0)


def guided(conditional: np.ndarray, free: np.ndarray, strength: float) -> np.ndarray:
    """Return logits pushed away from those without a condition: (1 + t) l(condition) - t l(none)."""
    return (1 + strength) * conditional - strength * free


def probabilities(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Return the probabilities (..., V) from which codes are drawn, float64.

    Raises
    ------
    InvalidValueError
        For logits that are NaN or infinite: of parameters or a guidance that are too large.
    """
    require_finite(logits, "the logits of codes")
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=-1, keepdims=True)
    scores /= sampling.temperature
    if sampling.top_k is not None and sampling.top_k < scores.shape[-1]:
        least = np.partition(scores, -sampling.top_k, axis=-1)[..., -sampling.top_k, None]
        scores = np.where(scores < least, -np.inf, scores)
    weights = np.exp(scores)
    weights /= weights.sum(axis=-1, keepdims=True)
    if sampling.top_p is not None and sampling.top_p < 1:
        order = np.argsort(-weights, axis=-1, kind="stable")
        ranked = np.take_along_axis(weights, order, axis=-1)
        kept = np.cumsum(ranked, axis=-1) - ranked < sampling.top_p  # what is likelier does not yet reach top_p
        np.put_along_axis(weights, order, np.where(kept, ranked, 0.0), axis=-1)
        weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def draw(logits: np.ndarray, sampling: Sampling, uniform: np.ndarray) -> np.ndarray:
    """Return codes (...) drawn from logits (..., V) by uniform numbers (...) in [0, 1)."""
    ends = np.cumsum(probabilities(logits, sampling), axis=-1)
    # The last sum is 1 to rounding: a number between the two takes the last code of a weight.
    codes = (ends <= (uniform * ends[..., -1])[..., None]).sum(axis=-1)
    return np.asarray(codes, np.int64)
