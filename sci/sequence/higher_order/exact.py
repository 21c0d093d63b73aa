"""Tensor attention by the softmax over all pairs of keys, in tiles.

A query i and a key j of the first kind make one query q_i * k1_j of ordinary attention over the keys of the second
kind; what it returns is joined over j. So the kernels of ordinary attention do the work, and no weights are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sci.backend import Array, namespace
from sci.distributed import Comm, Deferred, allgather_rows, reduce_scatter_rows, ring_steps
from sci.sequence.attention.ring import ring_gradients
from sci.sequence.tiles.attend import add_gradients, attend
from sci.sequence.tiles.reference import merge_attention
from sci.sequence.tiles.seen import Seen

__all__ = ["Exact"]

_ROWS = 1 << 15
"""Pairs of a query and a first key in one piece of work."""


@dataclass(frozen=True)
class Exact:
    """This rank's arrays (batch, length, d) in the dtype of sums, and the lengths of both kinds of keys by rank."""

    q: Array
    k1: Array
    k2: Array
    v1: Array
    v2: Array
    scale: float
    lengths: tuple[Sequence[int], Sequence[int]]
    comm: Comm

    def forward(self, work: Deferred) -> tuple[Array, Array]:
        """Return out (batch, n, d) and log-sum-exp (batch, n); errors between messages wait in `work`."""
        xp = namespace(self.q)
        k2, v2 = self._all_seconds()
        out, lse = xp.zeros_like(self.q), xp.full(self.q.shape[:2], -xp.inf, self.q.dtype)
        for _, (k1, v1) in ring_steps((self.k1, self.v1), self.lengths[0], self.comm):
            with work:
                for rows in self._blocks(k1):
                    part, weight_lse = self._attend(self.q[:, rows], k1, k2, v2)
                    top = weight_lse.max(axis=2)
                    weights = xp.exp(weight_lse - top[:, :, None])
                    total = weights.sum(axis=2)
                    joined = xp.einsum("bij,bjl,bijl->bil", weights, v1, part) / total[:, :, None]
                    merged = merge_attention(out[:, rows], lse[:, rows], joined, top + xp.log(total))
                    out[:, rows], lse[:, rows] = merged
        return out, lse

    def backward(self, dout: Array, out: Array, lse: Array, work: Deferred) -> tuple[Array, ...]:
        """Return the gradients of q, k1, k2, v1 and v2."""
        xp = namespace(self.q)
        k2, v2 = self._all_seconds()
        dk2, dv2, dq = (xp.zeros_like(a) for a in (k2, v2, self.q))
        delta = (dout * out).sum(axis=2)

        def add(_: int, visitors: tuple[Array, ...]) -> list[Array]:
            k1, v1 = visitors
            dk1, dv1 = xp.zeros_like(k1), xp.zeros_like(v1)
            with work:
                for rows in self._blocks(k1):
                    q, g = self.q[:, rows], dout[:, rows]
                    part, part_lse = self._attend(q, k1, k2, v2)
                    weights = xp.exp(part_lse - lse[:, rows, None])
                    dv1 += xp.einsum("bij,bil,bijl->bjl", weights, g, part)
                    dpairs = self._add_gradients(q, g, lse[:, rows], delta[:, rows], (k1, v1, k2, v2, dk2, dv2))
                    dq[:, rows] += self.scale * xp.einsum("bijl,bjl->bil", dpairs, k1)
                    dk1 += self.scale * xp.einsum("bijl,bil->bjl", dpairs, q)
            return [dk1, dv1]

        dk1, dv1 = ring_gradients((self.k1, self.v1), self.lengths[0], self.comm, add)
        own2 = (reduce_scatter_rows(a.swapaxes(0, 1), self.comm, self.lengths[1]) for a in (dk2, dv2))
        dk2, dv2 = (a.swapaxes(0, 1) for a in own2)
        return dq, dk1, dk2, dv1, dv2

    def _all_seconds(self) -> list[Array]:
        """Return the keys and values of the second kind of all ranks."""
        xp = namespace(self.q)
        whole = (allgather_rows(a.swapaxes(0, 1), self.comm) for a in (self.k2, self.v2))
        return [xp.ascontiguousarray(a.swapaxes(0, 1)) for a in whole]

    def _blocks(self, k1: Array) -> Iterator[slice]:
        """Yield ranges of queries such that the pairs with the keys `k1` fit into one piece of work."""
        if k1.shape[1] == 0:
            return
        step = max(1, _ROWS // k1.shape[1])
        for start in range(0, self.q.shape[1], step):
            yield slice(start, min(start + step, self.q.shape[1]))

    def _pairs(self, q: Array, k1: Array) -> Array:
        xp = namespace(q)
        pairs = (q * q.dtype.type(self.scale))[:, :, None, :] * k1[:, None, :, :]
        return xp.ascontiguousarray(pairs.reshape(q.shape[0], -1, q.shape[2]))

    def _attend(self, q: Array, k1: Array, k2: Array, v2: Array) -> tuple[Array, Array]:
        """Return, for every pair of a query and a first key, attention over the second keys and its log-sum-exp."""
        xp, pairs = namespace(q), self._pairs(q, k1)
        seen = Seen.everything(pairs.shape[1], k2.shape[1], k2.shape[0])
        out, lse = xp.zeros_like(pairs), xp.full(pairs.shape[:2], -xp.inf, pairs.dtype)
        attend(pairs, k2, v2, seen, out, lse)
        shape = (*q.shape[:2], k1.shape[1])
        return out.reshape(*shape, q.shape[2]), lse.reshape(shape)

    def _add_gradients(self, q: Array, g: Array, lse: Array, delta: Array, keys: tuple[Array, ...]) -> Array:
        """Add to dk2 and dv2, and return the gradients of the pairs, (batch, rows, n1, d)."""
        k1, v1, k2, v2, dk2, dv2 = keys
        xp, pairs = namespace(q), self._pairs(q, k1)
        dpairs_out = xp.ascontiguousarray((g[:, :, None, :] * v1[:, None, :, :]).reshape(pairs.shape))
        lse, delta = (xp.ascontiguousarray(xp.repeat(a, k1.shape[1], axis=1)) for a in (lse, delta))
        dpairs = xp.zeros_like(pairs)
        seen = Seen.everything(pairs.shape[1], k2.shape[1], k2.shape[0])
        add_gradients(pairs, k2, v2, dpairs_out, lse, delta, seen, dpairs, dk2, dv2)
        return dpairs.reshape(*q.shape[:2], k1.shape[1], q.shape[2])
