"""The protocol of tensor formats, and the rules that turn a share of the dense parameters into ranks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np

from sci.backend import Array
from sci.errors import InvalidValueError
from sci.tensor.contraction.network import Step

__all__ = ["TensorFormat", "checked_ranks", "cp_rank", "tensor_train_ranks", "tucker_ranks"]


class TensorFormat(Protocol):
    """A tensor that is stored as a few smaller arrays.

    `CP`, `Tucker` and `TensorTrain` are formats. The functions that need no values (`ranks_for`, `array_shapes`,
    `factor_axis`, `contraction`) are static, so that a layer can plan its parameters before it has any.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.tensor import Tucker
    >>> a = Tucker(np.ones((1, 1, 1)), (np.ones((4, 1)), np.ones((5, 1)), np.ones((6, 1))))
    >>> a.shape, a.nbytes, a.to_dense().nbytes
    ((4, 5, 6), 128, 960)
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""

    @property
    def dtype(self) -> Any:
        """Common dtype of the arrays."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays by name: those of `array_shapes`."""

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> Self:
        """Return the tensor whose arrays are given by name."""

    def to_dense(self) -> Array:
        """Return the dense tensor."""

    @staticmethod
    def count_ranks(order: int) -> int:
        """Return the number of ranks of a tensor of `order` axes."""

    @staticmethod
    def ranks_for(shape: Sequence[int], fraction: float) -> tuple[int, ...]:
        """Return ranks with which the arrays have about `fraction` of the numbers of the dense tensor."""

    @staticmethod
    def array_shapes(shape: Sequence[int], ranks: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """Return the shape of every array of a tensor by name; array "factor_j" holds axis j."""

    @staticmethod
    def factor_axis(axis: int) -> int:
        """Return the axis of "factor_<axis>" that runs along `axis` of the tensor."""

    @staticmethod
    def contraction(n_batch: int, selected: bool = False) -> tuple[Step, ...]:
        """Return the contractions that apply the tensor as one matrix for each index of its last axes.

        Y[k, b, o] = sum_i X[k, b, i] W[i, o, k] for a tensor W (in, out, *batch), k running over the batch axes.

        Parameters
        ----------
        n_batch : int
            Number of batch axes, 1 to 6.
        selected : bool
            The tensor has one axis more in front, of which one index is selected: "factor_0" is then that row.
        """


def tucker_ranks(shape: Sequence[int], fraction: float) -> tuple[int, ...]:
    """Return Tucker ranks r_j = max(round(c n_j), 1) with about `fraction` of the dense parameters.

    c solves c^d prod n_j + c sum n_j^2 = fraction prod n_j.

    Examples
    --------
    >>> tucker_ranks((32, 32, 16, 9), 0.1)
    (18, 18, 9, 5)
    """
    whole, squares = math.prod(shape), sum(n * n for n in shape)
    target = _checked_fraction(fraction) * whole
    low, high = 0.0, max(1.0, fraction)
    for _ in range(200):
        c = (low + high) / 2
        low, high = (c, high) if c ** len(shape) * whole + c * squares < target else (low, c)
    return tuple(max(round(high * n), 1) for n in shape)


def cp_rank(shape: Sequence[int], fraction: float) -> int:
    """Return the number of terms of a CP tensor with about `fraction` of the dense parameters.

    Examples
    --------
    >>> cp_rank((32, 32, 16, 9), 0.1)
    166
    """
    return max(round(_checked_fraction(fraction) * math.prod(shape) / sum(shape)), 1)


def tensor_train_ranks(shape: Sequence[int], fraction: float) -> tuple[int, ...]:
    """Return the d - 1 inner ranks of a tensor train with about `fraction` of the dense parameters.

    They are proportional to the mean of the neighboring lengths.

    Examples
    --------
    >>> tensor_train_ranks((32, 32, 16, 9), 0.1)
    (22, 17, 9)
    """
    means = [(a + b) / 2 for a, b in itertools.pairwise(shape)]
    square = sum(p * n * q for p, n, q in zip(means[:-1], shape[1:-1], means[1:]))
    linear = shape[0] * means[0] + shape[-1] * means[-1]
    target = _checked_fraction(fraction) * math.prod(shape)
    # The positive root of square s^2 + linear s = target, in the form that also holds for two axes (square = 0).
    scale = 2 * target / (linear + math.sqrt(linear * linear + 4 * square * target))
    return tuple(max(round(scale * m), 1) for m in means)


def checked_ranks(ranks: int | Sequence[int], count: int) -> tuple[int, ...]:
    """Return `ranks` as a tuple of `count` positive integers; one integer stands for all.

    Raises
    ------
    InvalidValueError
    """
    found = (ranks,) * count if isinstance(ranks, int | np.integer) else tuple(ranks)
    if len(found) != count or any(not isinstance(r, int | np.integer) or r < 1 for r in found):
        raise InvalidValueError(f"the ranks are {ranks!r}; expected a positive integer, or {count} of them")
    return tuple(int(r) for r in found)


def _checked_fraction(fraction: float) -> float:
    if not 0 < fraction < math.inf:
        raise InvalidValueError(f"rank_fraction is {fraction}; expected a positive share of the dense parameters")
    return fraction
