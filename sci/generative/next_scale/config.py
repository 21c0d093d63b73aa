"""The sizes of a next-scale model, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.compression import MultiScaleVQ
from sci.errors import InvalidValueError, ShapeError

__all__ = ["NextScaleConfig"]


@entry
@dataclass(frozen=True)
class NextScaleConfig:
    """Codes, conditions and sizes of a next-scale model.

    Parameters
    ----------
    scales : sequence of K sizes
        Cells p_k of each scale along each axis, coarse to fine.
    vocabulary : int
        Codes of the codebook, V.
    channels : int
        Numbers of a code, C.
    width, heads, layers : int
        Of the transformer; `heads` divides `width`.
    hidden : int, optional
        Width of the hidden layer of a block; 4 `width` unless given.
    classes : int
        Labels that fields are drawn for; 0 without.
    features : int
        Numbers that fields are drawn for, like a viscosity; 0 without. They should be of order 1.
    context : int
        Channels of fields that are given on the same domain, like the frame before; 0 without.
    context_mean, context_std : sequence of float, optional
        Of each channel of the context, which the model sees less its mean, over its deviation; as it is unless given.
    codebook : str
        Fingerprint of the codebook, see `MultiScaleVQ.fingerprint`; empty for codes of no matter which.

    Raises
    ------
    InvalidValueError, ShapeError

    Examples
    --------
    >>> from sci.generative import NextScaleConfig
    >>> NextScaleConfig([(1, 1), (2, 2), (4, 4)], vocabulary=64, channels=4, classes=10).blocks
    (1, 4, 16)
    """

    scales: Sequence[Sequence[int]]
    vocabulary: int
    channels: int
    width: int = 64
    heads: int = 4
    layers: int = 4
    hidden: int | None = None
    classes: int = 0
    features: int = 0
    context: int = 0
    codebook: str = ""
    context_mean: Sequence[float] = ()
    context_std: Sequence[float] = ()

    def __post_init__(self) -> None:
        sizes = tuple(tuple(int(n) for n in size) for size in self.scales)
        axes = len(sizes[0]) if sizes else 0
        if not 1 <= axes <= 3 or any(len(s) != axes or min(s) < 1 for s in sizes):
            raise ShapeError(f"scales are {sizes}; expected sizes of 1 or more, along one to three axes each")
        object.__setattr__(self, "scales", sizes)
        object.__setattr__(self, "hidden", 4 * self.width if self.hidden is None else self.hidden)
        for name in ("vocabulary", "channels", "width", "heads", "layers", "hidden"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name} is {getattr(self, name)}; expected a positive number")
        for name in ("classes", "features", "context"):
            if getattr(self, name) < 0:
                raise InvalidValueError(f"{name} is {getattr(self, name)}; expected 0 or more")
        for name in ("context_mean", "context_std"):
            values = tuple(float(v) for v in getattr(self, name))
            object.__setattr__(self, name, values)
            if len(values) not in (0, self.context) or not np.isfinite(values).all():
                raise InvalidValueError(f"{name} is {values}; expected a number for each of {self.context} channels")
        if min(self.context_std, default=1.0) <= 0:
            raise InvalidValueError(f"context_std is {self.context_std}; expected positive deviations")
        if self.width % self.heads:
            raise InvalidValueError(f"width {self.width} and {self.heads} heads; expected heads that divide the width")

    @classmethod
    def of(cls, quantizer: MultiScaleVQ, **sizes: Any) -> NextScaleConfig:
        """Return the configuration for the codes of a quantizer.

        Parameters
        ----------
        quantizer : MultiScaleVQ
        **sizes
            The other arguments, by name.

        Returns
        -------
        NextScaleConfig

        Examples
        --------
        >>> import numpy as np
        >>> from sci.compression import MultiScaleVQ
        >>> from sci.generative import NextScaleConfig
        >>> quantizer = MultiScaleVQ(np.array([[0.0], [1.0], [-2.0]]), [(1,), (2,)])
        >>> NextScaleConfig.of(quantizer, width=8, heads=2).vocabulary
        3
        """
        vocabulary, channels = quantizer.codebook.shape[-2:]
        return cls(quantizer.scales, int(vocabulary), int(channels), codebook=quantizer.fingerprint, **sizes)

    @property
    def blocks(self) -> tuple[int, ...]:
        """Codes of each scale of a field."""
        return tuple(math.prod(size) for size in self.scales)

    @property
    def length(self) -> int:
        """Codes of a field at all scales."""
        return sum(self.blocks)

    @property
    def conditions(self) -> dict[str, int]:
        """Sizes of the conditions that the model takes, by name."""
        found = {"labels": self.classes, "features": self.features, "context": self.context}
        return {name: size for name, size in found.items() if size}

    @property
    def levels(self) -> np.ndarray:
        """The scale of every code of a sequence, (length,) int64."""
        return np.repeat(np.arange(len(self.blocks)), self.blocks)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter of the transformer by name."""
        w, f = self.width, int(self.hidden or 0)
        shapes: dict[str, tuple[int, ...]] = {"start": (w,), "input": (w, self.channels)}
        sizes = {"labels": (self.classes, w), "features": (w, self.features), "context": (w, self.context)}
        shapes |= {f"condition.{name}": sizes[name] for name in self.conditions}
        shapes |= {"position": (self.length, w), "level": (len(self.blocks), w)}
        for layer in range(self.layers):
            own = f"{layer}.attention."
            shapes |= {f"{own}{n}": (w, w) for n in "qkvo"} | {f"{own}o_bias": (w,), f"{own}scale": (self.heads, 1, 1)}
            shapes |= {f"{layer}.mlp.up": (f, w), f"{layer}.mlp.up_bias": (f,)}
            shapes |= {f"{layer}.mlp.down": (w, f), f"{layer}.mlp.down_bias": (w,)}
            shapes |= {f"{layer}.norm.weight": (6 * w, w), f"{layer}.norm.bias": (6 * w,)}
        shapes |= {"head.norm.weight": (2 * w, w), "head.norm.bias": (2 * w,)}
        return {**shapes, "head.weight": (self.vocabulary, w), "head.bias": (self.vocabulary,)}

    def require_quantizer(self, quantizer: MultiScaleVQ) -> None:
        """Raise unless codes of the quantizer are those that the model knows.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        scales = tuple(tuple(size) for size in quantizer.scales)
        if scales != self.scales:
            raise ShapeError(f"a quantizer of scales {scales} for a model of {self.scales}; expected the same")
        found = tuple(int(n) for n in quantizer.codebook.shape[-2:])
        if found != (self.vocabulary, self.channels) or (self.codebook and quantizer.fingerprint != self.codebook):
            raise InvalidValueError(
                f"the quantizer has another codebook, of {found[0]} codes of {found[1]} numbers, than the model, of "
                f"{self.vocabulary} codes of {self.channels}; expected the quantizer of the training: keep both files"
            )

    def to_options(self) -> dict[str, Any]:
        """Return the arguments as JSON."""
        found = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
        return {**found, "scales": [list(size) for size in self.scales]}
