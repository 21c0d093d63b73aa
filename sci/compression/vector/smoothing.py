"""Convolutions of a multi-scale quantizer: the linear decoder that lets a cell see its neighbors, by least squares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy import linalg

from sci.arguments import collective_entry
from sci.backend import Array, namespace, to_device, to_host
from sci.compression.vector.layout import smoothing_of
from sci.compression.vector.quantizer import MultiScaleVQ
from sci.distributed import Comm, agreed, allgather_rows, allreduce_max, allreduce_sum, broadcast_object
from sci.errors import InvalidValueError, ShapeError

__all__ = ["train_smoothing"]

_MOST_UNKNOWN = 8192
_BATCH = 1 << 21
"""Features of a batch of fields, about."""

_RIDGE = 1e-3
"""Part of the mean of the diagonal that holds a convolution near the identity, where it changes nothing."""


@collective_entry
def train_smoothing(
    quantizer: MultiScaleVQ, fields: Array, *, convolutions: int = 1, rounds: int = 3, comm: Comm = None
) -> tuple[MultiScaleVQ, np.ndarray]:
    """Train the convolutions after the interpolation of a `MultiScaleVQ`, a linear decoder with overlap, on fields.

    u = u / 2 + (convolution of u) / 2 lets every cell of the latent, a patch of the field, see the patches around it.
    For given codes the sum over scales is linear in the convolutions: their least squares over all cells are found at
    once. Then the codes are made anew, and so on while the loss falls.

    Parameters
    ----------
    quantizer : MultiScaleVQ
        With a trained codebook. A smoothing that it has is where the training starts.
    fields : (n, channels, *grid) array of the dtype of the codebook
        Finite.
    convolutions : int
        How many the scales share, from coarse to fine: at most one for each scale.
    rounds : int
        At most.
    comm : mpi4py communicator, optional
        Each rank holds fields of its own.

    Returns
    -------
    quantizer : MultiScaleVQ
        With the smoothing of the least loss; the one that was given if none is better.
    losses : (rounds made + 1,) array
        Squares of the relative L2 error over all fields: before, and after each round.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank; also for fields without a number that is not zero.

    Notes
    -----
    A convolution has C^2 3^d + C numbers, for which n cells (C 3^d)^2 multiplications are made a round. Sums are of
    integers, of at least 14 bits, in float64: the result is the same for every number of ranks. Codes of before do not
    fit the new quantizer. Collective over `comm`.

    References
    ----------
    Tian, Jiang, Yuan, Peng and Wang, Visual Autoregressive Modeling, NeurIPS 2024: the convolutions phi of algorithm 1,
    there trained by gradients.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import train_smoothing, train_vector_quantizer
    >>> fields = np.random.default_rng(0).normal(size=(40, 1, 16)).cumsum(axis=-1)
    >>> quantizer, _ = train_vector_quantizer(fields, [(8,)], 8, patch=(2,), rounds=5)
    >>> smoother, losses = train_smoothing(quantizer, fields)
    >>> bool(losses[-1] < losses[0])
    True
    """
    with agreed(comm, "train_smoothing") as agreement:
        levels = len(quantizer.scales)
        if not 1 <= convolutions <= levels:
            raise InvalidValueError(f"convolutions is {convolutions}; expected 1 to {levels}, the scales")
        if rounds < 1:
            raise InvalidValueError(f"rounds is {rounds}; expected 1 or more")
        numbers = quantizer.codebook.shape[-1]
        unknown = convolutions * (3 ** len(quantizer.patch) * numbers + 1)
        if unknown > _MOST_UNKNOWN:
            raise ShapeError(
                f"{convolutions} convolutions of codes of {numbers} numbers have {unknown} weights for each number; "
                f"expected at most {_MOST_UNKNOWN}: smaller patches, or fewer convolutions"
            )
        latent = to_host(quantizer.latent(fields)).astype(np.float64)
        agreement.same(
            quantizer=f"{quantizer.fingerprint} {quantizer.scales}", convolutions=convolutions, rounds=rounds
        )
        agreement.gather(len(latent))
    n_fields = int(agreement.table.sum())
    norm = _square(latent, comm)
    with agreed(comm, "train_smoothing"):
        if not norm:
            raise InvalidValueError("fields have no number that is not zero; expected fields to train on")
    return _rounds(quantizer, fields, latent, (convolutions, rounds, n_fields, norm), comm)


def _rounds(
    best: MultiScaleVQ, fields: Array, latent: np.ndarray, numbers: tuple[int, int, int, float], comm: Comm
) -> tuple[MultiScaleVQ, np.ndarray]:
    convolutions, rounds, n_fields, norm = numbers
    codes, loss = _encoded(best, fields, comm)
    losses = [loss / norm]
    for _ in range(rounds):
        weights, biases = _fitted(best, codes, latent, convolutions, n_fields, comm)
        xp = namespace(best.codebook)
        pair = tuple(to_device(a.astype(best.codebook.dtype), xp) for a in (weights, biases))
        tried = replace(best, smoothing=pair)
        codes, loss = _encoded(tried, fields, comm)
        if loss / norm >= losses[-1]:
            break
        best = tried
        losses.append(loss / norm)
    return best, np.array(losses)


def _square(x: np.ndarray, comm: Comm) -> float:
    """Return the sum of squares over all ranks, the same for every number of them."""
    own = np.square(x.reshape(len(x), math.prod(x.shape[1:]))).sum(axis=1)
    return float(allgather_rows(own, comm).sum())


def _encoded(quantizer: MultiScaleVQ, fields: Array, comm: Comm) -> tuple[list[Array], float]:
    """Return the codes of all scales, and the sum of squares of what they leave."""
    with agreed(comm, "train_smoothing"):
        stages = list(quantizer.stages(fields))
    return [codes for codes, _, _ in stages], _square(to_host(stages[-1][2]).astype(np.float64), comm)


def _fitted(
    quantizer: MultiScaleVQ, codes: Sequence[Array], latent: np.ndarray, n: int, n_fields: int, comm: Comm
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (n, C, C, 3, ...) and biases (n, C) of the least squares for these codes."""
    plain = replace(quantizer, smoothing=None)
    axes, c = len(quantizer.patch), int(quantizer.codebook.shape[-1])
    width, cells = c * 3**axes + 1, n_fields * math.prod(quantizer.scales[-1])
    bits = (52 - cells.bit_length()) // 2
    largest = [0.0, 0.0]
    for x, y in _systems(plain, codes, latent, n):
        largest = [max(largest[0], float(np.abs(x).max(initial=0))), max(largest[1], float(np.abs(y).max(initial=0)))]
    tops = allreduce_max(np.array(largest), comm)
    units = [2.0 ** (math.ceil(math.log2(top)) - bits) if top else 1.0 for top in tops.tolist()]
    gram, right = np.zeros((n * width, n * width)), np.zeros((n * width, c))
    for x, y in _systems(plain, codes, latent, n):
        whole, aim = np.rint(x / units[0]), np.rint(y / units[1])
        gram += whole.T @ whole
        right += whole.T @ aim
    a = allreduce_sum(gram, comm) * units[0] ** 2
    b = allreduce_sum(right, comm) * (units[0] * units[1])
    ridge = _RIDGE * max(float(np.trace(a)) / len(a), float(np.finfo(float).tiny))
    a[np.diag_indices(len(a))] += ridge
    start = np.zeros((n, width, c))
    start[:, (3**axes // 2) * c : (3**axes // 2) * c + c] = np.eye(c)
    solved = linalg.solve(a, b + ridge * start.reshape(n * width, c), assume_a="pos")
    found = np.asarray(broadcast_object(solved, comm)).reshape(n, width, c)
    weights = found[:, :-1].reshape(n, *(3,) * axes, c, c)  # taps, inputs, outputs
    return np.ascontiguousarray(np.moveaxis(weights, (-1, -2), (1, 2))), np.ascontiguousarray(found[:, -1])


def _systems(
    plain: MultiScaleVQ, codes: Sequence[Array], latent: np.ndarray, n: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for some fields at a time, what the unknown weights multiply at each cell, and what they should give."""
    axes, c, levels = len(plain.patch), latent.shape[1], len(plain.scales)
    width, per_field = c * 3**axes + 1, math.prod(plain.scales[-1])
    step = max(1, _BATCH // (n * width * per_field))
    for start in range(0, len(latent), step):
        part = slice(start, start + step)
        aim = latent[part].copy()
        x = np.zeros((n, len(aim), *aim.shape[2:], width))
        for level in range(levels):
            u = to_host(plain.lift(codes[level][part], level)).astype(np.float64) / 2
            aim -= u
            own = x[smoothing_of(level, levels, n)]
            own[..., -1] += 0.5
            padded = np.pad(np.moveaxis(u, 1, -1), [(0, 0), *[(1, 1)] * axes, (0, 0)])
            for tap, place in enumerate(np.ndindex((3,) * axes)):
                view = tuple(slice(p, p + size) for p, size in zip(place, aim.shape[2:]))
                own[..., tap * c : (tap + 1) * c] += padded[(slice(None), *view)]
        rows = len(aim) * per_field
        yield np.moveaxis(x, 0, -2).reshape(rows, n * width), np.moveaxis(aim, 1, -1).reshape(rows, c)
