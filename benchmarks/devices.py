"""The main jobs of every pillar on a GPU beside the same calls on the CPU of that machine.

    python benchmarks/devices.py [--only NAME ...] [--scale 1] [--repeats 5] [--json FILE]

Wall-clock milliseconds from call to finished device, the median of the repeats after one run that compiles; the CPU
uses all cores of the process (OMP_NUM_THREADS). `error` is the largest difference of the two answers over the
largest entry, so both sides did the same work. --scale 0.25 makes every problem about that much smaller. Peers that are
installed run on the same GPU: PyTorch's attention in float32 (scaled_dot_product_attention, no TF32) and the FNO of
neuraloperator. --json FILE is written anew after every row, so that a run cut short still counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import to_device, to_host

Jobs = dict[str, Callable[[], Any]]

LABELS = {
    "direct sum": "direct sum, 20,000 charges at 50,000 points",
    "potential, build": "potential of 20,000 charges, tol 1e-6: build",
    "potential, targets": "its values at 1,000,000 points",
    "potential, forces": "its forces",
    "FNO, inference": "FNO, 8 fields of 128 x 128, 32 channels: inference",
    "FNO, step": "a training step of it, launch by launch",
    "FNO, recorded step": "a training step of it, as a graph",
    "CG, 50 iterations": "Poisson problem of 256^3 to 1e-8: 50 iterations without preconditioner",
    "multigrid, setup": "multigrid, setup and one cycle",
    "multigrid, solve": "multigrid, solve",
    "learned, setup": "learned cycle, setup and one cycle",
    "learned, solve": "learned cycle, solve",
    "attention": "causal attention, 16,384 tokens, 8 heads of 64, float32",
    "attention, gradients": "with gradients",
    "attention, 16 bits": "the same in float16, by matrix units",
    "attention, 16 bits, gradients": "with gradients",
    "attention, 16 bits, tiles": "the same in float16, by the tiles of float32",
    "attention, 16 bits, tiles, gradients": "with gradients",
    "lightning": "lightning attention, 65,536 tokens",
    "lightning, gradients": "with gradients",
}
"""What each job is at --scale 1."""


def points_of(count: int, density: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions in a cube of that density per cubic angstrom, and charges."""
    rng = np.random.default_rng(seed)
    side = (count / density) ** (1 / 3)
    grid = int(np.ceil(count ** (1 / 3)))
    cells = np.stack(np.unravel_index(rng.permutation(grid**3)[:count], (grid,) * 3), axis=1)
    return (cells + 0.5 + 0.3 * rng.random((count, 3))) * (side / grid), rng.normal(size=count)


