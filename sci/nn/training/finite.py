"""A stop at the first NaN or infinity of a training, that says where it is."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sci.backend import Array, namespace, to_host
from sci.distributed import agreed
from sci.errors import ConvergenceError
from sci.nn.optim.adam import Optimizer, global_norm
from sci.nn.optim.placement import ParameterLayout

__all__ = ["checked", "require_good"]


def checked(
    value: float,
    gradients: dict[str, Array],
    step: int,
    clip: float | None,
    optimizer: Optimizer,
    layout: ParameterLayout,
) -> dict[str, Array]:
    """Return the gradients, clipped by their norm over all ranks, or raise on all if anything is NaN or infinite."""
    if not math.isfinite(value):
        raise ConvergenceError(f"the loss is {value} in step {step}; {_fix(optimizer)}")
    norm = layout.norm(gradients) if layout.is_cut else global_norm(gradients)
    if not math.isfinite(norm):
        with agreed(layout.comm if layout.is_cut else None, "train"):
            require_good(gradients, step, "gradient", optimizer)
        raise ConvergenceError(f"the norm of the gradient overflows in step {step}; {_fix(optimizer)}")
    if clip is None or norm <= clip:
        return gradients
    return {name: g * (clip / norm) for name, g in gradients.items()}


def require_good(arrays: Mapping[str, Array], step: int, what: str, optimizer: Optimizer) -> None:
    """Raise `ConvergenceError`, naming the first bad array, if any holds NaN or infinity."""
    for name, array in arrays.items():
        finite = to_host(namespace(array).isfinite(array))
        if not finite.all():
            bad = f"{int((~finite).sum())} of {finite.size} entries"
            raise ConvergenceError(f"the {what} {name!r} has {bad} NaN or infinite in step {step}; {_fix(optimizer)}")


def _fix(optimizer: Optimizer) -> str:
    """Advise about NaN; name the learning rate of an optimizer that has one."""
    rate = getattr(optimizer, "learning_rate", None)
    lower = "a lower learning rate" if rate is None else f"a learning rate below {rate:g}"
    return f"the last checkpoint is from before. Try {lower}, a warm-up, or gradients that are clipped"
