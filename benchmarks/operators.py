"""A training step and inference of FNO and TFNO beside PyTorch with the neuraloperator library, on one thread.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/operators.py [--cases 64 128 32] [--rounds 2] [--tfno]
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/operators.py --transforms

FNO(n_modes=(16, 16), hidden 32, 4 layers, all else as the libraries have it) on 64 x 64 and 128 x 128 points with 8
samples, and n_modes (8, 8, 8) on 32 x 32 x 32 with 2; float32, random data, relative L2 loss, AdamW; --tfno: Tucker
weights of rank 0.1.
A step is forward, loss, backward and update. Times are CPU seconds of the process, the least over repeats and rounds;
each library runs in processes of its own, in turn, so that other work on the machine meets both. Peak memory is the
largest resident set of the process less that before the first call. The peer comes with the extra `peers`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

CASES = {"64": (8, (64, 64), (16, 16)), "128": (8, (128, 128), (16, 16)), "32": (2, (32, 32, 32), (8, 8, 8))}


def kibibytes(key: str) -> float:
    """Return VmHWM or VmRSS of this process."""
    with open("/proc/self/status") as status:
        return next(float(line.split()[1]) for line in status if line.startswith(key))


def ours(case: str, tucker: bool) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return inference and a training step of this library."""
    from sci.nn import AdamW, relative_l2, value_and_gradients
    from sci.operators import FNO, TFNO

    batch, grid, n_modes = CASES[case]
    model = (TFNO if tucker else FNO)(n_modes, 1, 1, 32)
    x, y = np.random.default_rng(0).normal(size=(2, batch, 1, *grid)).astype(np.float32)
    optimizer = AdamW(1e-3, weight_decay=1e-4)
    state, steps = optimizer.start(model.parameters), iter(range(1, 10**9))

    def loss(variables: Any) -> Any:
        return relative_l2(model.forward(variables, x), target=y)

    def step() -> None:
        _, gradients = value_and_gradients(loss, model.parameters)
        optimizer.update(model.parameters, gradients, state, next(steps), 1.0)

    return lambda: model(x), step


def peer(case: str, tucker: bool) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return inference and a training step of the peer."""
    warnings.simplefilter("ignore")
    import torch
    from neuralop.losses import LpLoss
    from neuralop.models import FNO

    torch.set_num_threads(1)
    batch, grid, n_modes = CASES[case]
    options = {"factorization": "tucker", "rank": 0.1, "implementation": "factorized"} if tucker else {}
    model = FNO(n_modes=n_modes, in_channels=1, out_channels=1, hidden_channels=32, **options)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    loss, x, y = LpLoss(d=len(grid), p=2), torch.randn(batch, 1, *grid), torch.randn(batch, 1, *grid)

    def infer() -> Any:
        with torch.no_grad():
            return model(x)

    def step() -> None:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return infer, step


def measure(library: str, case: str, tucker: bool, repeats: int) -> dict[str, float]:
    """Return milliseconds and MiB of both calls in this process."""
    result = {}
    calls = {"ours": ours, "peer": peer}[library](case, tucker)
    before = kibibytes("VmRSS")
    for name, call in zip(("inference", "step"), calls):
        call()
        times = []
        for _ in range(repeats):
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
        result[f"{name} ms"], result[f"{name} MiB"] = 1e3 * min(times), (kibibytes("VmHWM") - before) / 1024
    return result


def transforms(repeats: int) -> None:
    """Print the time of a truncated transform and its inverse by products and by FFTs, and what the choice loses."""
    from sci.operators.spectral import transform as module

    chooses, rng = module.product_is_faster, np.random.default_rng(0)
    print(f"{'points':>8} {'columns':>8} {'rows':>6} {'product ms':>11} {'FFT ms':>8}  choice over the better")
    for n, rows in ((64, 4096), (256, 1024), (1021, 256), (1024, 256), (8192, 32), (65536, 8), (65536, 64)):
        x = rng.normal(size=(rows, n)).astype(np.float32)
        for columns in (4, 9, 17, 25, 33, 49, 65, 129):
            if columns > n // 2 + 1:
                continue
            times = []
            for product in (True, False):
                module.product_is_faster = lambda *_, product=product, **__: product

                def both(x: Any = x, kept: tuple[int, ...] = (columns,), n: int = n) -> None:
                    module.synthesize(module.transform(x, kept), (n,))

                both()
                seconds = []
                for _ in range(repeats):
                    start = time.process_time()
                    both()
                    seconds.append(time.process_time() - start)
                times.append(1e3 * min(seconds))
            chosen = times[0] if chooses(n, columns, rows, like=x) else times[1]
            print(f"{n:8} {columns:8} {rows:6} {times[0]:11.2f} {times[1]:8.2f}  {chosen / min(times):.2f}", flush=True)
    module.product_is_faster = chooses


def main() -> None:
    """Measure every case in child processes, in turn, and print times, memory and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tfno", action="store_true")
    parser.add_argument("--transforms", action="store_true", help="products and FFTs instead of operators")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.transforms:
        transforms(arguments.repeats)
        return
    if arguments.child:
        print(json.dumps(measure(*arguments.child, arguments.tfno, arguments.repeats)))
        return
    print(f"{'case':>5} {'':>14} {'ours':>9} {'peer':>9} {'ratio':>6}")
    for case in arguments.cases:
        best: dict[str, dict[str, float]] = {}
        for _ in range(arguments.rounds):
            for library in ("peer", "ours"):
                command = [sys.executable, __file__, *sys.argv[1:], "--child", library, case]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                kept = best.setdefault(library, found)
                best[library] = {name: min(kept[name], value) for name, value in found.items()}
        for name, value in best["ours"].items():
            other = best["peer"][name]
            print(f"{case:>5} {name:>14} {value:9.1f} {other:9.1f} {value / other:6.2f}", flush=True)


if __name__ == "__main__":
    main()
