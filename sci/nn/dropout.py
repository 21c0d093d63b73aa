"""Dropout, and random numbers of a training step that do not depend on the ranks that share it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from sci.arguments import entry
from sci.backend import namespace, to_device
from sci.errors import InvalidValueError, ShapeError, with_article
from sci.nn.core.tape import Variable, value_of
from sci.nn.ops.arithmetic import multiply

__all__ = ["Draws", "dropout"]


@entry
@dataclass(frozen=True)
class Draws:
    """Random numbers of one step of a training, a function of seed, step, name and sample alone.

    `train(..., draws=True)` makes them: the same on any number of ranks, in any number of parts, and after a restart.

    Parameters
    ----------
    seed, step : int
        0 or more.
    first : int
        Place in the whole batch of the first of the samples at hand.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.nn import Draws
    >>> whole = Draws(0, 5).uniform("block", (4, 2))
    >>> (Draws(0, 5, 3).uniform("block", (1, 2)) == whole[3:]).all()
    np.True_
    """

    seed: int
    step: int
    first: int = 0

    def __post_init__(self) -> None:
        if min(self.seed, self.step, self.first) < 0:
            raise InvalidValueError(f"{self!r}; expected integers of 0 or more")

    def uniform(self, name: str, shape: Sequence[int]) -> np.ndarray:
        """Return numbers in [0, 1) of shape (samples, ...), float64; other names give independent ones."""
        bits = np.random.PCG64([self.seed, self.step, zlib.crc32(name.encode())])
        bits.advance(self.first * math.prod(shape[1:]))
        return np.random.Generator(bits).random(tuple(shape))

    def normal(self, name: str, shape: Sequence[int]) -> np.ndarray:
        """Return standard normal numbers of shape (samples, ...), float64, from those of `uniform`."""
        found: np.ndarray = ndtri(np.maximum(self.uniform(name, shape), 2.0**-54))
        return found


@entry
def dropout(x: Any, rate: float, draws: Draws | np.random.Generator | None, *, name: str = "dropout") -> Any:
    """Return `x` with a fraction of its entries set to 0 and the others divided by 1 - rate; `x` itself in evaluation.

    Parameters
    ----------
    x : (samples, ...) array or variable
    rate : float
        From 0 to below 1.
    draws : Draws, numpy.random.Generator or None
        Random numbers: of the step, as `train(..., draws=True)` hands them to the loss, or one's own. None is for
        evaluation.
    name : str
        Of this call, with `Draws`: another one for each in a model, or they drop the same entries.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError
        Also for a `Generator` within `checkpoint`, which calls a second time and would draw other numbers.
    ShapeError

    References
    ----------
    Srivastava et al., J. Mach. Learn. Res. 15, 1929 (2014); scaled in training.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Draws, dropout
    >>> dropout(np.ones((2, 4)), 0.5, Draws(seed=0, step=3))
    array([[0., 0., 0., 0.],
           [2., 2., 2., 2.]])
    >>> dropout(np.ones(2), 0.5, None)
    array([1., 1.])
    """
    if not 0 <= rate < 1:
        raise InvalidValueError(f"rate is {rate}; expected a number from 0 to below 1")
    if draws is None or rate == 0:
        return x
    value = value_of(x)
    if getattr(getattr(value, "dtype", None), "kind", "") not in ("f", "c") or value.ndim == 0:
        raise ShapeError(f"dropout of {with_article(type(x).__name__)}; expected an array of floats (samples, ...)")
    if isinstance(draws, Draws):
        numbers = draws.uniform(name, value.shape)
    else:
        if isinstance(x, Variable) and x.tape.paused:
            raise InvalidValueError(
                "dropout by a Generator within checkpoint, which draws other numbers when it computes again; expected "
                "Draws"
            )
        numbers = draws.random(value.shape)
    kept = (numbers >= rate).astype(value.real.dtype) / value.real.dtype.type(1 - rate)
    return multiply(x, to_device(kept, namespace(value)))
