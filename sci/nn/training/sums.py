"""Gradients of all ranks added up as the layout says, and the share of a step that each rank makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.distributed import (
    Agreement,
    Deferred,
    agreed,
    allgather_rows,
    allreduce_sum,
    reduce_scatter_rows,
    sample,
    size,
    split,
)
from sci.errors import InvalidValueError
from sci.nn.collectives import allreduce_gradients
from sci.nn.core.packing import kinds_of, packed, real_view, unpacked
from sci.nn.optim.adam import Optimizer
from sci.nn.optim.placement import ParameterLayout

__all__ = ["Sums"]


class Sums:
    """What the ranks of a training hand each other in a step.

    Parameters
    ----------
    layout : ParameterLayout
        With `sharded`, gradients are scattered over the replicas as they are summed, each makes the step of its share,
        and gets the others' parameters: (P - 1) / P of the numbers each way, as in the all-reduce, and 1 / P of the
        optimizer's state.
    weighted : bool
        Whether ranks compute means over their own samples, to be weighted by their number; otherwise each has its share
        of the gradient of the whole batch, and the value of the whole.
    """

    def __init__(self, layout: ParameterLayout, weighted: bool) -> None:
        # A share of one replica is the whole: the state then has the shapes of the parameters.
        self.layout = layout if size(layout.replicas) > 1 else replace(layout, sharded=False)
        self.weighted = weighted
        self.ranks, self.replicas = layout.comm, layout.replicas

    def __repr__(self) -> str:
        return f"Sums({self.layout!r}, {size(self.replicas)} replicas)"

    def fitting(self, optimizer: Optimizer) -> Optimizer:
        """Return an optimizer for this rank's parameters.

        Raises
        ------
        InvalidValueError
            If its steps need whole arrays and some are cut.
        """
        placements = self.layout.placements
        if self.layout.is_cut and not getattr(optimizer, "elementwise", False):
            raise InvalidValueError(
                f"{type(optimizer).__name__} sees whole arrays, and the parameters or its state are cut over ranks; "
                "expected Adam, AdamW or one with a true attribute elementwise"
            )
        rates = getattr(optimizer, "rates", None)
        if not rates or not is_dataclass(optimizer):
            return optimizer
        own = {name: r for name, r in rates.items() if name not in placements or placements[name].held}
        return replace(optimizer, rates=own)

    def stepped(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Return the arrays that this rank's optimizer changes: parameters, or flat views of its shares of them."""
        if not self.layout.sharded:
            return dict(parameters)
        return {name: p.reshape(-1)[split(p.size, self.replicas)] for name, p in parameters.items()}

    def added(self, gradients: dict[str, Array], value: float, weight: float) -> tuple[float, dict[str, Array]]:
        """Return the value and the gradients of the whole batch; of the latter what `stepped` has."""
        if size(self.replicas) == 1:
            return value, gradients
        if not self.layout.sharded:
            loss, factor = (value, weight) if self.weighted else (0.0, 1.0)
            total, mean = allreduce_gradients(gradients, loss, factor, comm=self.replicas)
            return (mean if self.weighted else value), total
        whole = self._by_rank(gradients)
        counts = [sum(real_view(part).size for part in parts.values()) for parts in self._shares(gradients)]
        own = reduce_scatter_rows(whole * weight if self.weighted else whole, self.replicas, counts)
        if self.weighted:
            kept = np.asarray([value], dtype=whole.dtype)  # rounded as in the all-reduce
            value = float(allreduce_sum(kept * weight, self.replicas)[0])
        return value, unpacked(own, kinds_of(self.stepped(gradients)))

    def spread(self, parameters: Mapping[str, Array]) -> None:
        """Give all replicas the shares of the parameters that each has changed, in place (collective)."""
        if not self.layout.sharded:
            return
        whole = allgather_rows(packed(self.stepped(parameters)), self.replicas)
        start = 0
        for parts in self._shares(parameters):
            stop = start + sum(real_view(part).size for part in parts.values())
            for name, part in unpacked(whole[start:stop], kinds_of(parts)).items():
                parts[name][...] = part
            start = stop

    def _shares(self, arrays: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
        """Yield flat views of each replica's shares."""
        flat = {name: namespace(a).ascontiguousarray(a).reshape(-1) for name, a in arrays.items()}
        for rank in range(size(self.replicas)):
            yield {n: a[split(a.size, rank=rank, size=size(self.replicas))] for n, a in flat.items()}

    def _by_rank(self, arrays: Mapping[str, Array]) -> Array:
        """Return the real numbers of all arrays, share after share."""
        parts = [packed(shares) for shares in self._shares(arrays)]
        return namespace(*parts).concatenate(parts)

    def agree(self, agreement: Agreement, parameters: Mapping[str, Array], state: Mapping[str, Any]) -> None:
        """Compare parameters and the optimizer's state over all ranks where each has all of them."""
        if self.layout.is_cut:
            return
        agreement.same(parameters=parameters)
        agreement.same(state={name: [sample(a) for a in group.values()] for name, group in state.items()})

    def agree_on_copies(self, parameters: Mapping[str, Array]) -> None:
        """Compare parameters over replicas where ranks hold parts of them (collective)."""
        if not self.layout.is_cut or size(self.ranks) == 1:
            return
        work = Deferred()
        with work, agreed(self.replicas, "train") as agreement:
            agreement.same(**{f"the parameter {name}": sample(p) for name, p in parameters.items()})
        work.settle(self.ranks, "train")
