"""`report`: the page of a file, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import sci
from sci.errors import InvalidValueError
from sci.io import kinds
from sci.io.core.atomic_write import replacing
from sci.plotting.pages.charts import require_plotly
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.general import closing_panels, opening_panels, result_charts

# The kinds register what draws them when they are imported.
from sci.plotting.pages.kinds import (
    atoms,
    completion,
    compression,
    ensembles,
    fields,
    models,
    potentials,
    scaling,
    spectra,
    tensors,
    variational,
)
from sci.plotting.pages.page import html_page
from sci.plotting.pages.panels import Panel
from sci.plotting.pages.registry import panels_of

__all__ = ["report"]

DRAWERS = (
    *(atoms, completion, compression, ensembles, fields, models),
    *(potentials, scaling, spectra, tensors, variational),
)


def report(path: str | Path, output: str | Path, *, truth: str | Path | None = None, overwrite: bool = False) -> None:
    """Write one HTML file that shows what a file holds: no display and no network is needed to look at it.

    The page tells kind, command, settings, units and provenance, the errors and timings among the results, and draws
    the charts of the kind: planes and surfaces of potentials, curves of trainings and solvers, frames of trajectories
    and smoke, samples, layers of models. Large arrays are drawn with a stride, which the page states.

    Parameters
    ----------
    path : str or Path
        An HDF5 file of any kind that this library writes.
    output : str or Path
        The page, at most 6 MB; it appears complete or not at all.
    truth : str or Path, optional
        For a file of samples, one with the true outputs: the page then shows the error of each sample.
    overwrite : bool
        Replace a page that exists.

    Raises
    ------
    MissingDependencyError
        Without plotly.
    FileFormatError, SchemaVersionError
        For a missing, damaged or foreign file.
    InvalidValueError
        For `truth` beside a file of another kind; if `output` exists and `overwrite` is False.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sci.io import save
    >>> from sci.plotting import report
    >>> from sci.potentials import Particles
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> save(folder / "ions.h5", Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.8]], [1.0, -1.0]))
    >>> report(folder / "ions.h5", folder / "ions.html")
    >>> "total charge" in (folder / "ions.html").read_text()
    True
    """
    require_plotly()
    contents = Contents(Path(path), None if truth is None else Path(truth))
    if truth is not None and contents.kind != "samples":
        raise InvalidValueError(f"truth goes with a file of samples, and {path} holds kind {contents.kind!r}")
    title = f"{Path(path).name}: {contents.kind.replace('_', ' ')}"
    footer = f"Made by sci {sci.__version__} from {Path(path).name}. Red is negative and blue positive in every chart."
    text = html_page(title, _lead(contents), _panels(contents), footer)
    with replacing(output, len(text), overwrite=overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _lead(contents: Contents) -> str:
    """Return the first sentence of the page."""
    kind = kinds().get(contents.kind)
    what = f"Object: {kind.cls.__name__}" if kind else "Unknown object"
    return f"{what}; {len(contents.header['datasets'])} arrays; made on {contents.header['created']}."


def _panels(contents: Contents) -> Iterator[Panel]:
    yield from opening_panels(contents)
    yield from panels_of(contents)
    yield from result_charts(contents)
    yield from closing_panels(contents)
