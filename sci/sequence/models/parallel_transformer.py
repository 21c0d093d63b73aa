"""A transformer on a grid of ranks: data x pipeline x sequence x tensor, with the gradients of one rank."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, Device, namespace
from sci.distributed import (
    Deferred,
    abort_on_error,
    agreed,
    allgather_rows,
    allreduce_sum,
    broadcast,
    rank_of,
    sample,
    size,
    split,
)
from sci.errors import DecompositionError, InvalidValueError
from sci.nn import initial_normal
from sci.sequence.checks import kept_labels
from sci.sequence.megatron.pipeline import run_pipeline
from sci.sequence.megatron.rank_grid import RankGrid
from sci.sequence.megatron.schedules import PipelineKind, pipeline_schedule
from sci.sequence.models.decoding import Decoder
from sci.sequence.models.generation import Rule, continued, tokens_of
from sci.sequence.models.layers import Recompute, recompute_by_layer
from sci.sequence.models.stages import Passes

__all__ = ["ParallelTransformer"]

_WHOLE = ("o_bias", "down_bias")
"""Parameters that every tensor rank holds whole."""


@entry
@dataclass(frozen=True)
class ParallelTransformer:
    """A decoder of blocks x + attention(norm x), x + MLP(norm x), cut over a grid of ranks.

    Parameters
    ----------
    width, heads, layers, hidden, vocabulary : int
        `heads` divides `width`.
    attention : {"softmax", "lightning"}
        Causal softmax round a ring of sequence ranks, or lightning attention with decays.
    grid : RankGrid
    chunks : int
        Runs of layers on each pipeline rank; more than 1 with the interleaved schedule.
    cut_tokens : bool
        Cut the activations between tensor ranks by tokens too (the sequence form of tensor parallelism).

    Raises
    ------
    InvalidValueError, DecompositionError

    Notes
    -----
    Layers are dealt to stages as evenly as possible; the embedding is part of the first stage, the logits of the last.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import ParallelTransformer, rank_grid
    >>> model = ParallelTransformer(8, 2, 2, 16, 11, rank_grid(None))
    >>> loss, gradients = model.loss_and_gradients(model.whole(0), np.zeros((2, 5), int))
    >>> gradients["head"].shape
    (11, 8)
    """

    width: int
    heads: int
    layers: int
    hidden: int
    vocabulary: int
    grid: RankGrid
    attention: Literal["softmax", "lightning"] = "softmax"
    chunks: int = 1
    cut_tokens: bool = False

    def __post_init__(self) -> None:
        if min(self.width, self.heads, self.layers, self.hidden, self.vocabulary, self.chunks) < 1:
            raise InvalidValueError("width, heads, layers, hidden, vocabulary and chunks: expected positive numbers")
        if self.width % self.heads or self.attention not in ("softmax", "lightning"):
            raise InvalidValueError(
                f"width {self.width}, heads {self.heads}, attention {self.attention!r}; expected heads that divide the "
                "width, and 'softmax' or 'lightning'"
            )
        _, pipeline, _, tensor = self.grid.shape
        if self.layers < pipeline * self.chunks or self.heads < tensor or self.hidden < tensor:
            raise DecompositionError(
                f"{self.layers} layers on {pipeline} x {self.chunks} stages, {self.heads} heads and {self.hidden} "
                f"hidden units on {tensor} ranks; expected at least one on each"
            )

    def whole(self, seed: int, *, dtype: Any = np.float32, device: Device = "cpu") -> dict[str, Array]:
        """Return random parameters of the whole model, the same on all ranks for the same seed."""
        rng = np.random.default_rng(seed)
        make = functools.partial(initial_normal, rng, dtype=dtype, device=device)
        return {
            n: make(s, 0.1 if len(s) == 1 else 1.0 if n == "embedding" else s[1] ** -0.5)
            for n, s in self._shapes().items()
        }

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the parameters of the whole model."""
        w, f = self.width, self.hidden
        shapes: dict[str, tuple[int, ...]] = {"embedding": (self.vocabulary, w)}
        for layer in range(self.layers):
            shapes |= {f"{layer}.attention.{n}": (w, w) for n in "qkvo"} | {f"{layer}.attention.o_bias": (w,)}
            shapes |= {f"{layer}.mlp.up": (f, w), f"{layer}.mlp.up_bias": (f,)}
            shapes |= {f"{layer}.mlp.down": (w, f), f"{layer}.mlp.down_bias": (w,)}
        return {**shapes, "head": (self.vocabulary, w)}

    def own(self, whole: Mapping[str, Array]) -> dict[str, Array]:
        """Return this rank's part of parameters (or gradients) of the whole model.

        Notes
        -----
        Not collective. Rows of q, k, v, up, embedding and head are cut over tensor ranks, columns of o and down; biases
        after a sum are whole on each.
        """
        return {n: self._cut(n, p) for n, p in whole.items() if self._is_own(n)}

    @collective_entry
    def loss_and_gradients(
        self,
        parameters: Mapping[str, Array],
        batch: Array,
        *,
        microbatches: int = 1,
        schedule: PipelineKind = "1f1b",
        recompute: Recompute | Sequence[Recompute] = "none",
        activations: Literal["bfloat16"] | None = None,
    ) -> tuple[float, dict[str, Array]]:
        """Return the mean cross-entropy of every next token, and its gradient for this rank's parameters.

        Parameters
        ----------
        parameters : dict of arrays
            As `own` returns them.
        batch : (batch, n + 1) integer array
            The whole batch, on all ranks; each takes its rows, and its run of the tokens.
        microbatches : int
            Parts of a data rank's rows; data ranks x microbatches divide the batch.
        schedule : {"gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2"}
        recompute : {"none", "attention", "feedforward", "block"}, or one for each layer
            What a backward pass computes a second time, with its messages, in the place of keeping it.
        activations : "bfloat16", optional
            Rounded to it between ops and kept in two bytes, as in `sci.nn.value_and_gradients`; gradients, their sums
            and messages are float32.

        Returns
        -------
        loss : float
            On all ranks.
        gradients : dict of arrays
            Whole sums: of all rows and tokens.

        Raises
        ------
        DecompositionError, InvalidValueError
            On every rank, also for a token outside of the vocabulary.

        Notes
        -----
        Collective over the grid. A rank that fails inside a stage ends the job. Messages: activations between stages,
        two all-reduces per layer and pass among tensor ranks, keys and values (or states) among sequence ranks, and one
        all-reduce of all gradients among replicas.
        """
        grid, comm = self.grid, self.grid.comm
        with agreed(comm, "ParallelTransformer.loss_and_gradients") as agreement:
            self._check(batch, size(grid.data) * microbatches)
            plan = pipeline_schedule(schedule, size(grid.pipeline), microbatches, self.chunks)
            again = recompute_by_layer(recompute, self.layers)
            agreement.same(batch=batch, microbatches=microbatches, schedule=schedule, recompute=recompute)
            agreement.same(activations=activations)
            agreement.same(width=self.width, heads=self.heads, layers=self.layers, hidden=self.hidden)
            agreement.same(vocabulary=self.vocabulary, attention=self.attention, chunks=self.chunks)
            agreement.same(cut_tokens=self.cut_tokens)
            self._require_own(parameters)
        self._agree_on_replicas(parameters, "loss_and_gradients")
        rows = batch[split(batch.shape[0], grid.data)]
        step = rows.shape[0] // microbatches
        pieces = [rows[i * step : (i + 1) * step] for i in range(microbatches)]
        halved, total = schedule in ("zb-h1", "zb-h2"), batch.shape[0] * (batch.shape[1] - 1)
        work = Passes(self, parameters, pieces, total, halved, again, activations)
        shape = (step, self._tokens_between(batch.shape[1] - 1), self.width)
        with abort_on_error(comm):
            passes = (work.forward, work.backward, work.weight)
            run_pipeline(plan, *passes, shape=shape, dtype=work.dtype, xp=work.xp, comm=grid.pipeline)
            return self._reduced(work)

    @collective_entry
    def generate(
        self,
        parameters: Mapping[str, Array],
        prompt: Array | bytes,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """Return `n` tokens that continue each row of a prompt, the same on all ranks and for every grid.

        Parameters
        ----------
        parameters : dict of arrays
            As `own` returns them.
        prompt : (rows, tokens) integer array, or bytes for one row
            On all ranks; data ranks share the rows, sequence ranks the tokens.
        n : int
            Tokens to append.
        temperature : float
            Logits are divided by it; 0 takes the likeliest token each time.
        top_k : int, optional
            Only so many of the likeliest tokens.
        top_p : float, optional
            Only the likeliest tokens that have this probability together, in (0, 1]; one at least.
        seed : int
            Token t of row i is drawn by a number that is a function of seed, t and i alone.

        Returns
        -------
        (rows, n) int64 NumPy array

        Raises
        ------
        InvalidValueError, ShapeError, DecompositionError
            On every rank, also for fewer rows than data ranks.

        Notes
        -----
        Collective over the grid. Keys and values (or states) of what was read are kept; a token takes one pass through
        the stages. Logits agree between grids to rounding: a draw within that of a border may fall on either side, and
        what follows then differs.
        """
        grid, comm = self.grid, self.grid.comm
        with agreed(comm, "ParallelTransformer.generate") as agreement:
            rule, tokens = Rule(temperature, top_k, top_p, seed), tokens_of(prompt, self.vocabulary, n)
            if tokens.shape[0] < size(grid.data):
                raise DecompositionError(
                    f"{tokens.shape[0]} rows on {size(grid.data)} data ranks; expected one on each"
                )
            agreement.same(prompt=tokens, n=n, rule=rule, chunks=self.chunks, attention=self.attention)
            agreement.same(model=[self.width, self.heads, self.layers, self.hidden, self.vocabulary])
            self._require_own(parameters)
        self._agree_on_replicas(parameters, "generate")
        rows = split(tokens.shape[0], grid.data)

        def agree(drawn: np.ndarray) -> np.ndarray:
            for along in (grid.tensor, grid.sequence, grid.pipeline):
                drawn = broadcast(drawn, along)
            return drawn

        with abort_on_error(comm):
            made = continued(Decoder(self, parameters), tokens[rows], n, rule, rows.start, agree)
            found: np.ndarray = allgather_rows(made, grid.data)
            return found

    def _require_own(self, parameters: Mapping[str, Array]) -> None:
        """Raise unless parameters are those of this rank by name."""
        missing = sorted({n for n in self._shapes() if self._is_own(n)} ^ set(parameters))
        if missing:
            raise InvalidValueError(
                f"the parameters {', '.join(missing)} are missing or unknown on this rank; expected those of `own`"
            )

    def _agree_on_replicas(self, parameters: Mapping[str, Array], name: str) -> None:
        """Compare parameters over ranks with copies: all of them over replicas, whole ones over tensor ranks."""
        whole, work = {n: p for n, p in parameters.items() if n.endswith(_WHOLE)}, Deferred()
        for comm, held in ((self.grid.replicas, parameters), (self.grid.tensor, whole)):
            if size(comm) > 1:
                with work, agreed(comm, f"ParallelTransformer.{name}") as agreement:
                    agreement.same(**{f"the parameter {n}": sample(p) for n, p in held.items()})
        work.settle(self.grid.comm, f"ParallelTransformer.{name}")

    def _check(self, batch: Array, parts: int) -> None:
        if batch.ndim != 2 or batch.dtype.kind not in "iu" or batch.shape[1] < 2 or batch.shape[0] % parts:
            raise DecompositionError(
                f"a batch {batch.shape} of {batch.dtype} on data ranks x microbatches = {parts}; expected "
                "(batch, n + 1) integers, and a multiple of that many rows"
            )
        kept_labels(batch, self.vocabulary, None)

    def _reduced(self, work: Passes) -> tuple[float, dict[str, Array]]:
        """Sum the losses and gradients of the replicas, and broadcast the loss to all stages."""
        xp, grid = work.xp, self.grid
        names = list(work.gradients)
        flat = xp.concatenate(
            [xp.asarray([work.loss], dtype=work.dtype), *(work.gradients[n].reshape(-1) for n in names)]
        )
        total = allreduce_sum(flat, grid.replicas, checked=True)
        loss = broadcast(total[:1], grid.pipeline, root=size(grid.pipeline) - 1)
        found, start = {}, 1
        for name in names:
            like = work.gradients[name]
            found[name] = total[start : start + like.size].reshape(like.shape)
            start += like.size
        return float(loss[0]), found

    def _stages(self) -> list[int]:
        p, r = size(self.grid.pipeline), rank_of(self.grid.pipeline)
        return [chunk * p + r for chunk in range(self.chunks)]

    def _layers_of(self, stage: int) -> range:
        part = split(self.layers, rank=stage, size=size(self.grid.pipeline) * self.chunks)
        return range(part.start, part.stop)

    def _is_own(self, name: str) -> bool:
        stages, last = self._stages(), size(self.grid.pipeline) * self.chunks - 1
        if name in ("embedding", "head"):
            return (0 if name == "embedding" else last) in stages
        return any(int(name.partition(".")[0]) in self._layers_of(stage) for stage in stages)

    def _cut(self, name: str, array: Array) -> Array:
        tensor, last = self.grid.tensor, name.rpartition(".")[2]
        if last in _WHOLE:
            return array
        heads = split(self.heads, tensor)
        d = self.width // self.heads
        of_heads = slice(heads.start * d, heads.stop * d)
        rows = {"q": of_heads, "k": of_heads, "v": of_heads, "o": of_heads}
        part = rows.get(last) or split(self.hidden if last in ("up", "up_bias", "down") else self.vocabulary, tensor)
        return namespace(array).ascontiguousarray(array[:, part] if last in ("o", "down") else array[part])

    def _tokens_between(self, n: int) -> int:
        """Return the tokens of this rank's activations between stages."""
        part = split(n, self.grid.sequence)
        length = part.stop - part.start
        own = split(length, self.grid.tensor) if self.cut_tokens else slice(0, length)
        return int(own.stop - own.start)
