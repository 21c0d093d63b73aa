"""Analytic cost of training large transformers: parameters, flops, days, messages."""

from __future__ import annotations

from dataclasses import dataclass

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["LanguageModelSize", "pipeline_bytes", "tensor_parallel_bytes", "training_days"]


@entry
@dataclass(frozen=True)
class LanguageModelSize:
    """A decoder-only transformer.

    Parameters
    ----------
    layers, width : int
        l and h.
    vocabulary, length : int
        V and s.

    Examples
    --------
    >>> from sci.sequence import LanguageModelSize
    >>> size = LanguageModelSize(layers=24, width=2304)
    >>> round(size.parameters / 1e9, 1)
    1.7
    """

    layers: int
    width: int
    vocabulary: int = 51200
    length: int = 2048

    def __post_init__(self) -> None:
        if min(self.layers, self.width, self.vocabulary, self.length) < 1:
            raise InvalidValueError(f"{self}; expected positive numbers")

    @property
    def parameters(self) -> float:
        """12 l h^2 (1 + 13 / (12 h) + (V + s) / (12 l h))."""
        layers, h = self.layers, self.width
        return 12 * layers * h**2 * (1 + 13 / (12 * h) + (self.vocabulary + self.length) / (12 * layers * h))

    def flops(self, batch: int, recompute: bool = True) -> float:
        """Return the flops of one iteration: 96 B s l h^2 (1 + s / (6 h) + V / (16 l h)) with activations recomputed.

        Parameters
        ----------
        batch : int
            Sequences B.
        recompute : bool
            Without, the forward pass of the layers runs once: 72 instead of 96, the logits as before.

        References
        ----------
        Narayanan et al., Megatron-LM (arXiv 2104.04473), equation 3.
        """
        h, s = self.width, self.length
        tokens = batch * s
        of_layers = (96 if recompute else 72) * tokens * self.layers * h**2 * (1 + s / (6 * h))
        return of_layers + 6 * tokens * h * self.vocabulary

    def seconds(self, batch: int, devices: int, flops_each: float) -> float:
        """Return the time of one iteration at `flops_each` flop/s on each of `devices`."""
        return self.flops(batch) / (devices * flops_each)


@entry
def training_days(tokens: float, parameters: float, devices: int, flops_each: float) -> float:
    """Return 8 T P / (n X) in days: 2 forward, 2 recomputed and 4 backward flops per token and parameter.

    Parameters
    ----------
    tokens : float
        Tokens of the training.
    parameters : float
        Numbers of the model.
    devices : int
        How many work.
    flops_each : float
        Flops per second that each reaches.

    Returns
    -------
    float

    Examples
    --------
    >>> from sci.sequence import training_days
    >>> round(training_days(450e9, 1.008e12, 3072, 163e12)), round(training_days(300e9, 175e9, 1024, 140e12))
    (84, 34)

    References
    ----------
    Narayanan et al., equation 4.
    """
    return 8 * tokens * parameters / (devices * flops_each) / 86400


@entry
def tensor_parallel_bytes(batch: int, length: int, width: int, ranks: int, layers: int = 1, itemsize: int = 2) -> float:
    """Return the bytes that a rank sends in a step: per layer four all-reduces of b s h, 8 b s h (t - 1) / t elements.

    Parameters
    ----------
    batch : int
        Sequences of a microbatch.
    length : int
        Tokens of a sequence.
    width : int
        Numbers for each token.
    ranks : int
        Ranks of the tensor axis.
    layers : int
        Layers of the model.
    itemsize : int
        Bytes of a number.

    Returns
    -------
    float

    Notes
    -----
    With all-reduces that send 2 (t - 1) / t of their array; gathers and scatters, the sequence form, send as many.

    Examples
    --------
    >>> from sci.sequence import tensor_parallel_bytes
    >>> tensor_parallel_bytes(1, 2048, 2304, 8, layers=24) / 1e9
    1.585446912
    """
    return 8 * batch * length * width * (ranks - 1) / ranks * layers * itemsize


@entry
def pipeline_bytes(
    microbatches: int, batch: int, length: int, width: int, chunks: int = 1, tensor_ranks: int = 1, itemsize: int = 2
) -> float:
    """Return the bytes that cross one boundary of a pipeline one way in a step: m v b s h / t elements.

    Parameters
    ----------
    microbatches : int
        Microbatches of a step.
    batch : int
        Sequences of a microbatch.
    length : int
        Tokens of a sequence.
    width : int
        Numbers for each token.
    chunks : int
        Runs of layers on each rank.
    tensor_ranks : int
        Ranks that share a layer.
    itemsize : int
        Bytes of a number.

    Returns
    -------
    float

    Notes
    -----
    `batch` counts the sequences of one microbatch. Each tensor rank sends its part of the activations where they are
    cut over the tensor ranks; with whole activations pass `tensor_ranks=1`.

    Examples
    --------
    >>> from sci.sequence import pipeline_bytes
    >>> pipeline_bytes(8, 1, 2048, 2304) / 1e6
    75.497472
    """
    return microbatches * chunks * batch * length * width / tensor_ranks * itemsize
