"""A small language model of bytes: TransNormer blocks, trained over chunks of the sequence, generating step by step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, Device, namespace, namespace_of, to_device
from sci.distributed import Comm, abort_on_error, agreed, broadcast, sample, size, split
from sci.errors import InvalidValueError, ShapeError, with_article
from sci.nn import ModelState, copy_to_ranks, embedding, initial_normal, linear, op, sum_over_ranks, value_of
from sci.sequence.checks import kept_labels
from sci.sequence.linear_attention.lightning import lightning_attention, lightning_step
from sci.sequence.linear_attention.problem import LightningMethod
from sci.sequence.models.generation import Rule, continued, tokens_of
from sci.sequence.models.layers import (
    Recompute,
    gated_unit,
    recompute_by_layer,
    residual_block,
    simple_rms_norm,
    transnormer_attention,
    transnormer_decays,
)
from sci.sequence.models.text import token_loss

Attend = Callable[..., Any]

__all__ = ["State", "TransNormer"]


@entry
@dataclass(frozen=True)
class State:
    """The recurrent state of a TransNormer after some tokens: constant in size.

    Parameters
    ----------
    position : int
        Tokens read.
    states : tuple of (batch, heads, d, e) arrays
        One per layer.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import TransNormer
    >>> model = TransNormer.create(seed=0, width=8, heads=2, layers=2, hidden=8)
    >>> model.prefill(np.array([[104, 105]]))[1]
    State(after 2 tokens, 2 layers, 384 bytes)
    """

    position: int
    states: tuple[Array, ...]

    def __repr__(self) -> str:
        size = sum(s.nbytes for s in self.states)
        return f"State(after {self.position} tokens, {len(self.states)} layers, {size:,} bytes)"


@entry
@dataclass(frozen=True)
class TransNormer:
    """A language model of blocks x + GLA(norm x), x + SGLU(norm x), with lightning attention.

    Parameters
    ----------
    width, heads, layers, hidden, vocabulary : int
        `heads` divides `width`; `hidden` is the width of the gated unit.
    parameters : dict of arrays
        As `TransNormer.create` makes them.
    decays : (layers, heads) floats, optional
        How fast the heads of each layer forget, lam = exp(-decay): 1 / decay is about the number of tokens that a head
        sees. `transnormer_decays` by default.

    Raises
    ------
    InvalidValueError, ShapeError

    Notes
    -----
    Only the first layer rotates by position; the others know it from their decay. Forward 2 (5 width^2 + 3 width
    hidden) + 4 width^2 / heads flops per token and layer, in memory linear in the length.

    References
    ----------
    Qin et al., TransNormerLLM (arXiv 2307.14995).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import TransNormer
    >>> model = TransNormer.create(seed=0, width=16, heads=2, layers=2, hidden=32)
    >>> logits, state = model.prefill(np.array([[104, 105]]))
    >>> logits.shape, state.position
    ((1, 2, 256), 2)
    """

    width: int
    heads: int
    layers: int
    hidden: int
    vocabulary: int
    parameters: dict[str, Array]
    decays: Sequence[Sequence[float]] | None = None

    def __post_init__(self) -> None:
        if min(self.width, self.heads, self.layers, self.hidden, self.vocabulary) < 1 or self.width % self.heads:
            raise InvalidValueError(
                f"width {self.width}, heads {self.heads}, layers {self.layers}, hidden {self.hidden}, vocabulary "
                f"{self.vocabulary}; expected positive numbers, and heads that divide the width"
            )
        object.__setattr__(self, "decays", _checked_decays(self.decays, self.layers, self.heads))
        for name, shape in self._shapes().items():
            found = getattr(self.parameters.get(name), "shape", None)
            if found != shape:
                raise ShapeError(f"the parameter {name} of a TransNormer has shape {found}; expected {shape}")

    def __repr__(self) -> str:
        count = sum(p.size for p in self.parameters.values())
        return (
            f"TransNormer(width={self.width}, heads={self.heads}, layers={self.layers}, hidden={self.hidden}, "
            f"vocabulary={self.vocabulary}; {count:,} parameters)"
        )

    @classmethod
    def create(
        cls,
        *,
        seed: int = 0,
        width: int = 128,
        heads: int = 4,
        layers: int = 4,
        hidden: int = 256,
        vocabulary: int = 256,
        decays: Sequence[Sequence[float]] | None = None,
        dtype: Any = np.float32,
        device: Device = "cpu",
    ) -> TransNormer:
        """Return a model with random parameters, the same for the same seed.

        Raises
        ------
        InvalidValueError
        """
        rng, parameters = np.random.default_rng(seed), {}
        for name, shape in _shapes(width, max(heads, 1), layers, hidden, vocabulary).items():
            if name.endswith("theta"):
                d = shape[1]
                angles = np.tile(10000.0 ** (-np.arange(d) / d), (shape[0], 1)).astype(dtype)
                parameters[name] = to_device(angles, namespace_of(device))
                continue
            residual = (2 * layers) ** -0.5 if name.endswith(".o") else 1.0
            std = 1.0 if name == "embedding" else residual * shape[-1] ** -0.5
            parameters[name] = initial_normal(rng, shape, std, dtype=dtype, device=device)
        return cls(width, heads, layers, hidden, vocabulary, parameters, decays)

    def with_parameters(self, parameters: Mapping[str, Array]) -> TransNormer:
        """Return the same model with other parameters."""
        return replace(self, parameters=dict(parameters))

    @collective_entry
    def loss(
        self,
        variables: Mapping[str, Array],
        batch: Array,
        *,
        comm: Comm = None,
        method: LightningMethod = "gather",
        recompute: Recompute | Sequence[Recompute] = "none",
    ) -> Any:
        """Return the mean cross-entropy of every next token of `batch`, in nats, on all ranks.

        Parameters
        ----------
        variables : mapping
            Parameters as variables (or arrays), the same on all ranks.
        batch : (batch, length + 1) integer array
            Whole windows, on all ranks alike; each rank computes its run of their tokens.
        comm : mpi4py communicator, optional
        method : {"gather", "ring"}
            How the states of the attention cross ranks.
        recompute : {"none", "attention", "feedforward", "block"}, or one for each layer
            What the gradient computes a second time, with its messages, in the place of keeping it.

        Raises
        ------
        InvalidValueError
            On every rank: for a token outside of the vocabulary, or batches that differ between ranks.

        Notes
        -----
        Collective. Gradients come out whole and bitwise the same on all ranks: one all-reduce of all of them.
        """
        with agreed(comm, "TransNormer.loss") as agreement:
            agreement.same(batch=batch, method=method, recompute=recompute)
            _require_batch(batch, self.vocabulary)
            again = recompute_by_layer(recompute, self.layers)
            missing = [name for name in self.parameters if name not in variables]
            if missing:
                raise InvalidValueError(f"variables have no {', '.join(missing)}; expected those of model.parameters")
            if size(comm) > 1:
                agreement.same(model=[self.width, self.heads, self.layers, self.hidden, self.vocabulary, self.decays])
                agreement.same(**{f"the parameter {n}": sample(value_of(p)) for n, p in variables.items()})
        part = split(batch.shape[1] - 1, comm)
        names = list(variables)
        shared = copy_to_ranks(*(variables[n] for n in names), comm=comm)

        def attend(q: Any, k: Any, v: Any, layer: int) -> Any:
            decay = self._decay(value_of(q), layer)
            return _mix(q, k, v, decay, method=method, comm=comm)

        logits = self._forward(dict(zip(names, shared)), batch[:, :-1][:, part], attend, part.start, again)
        total = batch.shape[0] * (batch.shape[1] - 1)
        own = token_loss(logits, batch[:, 1:][:, part], total=total)
        return sum_over_ranks(own, comm=comm)

    def prefill(self, tokens: Array, state: State | None = None) -> tuple[Array, State]:
        """Return the logits of the next token after each of `tokens`, and the state after all tokens read so far.

        Parameters
        ----------
        tokens : (batch, n) integer array
        state : State, optional
            Of the text before.

        Returns
        -------
        logits : (batch, n, vocabulary) array
        state : State

        Raises
        ------
        InvalidValueError
            For a token outside of the vocabulary.
        """
        start = 0 if state is None else state.position
        return self._prefill(tokens, state, start, tokens.shape[1], None)

    def _prefill(self, tokens: Array, state: State | None, start: int, n: int, comm: Comm) -> tuple[Array, State]:
        """Return the logits of this rank's tokens, of which the first lies at `start`, and the state after all n."""
        new: list[Array] = []

        def attend(q: Array, k: Array, v: Array, layer: int) -> Array:
            own = None if state is None else state.states[layer]
            out, end = lightning_attention(q, k, v, self._decay(q, layer), own, comm=comm)
            new.append(end)
            return out

        logits = self._forward(self.parameters, tokens, attend, start)
        return logits, State((0 if state is None else state.position) + n, tuple(new))

    def decode_step(self, tokens: Array, state: State | None = None) -> tuple[Array, State]:
        """Read one token of each text by the recurrence, in constant time and memory.

        Parameters
        ----------
        tokens : (batch,) integer array
        state : State, optional

        Returns
        -------
        logits : (batch, vocabulary) array
        state : State
        """
        new: list[Array] = []

        def attend(q: Array, k: Array, v: Array, layer: int) -> Array:
            own = None if state is None else state.states[layer]
            out, end = lightning_step(q[..., 0, :], k[..., 0, :], v[..., 0, :], self._decay(q, layer), own)
            new.append(end)
            return out[..., None, :]

        start = 0 if state is None else state.position
        logits = self._forward(self.parameters, tokens[:, None], attend, start)
        return logits[:, 0], State(start + 1, tuple(new))

    @collective_entry
    def generate(
        self,
        prompt: Array | bytes,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        comm: Comm = None,
    ) -> bytes | np.ndarray:
        """Return `n` tokens that continue a prompt, by the recurrence: each in constant time and memory.

        Parameters
        ----------
        prompt : bytes, or (rows, tokens) integer array
            At least one token.
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
        comm : mpi4py communicator, optional
            Ranks that share the tokens of the prompt; those after it are computed on each.

        Returns
        -------
        bytes, or (rows, n) int64 NumPy array
            As the prompt is; the same on all ranks.

        Raises
        ------
        InvalidValueError, ShapeError
            On every rank; also for a prompt of bytes to a vocabulary of more than 256.

        Notes
        -----
        Collective over `comm`. Logits agree between numbers of ranks to rounding.
        """
        with agreed(comm, "TransNormer.generate") as agreement:
            text = isinstance(prompt, bytes)
            if text and self.vocabulary > 256:
                raise InvalidValueError(f"a prompt of bytes to {self.vocabulary} tokens; expected an array of tokens")
            rule, tokens = Rule(temperature, top_k, top_p, seed), tokens_of(prompt, self.vocabulary, n)
            agreement.same(prompt=tokens, n=n, rule=rule)
            if size(comm) > 1:
                agreement.same(model=[self.width, self.heads, self.layers, self.hidden, self.vocabulary, self.decays])
                agreement.same(**{f"the parameter {name}": sample(p) for name, p in self.parameters.items()})
        xp, state = namespace(*self.parameters.values()), None

        def read(given: np.ndarray) -> Array:
            nonlocal state
            if state is not None:
                logits, state = self.decode_step(to_device(given[:, 0], xp), state)
                return logits
            part = split(given.shape[1], comm)
            logits, state = self._prefill(to_device(given[:, part], xp), None, part.start, given.shape[1], comm)
            # The last token lies on the last rank that has any.
            return broadcast(logits[:, -1:], comm, root=min(given.shape[1], size(comm)) - 1)[:, 0]

        with abort_on_error(comm):
            made = continued(read, tokens, n, rule, agree=lambda drawn: broadcast(drawn, comm))
        return made[0].astype(np.uint8).tobytes() if text else made

    def to_state(self) -> ModelState:
        """Return options and parameters as `sci.io.save` stores them."""
        names = ("width", "heads", "layers", "hidden", "vocabulary")
        options: dict[str, Any] = {name: getattr(self, name) for name in names}
        return ModelState(
            "TransNormer", options | {"decays": [list(row) for row in self.decays or ()]}, self.parameters
        )

    @classmethod
    def from_state(cls, model: ModelState) -> TransNormer:
        """Return the model of stored options and parameters.

        Raises
        ------
        InvalidValueError
            For another kind of model.
        """
        if model.name != "TransNormer":
            raise InvalidValueError(f"the file holds {with_article(model.name)}; expected a TransNormer")
        options = dict(model.options)
        if "decays" not in options:
            options["decays"] = _decays_of_old_files(options["layers"], options["heads"])
        return cls(**options, parameters=model.parameters)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return _shapes(self.width, self.heads, self.layers, self.hidden, self.vocabulary)

    def _decay(self, like: Any, layer: int) -> Array:
        return namespace(like).asarray(np.array((self.decays or ())[layer]).astype(like.dtype))

    def _forward(
        self,
        weights: Mapping[str, Any],
        tokens: Array,
        attend: Attend,
        start: int,
        again: Sequence[Recompute] | None = None,
    ) -> Any:
        """Return the logits; `attend(q, k, v, layer)` mixes the tokens of a layer."""
        x = embedding(weights["embedding"], tokens)
        for layer in range(self.layers):
            mixer = functools.partial(attend, layer=layer)
            own = _named(weights, f"{layer}.attention.")
            attention = functools.partial(transnormer_attention, own, attend=mixer, heads=self.heads, start=start)
            unit = functools.partial(gated_unit, _named(weights, f"{layer}.unit."))
            x = residual_block(x, attention, unit, again[layer] if again else "none")
        return linear(simple_rms_norm(x), weights["head"])


