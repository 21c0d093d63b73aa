"""The next-scale model: codes of a field from coarse to fine, all codes of a scale at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, Device, namespace, require_finite, to_device
from sci.compression import MultiScaleVQ
from sci.distributed import Comm, Layout, agreed, form, positions, sample, size
from sci.errors import DTypeError, InvalidValueError, ShapeError, with_article
from sci.generative.next_scale.conditions import Condition
from sci.generative.next_scale.config import NextScaleConfig
from sci.generative.next_scale.filters import Sampling
from sci.generative.next_scale.network import initial_parameters, logits_of
from sci.generative.next_scale.sampling import require_first_scales, sample_codes
from sci.generative.next_scale.tokens import ScaleTokens, require_fitting
from sci.nn import ModelState, copy_to_ranks, log_softmax, sum_over_ranks, take_along_axis, value_of
from sci.sequence import softmax_attention, token_loss
from sci.sequence.attention.problem import AttentionMethod

__all__ = ["NextScaleModel"]


@entry
@dataclass(frozen=True, repr=False)
class NextScaleModel:
    """A transformer that predicts the codes of a field scale by scale: p(codes) = product over k of p(r_k | r_<k).

    The sequence holds the codes of all scales. The token of a code reads what coarser scales say about its cell, and
    sees all tokens of its own scale and of coarser ones; all codes of a scale are predicted at once. Norms and gates
    follow the condition, scores are cosines times a learned factor of the head.

    Parameters
    ----------
    config : NextScaleConfig
    parameters : dict of arrays
        As `NextScaleModel.create` makes them.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    Notes
    -----
    Flops of a pass 2 L (4 width^2 + 2 width hidden) and 4 width (sum over k of p_k (p_1 + ... + p_k)) a layer, for L
    codes. Codes of one scale are drawn independently of each other, given the coarser ones: what neighbors of one scale
    share has to be said by coarser scales.

    References
    ----------
    Tian, Jiang, Yuan, Peng and Wang, Visual Autoregressive Modeling, NeurIPS 2024 (arXiv 2404.02905).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import MultiScaleVQ
    >>> from sci.generative import NextScaleConfig, NextScaleModel
    >>> quantizer = MultiScaleVQ(np.array([[0.0], [1.0], [-2.0]]), [(1,), (2,)])
    >>> model = NextScaleModel.create(NextScaleConfig.of(quantizer, width=8, heads=2, layers=1), seed=0)
    >>> model
    NextScaleModel(scales 1, 2; 3 codes, width 8, 1 layers; 1,477 parameters)
    >>> codes = model.sample(quantizer, 4, seed=1)
    >>> [c.shape for c in codes]
    [(4, 1), (4, 2)]
    >>> quantizer.decode(codes).shape
    (4, 1, 2)
    """

    config: NextScaleConfig
    parameters: dict[str, Array]

    def __post_init__(self) -> None:
        for name, shape in self.config.shapes().items():
            found = getattr(self.parameters.get(name), "shape", None)
            if found != shape:
                raise ShapeError(f"the parameter {name} of a NextScaleModel has shape {found}; expected {shape}")
            if self.parameters[name].dtype.name not in ("float32", "float64"):
                raise DTypeError(
                    f"the parameter {name} of a NextScaleModel has dtype {self.parameters[name].dtype}; expected "
                    "float32 or float64"
                )

    def __repr__(self) -> str:
        config, count = self.config, sum(p.size for p in self.parameters.values())
        shown = [" x ".join(map(str, s)) if len(set(s)) > 1 else str(s[0]) for s in config.scales]
        about = f"for {', '.join(config.conditions)}, " if config.conditions else ""
        return (
            f"NextScaleModel(scales {', '.join(shown)}; {config.vocabulary} codes, {about}width {config.width}, "
            f"{config.layers} layers; {count:,} parameters)"
        )

    @classmethod
    def create(
        cls, config: NextScaleConfig, *, seed: int = 0, dtype: Any = np.float32, device: Device = "cpu"
    ) -> NextScaleModel:
        """Return a model with random parameters, the same for the same seed.

        Parameters
        ----------
        config : NextScaleConfig
        seed : int
        dtype : float32 or float64
        device : {"cpu", "cuda"}

        Returns
        -------
        NextScaleModel

        Raises
        ------
        DTypeError
        """
        return cls(config, initial_parameters(config, seed, dtype, device))

    @property
    def dtype(self) -> Any:
        """The dtype of the parameters."""
        return self.parameters["start"].dtype

    def with_parameters(self, parameters: Mapping[str, Array]) -> NextScaleModel:
        """Return the same model with other parameters."""
        return replace(self, parameters=dict(parameters))

    @collective_entry
    def loss(
        self,
        variables: Mapping[str, Array],
        batch: ScaleTokens,
        *,
        keep: Array | None = None,
        comm: Comm = None,
        method: AttentionMethod = "ring",
        layout: Layout = "striped",
    ) -> Any:
        """Return the mean cross-entropy of all codes of `batch`, in nats a code, on all ranks.

        Parameters
        ----------
        variables : mapping
            Parameters as variables (or arrays), the same on all ranks.
        batch : ScaleTokens
            Whole fields, on all ranks alike; each rank computes its share of their codes.
        keep : (n,) array of 0 and 1, optional
            0 for fields that are to be drawn without their condition; for guidance.
        comm : mpi4py communicator, optional
            Over which the codes of every field are spread.
        method : {"ring", "rsa", "ulysses"}
            How the attention crosses ranks, see `softmax_attention`.
        layout : {"contiguous", "zigzag", "striped"}
            Which codes a rank holds; "striped" gives each its share of every scale.

        Raises
        ------
        InvalidValueError, ShapeError
            On every rank.

        Notes
        -----
        Collective. Gradients come out whole and the same on all ranks: one all-reduce of all of them. To share a batch
        by fields instead, see `train_next_scale`.
        """
        with agreed(comm, "NextScaleModel.loss") as agreement:
            require_fitting(self.config, batch)
            missing = [name for name in self.parameters if name not in variables]
            if missing:
                raise InvalidValueError(f"variables have no {', '.join(missing)}; expected those of model.parameters")
            if not len(batch):
                raise InvalidValueError("a batch of no fields; expected one field or more")
            if keep is not None and tuple(keep.shape) != (len(batch),):
                raise ShapeError(f"keep has shape {tuple(keep.shape)}; expected ({len(batch)},), one for each field")
            agreement.same(method=method, layout=layout, keep=keep)
            if size(comm) > 1:
                agreement.same(config=self.config, codes=batch.codes, inputs=sample(batch.inputs))
                agreement.same(**{name: sample(array) for name, array in batch.condition.given().items()})
                agreement.same(**{f"the parameter {n}": sample(value_of(p)) for n, p in variables.items()})
        names = list(variables)
        shared = dict(zip(names, copy_to_ranks(*(variables[n] for n in names), comm=comm)))
        own = positions(self.config.length, comm, layout)
        options = {"blocks": self.config.blocks, "scale": 1.0, "length": self.config.length}
        options |= {"method": method, "layout": layout, "comm": comm}
        logits, codes = self._logits(shared, batch, own, keep, options)
        mean = token_loss(logits, codes, total=batch.codes.size)
        return sum_over_ranks(mean, comm=comm)

    def _logits(
        self, weights: Mapping[str, Any], batch: ScaleTokens, own: np.ndarray, keep: Array | None, options: Any
    ) -> tuple[Any, Array]:
        """Return the logits of the codes at the places `own` of each field, and the codes."""
        xp = namespace(batch.codes)
        places = to_device(own, xp)
        condition = batch.condition
        if condition.context is not None:
            condition = replace(condition, context=condition.context[:, places])

        def attend(layer: int, q: Any, k: Any, v: Any) -> Any:
            return softmax_attention(q, k, v, **options)[0]

        inputs = batch.inputs[:, places]
        return logits_of(self.config, weights, inputs, places, condition, keep, attend), batch.codes[:, places]

    def __call__(self, tokens: ScaleTokens) -> Array:
        """Return the logits (n, length, vocabulary) of every code, given the codes of coarser scales.

        Parameters
        ----------
        tokens : ScaleTokens

        Returns
        -------
        array

        Raises
        ------
        InvalidValueError, ShapeError
        """
        require_fitting(self.config, tokens)
        options = {"blocks": self.config.blocks, "scale": 1.0}
        return self._logits(self.parameters, tokens, np.arange(self.config.length), None, options)[0]

    def nats(self, tokens: ScaleTokens, *, batch_size: int = 256) -> np.ndarray:
        """Return the mean cross-entropy of the codes of each scale, in nats a code.

        Parameters
        ----------
        tokens : ScaleTokens
            One field or more.
        batch_size : int
            Fields at once.

        Returns
        -------
        (K,) float64 array
            Their mean with weights `config.blocks` is the mean over all codes.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        if batch_size < 1 or not len(tokens):
            raise InvalidValueError(f"batch_size {batch_size} for {len(tokens)} fields; expected 1 or more of both")
        total = np.zeros(self.config.length)
        for start in range(0, len(tokens), batch_size):
            part = tokens[np.arange(start, min(start + batch_size, len(tokens)))]
            chosen = take_along_axis(log_softmax(self(part)), part.codes[..., None], axis=-1)[..., 0]
            total -= np.array(chosen.sum(axis=0, dtype=np.float64).tolist())
        parts = np.split(total, np.cumsum(self.config.blocks)[:-1])
        return np.array([part.mean() for part in parts]) / len(tokens)

    @collective_entry
    def sample(
        self,
        quantizer: MultiScaleVQ,
        n: int,
        *,
        labels: Array | None = None,
        features: Array | None = None,
        context: Array | None = None,
        given: Sequence[Array] = (),
        sampling: Sampling | None = None,
        seed: int = 0,
        batch_size: int = 32,
        comm: Comm = None,
    ) -> tuple[Array, ...]:
        """Draw fields scale by scale, with the keys and values of coarser scales kept.

        Parameters
        ----------
        quantizer : MultiScaleVQ
            That of the training: `quantizer.decode(codes)` are the fields.
        n : int
            Fields to draw.
        labels, features, context : arrays, optional
            What to draw each field for, as in `ScaleTokens.of`: all that the model takes, or none of them.
        given : sequence of (n, *p_k) integer arrays
            Codes of the first scales: only the finer ones are drawn (super-resolution).
        sampling : Sampling, optional
            Temperature, filters and guidance; the model's own distribution unless given.
        seed : int
            Field i follows from seed and i alone, on any number of ranks.
        batch_size : int
            Fields at once on a rank.
        comm : mpi4py communicator, optional
            Shares the fields between the ranks.

        Returns
        -------
        tuple of K (n, *p_k) int64 arrays
            All fields, on all ranks.

        Raises
        ------
        InvalidValueError, ShapeError, DTypeError
            On every rank; also for another quantizer than the model's.

        Notes
        -----
        Collective: one gather of the codes. Ranks take whole batches, so that fields have the same bits on any number
        of ranks. 2 passes with guidance.
        """
        rule = sampling or Sampling()
        with agreed(comm, "NextScaleModel.sample") as agreement:
            self.config.require_quantizer(quantizer)
            if n < 0 or batch_size < 1 or seed < 0:
                raise InvalidValueError(
                    f"n {n}, batch_size {batch_size}, seed {seed}; expected 0 or more fields, a positive size of "
                    "batches and a seed of 0 or more"
                )
            require_first_scales(self.config, given, n)
            condition = Condition.checked(self.config, n, labels, features, context, dtype=self.dtype)
            about = condition.require_whole(self.config, none=True)
            if rule.guidance and not about:
                raise InvalidValueError(f"guidance is {rule.guidance} without a condition; expected labels, ...")
            rule.at(0, len(self.config.scales))
            agreement.same(n=n, sampling=rule, seed=seed, batch_size=batch_size, config=self.config)
            agreement.same(given=list(given), quantizer=quantizer.fingerprint)
            if size(comm) > 1:
                agreement.same(**{name: form(a) for name, a in condition.given().items()})
                agreement.same(**{name: sample(a) for name, a in condition.given().items()})
                agreement.same(**{f"the parameter {name}": sample(p) for name, p in self.parameters.items()})
        return sample_codes(self.config, self.parameters, quantizer, n, condition, given, rule, seed, batch_size, comm)

    def to_state(self) -> ModelState:
        """Return options and parameters as `sci.io.save` stores them.

        Returns
        -------
        ModelState
        """
        return ModelState("NextScaleModel", self.config.to_options(), self.parameters)

    @classmethod
    def from_state(cls, state: ModelState) -> NextScaleModel:
        """Return the model of stored options and parameters.

        Parameters
        ----------
        state : ModelState

        Returns
        -------
        NextScaleModel

        Raises
        ------
        InvalidValueError, ShapeError, DTypeError
            For another kind of model, and parameters that are NaN or infinite.
        """
        if state.name != "NextScaleModel":
            raise InvalidValueError(f"the file holds {with_article(state.name)}; expected a NextScaleModel")
        made = cls(NextScaleConfig(**state.options), state.parameters)
        for name in made.config.shapes():
            require_finite(made.parameters[name], f"the parameter {name}")
        return made
