"""Texts as training data for models of bytes, and the loss of their tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device, namespace, namespace_of, to_device
from sci.errors import InvalidValueError
from sci.nn import log_softmax, op
from sci.sequence.checks import kept_labels

__all__ = ["TextWindows", "token_loss"]


@entry
@dataclass(frozen=True)
class TextWindows:
    """A text cut into windows of `length` tokens and the one after: a dataset for `sci.nn.train`.

    Parameters
    ----------
    text : bytes
    length : int
        Tokens of a window.
    device : {"cpu", "cuda"}
        Where the windows are to lie.

    Raises
    ------
    InvalidValueError
        If the text is shorter than one window.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import TextWindows
    >>> TextWindows(b"abcdefgh", 3)[np.array([1])]
    array([[100, 101, 102, 103]])
    """

    text: bytes
    length: int
    device: Device = "cpu"

    def __post_init__(self) -> None:
        if self.length < 1 or len(self.text) <= self.length:
            raise InvalidValueError(
                f"a text of {len(self.text)} bytes for windows of {self.length} and the next; expected a longer text"
            )

    def __repr__(self) -> str:
        return f"TextWindows({len(self.text):,} bytes, {len(self)} windows of {self.length} tokens)"

    def __len__(self) -> int:
        return (len(self.text) - 1) // self.length

    def __getitem__(self, indices: np.ndarray) -> Array:
        rows = [np.frombuffer(self.text, np.uint8, self.length + 1, int(i) * self.length) for i in indices]
        return to_device(np.stack(rows).astype(np.int64), namespace_of(self.device))


def _token_loss_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    """Return the gradient of `token_loss` for the logits."""
    rows, flat, place, kept, total, shape = residuals
    gradient = namespace(rows).exp(rows)
    gradient[place, flat] -= 1
    gradient *= dout / total
    if kept is not None:
        gradient *= kept[:, None]
    return gradient.reshape(shape), None


@op(vjp=_token_loss_vjp)
def token_loss(logits: Array, labels: Array, *, total: int, ignore_index: int | None = None) -> tuple[Array, Any]:
    """Return the sum of -log softmax(logits)[label] over `total`: one rank's share of the mean over all tokens.

    Parameters
    ----------
    logits : (..., classes) array
        May be empty, on a rank without tokens.
    labels : (...) integer array
        From 0 to classes - 1, or `ignore_index`.
    total : int
        What to divide by: for the mean, the labels on all ranks that are not ignored.
    ignore_index : int, optional
        Tokens of this label take no part in the loss: padding.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError
        For any other label, -1 and -100 among them.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import token_loss
    >>> float(token_loss(np.zeros((3, 4)), np.array([0, 3, -100]), total=2, ignore_index=-100).round(6))
    1.386294
    """
    xp = namespace(logits, labels)
    flat, kept = kept_labels(labels, logits.shape[-1], ignore_index)
    rows = log_softmax(logits.reshape(-1, logits.shape[-1]))
    place = xp.arange(flat.size)
    chosen = rows[place, flat]
    loss = -(chosen if kept is None else chosen * kept).sum() / total
    return loss, (rows, flat, place, kept, total, logits.shape)
