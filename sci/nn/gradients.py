"""Data-parallel gradients: one reduction over one flat buffer."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from sci.backend import Array, namespace, to_host
from sci.distributed import Comm, allreduce_max, allreduce_sum, size
from sci.errors import InvalidValueError
from sci.nn.optim.adam import real_view

__all__ = ["allreduce_gradients", "require_same_on_all_ranks"]


def allreduce_gradients(
    gradients: Mapping[str, Array], loss: float, weight: float, comm: Comm = None
) -> tuple[dict[str, Array], float]:
    """Return the sums over ranks of `weight` times the gradients and the loss.

    Parameters
    ----------
    gradients : dict of arrays
        The same names in the same order, shapes and dtypes on all ranks.
    loss : float
    weight : float
        This rank's share of the batch, so that means over its samples add up to the mean over all.
    comm : mpi4py communicator, optional

    Notes
    -----
    Collective. One all-reduce of a buffer of all the real numbers, in float64 where any gradient has it; added in the
    order of the ranks, so that all ranks get the same bits.
    """
    if size(comm) == 1:
        return dict(gradients), loss
    flat = {name: real_view(namespace(g).ascontiguousarray(g)) for name, g in gradients.items()}
    xp, dtype = namespace(*flat.values()), np.result_type(*(f.dtype for f in flat.values()))
    parts = [*(f.astype(dtype, copy=False) for f in flat.values()), xp.asarray([loss], dtype=dtype)]
    total = allreduce_sum(xp.concatenate(parts) * weight, comm)
    found, start = {}, 0
    for name, g in gradients.items():
        stop = start + flat[name].size
        part = total[start:stop].astype(flat[name].dtype)
        found[name], start = part.view(g.dtype).reshape(g.shape), stop
    return found, float(total[-1])


def require_same_on_all_ranks(parameters: Mapping[str, Array], numbers: tuple[int, ...], comm: Comm = None) -> None:
    """Raise on every rank unless all start from the same parameters, to the bit, and the same `numbers`.

    Raises
    ------
    InvalidValueError
    """
    checksum = 0
    for name, p in parameters.items():
        checksum = zlib.crc32(np.ascontiguousarray(to_host(p)).reshape(-1).view(np.uint8).data, checksum)
        checksum = zlib.crc32(f"{name} {p.shape} {p.dtype}".encode(), checksum)
    mine = np.array([checksum, *numbers], dtype=np.int64)
    largest = allreduce_max(np.concatenate([mine, -mine]), comm)
    if (largest[: len(mine)] != -largest[len(mine) :]).any():
        raise InvalidValueError(
            "the ranks start a training from different parameters, data lengths, seeds, epochs or batch sizes; "
            "make the model with the same seed on all ranks"
        )
