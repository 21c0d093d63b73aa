"""Samples in a file, read block by block: memory does not grow with their number."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.errors import FileFormatError
from sci.io.codecs.samples import KIND, Samples, read_flags
from sci.io.core.datasets import Group, check_size, crc32, member
from sci.io.core.hdf5 import open_file

__all__ = ["SampleBlocks", "dataset_of", "read_sample_blocks"]

BLOCK_BYTES = 2**25


@dataclass(frozen=True)
class SampleBlocks:
    """Samples in a file, which are read block by block: an iteration yields `Samples` in their order.

    Parameters
    ----------
    path : Path
    n : int
        Number of samples.
    x_shape, y_shape : tuple of int
        Shapes of one input and one output.
    grid_axes, periodic
        As in `Samples`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import read_sample_blocks, save_samples
    >>> save_samples("set.h5", np.zeros((5, 8)), np.ones((5, 2, 8)), grid_axes=1)
    >>> blocks = read_sample_blocks("set.h5")
    >>> blocks
    SampleBlocks(5 samples, x (8,), y (2, 8) of 'set.h5')
    >>> next(iter(blocks))
    Samples(5 samples, x (8,), y (2, 8), grid_axes=1, periodic=None)
    """

    path: Path
    n: int
    x_shape: tuple[int, ...]
    y_shape: tuple[int, ...]
    grid_axes: int | None
    periodic: bool | None

    def __repr__(self) -> str:
        """Return the number of samples and the shapes."""
        return f"SampleBlocks({self.n} samples, x {self.x_shape}, y {self.y_shape} of {str(self.path)!r})"

    def __iter__(self) -> Iterator[Samples]:
        """Yield the samples; a checksum that fails raises after the last block.

        Raises
        ------
        FileFormatError
            Also for NaN or Inf, in their block.
        """
        step = max(1, BLOCK_BYTES // (8 * max(1, math.prod(self.x_shape) + math.prod(self.y_shape))))
        with open_file(self.path, (KIND,)) as (file, _):
            datasets = {name: dataset_of(file, name) for name in "xy"}
            sums = dict.fromkeys(datasets, 0)
            for start in range(0, self.n, step):
                block = {name: np.asarray(d[start : start + step]) for name, d in datasets.items()}
                for name, values in block.items():
                    if not np.isfinite(values).all():
                        raise FileFormatError(f"{name} holds NaN or Inf; the file is damaged: make it again")
                    sums[name] = crc32(values, sums[name])
                yield Samples(block["x"], block["y"], self.grid_axes, self.periodic)
            for name, dataset in datasets.items():
                if dataset.attrs.get("crc32", sums[name]) != sums[name]:
                    raise FileFormatError(f"the dataset {name} fails its checksum; the file is damaged: make it again")


def read_sample_blocks(path: str | Path) -> SampleBlocks:
    """Return the samples of a file of `save_samples`, to be read block by block.

    Parameters
    ----------
    path : path

    Returns
    -------
    SampleBlocks

    Raises
    ------
    FileFormatError
        For a missing or damaged file, or one of another kind.
    SchemaVersionError
        For a file of a newer version of the library.

    Notes
    -----
    A block takes about 32 MiB.
    """
    with open_file(path, (KIND,)) as (file, _):
        x, y = (dataset_of(file, name) for name in "xy")
        if len(x) != len(y):
            raise FileFormatError(f"x has shape {x.shape} and y has {y.shape}; expected as many samples in both")
        return SampleBlocks(Path(path), len(x), x.shape[1:], y.shape[1:], *read_flags(file))


def dataset_of(file: Group, name: str) -> Any:
    """Return the dataset x or y of a file of samples; raise FileFormatError unless it holds floats."""
    dataset = member(file, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim == 0 or dataset.dtype not in ("<f4", "<f8"):
        raise FileFormatError(f"the dataset {name} is missing or holds no floats; the file is damaged: make it again")
    check_size(dataset, name)
    return dataset
