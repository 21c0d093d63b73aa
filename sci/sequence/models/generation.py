"""Text written token by token: what a model says of the next one, and a draw from it that no cut over ranks changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array, to_host
from sci.errors import InvalidValueError, ShapeError
from sci.nn import Draws
from sci.nn.sampling import draw_classes, require_sampling

__all__ = ["Read", "Rule", "continued", "tokens_of"]

Read: TypeAlias = Callable[[np.ndarray], Array]
"""Takes the next tokens (rows, n) of texts, and returns the logits (rows, vocabulary) of the token after them."""


@dataclass(frozen=True)
class Rule:
    """How tokens are drawn.

    Parameters
    ----------
    temperature : float
        0 takes the likeliest each time.
    top_k : int or None
    top_p : float or None
    seed : int
        Token t of row i is drawn by a number that is a function of seed, t and i alone.

    Raises
    ------
    InvalidValueError
    """

    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int

    def __post_init__(self) -> None:
        require_sampling(self.temperature, self.top_k, self.top_p)
        if self.seed < 0:
            raise InvalidValueError(f"seed is {self.seed}; expected 0 or more")

    def draw(self, logits: Array, place: int, first: int) -> np.ndarray:
        """Return tokens (rows,) from logits (rows, vocabulary), by the place of the token and the number of row 0."""
        uniform = Draws(self.seed, place, first).uniform("token", (logits.shape[0],))
        rule = {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}
        return draw_classes(to_host(logits), uniform, **rule, what="the logits of the next token")  # type: ignore[arg-type]


def tokens_of(prompt: Any, vocabulary: int, n: int) -> np.ndarray:
    """Return a prompt as (rows, tokens) integers on the host: bytes are one row.

    Raises
    ------
    InvalidValueError, ShapeError
    """
    text = isinstance(prompt, bytes)
    tokens = np.frombuffer(prompt, np.uint8).astype(np.int64)[None] if text else to_host(prompt)
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu":
        raise ShapeError(f"a prompt {tokens.shape} of {tokens.dtype}; expected (rows, tokens) integers")
    if not tokens.size or n < 0:
        raise InvalidValueError(f"a prompt of shape {tokens.shape} and n = {n}; expected a prompt, and n of 0 or more")
    if int(tokens.min()) < 0 or int(tokens.max()) >= vocabulary:
        raise InvalidValueError(
            f"the prompt holds the token {int(tokens.min() if tokens.min() < 0 else tokens.max())}; expected 0 to "
            f"{vocabulary - 1}"
        )
    return tokens.astype(np.int64)


def continued(
    read: Read,
    prompt: np.ndarray,
    n: int,
    rule: Rule,
    first: int = 0,
    agree: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> np.ndarray:
    """Return n tokens (rows, n) that continue each row of a prompt.

    Parameters
    ----------
    read : callable
        See `Read`; it keeps what it has read.
    prompt : (rows, tokens) integers
    n : int
    rule : Rule
    first : int
        Number of the first row among all rows.
    agree : callable
        Returns the tokens of one rank on all that read together: rounding may differ between them.
    """
    made = np.empty((prompt.shape[0], n), np.int64)
    given = prompt
    for place in range(n):
        made[:, place] = agree(rule.draw(read(given), place, first))
        given = made[:, place : place + 1]
    return made
