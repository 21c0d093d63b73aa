"""Convolutions, pooling and resampling of grids beside PyTorch, and compressed kernels beside dense ones, in one run.

    OMP_NUM_THREADS=1 python benchmarks/volumes.py

float32, one thread, CPU seconds. Both libraries take turns; a row has the least time of each and the median of the
ratios of neighbors in time, so that a busy machine slows both. A ratio below 1 means that PyTorch (extra `peers`) is
slower. A step is the forward pass and the gradients of all arguments. The limit of convolutions is the multiplier; the
first line has what a large matrix product reaches. The last table rolls waves out for 28 steps by kernels that were
fitted to four simulated runs, see docs/explanation/volumes.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.optimize import least_squares
from torch.nn import functional

from sci import nn
from sci.problems import wave_fields

ROUNDS = 11
RNG = np.random.default_rng(0)


def real(*shape: int) -> np.ndarray:
    """Return normal numbers in float32."""
    return RNG.normal(size=shape).astype(np.float32)


def clock(run: Callable[[], Any]) -> float:
    """Return the CPU time of a call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def pair(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[float, float, float]:
    """Return the least times of both, which take turns, and the median of the ratios."""
    ours(), theirs()
    times = np.array([(clock(ours), clock(theirs)) for _ in range(ROUNDS)])
    return times[:, 0].min(), times[:, 1].min(), float(np.median(times[:, 0] / times[:, 1]))


def show(name: str, found: tuple[float, float, float], flops: float = 0.0) -> None:
    """Print a row."""
    ours, theirs, ratio = found
    rate = f"{flops / ours / 1e9:6.0f} Gflop/s" if flops else " " * 14
    print(f"{name:42s} {ours * 1e3:9.3f} ms {rate}   torch {theirs * 1e3:9.3f} ms   ratio {ratio:5.2f}", flush=True)


def peak() -> float:
    """Return the flops a second of a large product."""
    a = real(1024, 1024)
    return 2 * 1024**3 / min(clock(lambda: a @ a) for _ in range(7))


def step(op: Any, args: list[np.ndarray], options: dict[str, Any]) -> tuple[Callable[[], Any], np.ndarray]:
    """Return a call of the forward pass and the gradients of an op, and the gradient that it starts from."""
    dout = real(*op(*args, **options).shape)

    def run() -> Any:
        _, kept = op.forward(*args, **options)
        return op.vjp(dout, kept)

    return run, dout


def torch_step(run: Callable[..., Any], args: list[np.ndarray], dout: np.ndarray) -> Callable[[], None]:
    """Return the same in PyTorch."""
    given, start = [torch.tensor(a, requires_grad=True) for a in args], torch.from_numpy(dout)

    def call() -> None:
        for a in given:
            a.grad = None
        run(*given).backward(start)

    return call


def convolutions() -> None:
    """Steps of typical layers of U-Nets."""
    print("\nconvolutions with bias, one step (6 outputs inputs taps flops a cell)")
    for axes, n, inputs, outputs, taps, stride, batch in (
        *((3, 32, c, c, 3, 1, 1) for c in (16, 32, 64)),
        *((3, 32, a, b, 3, 2, 1) for a, b in ((16, 32), (64, 64))),
        (3, 32, 32, 16, 1, 1, 1),
        *((2, 64, c, c, 3, 1, 1) for c in (32, 64, 128)),
        (2, 64, 32, 64, 3, 2, 1),
        (2, 64, 64, 32, 1, 1, 1),
        (2, 64, 32, 32, 3, 1, 8),
        (3, 16, 32, 32, 3, 1, 1),
        (3, 8, 64, 64, 3, 1, 1),
        (3, 4, 256, 256, 3, 1, 1),
    ):
        args = [real(batch, inputs, *(n,) * axes), real(outputs, inputs, *(taps,) * axes), real(outputs)]
        run, dout = step(nn.convolve, args, {"stride": stride, "padding": taps // 2})
        peer = getattr(functional, f"conv{axes}d")
        theirs = torch_step(lambda *a, peer=peer, s=stride, p=taps // 2: peer(*a, stride=s, padding=p), args, dout)
        name = f"{n}^{axes} {inputs} -> {outputs}, {taps} taps, stride {stride}" + (
            f", batch {batch}" if batch > 1 else ""
        )
        show(name, pair(run, theirs), 6 * dout.size * inputs * taps**axes)
    args = [real(1, 64, 16, 16, 16), real(64, 32, 2, 2, 2), real(32)]
    run, dout = step(nn.convolve_transposed, args, {"stride": 2, "padding": 0})
    theirs = torch_step(lambda *a: functional.conv_transpose3d(*a, stride=2), args, dout)
    show("16^3 64 -> 32 transposed, 2 taps, stride 2", pair(run, theirs), 6 * 16**3 * 64 * 32 * 8)


def grids() -> None:
    """Steps of pools and resampling."""
    print("\npooling and resampling of 32 channels on 32^3 (to 16^3, to 64^3), one step")
    x, small = [real(1, 32, 32, 32, 32)], [real(1, 32, 32, 32, 32)]
    for name, op, args, options, peer in (
        ("average_pool 2", nn.average_pool, x, {}, lambda a: functional.avg_pool3d(a, 2)),
        ("max_pool 2", nn.max_pool, x, {}, lambda a: functional.max_pool3d(a, 2)),
        (
            "resample nearest, factor 2",
            nn.resample,
            small,
            {"factor": 2},
            lambda a: functional.interpolate(a, scale_factor=2),
        ),
        (
            *("resample linear, factor 2", nn.resample, small, {"factor": 2, "method": "linear"}),
            lambda a: functional.interpolate(a, scale_factor=2, mode="trilinear", align_corners=False),
        ),
    ):
        run, dout = step(op, args, options)
        show(name, pair(run, torch_step(peer, args, dout)))


def separable() -> None:
    """Filters along each axis: one pass, one convolution an axis, PyTorch's depthwise convolutions an axis."""
    print("\nfilters of 3 taps along each axis of 32 channels, forward")
    for axes, n in ((2, 256), (3, 64)):
        x, filters = real(1, 32, *(n,) * axes), [real(32, 3) for _ in range(axes)]
        shapes = [(32, 1, *(3 if k == axis else 1 for k in range(axes))) for axis in range(axes)]
        given, weights = torch.from_numpy(x), [torch.from_numpy(f.reshape(s)) for f, s in zip(filters, shapes)]
        peer = getattr(functional, f"conv{axes}d")

        def theirs(given: Any = given, weights: Any = weights, peer: Any = peer) -> Any:
            with torch.no_grad():
                for w in weights:
                    given = peer(given, w, padding="same", groups=32)
            return given

        found = pair(lambda x=x, filters=filters: nn.separable_conv(x, *filters), theirs)
        show(f"{n}^{axes}", found, x.size * 2 * (3 ** (axes - 1) + 3))
        print(f"{'':42s} one read and one write: {2 * x.nbytes / found[0] / 1e9:.1f} GB/s", flush=True)


def compressed() -> None:
    """Dense kernels beside kernels of few terms across channels: numbers, and one forward pass."""
    print("\n64 -> 64 channels, 3 taps: dense, and CP terms across channels (1 x 1, filters, 1 x 1), forward")
    for axes, n in ((2, 64), (3, 32)):
        x, weight = real(1, 64, *(n,) * axes), real(64, 64, *(3,) * axes)
        for rank in (16, 64):
            cp = nn.CPKernels.create(weight.shape, rank, seed=0, dtype=np.float32)
            arrays = cp.start()
            ours, dense, ratio = pair(
                lambda x=x, a=arrays, m=cp: m.apply(x, a), lambda x=x, w=weight: nn.convolve(x, w)
            )
            print(
                f"{n}^{axes} rank {rank:3d}: {cp.n_parameters:6d} of {weight.size} numbers, {ours * 1e3:.2f} ms, dense "
                f"{dense * 1e3:.2f} ms, ratio {ratio:.2f}",
                flush=True,
            )


def propagators() -> dict[str, np.ndarray]:
    """Return 5 x 5 kernels P with u_{n+1} = P u_n - u_{n-1}, fitted to four runs: dense, and of rank 1 and 2."""
    runs, steps = wave_fields(4, 48, n_steps=28, seed=0), range(-2, 3)
    taps = np.stack([np.roll(runs[:, 1:-1], (-a, -b), axis=(2, 3)).ravel() for a in steps for b in steps])
    q, root = np.linalg.qr(taps.T)
    right = q.T @ (runs[:, 2:] + runs[:, :-2]).ravel()
    found = {"dense": np.linalg.solve(root, right).reshape(1, 1, 5, 5)}
    for rank in (2, 1):
        start = nn.SeparableKernels({f"axis{k}": 0.3 * RNG.normal(size=(1, 1, rank, 5)) for k in range(2)})

        def fold(flat: np.ndarray, start: Any = start, rank: int = rank) -> np.ndarray:
            return start.fold(dict(zip(("axis0", "axis1"), flat.reshape(2, 1, 1, rank, 5))))

        first = np.concatenate([f.ravel() for f in start.start().values()])
        options = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15, "x_scale": "jac", "max_nfev": 3000}
        best = least_squares(lambda flat, fold=fold: root @ fold(flat).ravel() - right, first, **options)
        found[f"rank {rank}"] = fold(best.x)
    return found


def waves() -> None:
    """Errors after 28 steps on another field, with numbers and time."""
    print("\nwaves on 48^2, 28 steps by a 5 x 5 kernel fitted to four runs")
    truth = wave_fields(1, 48, n_steps=28, seed=9)[0]
    for name, weight in propagators().items():

        def roll(weight: np.ndarray = weight) -> np.ndarray:
            before, now = truth[:2]
            for _ in range(28):
                before, now = now, nn.convolve(now[None, None], weight, boundary="periodic")[0, 0] - before
            return now

        error = np.linalg.norm(roll() - truth[-1]) / np.linalg.norm(truth[-1])
        numbers = 25 if name == "dense" else 10 * int(name[-1])
        seconds = min(clock(roll) for _ in range(ROUNDS))
        print(f"{name:8s} {numbers:3d} numbers   error {error:.1e}   {seconds * 1e3:.2f} ms", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"a product of 1024 x 1024 matrices by NumPy: {peak() / 1e9:.0f} Gflop/s of one core")
    convolutions()
    grids()
    separable()
    compressed()
    waves()
