"""Peak memory beside the arguments, in units of one array: the figures in the docstrings."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sci.nn import Op
from sci.sequence import lightning_attention, linformer_attention, softmax_attention

HEADS, N, D = 4, 4096, 32
DECAY = np.array([0.01, 0.1, 0.5, 3.0], "f4")


def peak(run: Callable[[], Any]) -> int:
    run()
    tracemalloc.start()
    kept = run()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return found


@pytest.mark.parametrize(
    ("op", "options", "forward", "both"),
    [
        (softmax_attention, {}, 2, 5.5),
        (softmax_attention, {"method": "ulysses"}, 6.3, 14),
        (lightning_attention, {"learn_decay": False}, 1.2, 4.5),
        (lightning_attention, {}, 1.2, 5),
        (linformer_attention, {}, 2.4, 7),
    ],
)
def test_docstrings_say_what_is_measured(op: Op, options: dict[str, Any], forward: float, both: float) -> None:
    rng = np.random.default_rng(0)
    q, k, v, dout = (rng.standard_normal((HEADS, N, D), dtype=np.float32) for _ in range(4))
    extra = {"lightning_attention": (DECAY,), "linformer_attention": tuple(rng.random((2, 16, N), np.float32) / 64)}
    arrays = (q, k, v, *extra.get(op.__name__, ()))
    cotangent = dout if op is linformer_attention else (dout, None)

    def gradients() -> Any:
        _, residuals = op.forward(*arrays, **options)
        return op.vjp(cotangent, residuals)

    slack = 3e5 / q.nbytes  # Python, and the arguments of kernels
    assert peak(lambda: op(*arrays, **options)) / q.nbytes <= forward + slack
    assert peak(gradients) / q.nbytes <= both + slack
