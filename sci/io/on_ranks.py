"""Whole arrays in files, of objects that lie in parts on ranks: written and read array by array, part by part."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.backend import Array
from sci.distributed import Comm, agreed, allgather_rows, allreduce_max, broadcast, rank_of, size
from sci.errors import FileFormatError
from sci.io.core.datasets import Group, check_size, crc32, member
from sci.io.core.hdf5 import create
from sci.io.core.header import Header

__all__ = ["Awaited", "layout_of", "read_parts", "write_parts"]

_SLAB_BYTES = 2**24
_DTYPES: dict[int, np.dtype] = {np.dtype(t).num: np.dtype(t) for t in ("f4", "f8", "c8", "c16")}


def layout_of(value: Any) -> Any:
    """Return the layout on ranks of an object's arrays; None for an object that each rank has whole."""
    layout = getattr(value, "layout", None)
    return layout if hasattr(layout, "placements") else None


@dataclass(frozen=True)
class Awaited:
    """A whole array that rank 0 gets from the ranks when a codec asks for it, so that one is in memory at a time."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fetched: Callable[[], np.ndarray]

    def __repr__(self) -> str:
        return f"Awaited({self.shape}, {self.dtype})"

    @property
    def size(self) -> int:
        """Numbers of the whole."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole."""
        return self.size * self.dtype.itemsize


class _Parts:
    """This rank's parts of the groups of arrays of an object; a group has the names of the layout, or some of them."""

    def __init__(self, value: Any) -> None:
        self.layout = value.layout
        self.groups: dict[str, tuple[Mapping[str, Array], bool]] = value.groups_of_parts()
        self.keys = [(group, name) for group in self.groups for name in self.layout.placements]

    def dtypes(self) -> list[np.dtype]:
        """Return the dtype of every whole array, on all ranks (collective)."""
        own = [self.groups[group][0].get(name) for group, name in self.keys]
        codes = np.array([-1 if a is None else np.dtype(a.dtype).num for a in own], dtype=np.int64)
        return [_DTYPES[int(code)] for code in allreduce_max(codes, self.layout.comm)]

    def whole(self, index: int) -> np.ndarray:
        """Return one whole array on rank 0 (collective)."""
        group, name = self.keys[index]
        arrays, shares = self.groups[group]
        part = arrays.get(name)
        if shares and part is not None:
            part = allgather_rows(part, self.layout.replicas).reshape(self.layout.placements[name].part_shape)
        found: np.ndarray = self.layout.collected_one(name, part)
        return found


def write_parts(
    path: str | Path,
    header: Header,
    value: Any,
    write: Callable[[Group, Any], None],
    n_bytes: Callable[[Any], int],
    overwrite: bool,
) -> None:
    """Write a file with the whole arrays of an object that lies in parts on ranks (collective).

    Parameters
    ----------
    path, header, overwrite
        As `create` takes them.
    value : object
        With `layout`, `groups_of_parts()` and `with_groups(groups)`.
    write : callable
        Writes the whole object into the file, on rank 0.
    n_bytes : callable
        Returns the space that the whole object takes.
    """
    parts = _Parts(value)
    comm = parts.layout.comm
    with agreed(comm, "save") as agreement:
        agreement.same(groups=list(parts.groups), names=list(parts.layout.placements))
    dtypes = parts.dtypes()
    with agreed(comm, "save"):
        if rank_of(comm) > 0:
            _serve(parts, comm)
            return

        def ask(index: int) -> np.ndarray:
            if size(comm) > 1:
                broadcast(np.array([index]), comm)
            return parts.whole(index)

        with _let_go(comm):
            groups: dict[str, dict[str, Awaited]] = {group: {} for group in parts.groups}
            for index, ((group, name), dtype) in enumerate(zip(parts.keys, dtypes)):
                shape = parts.layout.placements[name].shape
                groups[group][name] = Awaited(shape, dtype, lambda index=index: ask(index))  # type: ignore[misc]
            whole = value.with_groups(groups)
            with create(path, header, n_bytes(whole), overwrite=overwrite) as file:
                write(file, whole)


@contextlib.contextmanager
def _let_go(comm: Comm) -> Iterator[None]:
    """Tell the other ranks at the end that nothing more is asked for, whatever ended the block."""
    try:
        yield
    finally:
        if size(comm) > 1:
            broadcast(np.array([-1]), comm)


def _serve(parts: _Parts, comm: Comm) -> None:
    """Take part in what rank 0 asks for until it has all."""
    while (index := int(broadcast(None, comm)[0])) >= 0:
        try:
            parts.whole(index)
        except BaseException:
            broadcast(None, comm)  # rank 0, which has the error too, lets go
            raise


def read_parts(group: Group, name: str, layout: Any) -> dict[str, np.ndarray]:
    """Return this rank's parts of the arrays that `write_arrays` wrote into a group.

    Raises
    ------
    FileFormatError
        Also for arrays of other names or shapes than the layout's whole ones.

    Notes
    -----
    Not collective. Each rank reads its own parts, and the checksums of 1 / P of the arrays, in slabs of 16 MiB.
    """
    inner = member(group, name)
    if not isinstance(inner, h5py.Group):
        raise FileFormatError(f"the group {group.name}/{name} is missing; the file is damaged")
    if "storage" in inner.attrs or "structure" in inner.attrs:
        raise FileFormatError(f"{inner.name} holds nested arrays, or two bytes a number; expected plain named arrays")
    found = {}
    for index, (key, place) in enumerate(layout.placements.items()):
        dataset = _checked(inner, key, place.shape)
        if index % size(layout.comm) == rank_of(layout.comm):
            _check_sum(dataset)
        if place.held:
            found[key] = np.ascontiguousarray(dataset[place.part])
            if not np.isfinite(found[key]).all():
                raise FileFormatError(f"the dataset {dataset.name} holds NaN or Inf; the file is damaged")
    return found


def _checked(group: Group, name: str, shape: tuple[int, ...]) -> Any:
    dataset = member(group, name)
    if not isinstance(dataset, h5py.Dataset):
        raise FileFormatError(f"the dataset {group.name}/{name} is missing; expected the parameters of the layout")
    if dataset.shape != shape or dataset.dtype.num not in _DTYPES:
        raise FileFormatError(f"{dataset.name} is {dataset.dtype} of shape {dataset.shape}; expected {shape}, floats")
    check_size(dataset, dataset.name)
    return dataset


def _check_sum(dataset: Any) -> None:
    """Compare the checksum of a dataset, slab by slab."""
    rows = len(dataset) if dataset.ndim else 1
    step = max(1, _SLAB_BYTES * rows // max(1, dataset.nbytes))
    found = 0
    for start in range(0, rows, step):
        slab = dataset[start : start + step] if dataset.ndim else dataset[()]
        found = crc32(slab, found)
    if dataset.attrs.get("crc32", found) != found:
        raise FileFormatError(f"the dataset {dataset.name} fails its checksum; the file is damaged: make it again")
