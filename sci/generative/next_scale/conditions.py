"""What fields are drawn for: labels, numbers, and fields on the same domain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, namespace, require_finite
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative.next_scale.config import NextScaleConfig
from sci.nn import resample

__all__ = ["Condition", "tokens_of"]


def tokens_of(fields: Sequence[Array]) -> Array:
    """Return fields (n, channels, *p_k) of all scales as tokens (n, length, channels), coarse ones first."""
    xp = namespace(*fields)
    rows = [f.reshape(*f.shape[:2], math.prod(f.shape[2:])).swapaxes(1, 2) for f in fields]
    return xp.ascontiguousarray(xp.concatenate(rows, axis=1))


@dataclass(frozen=True, eq=False)
class Condition:
    """Labels (n,), features (n, F) and context (n, length, channels), the fields at every scale; None without."""

    labels: Array | None = None
    features: Array | None = None
    context: Array | None = None

    def __repr__(self) -> str:
        return f"Condition({', '.join(self.given()) or 'none'})"

    def given(self) -> dict[str, Array]:
        """Return the conditions that are there, by name."""
        found = {"labels": self.labels, "features": self.features, "context": self.context}
        return {name: array for name, array in found.items() if array is not None}

    def rows(self, index: Any) -> Condition:
        """Return the condition of some of the samples."""
        return Condition(**{name: array[index] for name, array in self.given().items()})

    def twice(self) -> Condition:
        """Return the condition of the samples, and once more of the samples."""
        return Condition(**{name: namespace(a).concatenate([a, a]) for name, a in self.given().items()})

    @classmethod
    def checked(
        cls, config: NextScaleConfig, n: int, labels: Any, features: Any, context: Any, *, dtype: Any = np.float32
    ) -> Condition:
        """Return the condition of n samples, as the model of `config` takes it.

        Raises
        ------
        InvalidValueError, ShapeError, DTypeError
        """
        given = {"labels": labels, "features": features, "context": context}
        for name, array in given.items():
            if array is not None and name not in config.conditions:
                raise InvalidValueError(f"{name} for a model without; expected none, or a configuration with them")
            if array is not None and len(array) != n:
                raise ShapeError(f"{name} of {len(array)} samples for {n}; expected one for each")
        if labels is not None:
            _check_labels(labels, config.classes)
        if features is not None:
            features = _real(features, "features", dtype)
            if features.shape != (n, config.features):
                raise ShapeError(f"features of shape {tuple(features.shape)}; expected {(n, config.features)}")
        if context is not None:
            context = _at_scales(_real(context, "context", dtype), config)
        return cls(labels, features, context)

    def require_whole(self, config: NextScaleConfig, *, none: bool) -> bool:
        """Require all conditions that the model takes, or none of them; True for all."""
        missing = [name for name in config.conditions if name not in self.given()]
        if missing and (self.given() or not none):
            taken = ", ".join(config.conditions)
            raise InvalidValueError(f"no {', '.join(missing)} for a model that takes {taken}; expected all of them")
        return bool(self.given())


def _check_labels(labels: Array, classes: int) -> None:
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DTypeError(f"labels of dtype {labels.dtype} and shape {tuple(labels.shape)}; expected integers (n,)")
    if labels.size and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise InvalidValueError(
            f"labels from {int(labels.min())} to {int(labels.max())}; expected 0 to {classes - 1}, the model's classes"
        )


def _real(array: Array, name: str, dtype: Any) -> Array:
    if array.dtype.kind not in "fiu":
        raise DTypeError(f"{name} of dtype {array.dtype}; expected real numbers")
    require_finite(array, name)
    return array.astype(dtype, copy=False)


def _at_scales(context: Array, config: NextScaleConfig) -> Array:
    """Return the means of given fields over the cells of every scale, as tokens."""
    axes = len(config.scales[0])
    if context.ndim != axes + 2 or context.shape[1] != config.context:
        raise ShapeError(
            f"context of shape {tuple(context.shape)}; expected (n, {config.context}, *grid) with {axes} axes"
        )
    mean, std = config.context_mean or (0.0,), config.context_std or (1.0,)
    if config.context_mean or config.context_std:
        xp, shape = namespace(context), (-1, *[1] * axes)
        shift, scale = (xp.asarray(np.array(v, context.dtype).reshape(shape)) for v in (mean, std))
        context = (context - shift) / scale
    return tokens_of([resample(context, size=tuple(size), method="area") for size in config.scales])
