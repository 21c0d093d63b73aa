"""A transformer on a grid of ranks: data x pipeline x sequence x tensor, with the gradients of one rank."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, Device, namespace, to_device
from sci.distributed import Deferred, abort_on_error, agreed, allreduce_sum, broadcast, rank_of, sample, size, split
from sci.errors import DecompositionError, InvalidValueError
from sci.nn import Tape, add, initial_normal, silu
from sci.sequence.attention.softmax import softmax_attention
from sci.sequence.checks import kept_labels
from sci.sequence.linear_attention.lightning import lightning_attention
from sci.sequence.megatron.pipeline import run_pipeline
from sci.sequence.megatron.rank_grid import RankGrid
from sci.sequence.megatron.schedules import PipelineKind, pipeline_schedule
from sci.sequence.megatron.tensor_parallel import column_linear, parallel_attention, parallel_mlp
from sci.sequence.megatron.vocabulary import vocabulary_cross_entropy, vocabulary_embedding
from sci.sequence.models.layers import simple_rms_norm, transnormer_decays

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
            agreement.same(batch=batch, microbatches=microbatches, schedule=schedule)
            agreement.same(width=self.width, heads=self.heads, layers=self.layers, hidden=self.hidden)
            agreement.same(vocabulary=self.vocabulary, attention=self.attention, chunks=self.chunks)
            agreement.same(cut_tokens=self.cut_tokens)
            missing = sorted({n for n in self._shapes() if self._is_own(n)} ^ set(parameters))
            if missing:
                raise InvalidValueError(
                    f"the parameters {', '.join(missing)} are missing or unknown on this rank; expected those of `own`"
                )
        self._agree_on_replicas(parameters)
        rows = batch[split(batch.shape[0], grid.data)]
        step = rows.shape[0] // microbatches
        pieces = [rows[i * step : (i + 1) * step] for i in range(microbatches)]
        xp, dtype = namespace(*parameters.values()), next(iter(parameters.values())).dtype
        work = _Work(self, parameters, pieces, batch.shape[0] * (batch.shape[1] - 1), xp)
        work.split = schedule in ("zb-h1", "zb-h2")
        shape = (step, self._tokens_between(batch.shape[1] - 1), self.width)
        with abort_on_error(comm):
            passes = (work.forward, work.backward, work.weight)
            run_pipeline(plan, *passes, shape=shape, dtype=dtype, xp=xp, comm=grid.pipeline)
            return self._reduced(work)

    def _agree_on_replicas(self, parameters: Mapping[str, Array]) -> None:
        """Compare parameters over ranks with copies: all of them over replicas, whole ones over tensor ranks."""
        whole, work = {n: p for n, p in parameters.items() if n.endswith(_WHOLE)}, Deferred()
        for comm, held in ((self.grid.replicas, parameters), (self.grid.tensor, whole)):
            if size(comm) > 1:
                with work, agreed(comm, "ParallelTransformer.loss_and_gradients") as agreement:
                    agreement.same(**{f"the parameter {n}": sample(p) for n, p in held.items()})
        work.settle(self.grid.comm, "ParallelTransformer.loss_and_gradients")

    def _check(self, batch: Array, parts: int) -> None:
        if batch.ndim != 2 or batch.dtype.kind not in "iu" or batch.shape[1] < 2 or batch.shape[0] % parts:
            raise DecompositionError(
                f"a batch {batch.shape} of {batch.dtype} on data ranks x microbatches = {parts}; expected "
                "(batch, n + 1) integers, and a multiple of that many rows"
            )
        kept_labels(batch, self.vocabulary, None)

    def _reduced(self, work: _Work) -> tuple[float, dict[str, Array]]:
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


class _Work:
    """One rank's passes: its stages on a tape for each microbatch, its gradients added up."""

    def __init__(
        self, model: ParallelTransformer, parameters: Mapping[str, Array], pieces: list[Array], total: int, xp: Any
    ) -> None:
        self.model, self.parameters, self.pieces, self.total, self.xp = model, parameters, pieces, total, xp
        self.dtype = next(iter(parameters.values())).dtype
        self.gradients = {name: xp.zeros_like(p) for name, p in parameters.items()}
        self.loss = 0.0
        self.split = False
        self.last = size(model.grid.pipeline) * model.chunks - 1

    def forward(self, chunk: int, microbatch: int, x: Array | None) -> tuple[Any, Any]:
        """Run the layers of a stage, from the tokens at the first, to the loss at the last."""
        model = self.model
        stage = model._stages()[chunk]
        tape = Tape()
        start = None if x is None else tape.watch(x)
        # What is computed from late variables alone is late too: at the first stage the table takes the input's place.
        variables = {n: tape.watch(p, late=self.split and n != "embedding") for n, p in self.parameters.items()}
        part = split(self.pieces[microbatch].shape[1] - 1, model.grid.sequence)
        options = {"comm": model.grid.tensor, "sequence": model.cut_tokens}
        y: Any = start
        if stage == 0:
            tokens = self.pieces[microbatch][:, :-1][:, part]
            y = vocabulary_embedding(variables["embedding"], tokens, vocabulary=model.vocabulary, **options)
            y = add(y, self._position_waves(part))
        for layer in model._layers_of(stage):
            y = self._block(variables, layer, y, options)
        if stage == self.last:
            logits = column_linear(_norm(y), variables["head"], **options)
            labels = self.pieces[microbatch][:, 1:][:, part]
            settings = {"vocabulary": model.vocabulary, "total": self.total, "comm": model.grid.tensor}
            y = vocabulary_cross_entropy(logits, labels, **settings)
            self.loss += float(y.value)
        return y.value, (variables, start, y)

    def backward(self, chunk: int, microbatch: int, dout: Array | None, residuals: Any) -> Any:
        """Unwind the tape of a stage; where the schedule splits it, as far as its input needs, with what is left."""
        variables, start, out = residuals
        if self.split:
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

    def _block(self, variables: Mapping[str, Any], layer: int, x: Any, options: dict[str, Any]) -> Any:
        attend = functools.partial(self._attend, layer)
        of = {key: _named(variables, f"{layer}.{key}.") for key in ("attention", "mlp")}
        head_dim = self.model.width // self.model.heads
        y = parallel_attention(of["attention"], _norm(x), attend, head_dim, **options)
        x = add(x, y)
        return add(x, parallel_mlp(of["mlp"], _norm(x), **options))

    def _position_waves(self, part: slice) -> Array:
        """Return sines of the positions of this rank's tokens, (n, width)."""
        model = self.model
        own = split(part.stop - part.start, model.grid.tensor) if model.cut_tokens else slice(0, part.stop - part.start)
        t = np.arange(part.start + own.start, part.start + own.stop)
        j = np.arange(model.width)
        waves = np.sin(t[:, None] * 10000.0 ** (-2 * (j // 2) / model.width) + np.pi / 2 * (j % 2))
        return to_device(waves.astype(self.dtype), self.xp)

    def _attend(self, layer: int, q: Any, k: Any, v: Any) -> Any:
        model, comm = self.model, self.model.grid.sequence
        if model.attention == "softmax":
            return softmax_attention(q, k, v, causal=True, comm=comm)[0]
        decay = transnormer_decays(model.heads, layer, model.layers)[split(model.heads, model.grid.tensor)]
        q, k = (silu(a) for a in (q, k))
        settings = {"comm": comm, "learn_decay": False}
        slopes = to_device(decay.astype(self.dtype), self.xp)
        out, _ = lightning_attention(q, k, v, slopes, None, **settings)
        return _norm(out)


def _norm(x: Any) -> Any:
    return simple_rms_norm(x)


def _named(variables: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): v for name, v in variables.items() if name.startswith(prefix)}
