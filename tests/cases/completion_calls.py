"""One right call of every public function and class of `sci.completion`, to be spoiled argument by argument."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from entry_calls import RNG, Call, call, real

from sci import completion

SHAPE = (4, 5)
INDEX = np.stack(np.unravel_index(RNG.permutation(20)[:14], SHAPE), axis=1)


def _completion() -> dict[str, Call]:
    axis = completion.Axis("x", np.array([0.0, 1.0]))
    seen = completion.observe(INDEX, real(14), shape=SHAPE)
    fields = (seen.axes, seen.index, seen.values, seen.weights, seen.offset, seen.scale, seen.n_entries)
    return {
        "Axis": call(completion.Axis, "x", np.array([0.0, 1.0])),
        "Axis.index_of": call(axis.index_of, np.array([1.0, 0.0, 0.0])),
        "Observations": call(completion.Observations, *fields),
        "observe": call(completion.observe, INDEX, real(14), shape=SHAPE),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"completion": _completion}
