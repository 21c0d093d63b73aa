"""A transformer on a grid of ranks: data x pipeline x sequence x tensor, with the gradients of one rank."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, Device
from sci.distributed import abort_on_error, agreed, allgather_rows, allreduce_sum, broadcast, rank_of, size, split
from sci.errors import DecompositionError, InvalidValueError
from sci.nn import ModelState, ParameterLayout, Placement, initial_normal
from sci.sequence.megatron.rank_grid import RankGrid
from sci.sequence.megatron.schedules import PipelineKind
from sci.sequence.models.decoding import Decoder
from sci.sequence.models.generation import Rule, continued, tokens_of
from sci.sequence.models.grid_loss import agree_on_copies, grid_loss, passes_made
from sci.sequence.models.layers import Recompute
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
                f"hidden units on {tensor} ranks; expected at least one on each: use fewer pipeline or tensor ranks"
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

    @property
    def layout(self) -> ParameterLayout:
        """How the parameters lie on the grid: what `sci.nn.train` and `sci.io` follow.

        Rows of q, k, v, up, embedding and head are cut over tensor ranks, columns of o and down; biases after a sum are
        whole on each. A layer belongs to one stage. Data and sequence ranks are replicas.
        """
        placements = {name: self._placement(name, shape) for name, shape in self._shapes().items()}
        return ParameterLayout(placements, self.grid.comm, self.grid.replicas)

    def own(self, whole: Mapping[str, Array]) -> dict[str, Array]:
        """Return this rank's part of parameters (or gradients) of the whole model, as `layout` says (not collective).

        Raises
        ------
        InvalidValueError, ShapeError
        """
        return self.layout.own(whole)

    def to_state(self, parameters: Mapping[str, Array]) -> ModelState:
        """Return this rank's parts of the model as `sci.io.save` stores them: whole arrays, in one file."""
        layout = self.layout
        layout.check(parameters)
        return ModelState("ParallelTransformer", self.described(), dict(parameters), layout=layout)

    def described(self) -> dict[str, Any]:
        """Return the sizes and choices of the whole model, which do not depend on the grid."""
        names = ("width", "heads", "layers", "hidden", "vocabulary", "attention")
        return {name: getattr(self, name) for name in names}

    @collective_entry
    def loss(
        self,
        variables: Mapping[str, Array],
        batch: Array,
        *,
        microbatches: int = 1,
        schedule: PipelineKind = "1f1b",
        recompute: Recompute | Sequence[Recompute] = "none",
        activations: Literal["bfloat16"] | None = None,
    ) -> Any:
        """Return the mean cross-entropy of every next token, on all ranks: the loss for `sci.nn.train`.

        Parameters
        ----------
        variables : mapping
            This rank's parameters as variables; as arrays, forward passes run alone.
        batch, microbatches, schedule, recompute, activations
            As in `loss_and_gradients`.

        Returns
        -------
        scalar array or variable

        Raises
        ------
        DecompositionError, InvalidValueError, ShapeError
            On every rank.

        Notes
        -----
        Collective over the grid. Gradients are this rank's shares, which `train(..., layout=model.layout)` sums over
        the replicas.

        Examples
        --------
        >>> import numpy as np
        >>> from sci.nn import Adam, train
        >>> from sci.sequence import ParallelTransformer, TextWindows, rank_grid
        >>> model = ParallelTransformer(8, 2, 2, 16, 256, rank_grid(None))
        >>> windows = TextWindows(b"to be or not to be, that is the question", 8)
        >>> options = {"optimizer": Adam(0.01), "epochs": 20, "batch_size": 4, "layout": model.layout}
        >>> done = train(model.loss, model.own(model.whole(0)), windows, **options)
        >>> bool(done.losses[-1] < 0.7 * done.losses[0])
        True
        """
        options: Any = {"microbatches": microbatches, "schedule": schedule, "recompute": recompute}
        options["activations"] = activations
        names = tuple(variables)
        arrays = (variables[n] for n in names)
        return grid_loss(*arrays, model=self, names=names, batch=batch, options=options)

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
            Parts of a data rank's rows. A batch is filled up to a multiple of data ranks x microbatches by rows that do
            not count.
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
        options: Any = {"microbatches": microbatches, "schedule": schedule, "recompute": recompute}
        options["activations"] = activations
        work = passes_made(self, parameters, batch, "ParallelTransformer.loss_and_gradients", **options)
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
            self.layout.check(parameters)
        agree_on_copies(self, parameters, "ParallelTransformer.generate")
        rows = split(tokens.shape[0], grid.data)

        def agree(drawn: np.ndarray) -> np.ndarray:
            for along in (grid.tensor, grid.sequence, grid.pipeline):
                drawn = broadcast(drawn, along)
            return drawn

        with abort_on_error(comm):
            made = continued(Decoder(self, parameters), tokens[rows], n, rule, rows.start, agree)
            found: np.ndarray = allgather_rows(made, grid.data)
            return found

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

    def _placement(self, name: str, shape: tuple[int, ...]) -> Placement:
        tensor, last, held = self.grid.tensor, name.rpartition(".")[2], self._is_own(name)
        if last in _WHOLE:
            return Placement(shape, held=held, first=rank_of(tensor) == 0)
        axis = 1 if last in ("o", "down") else 0
        if last in ("q", "k", "v", "o"):
            heads, d = split(self.heads, tensor), self.width // self.heads
            return Placement(shape, axis, heads.start * d, heads.stop * d, held)
        part = split(shape[axis], tensor)
        return Placement(shape, axis, part.start, part.stop, held)

    def _tokens_between(self, n: int) -> int:
        """Return the tokens of this rank's activations between stages."""
        part = split(n, self.grid.sequence)
        length = part.stop - part.start
        own = split(length, self.grid.tensor) if self.cut_tokens else slice(0, length)
        return int(own.stop - own.start)
