"""Figures without a display: the check for matplotlib, and pictures that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sci.distribution import install_command
from sci.errors import InvalidValueError, MissingDependencyError
from sci.io.core.atomic_write import replacing

__all__ = ["SIGNED", "new_figure", "require_matplotlib", "save_figure"]

SIGNED = "RdBu"
"""The color map of everything that has a sign: red is negative, blue positive, as chemists draw charges."""


def require_matplotlib(path: str | Path) -> None:
    """Raise an error where matplotlib is missing or does not write the format that `path` names.

    Parameters
    ----------
    path : path
        The picture to be written.

    Raises
    ------
    MissingDependencyError, InvalidValueError
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise MissingDependencyError(f"pictures need matplotlib: {install_command('plot')}") from error
    known = FigureCanvasAgg.get_supported_filetypes()
    if Path(path).suffix.lstrip(".").lower() not in known:
        raise InvalidValueError(f"{path}: unknown picture format; expected a suffix among {', '.join(sorted(known))}")


def new_figure(size: tuple[float, float]) -> Any:
    """Return an empty figure of a width and a height in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def save_figure(figure: Any, path: str | Path, *, overwrite: bool = False) -> None:
    """Write the picture, whole or not at all; it needs no display and no pyplot.

    Raises
    ------
    InvalidValueError
        If the file exists and `overwrite` is False, or another process or thread writes it.
    FileFormatError
        If the folder cannot be written to or the disk is full.
    """
    with replacing(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, dpi=130, bbox_inches="tight", format=Path(path).suffix.lstrip(".").lower())
