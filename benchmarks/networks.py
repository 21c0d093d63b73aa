"""Primitives, losses and optimizers of sci.nn beside PyTorch, float32, one thread, CPU seconds, in one run.

    OMP_NUM_THREADS=1 python benchmarks/networks.py

Each row is a forward pass and the gradients of all arguments; the least of several repeats. A ratio above 1 means that
PyTorch (extra `peers`) is that much slower. The rows of optimizers are one step on 1.2 million parameters; the row of
the tape is 1000 calls on arrays of four numbers, where nothing but overhead counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sci import nn

REPEATS = 15
RNG = np.random.default_rng(0)


def real(*shape: int) -> np.ndarray:
    """Return normal numbers in float32."""
    return RNG.normal(size=shape).astype(np.float32)


def seconds(run: Callable[[], Any]) -> float:
    """Return the least CPU time of `run`."""
    run()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def pair(name: str, arrays: list[np.ndarray], peer: Callable[..., Any], **options: Any) -> tuple[float, float]:
    """Return our time and PyTorch's for a value and its gradients."""
    op = getattr(nn, name)
    dout = np.ones_like(op(*arrays, **options))
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]

    def ours() -> None:
        _, residuals = op.forward(*arrays, **options)
        op.vjp(dout, residuals)

    def theirs() -> None:
        torch.autograd.grad(peer(*tensors), tensors, torch.tensor(dout))

    return seconds(ours), seconds(theirs)


def optimizer(ours: nn.Optimizer, peer: Callable[[list[Any]], Any]) -> tuple[float, float]:
    """Return our time and PyTorch's for a step on 1.2 million parameters."""
    shapes = [(32, 32, 16, 9, 2)] * 4 + [(64, 64)] * 4 + [(64,)] * 8
    w, g = ({str(k): real(*shape) for k, shape in enumerate(shapes)} for _ in range(2))
    state = ours.start(w)
    tensors = [torch.tensor(p, requires_grad=True) for p in w.values()]
    for tensor, gradient in zip(tensors, g.values()):
        tensor.grad = torch.tensor(gradient)
    theirs = peer(tensors)
    return seconds(lambda: ours.update(w, g, state, 1, 1.0)), seconds(theirs.step)


def overhead() -> tuple[float, float]:
    """Return our time and PyTorch's for 1000 multiplications of four numbers and their gradients."""
    x, y = np.ones(4, np.float32), torch.ones(4, requires_grad=True)

    def ours() -> None:
        z = nn.Tape().watch(x)
        for _ in range(1000):
            z = nn.multiply(z, x)
        z.backward(x)

    def theirs() -> None:
        z, c = y, torch.ones(4)
        for _ in range(1000):
            z = z * c
        torch.autograd.grad(z, y, c)

    return seconds(ours), seconds(theirs)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    grid = real(8, 32, 64, 64)
    w, b, unit = real(32, 32), real(32), real(32)
    target = real(8, 32, 64, 64)
    rows = {
        "gelu, (8, 32, 64, 64)": pair("gelu", [grid], functional.gelu),
        "silu": pair("silu", [grid], functional.silu),
        "tanh": pair("tanh", [grid], torch.tanh),
        "pointwise_conv, 32 to 32": pair(
            "pointwise_conv", [grid, w, b], lambda x, w, b: functional.conv2d(x, w[:, :, None, None], b)
        ),
        "instance_norm": pair("instance_norm", [grid], functional.instance_norm),
        "group_norm, 4 groups": pair(
            "group_norm", [grid, unit, b], lambda x, w, b: functional.group_norm(x, 4, w, b), groups=4
        ),
        "layer_norm, (4096, 256)": pair(
            "layer_norm",
            [real(4096, 256), real(256), real(256)],
            lambda x, w, b: functional.layer_norm(x, (256,), w, b),
        ),
        "softmax, (4096, 256)": pair("softmax", [real(4096, 256)], lambda x: functional.softmax(x, -1)),
        "mean_squared_error": pair("mean_squared_error", [grid, target], functional.mse_loss),
        "AdamW step": optimizer(nn.AdamW(), lambda p: torch.optim.AdamW(p)),
        "momentum step": optimizer(nn.SGDP(delta=0.0), lambda p: torch.optim.SGD(p, 0.01, 0.9)),
        "tape, 1000 calls": overhead(),
    }
    print(f"{'':26}{'ours, ms':>10}{'torch, ms':>12}{'ratio':>8}")
    for name, (ours, theirs) in rows.items():
        print(f"{name:26}{1e3 * ours:10.3f}{1e3 * theirs:12.3f}{theirs / ours:8.2f}")
    plain = {"w": real(1_000_000)}
    gradients = {"w": real(1_000_000)}
    for kind in (nn.AdamW(), nn.AdamP()):
        state = kind.start(plain)
        spent = seconds(lambda kind=kind, state=state: kind.update(plain, gradients, state, 1, 1.0))
        print(f"{type(kind).__name__}: {1e9 * spent / 1e6:.2f} ns a parameter")


if __name__ == "__main__":
    main()
