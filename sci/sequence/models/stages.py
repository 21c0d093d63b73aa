"""The stages of a `ParallelTransformer` on one rank: its layers, and the passes of a training through them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.distributed import size, split
from sci.nn import Tape, add, silu
from sci.nn.halves import activations_asked, keeper_of
from sci.sequence.attention.softmax import softmax_attention
from sci.sequence.linear_attention.lightning import lightning_attention
from sci.sequence.megatron.tensor_parallel import column_linear, parallel_attention, parallel_mlp
from sci.sequence.megatron.vocabulary import vocabulary_cross_entropy, vocabulary_embedding
from sci.sequence.models.layers import Recompute, residual_block, simple_rms_norm, transnormer_decays

__all__ = ["PADDING", "Passes", "StageLayers"]

PADDING = -1
"""A token of rows that only fill up a batch: it is read as 0, and its loss does not count."""


class StageLayers:
    """The layers that one rank holds, on arrays or variables.

    Parameters
    ----------
    model : ParallelTransformer
    parameters : mapping
        This rank's part.
    cut_tokens : bool
        Whether tokens between layers are cut over tensor ranks.
    """

    def __init__(self, model: Any, parameters: Mapping[str, Array], cut_tokens: bool) -> None:
        self.model, self.parameters, self.cut_tokens = model, parameters, cut_tokens
        self.xp, self.dtype = namespace(*parameters.values()), next(iter(parameters.values())).dtype
        self.options = {"comm": model.grid.tensor, "sequence": cut_tokens}

    def embedded(self, weights: Mapping[str, Any], tokens: Array, part: slice) -> Any:
        """Return the embedding of tokens that lie at the positions `part`."""
        y = vocabulary_embedding(weights["embedding"], tokens, vocabulary=self.model.vocabulary, **self.options)
        return add(y, self._position_waves(part))

    def _position_waves(self, part: slice) -> Array:
        """Return sines of the positions of this rank's tokens, (n, width)."""
        model, n = self.model, part.stop - part.start
        own = split(n, model.grid.tensor) if self.cut_tokens else slice(0, n)
        t = np.arange(part.start + own.start, part.start + own.stop)
        j = np.arange(model.width)
        waves = np.sin(t[:, None] * 10000.0 ** (-2 * (j // 2) / model.width) + np.pi / 2 * (j % 2))
        return to_device(waves.astype(self.dtype), self.xp)

    def block(
        self,
        weights: Mapping[str, Any],
        layer: int,
        x: Any,
        attend: Callable[[int, Any, Any, Any], Any],
        again: Recompute = "none",
    ) -> Any:
        """Return the output of a layer; `attend(layer, q, k, v)` mixes tokens."""
        of = {key: _named(weights, f"{layer}.{key}.") for key in ("attention", "mlp")}
        attention = functools.partial(
            parallel_attention,
            of["attention"],
            attend=functools.partial(attend, layer),
            head_dim=self.model.width // self.model.heads,
            **self.options,
        )
        return residual_block(x, attention, functools.partial(parallel_mlp, of["mlp"], **self.options), again)

    def logits(self, weights: Mapping[str, Any], x: Any) -> Any:
        """Return this rank's columns of the logits."""
        return column_linear(simple_rms_norm(x), weights["head"], **self.options)

    def decays(self, layer: int) -> Array:
        """Return the decays of this rank's heads."""
        model = self.model
        found = transnormer_decays(model.heads, layer, model.layers)[split(model.heads, model.grid.tensor)]
        return to_device(found.astype(self.dtype), self.xp)


class Passes(StageLayers):
    """One rank's passes of a training: its stages on a tape for each microbatch, its gradients added up.

    Parameters
    ----------
    model : ParallelTransformer
    parameters : mapping
    pieces : list of (rows, n + 1) integer arrays
        The microbatches.
    total : int
        Tokens of the loss on all ranks.
    halved : bool
        Whether the schedule leaves gradients of weights for later.
    again : tuple of {"none", "attention", "feedforward", "block"}
        For each layer, what a backward pass computes again.
    activations : "bfloat16", optional
        As in `sci.nn.value_and_gradients`.
    """

    def __init__(
        self,
        model: Any,
        parameters: Mapping[str, Array],
        pieces: list[Array],
        total: int,
        halved: bool,
        again: tuple[Recompute, ...],
        activations: str | None = None,
    ) -> None:
        super().__init__(model, parameters, model.cut_tokens)
        self.pieces, self.total, self.halved, self.again = pieces, total, halved, again
        self.activations = activations_asked() if activations is None else activations
        self.gradients = {name: self.xp.zeros_like(p) for name, p in parameters.items()}
        self.loss = 0.0
        self.last = size(model.grid.pipeline) * model.chunks - 1

    def forward(self, chunk: int, microbatch: int, x: Array | None) -> tuple[Any, Any]:
        """Run the layers of a stage, from the tokens at the first, to the loss at the last."""
        stage = self.model._stages()[chunk]
        tape = Tape(keeper_of(self.activations))
        start = None if x is None else tape.watch(x)
        # What is computed from late variables alone is late too: at the first stage the table takes the input's place.
        variables = {n: tape.watch(p, late=self.halved and n != "embedding") for n, p in self.parameters.items()}
        y = self._stage(stage, microbatch, variables, start)
        if stage == self.last:
            self.loss += float(y.value)
        return y.value, (variables, start, y)

    def value(self, stage: int, microbatch: int, x: Array | None) -> Array:
        """Return the output of a stage without what a backward pass needs; add up the loss at the last."""
        y: Array = self._stage(stage, microbatch, self.parameters, x)
        if stage == self.last:
            self.loss += float(y)
        return y

    def _stage(self, stage: int, microbatch: int, weights: Mapping[str, Any], x: Any) -> Any:
        """Return the activations after a stage; after the last one the share of the loss."""
        model, piece = self.model, self.pieces[microbatch]
        part = split(piece.shape[1] - 1, model.grid.sequence)
        y: Any = x
        if stage == 0:
            y = self.embedded(weights, self.xp.maximum(piece[:, :-1][:, part], 0), part)
        for layer in model._layers_of(stage):
            y = self.block(weights, layer, y, self._attend, self.again[layer])
        if stage < self.last:
            return y
        settings = {"vocabulary": model.vocabulary, "total": self.total, "comm": model.grid.tensor}
        labels = piece[:, 1:][:, part]
        return vocabulary_cross_entropy(self.logits(weights, y), labels, ignore_index=PADDING, **settings)

    def backward(self, chunk: int, microbatch: int, dout: Array | None, residuals: Any) -> Any:
        """Unwind the tape of a stage; where the schedule halves it, as far as its input needs, with what is left."""
        variables, start, out = residuals
        if self.halved:
            rest = out.backward_of_inputs(dout)
            return None if start is None else start.gradient, (variables, rest)
        out.backward(dout)
        self._add(variables)
        return None if start is None else start.gradient

    def weight(self, chunk: int, microbatch: int, kept: Any) -> None:
        """Compute the gradients of the weights that `backward` left."""
        variables, rest = kept
        rest()
        self._add(variables)

    def _add(self, variables: Mapping[str, Any]) -> None:
        for name, variable in variables.items():
            if variable.gradient is not None:
                self.gradients[name] += variable.gradient

    def _attend(self, layer: int, q: Any, k: Any, v: Any) -> Any:
        comm = self.model.grid.sequence
        if self.model.attention == "softmax":
            return softmax_attention(q, k, v, causal=True, comm=comm)[0]
        q, k = (silu(a) for a in (q, k))
        out, _ = lightning_attention(q, k, v, self.decays(layer), None, comm=comm, learn_decay=False)
        return simple_rms_norm(out)


def _named(variables: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): v for name, v in variables.items() if name.startswith(prefix)}
