"""What a `ParallelTransformer` says of the next token, on a grid of ranks, with what it has read kept in each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.backend import Array, to_device
from sci.distributed import allgather_rows, broadcast, rank_of, recv, send, size, split
from sci.nn import silu
from sci.sequence.attention.cache import KeyValueCache
from sci.sequence.attention.softmax import softmax_attention
from sci.sequence.linear_attention.lightning import lightning_attention, lightning_step
from sci.sequence.models.layers import simple_rms_norm
from sci.sequence.models.stages import StageLayers
from sci.sequence.tiles.reference import merge_attention

__all__ = ["Decoder"]


class Decoder(StageLayers):
    """Reads texts: the first call takes a prompt, spread over sequence ranks, each call after it one token.

    A token that comes after the prompt is computed on all sequence ranks; softmax attention keeps its keys on one of
    them in turn, and the ranks merge what each sees by the log-sum-exp. Lightning attention keeps a state on each.

    Parameters
    ----------
    model : ParallelTransformer
    parameters : mapping
        This rank's part.

    Notes
    -----
    Collective over pipeline, sequence and tensor ranks. A token sends its activations through the stages, two
    all-reduces a layer among tensor ranks, heads (d + 1) numbers a layer among sequence ranks, and logits to all.
    """

    def __init__(self, model: Any, parameters: Mapping[str, Array]) -> None:
        super().__init__(model, parameters, cut_tokens=False)
        self.position = 0
        self.caches: dict[int, KeyValueCache] = {}
        self.states: dict[int, Array] = {}

    def __call__(self, tokens: np.ndarray) -> Array:
        """Return the logits (rows, vocabulary) of the token after `tokens`, on all ranks."""
        grid = self.model.grid
        n, sequence = tokens.shape[1], size(grid.sequence)
        spread = self.position == 0
        part = split(n, grid.sequence) if spread else slice(0, n)
        own = to_device(tokens[:, part], self.xp)
        at = slice(self.position + part.start, self.position + part.stop)
        y = self._through_stages(own, at)
        self.position += n
        last = size(grid.pipeline) - 1
        logits: Any = None
        if rank_of(grid.pipeline) == last:
            if spread:  # the last token lies on the last rank that has any
                y = broadcast(self.xp.ascontiguousarray(y[:, -1:]), grid.sequence, root=min(n, sequence) - 1)
            columns = self.xp.ascontiguousarray(self.logits(self.parameters, y[:, -1:])[:, 0].T)
            logits = self.xp.ascontiguousarray(allgather_rows(columns, grid.tensor).T)
        return broadcast(logits, grid.pipeline, root=last)

    def _through_stages(self, tokens: Array, at: slice) -> Array:
        """Return the output of this rank's last stage, after those of the ranks before."""
        model, comm = self.model, self.model.grid.pipeline
        p, rank = size(comm), rank_of(comm)
        x: Any = None
        shape = (*tokens.shape, model.width)
        for chunk, stage in enumerate(model._stages()):
            if stage == 0:
                x = self.embedded(self.parameters, tokens, at)
            elif p > 1:
                x = recv(shape, self.dtype, (rank - 1) % p, tag=chunk, xp=self.xp, comm=comm).wait()
            for layer in model._layers_of(stage):
                x = self.block(self.parameters, layer, x, self._attend)
            if stage + 1 < p * model.chunks and p > 1:
                tag = chunk + (rank == p - 1)  # the next rank runs the same chunk, the first one the next
                send(x, (rank + 1) % p, tag=tag, operation="pipeline", comm=comm).wait()
        return x

    def _attend(self, layer: int, q: Array, k: Array, v: Array) -> Array:
        if self.model.attention == "softmax":
            return self._softmax(layer, q, k, v)
        q, k = (silu(a) for a in (q, k))
        decays, comm = self.decays(layer), self.model.grid.sequence
        if self.position == 0:
            out, self.states[layer] = lightning_attention(q, k, v, decays, None, comm=comm)
        else:
            one, key, value = (a[..., 0, :] for a in (q, k, v))
            out, self.states[layer] = lightning_step(one, key, value, decays, self.states[layer])
            out = out[..., None, :]
        return simple_rms_norm(out)

    def _softmax(self, layer: int, q: Array, k: Array, v: Array) -> Array:
        comm, scale = self.model.grid.sequence, q.shape[-1] ** -0.5
        cache = self.caches.setdefault(layer, KeyValueCache())
        if self.position == 0:
            cache.keep(k, v)
            return softmax_attention(q, k, v, causal=True, comm=comm, scale=scale)[0]
        if rank_of(comm) == self.position % size(comm):
            cache.keep(k, v)
        out, lse = cache.look(q, scale=scale)
        if size(comm) == 1:
            return out
        parts = allgather_rows(self.xp.concatenate([out, lse[..., None]], axis=-1)[None], comm)
        out, lse = parts[0, ..., :-1], parts[0, ..., -1]
        for part in parts[1:]:
            out, lse = merge_attention(out, lse, part[..., :-1], part[..., -1])
        return out
