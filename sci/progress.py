"""Progress of long loops: a bar on a terminal, one line a minute in a batch log, nothing for short ones."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from sci.options import get as get_option

__all__ = ["progress"]

T = TypeVar("T")


def progress(
    items: Iterable[T],
    title: str,
    *,
    total: int | None = None,
    show: bool = True,
    note: Callable[[], str] | None = None,
) -> Iterator[T]:
    """Yield from `items` and report on stderr how far it is, once it takes longer than a second.

    Parameters
    ----------
    items : iterable
    title : str
    total : int, optional
        Number of items, where `items` has no length.
    show : bool
        False on all ranks but one.
    note : callable, optional
        Returns a few words on the present state, like the loss; they stand behind the time to finish.

    Yields
    ------
    element of `items`

    Notes
    -----
    The option `progress` (SCI_PROGRESS) is "auto", "on" or "off". Under "auto" a batch log is written only where
    the logger `sci` lets INFO pass.
    """
    mode = get_option("progress")
    terminal = sys.stderr.isatty()
    silent = mode == "off" or (
        mode == "auto" and not terminal and not logging.getLogger("sci").isEnabledFor(logging.INFO)
    )
    interval = 0.2 if terminal else 60.0
    bar = tqdm(items, desc=title, total=total, disable=silent or not show, delay=1.0, mininterval=interval, leave=False)
    for item in bar:
        yield item
        if note is not None and not bar.disable:
            bar.set_postfix_str(note(), refresh=False)