def _mix_vjp(dout: Array, residuals: Any) -> tuple[Array | None, ...]:
    return lightning_attention.vjp((dout, None), residuals)[:4]


@op(vjp=_mix_vjp)
def _mix(q: Array, k: Array, v: Array, decay: Array, *, method: LightningMethod, comm: Comm) -> tuple[Array, Any]:
    """Return the output of lightning attention alone, with decays that are not learned."""
    options = {"method": method, "comm": comm, "final_state": False, "learn_decay": False}
    (out, _), residuals = lightning_attention.forward(q, k, v, decay, **options)
    return out, residuals


def _checked_decays(decays: Any, layers: int, heads: int) -> tuple[tuple[float, ...], ...]:
    """Return decays as one tuple of floats per layer; the published ones for None."""
    if decays is None:
        decays = [transnormer_decays(heads, layer, layers) for layer in range(layers)]
    values = np.asarray(decays, dtype=np.float64)
    if values.shape != (layers, heads):
        raise ShapeError(f"decays have shape {values.shape}; expected (layers, heads) = {(layers, heads)}")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InvalidValueError("decays hold negative, infinite or NaN entries; expected 0 or more: lam = exp(-decay)")
    return tuple(map(tuple, values.tolist()))


def _decays_of_old_files(layers: int, heads: int) -> np.ndarray:
    """Return the decays of models that were stored without: (8 h / heads) (1 - layer / layers)."""
    return 8.0 * np.arange(1, heads + 1) / heads * (1 - np.arange(layers)[:, None] / layers)


def _named(weights: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


def _require_batch(batch: Array, vocabulary: int) -> None:
    """Raise unless a batch holds whole windows of tokens."""
    if batch.ndim != 2 or batch.dtype.kind not in "iu" or batch.shape[1] < 2 or batch.shape[0] < 1:
        raise ShapeError(f"a batch {batch.shape} of {batch.dtype}; expected (batch, length + 1) integers")
    kept_labels(batch, vocabulary, None)


def _shapes(width: int, heads: int, layers: int, hidden: int, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name."""
    shapes: dict[str, tuple[int, ...]] = {"embedding": (vocabulary, width)}
    for layer in range(layers):
        shapes |= {f"{layer}.attention.{name}": (width, width) for name in "qkvuo"}
        if layer == 0:
            shapes[f"{layer}.attention.theta"] = (heads, width // heads)
        shapes |= {f"{layer}.unit.{name}": (hidden, width) for name in "vu"}
        shapes[f"{layer}.unit.o"] = (width, hidden)
    return {**shapes, "head": (vocabulary, width)}