def potentials(xp: ModuleType, scale: float) -> Jobs:
    """Direct sums; the split potential: build, targets, forces."""
    from sci.potentials import Particles, RangeSeparatedPotential, direct_sum

    positions, charges = points_of(int(20_000 * scale), 0.1, 0)
    particles = Particles(to_device(positions, xp), to_device(charges, xp))
    low, high = positions.min(axis=0), positions.max(axis=0)
    count = int(1_000_000 * scale)
    targets = to_device(low + (high - low) * np.random.default_rng(1).random((count, 3)), xp)
    few = targets[: count // 20]
    phi = RangeSeparatedPotential(particles, 1e-6, expected_targets=count)
    return {
        "direct sum": lambda: direct_sum(particles, few),
        "potential, build": lambda: RangeSeparatedPotential(particles, 1e-6, expected_targets=count)(few[:1]),
        "potential, targets": lambda: phi(targets),
        "potential, forces": phi.forces,
    }


def operators(xp: ModuleType, scale: float) -> Jobs:
    """Inference of an FNO and a training step, launch by launch and as a graph."""
    from sci.nn import AdamW, RecordedStep, relative_l2, value_and_gradients
    from sci.operators import FNO

    made = FNO((16, 16), 1, 1, 32)
    parameters = {name: to_device(p, xp) for name, p in made.parameters.items()}
    model = FNO.of(made.config, parameters)
    rng = np.random.default_rng(0)
    x, y = (to_device(rng.normal(size=(max(1, int(8 * scale)), 1, 128, 128)).astype("f4"), xp) for _ in "xy")
    optimizer = AdamW(1e-9)  # so small that every repeat sees the same weights
    state, steps = optimizer.start(parameters), iter(range(1, 10**9))

    def loss(variables: Any) -> Any:
        return relative_l2(model.forward(variables, x), target=y)

    def step() -> Any:
        value, gradients = value_and_gradients(loss, parameters)
        optimizer.update(parameters, gradients, state, next(steps), 1.0)
        return value.reshape(1)

    own = {name: p.copy() for name, p in parameters.items()}
    recorded = RecordedStep(lambda v, b: relative_l2(model.forward(v, b[0]), target=b[1]), own, optimizer, (x, y))
    print(f"# {recorded!r}", flush=True)
    return {
        "FNO, inference": lambda: model(x),
        "FNO, step": step,
        "FNO, recorded step": lambda: recorded((x, y)).reshape(1),
    }


def solvers(xp: ModuleType, scale: float) -> Jobs:
    """Poisson problems to 1e-8 with plain CG, multigrid and the learned cycle."""
    from sci.problems import right_hand_side, sphere_and_blob
    from sci.solvers import LearnedMultigrid, Multigrid, PoissonOperator, cg

    n = max(16, round(256 * scale ** (1 / 3)))
    mask = sphere_and_blob(n)
    A, b = PoissonOperator(to_device(mask, xp)), to_device(right_hand_side(mask, "noise"), xp)
    M, L = Multigrid(A), LearnedMultigrid(A)
    return {
        "CG, 50 iterations": lambda: cg(A, b, rtol=0, maxiter=50).x,
        "multigrid, setup": lambda: Multigrid(A).matvec(b),
        "multigrid, solve": lambda: cg(A, b, M=M, rtol=1e-8).x,
        "learned, setup": lambda: LearnedMultigrid(A).matvec(b),
        "learned, solve": lambda: cg(A, b, M=L, rtol=1e-8).x,
    }


def sequences(xp: ModuleType, scale: float) -> Jobs:
    """Softmax attention of 16K tokens and lightning attention of 64K, eight heads of 64, with gradients."""
    from sci.sequence import lightning_attention, softmax_attention

    rng = np.random.default_rng(0)

    def drawn(n: int) -> list[Any]:
        return [to_device(rng.normal(size=(8, n, 64)).astype("f4"), xp) for _ in range(4)]

    short, long = drawn(int(16384 * scale)), drawn(int(65536 * scale))
    half = [a.astype(np.float16) for a in short]
    decay = to_device(2.0 ** -np.arange(1.0, 9.0), xp)

    def both(forward: Callable[[], Any], vjp: Callable[[Any, Any], Any], dout: Any) -> Any:
        return vjp((dout, None), forward()[1])[0]

    def softmax(arrays: list[Any] = short, precision: str | None = None) -> Any:
        return softmax_attention.forward(*arrays[:3], causal=True, precision=precision)

    def halves(precision: str | None, gradients: bool) -> Any:
        if not gradients:
            return softmax(half, precision)[0][0].astype(np.float32)
        return both(lambda: softmax(half, precision), softmax_attention.vjp, half[3]).astype(np.float32)

    def lightning() -> Any:
        return lightning_attention.forward(*long[:3], decay)

    return {
        "attention": lambda: softmax()[0][0],
        "attention, gradients": lambda: both(softmax, softmax_attention.vjp, short[3]),
        "attention, 16 bits": lambda: halves(None, False),
        "attention, 16 bits, gradients": lambda: halves(None, True),
        "attention, 16 bits, tiles": lambda: halves("float32", False),
        "attention, 16 bits, tiles, gradients": lambda: halves("float32", True),
        "lightning": lambda: lightning()[0][0],
        "lightning, gradients": lambda: both(lightning, lightning_attention.vjp, long[3]),
    }


def torch_attention(scale: float) -> Jobs:
    """PyTorch's causal attention."""
    import torch

    q, k, v, dout = (torch.randn(1, 8, int(16384 * scale), 64, device="cuda", requires_grad=True) for _ in range(4))

    half = [a.detach().half().requires_grad_() for a in (q, k, v)]

    def forward(arrays: Any = (q, k, v)) -> Any:
        return torch.nn.functional.scaled_dot_product_attention(*arrays, is_causal=True)

    def backward() -> None:
        forward(half).backward(dout.half())

    return {
        "attention": forward,
        "attention, gradients": lambda: forward().backward(dout),
        "attention, 16 bits": lambda: forward(half),
        "attention, 16 bits, gradients": backward,
        "attention, 16 bits, tiles": lambda: forward(half),
        "attention, 16 bits, tiles, gradients": backward,
    }


def neuraloperator_fno(scale: float) -> Jobs:
    """The FNO of neuraloperator, of the modes and widths of ours."""
    import torch
    from neuralop.models import FNO

    model = FNO(n_modes=(16, 16), in_channels=1, out_channels=1, hidden_channels=32).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-9)
    x, y = (torch.randn(max(1, int(8 * scale)), 1, 128, 128, device="cuda") for _ in "xy")

    def inference() -> Any:
        with torch.no_grad():
            return model(x)

    def step() -> None:
        optimizer.zero_grad()
        error = torch.linalg.vector_norm((model(x) - y).flatten(1), dim=1)
        (error / torch.linalg.vector_norm(y.flatten(1), dim=1)).mean().backward()
        optimizer.step()

    return {"FNO, inference": inference, "FNO, step": step, "FNO, recorded step": step}


