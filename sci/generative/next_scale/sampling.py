"""Codes drawn scale by scale, with the keys and values of coarser scales kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.compression import MultiScaleVQ
from sci.distributed import Comm, abort_on_error, allgather_rows, split
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative.next_scale.conditions import Condition, tokens_of
from sci.generative.next_scale.config import NextScaleConfig
from sci.generative.next_scale.filters import Sampling, draw, guided
from sci.generative.next_scale.network import logits_of
from sci.generative.next_scale.tokens import split_codes
from sci.nn import Draws
from sci.sequence import KeyValueCache

__all__ = ["Inference", "require_first_scales", "sample_codes"]


@dataclass
class Inference:
    """A pass over the scales of some fields, one after the other, that keeps keys and values.

    Parameters
    ----------
    config : NextScaleConfig
    parameters : mapping
    condition : Condition
        Of the fields, with the context of all tokens.
    keep : (n,) array, optional
        0 for fields that are drawn without their condition.
    """

    config: NextScaleConfig
    parameters: Mapping[str, Array]
    condition: Condition
    keep: Array | None = None

    def __post_init__(self) -> None:
        self.level = 0
        self.caches = [KeyValueCache() for _ in range(self.config.layers)]

    def logits(self, inputs: Array) -> Array:
        """Return the logits (n, p_k, vocabulary) of the next scale from its inputs (n, p_k, channels)."""
        blocks, xp = self.config.blocks, namespace(inputs)
        start = sum(blocks[: self.level])
        places = slice(start, start + blocks[self.level])
        condition = self.condition
        if condition.context is not None:
            condition = replace(condition, context=condition.context[:, places])
        self.level += 1

        def attend(layer: int, q: Array, k: Array, v: Array) -> Array:
            return self.caches[layer].attend(q, k, v, scale=1.0)

        at = xp.arange(places.start, places.stop)
        found: Array = logits_of(self.config, self.parameters, inputs, at, condition, self.keep, attend)
        return found


def require_first_scales(config: NextScaleConfig, given: Sequence[Array], n: int) -> None:
    """Raise unless `given` are codes of n fields at the first scales.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    """
    if len(given) > len(config.scales):
        raise ShapeError(f"codes of {len(given)} scales are given for a model of {len(config.scales)}; expected fewer")
    for level, codes in enumerate(given):
        if tuple(codes.shape) != (n, *config.scales[level]):
            raise ShapeError(
                f"given codes of scale {level} have shape {tuple(codes.shape)}; expected {(n, *config.scales[level])}"
            )
        if codes.dtype.kind not in "iu":
            raise DTypeError(f"given codes of scale {level} have dtype {codes.dtype}; expected integers")
        if codes.size and not (int(codes.min()) >= 0 and int(codes.max()) < config.vocabulary):
            raise InvalidValueError(
                f"given codes of scale {level} from {int(codes.min())} to {int(codes.max())}; expected 0 to "
                f"{config.vocabulary - 1}, those of the codebook"
            )


def sample_codes(
    config: NextScaleConfig,
    parameters: Mapping[str, Array],
    quantizer: MultiScaleVQ,
    n: int,
    condition: Condition,
    given: Sequence[Array],
    sampling: Sampling,
    seed: int,
    batch_size: int,
    comm: Comm,
) -> tuple[Array, ...]:
    """Return the codes of n fields on all ranks, which take whole batches each; see `NextScaleModel.sample`."""
    xp = namespace(parameters["start"])
    with abort_on_error(comm):
        batches = range(0, n, batch_size)[split(-(-n // batch_size), comm)]
        made = [xp.zeros((0, config.length), np.int64)]
        for start in batches:
            rows = slice(start, min(start + batch_size, n))
            own = [codes[rows] for codes in given]
            made.append(_draw_batch(config, parameters, quantizer, rows, condition.rows(rows), own, sampling, seed))
        joined = allgather_rows(xp.concatenate(made), comm)
    return tuple(split_codes(config, joined))


def _draw_batch(
    config: NextScaleConfig,
    parameters: Mapping[str, Array],
    quantizer: MultiScaleVQ,
    rows: slice,
    condition: Condition,
    given: Sequence[Array],
    sampling: Sampling,
    seed: int,
) -> Array:
    """Return the codes (n, length) of the fields `rows`."""
    n, draws = rows.stop - rows.start, Draws(seed, 0, rows.start)
    like = parameters["start"]
    xp, twice = namespace(like), sampling.guidance > 0
    keep = None
    if twice:
        keep = to_device(np.repeat([1, 0], n).astype(like.dtype), xp)
        condition = condition.twice()
    inference = Inference(config, parameters, condition, keep)
    inputs = xp.zeros((n, config.blocks[0], config.channels), like.dtype)
    latent, found = None, []
    for level, size in enumerate(config.scales):
        if level:
            shown = quantizer.next_input(latent, level).astype(like.dtype, copy=False)
            inputs = tokens_of([shown])
        logits = inference.logits(xp.concatenate([inputs, inputs]) if twice else inputs)
        if level < len(given):
            codes = given[level].astype(np.int64)
        else:
            scores = to_host(logits).astype(np.float64)
            if twice:
                scores = guided(scores[:n], scores[n:], sampling.strength(level, len(config.scales)))
            uniform = draws.uniform(f"scale {level}", (n, config.blocks[level]))
            codes = to_device(draw(scores, sampling.at(level, len(config.scales)), uniform), xp).reshape(n, *size)
        found.append(codes.reshape(n, config.blocks[level]))
        added = quantizer.lift(codes, level)
        latent = added if latent is None else latent + added
    return xp.concatenate(found, axis=1)
