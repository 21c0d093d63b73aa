"""Detection of triples whose sum is 0 modulo a number: what one layer of attention to pairs decides exactly."""

from __future__ import annotations

import math

import numpy as np

from sci.arguments import collective_entry
from sci.distributed import Comm, agreed, allreduce_sum
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.sequence.higher_order.tensor_attention import tensor_attention

__all__ = ["triple_scale", "triples"]


def triple_scale(length: int, modulus: int) -> tuple[float, float]:
    """Return scale and threshold with which `triples` is right for every input of a length.

    With gap = 1 - cos(2 pi / modulus): scale log(4 length^2 / gap) / gap, threshold 1 - gap / 2.

    Raises
    ------
    InvalidValueError
        Where rounding of sums in float64 comes near the gap: 8 (length^2 + 64) 2^-52 > gap.
    """
    gap = 2 * math.sin(math.pi / modulus) ** 2
    if modulus > 1 and 8 * (length**2 + 64) * 2.0**-52 > gap:
        raise InvalidValueError(
            f"modulus {modulus} for {length} numbers: scores differ by {gap:.1e}, which rounding reaches; expected a "
            "smaller modulus or fewer numbers"
        )
    return (math.log(4 * length**2 / gap) / gap, 1 - gap / 2) if modulus > 1 else (1.0, 0.5)


@collective_entry
def triples(x: np.ndarray, modulus: int, *, comm: Comm = None) -> np.ndarray:
    r"""Return for each x_i whether some x_j and x_k, of all ranks, have x_i + x_j + x_k = 0 modulo a number.

    One head of tensor attention of width 4, with scores and values

    .. math:: s_{ijk} = \cos\frac{2 \pi (x_i + x_j + x_k)}{modulus}, \quad
       o_i = \frac{\sum_{jk} e^{\beta s_{ijk}} s_{ijk}}{\sum_{jk} e^{\beta s_{ijk}}},

    and the answer is whether o_i > 1 - gap / 2, where gap = 1 - cos(2 pi / modulus).

    Parameters
    ----------
    x : (n,) integer array
        This rank's numbers, of any sign. j and k may be equal, and equal to i.
    modulus : int
        At least 1.
    comm : mpi4py communicator, optional

    Returns
    -------
    (n,) bool array

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank; among others where rounding in float64 comes near the gap.

    Notes
    -----
    Right for every input, with N numbers on all ranks: without a triple no score exceeds 1 - gap, and neither does
    their mean o_i. With one, the others, whose scores miss 1 by at least gap, lower the mean by at most
    N^2 gap e^(-beta gap), as y e^(-beta y) falls for y > 1 / beta; beta = log(4 N^2 / gap) / gap makes that gap^2 / 4,
    less than gap / 2. Collective; 16 n N^2 flops. Sorting is faster: this shows what the layer can express. For
    layers of attention to single keys the complexity of detecting triples scales linearly with N, see the reference.

    References
    ----------
    Sanford, Hsu, Telgarsky, Representational Strengths and Limitations of Transformers, arXiv 2306.02896: the
    detection of triples, and how attention to single keys scales for it. Kozachinskiy et al.,
    arXiv 2501.19215, for infinite precision. Scores, scale and threshold are ours.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import triples
    >>> triples(np.array([1, 2, 5]), 9)
    array([False,  True,  True])
    >>> triples(np.array([1, 2, 5]), 100)
    array([False, False, False])
    """
    x = np.asarray(x)
    with agreed(comm, "triples") as agreement:
        agreement.same(modulus=modulus)
        if x.ndim != 1:
            raise ShapeError(f"x has shape {x.shape}; expected one axis")
        if x.dtype.kind not in "iu":
            raise DTypeError(f"x has dtype {x.dtype}; expected integers")
        if modulus < 1:
            raise InvalidValueError(f"modulus {modulus}; expected 1 or more")
    length = int(allreduce_sum(np.array([x.size], np.int64), comm)[0])
    if length == 0:
        return np.zeros(0, bool)
    scale, threshold = triple_scale(length, modulus)
    wide = x.astype(np.uint64 if x.dtype.kind == "u" else np.int64)  # int8 does not hold every modulus
    angle = 2 * np.pi * (wide % modulus).astype(np.float64) / modulus
    cos, sin = np.cos(angle), np.sin(angle)
    # cos(a + b + c) as a sum over four products.
    q = np.stack([cos, -cos, -sin, -sin], axis=1)
    k1, k2 = np.stack([cos, sin, cos, sin], axis=1), np.stack([cos, sin, sin, cos], axis=1)
    mean = tensor_attention(q, k1, k2, k1, k2, scale=scale, lengths=(length, length), comm=comm)
    return np.asarray((q * mean).sum(axis=1) > threshold)