PEERS = {"sequences": ("torch", torch_attention), "operators": ("neuralop", neuraloperator_fno)}
"""Package and jobs of the peer of a pillar, under the names of ours."""


def peers(pillar: str, scale: float) -> Jobs:
    """Return the peer's jobs, none where its package is not installed."""
    package, jobs = PEERS.get(pillar, ("", None))
    return jobs(scale) if jobs and importlib.util.find_spec(package) else {}


PILLARS = {"potentials": potentials, "operators": operators, "solvers": solvers, "sequences": sequences}


def timed(call: Callable[[], Any], finish: Callable[[], object], repeats: int) -> tuple[float, Any]:
    """Return the median milliseconds of a call after a first one, and the answer of that."""
    answer, times = call(), []
    for _ in range(repeats):
        finish()
        start = time.perf_counter()
        call()
        finish()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times), answer


def write(path: Path | None, device: str, rows: dict[str, Any], failures: dict[str, str]) -> None:
    """Replace the file by what is known so far."""
    if path is not None:
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"device": device, "rows": rows, "failures": failures}, indent=1))
        part.replace(path)


def main() -> int:
    """Print one row a job; a job that fails is reported and the others go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PILLARS, default=list(PILLARS))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cpu-repeats", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    import cupy

    finish = cupy.cuda.Device().synchronize
    device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    print(f"{device}\n{'':<24}{'GPU ms':>10}{'CPU ms':>10}{'ratio':>8}{'error':>10}{'peer ms':>10}", flush=True)
    rows: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for pillar in options.only:
        try:
            there, here = (PILLARS[pillar](xp, options.scale) for xp in (cupy, np))
            others = peers(pillar, options.scale)
        except Exception as error:
            traceback.print_exc()
            failures[pillar] = repr(error)
            write(options.json, device, rows, failures)
            continue
        for job, call in there.items():
            try:
                gpu, answer = timed(call, finish, options.repeats)
                cpu, expected = timed(here[job], finish, options.cpu_repeats)
                difference = float(np.max(np.abs(to_host(answer) - expected)) / np.max(np.abs(expected)))
                row = {"label": LABELS[job], "scale": options.scale, "gpu": gpu, "cpu": cpu, "error": difference}
                line = f"{job:<24}{gpu:>10.2f}{cpu:>10.1f}{cpu / gpu:>8.1f}{difference:>10.1e}"
                if job in others:
                    row["peer"], row["peer_name"] = timed(others[job], finish, options.repeats)[0], PEERS[pillar][0]
                    line += f"{row['peer']:>10.2f}"
                rows[job] = row
                print(line, flush=True)
            except Exception as error:
                traceback.print_exc()
                failures[job] = repr(error)
            write(options.json, device, rows, failures)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
