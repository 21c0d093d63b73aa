"""Pictures of what solvers need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sci.errors import InvalidValueError
from sci.plotting.figures import new_figure, require_matplotlib, save_figure

__all__ = ["plot_iterations"]


def plot_iterations(
    counts: Mapping[str, Sequence[tuple[int, int]]],
    path: str | Path,
    *,
    title: str | None = None,
    overwrite: bool = False,
) -> None:
    """Draw iterations against cells a side, one line for each solver.

    Parameters
    ----------
    counts : dict of sequences of (cells a side, iterations)
    path : str or Path
        Picture to write; the suffix names the format.
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
    """
    require_matplotlib(path)
    if not counts or not all(counts.values()):
        raise InvalidValueError("plot_iterations of nothing; expected (cells, iterations) for each solver")
    figure = new_figure((6.0, 4.0))
    axes = figure.subplots()
    for name, points in counts.items():
        sizes, iterations = zip(*sorted(points))
        axes.plot(sizes, iterations, "o-", label=name)
    ticks = sorted({n for points in counts.values() for n, _ in points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{n}$^3$" for n in ticks])
    axes.set_ylim(0, 1.08 * max(n for points in counts.values() for _, n in points))
    axes.set_xlabel("cells")
    axes.set_ylabel("iterations")
    axes.legend(frameon=False, fontsize=9)
    if title:
        axes.set_title(title)
    save_figure(figure, path, overwrite=overwrite)
