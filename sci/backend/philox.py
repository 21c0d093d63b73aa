"""Random words as a function of a counter and a seed: Philox4x32-10, the reference of the kernels' header."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError

__all__ = ["USES", "philox", "require_seed", "uniforms"]

_LOW = 0xFFFFFFFF
USES = {"spins": 0, "bonds": 1, "clusters": 2, "exchange": 3, "start": 4, "retrieval": 5, "sampling": 6, "attention": 7}
"""The last word of the counter by what a draw is for: draws for two uses are independent."""


def require_seed(seed: int, sweeps: int = 0) -> None:
    """Raise InvalidValueError for a seed that is no key of 64 bits, or for more sweeps than counters tell apart."""
    if not 0 <= seed < 2**63 or not 0 <= sweeps < 2**31:
        raise InvalidValueError(f"seed {seed} and {sweeps} sweeps; expected a seed in [0, 2^63) and under 2^31 sweeps")


def philox(group: Array, replica: Any, step: Any, use: str, seed: int) -> Array:
    """Return four words for each counter (group, replica, step, use), as uint64 below 2^32.

    Parameters
    ----------
    group, replica, step : integers, or integer arrays that broadcast against each other
        The first or second is an array.
    use : str
        A key of `USES`.
    seed : int
        The key, in [0, 2^63).

    Returns
    -------
    (4, ...) uint64 array

    Notes
    -----
    Ten rounds. The stream passes the known answers of the authors' library; the kernels have the same function.

    References
    ----------
    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.backend.philox import philox
    >>> [hex(int(word)) for word in philox(np.zeros(1, int), 0, 0, "spins", 0)[:, 0]]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    xp = namespace(group) if hasattr(group, "shape") else namespace(replica)
    counter = (group, replica, step)
    shape = np.broadcast_shapes(*(getattr(x, "shape", ()) for x in counter))
    a, b, c = (xp.broadcast_to(xp.asarray(x).astype(np.uint64) & np.uint64(_LOW), shape) for x in counter)
    d = xp.full(shape, USES[use], np.uint64)
    key0, key1 = seed & _LOW, seed >> 32
    low, half = np.uint64(_LOW), np.uint64(32)
    for _ in range(10):
        left, right = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b = (right >> half) ^ b ^ np.uint64(key0), right & low
        c, d = (left >> half) ^ d ^ np.uint64(key1), left & low
        key0, key1 = (key0 + 0x9E3779B9) & _LOW, (key1 + 0xBB67AE85) & _LOW
    return xp.stack([a, b, c, d])


def uniforms(count: int, replicas: Array, step: int, use: str, seed: int) -> Array:
    """Return numbers in (0, 1), (len(replicas), count) float64: entry j of a replica is word j % 4 of group j // 4."""
    xp = namespace(replicas)
    words = philox(xp.arange(-(-count // 4))[None, :], replicas[:, None], step, use, seed)
    drawn = xp.moveaxis(words, 0, -1).reshape(len(replicas), 4 * words.shape[-1])[:, :count]
    return (drawn.astype(np.float64) + 0.5) * 2.0**-32
