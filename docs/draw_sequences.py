"""Draw three pipeline schedules, and what attention sends: `python docs/draw_sequences.py PICTURE.png`.

The schedules are those that the library runs; the bytes are its formulas, which the tests count.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sci.sequence import attention_cost, pipeline_schedule, simulate

STAGES, MICROBATCHES = 4, 8
RANKS, HEADS, WIDTH = 8, 8, 64
LENGTHS = {"forward": 1, "backward": 2, "input": 1, "weight": 1}
COLORS = {"forward": "tab:blue", "backward": "tab:orange", "input": "tab:orange", "weight": "tab:green"}


def starts(plan: Any, chunks: int) -> dict[tuple[int, int], float]:
    """Return when each pass begins, by rank and place."""
    done: dict[tuple[str, int, int], float] = {}
    begun: dict[tuple[int, int], float] = {}
    clocks = [0.0] * len(plan)
    while len(begun) < sum(map(len, plan)):
        for rank, steps in enumerate(plan):
            place = sum(r == rank for r, _ in begun)
            if place == len(steps):
                continue
            step = steps[place]
            stage = step.chunk * len(plan) + rank
            before = stage - 1 if step.kind == "forward" else stage + 1
            first = step.kind == "weight" or before in (-1, len(plan) * chunks)
            ready = 0.0 if first else done.get((step.makes, before, step.microbatch))
            if ready is not None:
                begun[rank, place] = max(clocks[rank], ready)
                clocks[rank] = begun[rank, place] + LENGTHS[step.kind] / chunks
                done[step.makes, stage, step.microbatch] = clocks[rank]
    assert max(clocks) == simulate(plan).makespan
    return begun


def draw_schedule(axes: Any, kind: Any, chunks: int) -> None:
    """Draw a bar for each pass: forward blue, backward orange, weights alone green, later chunks lighter."""
    plan = pipeline_schedule(kind, STAGES, MICROBATCHES, chunks)
    for (rank, place), start in starts(plan, chunks).items():
        step = plan[rank][place]
        color, length = COLORS[step.kind], LENGTHS[step.kind] / chunks
        axes.barh(rank, length, 0.85, start, color=color, alpha=1 - 0.4 * step.chunk, edgecolor="white", lw=0.6)
        axes.text(start + length / 2, rank, step.microbatch + 1, ha="center", va="center", fontsize=5.5)
    found = simulate(plan)
    axes.set(yticks=range(STAGES), ylabel="rank", xlim=(0, 34))
    axes.invert_yaxis()
    name = kind.upper() if chunks == 1 else f"{kind}, {chunks} runs of layers a rank"
    axes.set_title(f"{name}: idle {100 * found.bubble:.0f} % of work", fontsize=10)


def draw_bytes(axes: Any) -> None:
    """Draw what a rank sends in one forward pass of attention against the length of the text."""
    tokens = 2.0 ** np.arange(11, 21)
    state = 4.0 * HEADS * WIDTH * WIDTH
    for name, method in (("softmax, ring", "ring"), ("softmax, all-to-all", "ulysses")):
        sent = [attention_cost(int(n), HEADS, WIDTH, RANKS, method=method).bytes_sent for n in tokens]
        axes.loglog(tokens, sent, "o-", ms=3, label=name)
    axes.loglog(tokens, np.full_like(tokens, state), "o-", ms=3, label="lightning, ring of states")
    axes.set(xlabel="tokens", ylabel="bytes that a rank sends, forward pass")
    axes.set_title(f"{RANKS} ranks, {HEADS} heads of {WIDTH}, float32", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.3)


def main(path: str) -> None:
    """Draw both."""
    figure = Figure(figsize=(10.5, 5.6), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(1.5, 1))
    draw_schedule(figure.add_subplot(grid[0, 0]), "1f1b", 1)
    draw_schedule(figure.add_subplot(grid[1, 0]), "interleaved", 2)
    lower = figure.add_subplot(grid[2, 0])
    draw_schedule(lower, "zb-h1", 1)
    lower.set_xlabel("time, in forward passes of a rank's layers")
    draw_bytes(figure.add_subplot(grid[:, 1]))
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main(sys.argv[1])
