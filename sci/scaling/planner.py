"""Plans of a training: which sizes of a model fit into a memory and a budget of operations, and what each can do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.scaling.counts import TrainingMemory
from sci.scaling.laws import PowerLaw

__all__ = ["TrainingPlan", "best_plan", "plan_training"]


@dataclass(frozen=True)
class TrainingPlan:
    """A size of a model, and what its training can do within memory and budget.

    Parameters
    ----------
    options : dict
        The size: width, depth, modes, by name.
    parameters : int
    batch : int
        Samples of a step.
    steps : int
        Steps that the budget pays for.
    memory : TrainingMemory
        Of one step; `flops` in it are multiply-adds.
    loss : float, optional
        What a law forecasts.

    Examples
    --------
    >>> from sci.scaling import TrainingMemory, TrainingPlan
    >>> plan = TrainingPlan({"width": 8}, 1000, 16, 50, TrainingMemory(4000, 8000, 10_000, 30_000, 1_000_000))
    >>> plan.samples, plan.operations
    (800, 100000000.0)
    """

    options: Mapping[str, Any]
    parameters: int
    batch: int
    steps: int
    memory: TrainingMemory
    loss: float | None = None

    @property
    def samples(self) -> int:
        """Samples that the training sees, each as often as it sees it."""
        return self.batch * self.steps

    @property
    def operations(self) -> float:
        """Operations of the training: two for each multiply-add."""
        return 2.0 * self.memory.flops * self.steps

    @property
    def factor(self) -> float:
        """Operations a parameter and sample; 6 for dense layers of which each number is used once."""
        return 2.0 * self.memory.flops / (self.batch * self.parameters)


@entry
def plan_training(
    sizes: Iterable[Mapping[str, Any]],
    step: Callable[[Mapping[str, Any], int], tuple[int, TrainingMemory]],
    *,
    operations: float,
    memory: float,
    batch: int = 16,
    law: PowerLaw | None = None,
) -> tuple[TrainingPlan, ...]:
    """Return a plan for each size of a model that fits into a memory and a budget.

    Parameters
    ----------
    sizes : iterable of dict
        Options of the sizes to try, from small to large: the first that does not fit ends them.
    step : callable
        `step(options, batch)` returns the number of parameters and the `TrainingMemory` of a step, as
        `training_memory` tells them from shapes.
    operations : float
        The budget, two for each multiply-add.
    memory : float
        Bytes.
    batch : int
        Samples of a step; halved for a size until the step fits.
    law : PowerLaw, optional
        Of two terms, of parameters and of samples seen: its forecast for each plan.

    Returns
    -------
    tuple of TrainingPlan
        In the order of the sizes, up to that of which one sample does not fit, or one step is too dear.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.scaling import TrainingMemory, plan_training
    >>> def step(options, batch):
    ...     n = options["width"] ** 2
    ...     return n, TrainingMemory(4 * n, 8 * n, 32 * batch, 20 * n + 64 * batch, 3 * n * batch)
    >>> plans = plan_training([{"width": w} for w in (8, 64, 512)], step, operations=1e7, memory=1e6)
    >>> [(plan.options["width"], plan.batch, plan.steps) for plan in plans]
    [(8, 16, 1627), (64, 16, 25)]
    """
    if not (0 < operations < math.inf and memory > 0 and batch > 0):
        raise InvalidValueError(
            f"operations {operations}, memory {memory}, batch {batch}; expected positive numbers, and finite operations"
        )
    if law is not None and len(law.exponents) != 2:
        raise InvalidValueError(f"{law}; expected a law of two terms, of parameters and of samples")
    plans = []
    for options in sizes:
        plan = _plan(options, step, operations, memory, batch, law)
        if plan is None:
            break
        plans.append(plan)
    return tuple(plans)


def _plan(
    options: Mapping[str, Any], step: Any, operations: float, memory: float, batch: int, law: PowerLaw | None
) -> TrainingPlan | None:
    while batch > 0:
        parameters, taken = step(options, batch)
        if taken.parameters + taken.state > memory:
            return None
        if taken.peak <= memory:
            break
        batch //= 2
    steps = int(operations // (2 * max(1, taken.flops))) if batch else 0
    if not steps:
        return None
    loss = None if law is None else float(law(float(parameters), float(batch * steps)))
    return TrainingPlan(dict(options), parameters, batch, steps, taken, loss)


@entry
def best_plan(plans: Sequence[TrainingPlan], samples: float) -> TrainingPlan:
    """Return the plan of least forecast loss; without a law the largest model that sees at least `samples` samples.

    Parameters
    ----------
    plans : sequence of TrainingPlan
    samples : float
        Samples that a training should see: those of the data times the epochs.

    Returns
    -------
    TrainingPlan
        If none sees so many, the one that sees most.

    Raises
    ------
    InvalidValueError
        For no plans.

    Examples
    --------
    >>> from sci.scaling import TrainingMemory, TrainingPlan, best_plan
    >>> taken = TrainingMemory(4, 8, 8, 20, 10)
    >>> plans = [TrainingPlan({"width": w}, w * w, 4, 100 // w, taken) for w in (1, 2, 4)]
    >>> best_plan(plans, 200).options
    {'width': 2}
    """
    if not plans:
        raise InvalidValueError("no size fits into memory and budget; expected at least one plan")
    if all(plan.loss is not None for plan in plans):
        return min(plans, key=lambda plan: (plan.loss, plan.parameters))
    enough = [plan for plan in plans if plan.samples >= samples]
    if enough:
        return max(enough, key=lambda plan: plan.parameters)
    return max(plans, key=lambda plan: plan.samples)
