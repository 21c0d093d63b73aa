"""Fields as sequences of codes with their conditions: the data of a next-scale model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, require_finite, to_device
from sci.compression import MultiScaleVQ
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative.next_scale.conditions import Condition, tokens_of
from sci.generative.next_scale.config import NextScaleConfig

__all__ = ["ScaleTokens"]


@entry
@dataclass(frozen=True, eq=False)
class ScaleTokens:
    """Codes of fields at all scales, what the model reads at each of them, and what the fields are drawn for.

    A dataset for `sci.nn.train`: `tokens[indices]` are the tokens of some of the fields. Made by `ScaleTokens.of`.

    Parameters
    ----------
    codes : (n, length) integer array
        Coarse scales first.
    inputs : (n, length, channels) array
        What the coarser scales say about the latent at each code; zeros at the first scale.
    condition : Condition
        Labels, features and context of each field.
    codebook : str
        Fingerprint of the codebook, see `NextScaleConfig`.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import MultiScaleVQ
    >>> from sci.generative import NextScaleConfig, ScaleTokens
    >>> quantizer = MultiScaleVQ(np.array([[0.0], [1.0], [-2.0]]), [(1,), (2,)])
    >>> config = NextScaleConfig.of(quantizer, width=8, heads=2, classes=2)
    >>> tokens = ScaleTokens.of(config, quantizer, np.array([[[-1.5, 0.9]]]), labels=np.array([1]))
    >>> tokens
    ScaleTokens(1 fields of 3 codes, labels)
    >>> tokens.codes
    array([[0, 2, 1]])
    """

    codes: Array
    inputs: Array
    condition: Condition = field(default_factory=Condition)
    codebook: str = ""

    def __post_init__(self) -> None:
        if self.codes.dtype.kind not in "iu":
            raise DTypeError(f"codes of dtype {self.codes.dtype}; expected integers")
        if self.codes.ndim != 2 or self.inputs.ndim != 3 or self.inputs.shape[:2] != self.codes.shape:
            raise ShapeError(
                f"codes of shape {tuple(self.codes.shape)} and inputs of {tuple(self.inputs.shape)}; expected "
                "(n, length) and (n, length, channels)"
            )
        for name, array in self.condition.given().items():
            if len(array) != len(self.codes):
                raise ShapeError(f"{name} of {len(array)} fields for codes of {len(self.codes)}; expected as many")
        require_finite(self.inputs, "inputs")

    def __repr__(self) -> str:
        n, length = self.codes.shape
        return f"ScaleTokens({', '.join((f'{n:,} fields of {length} codes', *self.condition.given()))})"

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, indices: np.ndarray | slice) -> ScaleTokens:
        own = to_device(np.arange(len(self))[indices], namespace(self.codes))
        return ScaleTokens(self.codes[own], self.inputs[own], self.condition.rows(own), self.codebook)

    @classmethod
    def of(
        cls,
        config: NextScaleConfig,
        quantizer: MultiScaleVQ,
        fields: Array,
        *,
        labels: Array | None = None,
        features: Array | None = None,
        context: Array | None = None,
        dtype: Any = np.float32,
    ) -> ScaleTokens:
        """Encode fields, and join their codes with the conditions.

        Parameters
        ----------
        config : NextScaleConfig
        quantizer : MultiScaleVQ
            That of the configuration.
        fields : (n, channels, *grid) array
        labels : (n,) integer array, optional
            From 0 to `config.classes` - 1.
        features : (n, config.features) array, optional
        context : (n, config.context, *grid) array, optional
            Fields on the same domain, on any grid.
        dtype : float dtype
            Of the model's parameters.

        Returns
        -------
        ScaleTokens

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            For another quantizer than the configuration's, and conditions that it does not take.
        """
        config.require_quantizer(quantizer)
        return cls.of_codes(
            config, quantizer, quantizer.encode(fields), labels=labels, features=features, context=context, dtype=dtype
        )

    @classmethod
    def of_codes(
        cls,
        config: NextScaleConfig,
        quantizer: MultiScaleVQ,
        codes: Sequence[Array],
        *,
        labels: Array | None = None,
        features: Array | None = None,
        context: Array | None = None,
        dtype: Any = np.float32,
    ) -> ScaleTokens:
        """Join codes of all scales with the conditions.

        Parameters
        ----------
        config, quantizer, labels, features, context, dtype
            As `of`.
        codes : sequence of (n, *p_k) integer arrays

        Returns
        -------
        ScaleTokens

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            Also for codes that the codebook does not have.
        """
        config.require_quantizer(quantizer)
        if len(codes) != len(config.scales):
            raise ShapeError(f"codes of {len(codes)} scales; expected {len(config.scales)}")
        inputs = _inputs(config, quantizer, codes, dtype)
        joined = tokens_of([c[:, None] for c in codes])[..., 0]
        condition = Condition.checked(config, len(joined), labels, features, context, dtype=dtype)
        condition.require_whole(config, none=False)
        return cls(joined, inputs, condition, quantizer.fingerprint)


def _inputs(config: NextScaleConfig, quantizer: MultiScaleVQ, codes: Sequence[Array], dtype: Any) -> Array:
    first = namespace(*codes).zeros((len(codes[0]), config.channels, *config.scales[0]), dtype)
    return tokens_of([first, *(a.astype(dtype, copy=False) for a in quantizer.next_inputs(codes))])


def require_fitting(config: NextScaleConfig, tokens: ScaleTokens) -> None:
    """Raise unless tokens are those that the model of a configuration takes, with all of its conditions.

    Raises
    ------
    ShapeError, InvalidValueError
    """
    length, channels = tokens.inputs.shape[1:]
    if (length, channels) != (config.length, config.channels):
        raise ShapeError(
            f"tokens of {length} codes of {channels} numbers; expected {config.length} codes of {config.channels}, "
            f"those of the scales {config.scales}"
        )
    if tokens.codes.size and not (int(tokens.codes.min()) >= 0 and int(tokens.codes.max()) < config.vocabulary):
        raise InvalidValueError(
            f"codes from {int(tokens.codes.min())} to {int(tokens.codes.max())}; expected 0 to "
            f"{config.vocabulary - 1}, those of the model's codebook"
        )
    if config.codebook and tokens.codebook and tokens.codebook != config.codebook:
        raise InvalidValueError(
            f"tokens of the codebook {tokens.codebook[:8]}... for a model of {config.codebook[:8]}...; expected codes "
            "of the quantizer that the model was made for"
        )
    tokens.condition.require_whole(config, none=False)
    given = {n: tuple(a.shape[1:]) for n, a in tokens.condition.given().items()}
    expected = {"labels": (), "features": (config.features,), "context": (config.length, config.context)}
    if given != {name: expected[name] for name in config.conditions}:
        raise ShapeError(f"conditions of shapes {given} for a model that takes {config.conditions}; expected these")


def split_codes(config: NextScaleConfig, joined: Array) -> list[Array]:
    """Return the codes (n, *p_k) of each scale of sequences (n, length)."""
    ends = np.cumsum([0, *config.blocks]).tolist()
    return [joined[:, a:b].reshape(len(joined), *s) for a, b, s in zip(ends, ends[1:], config.scales)]
