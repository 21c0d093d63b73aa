"""The shares of a batch: what a rank reads of it, in which parts, and the mean gradient over them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from sci.backend import Array, namespace
from sci.distributed import Comm, agreed, split
from sci.nn.core.gradients import value_and_gradients
from sci.nn.training.data import Arrays, Dataset, Order

__all__ = ["Batches", "Part"]

Gradients = tuple[float, dict[str, Array]]


@dataclass(frozen=True)
class Part:
    """Samples that are computed at once: their number, the place of the first one in the batch, and their data."""

    count: int
    first: int
    batch: Any

    def __repr__(self) -> str:
        return f"Part({self.count} samples from {self.first})"


@dataclass(frozen=True)
class Batches:
    """The batches of this rank: `collective` losses get batches of no samples, too.

    The ranks of `comm` share each batch; an error of reading on one of `ranks` is one on all.
    """

    samples: Dataset
    order: Order
    accumulate: int
    collective: bool
    comm: Comm
    activations: Literal["bfloat16"] | None = None
    ranks: Comm = None

    def guard(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which an error of reading on one rank is one on all; arrays have no such errors."""
        return contextlib.nullcontext() if isinstance(self.samples, Arrays) else agreed(self.ranks, "the samples")

    def load(self, step: int) -> list[Part]:
        """Read this rank's samples of a step."""
        indices = self.order.batch(step)
        own = split(len(indices), self.comm)
        found = []
        for k in range(self.accumulate):
            whole = slice(0, own.stop - own.start)
            part = whole if self.accumulate == 1 else split(whole.stop, rank=k, size=self.accumulate)
            mine = indices[own][part]
            if len(mine) or self.collective:
                found.append(Part(len(mine), own.start + part.start, self.samples[mine]))
        return found

    def gradients(
        self, loss: Callable[[Mapping[str, Any], Any, int], Any], parameters: Mapping[str, Array], parts: list[Part]
    ) -> Gradients:
        """Return the mean loss over the samples of the parts and its gradients; zeros without samples."""
        count, total = sum(part.count for part in parts), None
        for part in parts:
            value, gradients = value_and_gradients(
                partial(_of_part, loss, part), parameters, activations=self.activations
            )
            if len(parts) == 1:
                return float(value), gradients
            total = _added(total, float(value), gradients, part.count / count if count else 0.0)
        return total or (0.0, {name: namespace(p).zeros_like(p) for name, p in parameters.items()})


def _of_part(loss: Callable[[Mapping[str, Any], Any, int], Any], part: Part, variables: Mapping[str, Any]) -> Any:
    return loss(variables, part.batch, part.first)


def _added(total: Gradients | None, value: float, gradients: dict[str, Array], weight: float) -> Gradients:
    """Return the sum of values and gradients so far and `weight` times those of a part."""
    own = {name: g * g.real.dtype.type(weight) for name, g in gradients.items()}
    if total is None:
        return value * weight, own
    for name, g in own.items():
        total[1][name] += g
    return total[0] + value * weight, total[1]
