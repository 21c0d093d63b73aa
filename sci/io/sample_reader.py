"""Samples in a file, read by their numbers: what a training takes that does not fit into memory."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from sci.errors import DTypeError, FileFormatError, InvalidValueError
from sci.io.codecs.samples import KIND
from sci.io.core.hdf5 import open_file
from sci.io.sample_blocks import dataset_of, read_sample_blocks

__all__ = ["SampleReader"]


class SampleReader:
    """The samples of a file as a `sci.nn.Dataset`: `reader[indices]` reads these rows of x and y, and no others.

    Parameters
    ----------
    path : path
        A file of `save_samples`. Every rank opens it for itself and reads its own samples.

    Raises
    ------
    FileFormatError
        For a missing or damaged file, or one of another kind; in `reader[indices]` for NaN or Inf, by file and sample.
    SchemaVersionError
    InvalidValueError, DTypeError
        For indices that are no samples, or a reader that was closed.

    Notes
    -----
    A context manager, which closes the file. The checksums of the file are over all samples, and so are not compared:
    iterate once over `read_sample_blocks(path)` for that. Rows beside each other are read at once; a training that
    shuffles reads each sample by itself: let `train(..., prefetch=2)` read ahead.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sci.io import SampleReader, save_samples
    >>> path = pathlib.Path(tempfile.mkdtemp(), "set.h5")
    >>> save_samples(path, np.arange(10.0).reshape(5, 2), np.ones((5, 2)), grid_axes=1)
    >>> with SampleReader(path) as samples:
    ...     x, y = samples[np.array([4, 0])]
    >>> x
    array([[8., 9.],
           [0., 1.]])
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self._blocks = Path(path), read_sample_blocks(path)
        self._stack = contextlib.ExitStack()
        file, _ = self._stack.enter_context(open_file(path, (KIND,)))
        self._datasets: dict[str, Any] | None = {name: dataset_of(file, name) for name in "xy"}

    def __repr__(self) -> str:
        return f"SampleReader({self._blocks!r})"

    def __len__(self) -> int:
        return self._blocks.n

    def __enter__(self) -> SampleReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._datasets = None
        self._stack.close()

    def __getitem__(self, indices: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of the samples, in the order of `indices`, with the dtypes of the file."""
        places = np.asarray(indices)
        if places.dtype.kind not in "iu" or places.ndim != 1:
            raise DTypeError(f"{self.path}: samples {indices!r:.60}; expected an array of integers (n,)")
        if places.size and not (int(places.min()) >= 0 and int(places.max()) < len(self)):
            raise InvalidValueError(
                f"{self.path}: samples {int(places.min())} to {int(places.max())}; expected 0 to {len(self) - 1}"
            )
        if self._datasets is None:
            raise InvalidValueError(f"{self.path}: this reader is closed; open the file again")
        wanted, back = np.unique(places, return_inverse=True)
        x, y = (self._rows(name, wanted)[back] for name in "xy")
        return x, y

    def _rows(self, name: str, wanted: np.ndarray) -> np.ndarray:
        """Return the rows of increasing numbers, in runs of rows beside each other."""
        assert self._datasets is not None
        dataset = self._datasets[name]
        ends = np.flatnonzero(np.diff(wanted) != 1) + 1
        runs = [dataset[int(run[0]) : int(run[-1]) + 1] for run in np.split(wanted, ends) if run.size]
        rows: np.ndarray = np.concatenate(runs) if runs else dataset[:0]
        bad = ~np.isfinite(rows).all(axis=tuple(range(1, rows.ndim)))
        if bad.any():
            raise FileFormatError(
                f"{self.path}: {name} of sample {int(wanted[bad][0])} holds NaN or Inf; the file is damaged: make it "
                "again"
            )
        return rows
