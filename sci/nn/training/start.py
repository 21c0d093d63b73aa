"""The start of a training: fresh, or from a checkpoint that fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.errors import InvalidValueError
from sci.nn.core.trees import flatten_tree
from sci.nn.optim.adam import Optimizer, State, zeros_like
from sci.nn.training.finite import require_good
from sci.nn.training.model import AVERAGE, BEST, BUFFERS, Checkpoint, kinds_of
from sci.nn.training.options import PLAIN, Options
from sci.nn.training.sums import Sums

__all__ = ["started"]


def started(
    parameters: Mapping[str, Array],
    optimizer: Optimizer,
    settings: Mapping[str, Any],
    resume: Checkpoint | None,
    buffers: Mapping[str, Array],
    options: Options,
    sums: Sums,
) -> Checkpoint:
    """Return the state that the loop changes in place: new, or a copy of `resume` after checking that it fits.

    The parameters are flat, by name. The buffers are the caller's own arrays. A checkpoint without a layout holds whole
    arrays, of which this rank takes its parts; one with a layout holds parts.
    """
    if not parameters:
        raise InvalidValueError("there are no parameters to train; expected a dict of one array or more")
    require_good(parameters, 0, "parameter", optimizer)
    settings = {**settings, "optimizer": type(optimizer).__name__}
    if resume is None:
        fresh = {name: _copy(p) for name, p in parameters.items()}
        state = {**_own(optimizer, sums.stepped(fresh)), **_extra(fresh, options)}
        return Checkpoint(0, fresh, _with_buffers(state, buffers), np.empty(0), {}, settings)
    return _resumed(parameters, settings, resume, buffers, sums)


def _own(optimizer: Optimizer, parameters: dict[str, Array]) -> State:
    state = optimizer.start(parameters)
    taken = sorted({AVERAGE, BEST, BUFFERS} & set(state))
    if taken:
        raise InvalidValueError(f"the optimizer's state has a part {taken[0]!r}, a name of the loop; expected another")
    return state


def _extra(parameters: Mapping[str, Array], options: Options) -> State:
    """Return the arrays of the loop itself: the sum of an average, and the parameters of the best epoch."""
    extra: State = {}
    if options.average is not None:
        extra[AVERAGE] = zeros_like(parameters)
    if options.monitor is not None:
        extra[BEST] = {name: _copy(p) for name, p in parameters.items()}
    return extra


def _resumed(
    parameters: Mapping[str, Array],
    settings: dict[str, Any],
    resume: Checkpoint,
    buffers: Mapping[str, Array],
    sums: Sums,
) -> Checkpoint:
    changed = _differences({**PLAIN, **resume.settings}, {**PLAIN, **settings})
    if changed:
        raise InvalidValueError(
            f"the checkpoint is from another training ({'; '.join(changed)}); give its data and options again"
            f"{_about_horizons(changed)}"
        )
    resume = _on_these_ranks(resume, sums)
    stored_parameters = flatten_tree(resume.parameters)
    if list(kinds_of(parameters).items()) != list(kinds_of(stored_parameters).items()):
        raise InvalidValueError("the parameters of the checkpoint have other names, shapes or dtypes than the model's")
    xp = namespace(*parameters.values())
    moved = {name: _copy(to_device(p, xp)) for name, p in stored_parameters.items()}
    state = {k: {n: _copy(to_device(a, xp)) for n, a in group.items()} for k, group in resume.optimizer.items()}
    stored = state.pop(BUFFERS, {})
    if kinds_of(stored) != kinds_of(buffers):
        raise InvalidValueError(
            f"the checkpoint has the buffers {sorted(stored)}, the training {sorted(buffers)}; expected the same "
            "names, shapes and dtypes"
        )
    for name, array in buffers.items():
        array[...] = stored[name]
    return Checkpoint(resume.step, moved, _with_buffers(state, buffers), resume.losses, resume.metrics, settings)


def _on_these_ranks(resume: Checkpoint, sums: Sums) -> Checkpoint:
    """Return a checkpoint with this rank's parts of whole arrays, and its share of the optimizer's state."""
    layout, then = sums.layout, resume.layout
    if then is not None and dict(then.placements) != dict(layout.placements):
        raise InvalidValueError(
            "the checkpoint lies on another grid of ranks; save it with sci.io.save(path, checkpoint, comm=), and load "
            "it for this one with sci.io.load(path, layout=)"
        )
    parameters, state = flatten_tree(resume.parameters), resume.optimizer
    if then is None and layout.is_cut:
        parameters = layout.own(parameters)
        state = {k: dict(g) if k == BUFFERS else layout.own(g) for k, g in state.items()}
    if then is not None and then.sharded and not layout.sharded:
        raise InvalidValueError(
            "the checkpoint has the optimizer's state in shards, and the training goes on with shard=False; expected "
            "shard=True, or the checkpoint saved by sci.io.save and loaded again"
        )
    if layout.sharded and not (then is not None and then.sharded):
        state = {k: dict(g) if k in (AVERAGE, BEST, BUFFERS) else sums.stepped(g) for k, g in state.items()}
    return replace(resume, parameters=dict(parameters), optimizer=state, layout=None)


def _with_buffers(state: State, buffers: Mapping[str, Array]) -> State:
    return {**state, BUFFERS: dict(buffers)} if buffers else state


def _differences(then: Any, now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the names of settings that differ, nested ones included; those that only `then` has are let be."""
    found: list[str] = []
    for name, value in now.items():
        before = then.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            found += _differences(before, value, f"{prefix}{name}.")
        elif before != value:
            found.append(f"{prefix}{name}: {before!r} then, {value!r} now")
    return found


def _about_horizons(changed: list[str]) -> str:
    """Return the end of the message where horizons differ: users may not have given one."""
    horizons = [text for text in changed if text.partition(":")[0].endswith("horizon")]
    if not horizons:
        return ""
    then = horizons[0].partition(": ")[2].partition(" then")[0]
    return f": the horizon is the number of epochs unless given, so give horizon {then} beside the new epochs"


def _copy(array: Array) -> Array:
    return namespace(array).ascontiguousarray(array).copy().reshape(array.shape)
