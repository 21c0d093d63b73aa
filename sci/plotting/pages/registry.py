"""Which function draws the charts of a kind of file; each registers itself by the name of the kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sci.errors import InvalidValueError
from sci.io import kinds
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.panels import Panel

__all__ = ["Draw", "figures_of", "kinds_without_figures", "panels_of"]

Draw = Callable[[Contents], Iterable[Panel]]
"""Takes the contents of a file and yields its tables and charts."""

_DRAWN: dict[str, Draw] = {}


def figures_of(*names: str) -> Callable[[Draw], Draw]:
    """Decorate the function that draws kinds of files for `report`.

    A kind without one, like that of a codec of yours, gets the tables that all kinds have.

    Parameters
    ----------
    *names : str
        Kinds, as `sci.io.codec(cls, kind=...)` names them.

    Returns
    -------
    decorator

    Raises
    ------
    InvalidValueError
        If a kind has such a function already.

    Examples
    --------
    >>> from sci.plotting import Table, figures_of
    >>> @figures_of("lines")
    ... def draw(contents):
    ...     lines = contents.object.energies
    ...     yield Table("Lines", [[f"{energy:.3f} eV"] for energy in lines])
    """
    for name in names:
        if name in _DRAWN:
            raise InvalidValueError(f"the kind {name!r} is drawn by {_DRAWN[name].__module__}; expected one function")

    def register(draw: Draw) -> Draw:
        _DRAWN.update(dict.fromkeys(names, draw))
        return draw

    return register


def panels_of(contents: Contents) -> Iterable[Panel]:
    """Return the panels that the function of the file's kind draws; none without such a function."""
    draw = _DRAWN.get(contents.kind)
    return () if draw is None else draw(contents)


def kinds_without_figures() -> list[str]:
    """Return the kinds of files that have a codec and no function that draws them.

    Returns
    -------
    list of str
    """
    return sorted(set(kinds()) - set(_DRAWN))
