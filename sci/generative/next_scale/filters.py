"""Draws from logits: temperature, the likeliest codes alone, and guidance by a condition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.nn.sampling import class_probabilities, draw_classes

__all__ = ["Sampling", "draw", "guided"]


@entry
@dataclass(frozen=True)
class Sampling:
    """How codes are drawn from logits.

    Parameters
    ----------
    temperature : float, or one for each scale
        Logits are divided by it; below 1 the likelier codes get likelier.
    top_k : int, or one for each scale, optional
        Only so many of the likeliest codes.
    top_p : float, or one for each scale, optional
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
    the second counts probabilities among the first. Codes of one scale are drawn independently of each other, which
    makes noise of the finest one, and most of the spread is that of coarser ones: a low temperature of the last scale
    alone takes off noise and leaves the spread.

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

    temperature: float | Sequence[float] = 1.0
    top_k: int | Sequence[int] | None = None
    top_p: float | Sequence[float] | None = None
    guidance: float = 0.0

    def __post_init__(self) -> None:
        for name in _BY_SCALE:
            if isinstance(getattr(self, name), Sequence):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if not all(0 < t < math.inf for t in _each(self.temperature)):
            raise InvalidValueError(f"temperature is {self.temperature}; expected a positive number, 1 for the model's")
        if not all(k >= 1 for k in _each(self.top_k)):
            raise InvalidValueError(f"top_k is {self.top_k}; expected 1 or more codes, or None for all")
        if not all(0 < p <= 1 for p in _each(self.top_p)):
            raise InvalidValueError(f"top_p is {self.top_p}; expected a probability above 0, at most 1, or None")
        if not 0 <= self.guidance < math.inf:
            raise InvalidValueError(f"guidance is {self.guidance}; expected 0 or more")

    def at(self, level: int, levels: int) -> Sampling:
        """Return the settings of one scale.

        Parameters
        ----------
        level, levels : int
            Number of the scale, from 0, and how many there are.

        Raises
        ------
        InvalidValueError
            For numbers by scale that are more or fewer.
        """
        found = {}
        for name in _BY_SCALE:
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != levels:
                raise InvalidValueError(f"{name} is {value} for {levels} scales; expected one number, or one for each")
            found[name] = value[level] if isinstance(value, tuple) else value
        return replace(self, **found)

    def strength(self, level: int, levels: int) -> float:
        """Return the guidance at a scale: it grows from 0 at the first to the whole at the last."""
        return self.guidance * (level / (levels - 1) if levels > 1 else 1.0)


_BY_SCALE = ("temperature", "top_k", "top_p")


def _each(value: Any) -> tuple[Any, ...]:
    """Return the numbers of a setting."""
    return () if value is None else value if isinstance(value, tuple) else (value,)


def guided(conditional: np.ndarray, free: np.ndarray, strength: float) -> np.ndarray:
    """Return logits pushed away from those without a condition: (1 + t) l(condition) - t l(none)."""
    return (1 + strength) * conditional - strength * free


def probabilities(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Return the probabilities (..., V) from which codes of one scale are drawn, float64; see `Sampling.at`.

    Raises
    ------
    InvalidValueError
        For logits that are NaN or infinite: of parameters or a guidance that are too large.
    """
    temperature, top_k, top_p = (_first(getattr(sampling, name)) for name in _BY_SCALE)
    return class_probabilities(logits, temperature=temperature, top_k=top_k, top_p=top_p, what="the logits of codes")


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


def draw(logits: np.ndarray, sampling: Sampling, uniform: np.ndarray) -> np.ndarray:
    """Return codes (...) drawn from logits (..., V) by uniform numbers (...) in [0, 1)."""
    temperature, top_k, top_p = (_first(getattr(sampling, name)) for name in _BY_SCALE)
    return draw_classes(logits, uniform, temperature=temperature, top_k=top_k, top_p=top_p, what="the logits of codes")
