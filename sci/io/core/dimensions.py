"""Names of axes as dimension scales of HDF5, in netCDF's way, so that xarray and other programs know every axis."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import h5py

from sci.io.core.datasets import Group, member, member_names, read_text, walk

__all__ = ["attach_scales", "axis_names", "copy_attributes", "copy_data", "is_bare_axis"]

_BARE = "This is a netCDF dimension but not a netCDF variable."
"""What netCDF-4 and h5netcdf expect as the name of a scale that has a length and no values."""


def axis_names(dataset: Any) -> list[str]:
    """Return the names of a dataset's axes: those that were noted, or names made of their lengths.

    Raises
    ------
    FileFormatError
    """
    noted = read_text(dataset, "dims", "").split()
    if len(noted) == dataset.ndim:
        return noted
    found: list[str] = []
    for length in dataset.shape:
        name = f"length_{length}"
        while name in found:
            name += "_again"
        found.append(name)
    return found


def is_bare_axis(item: Any) -> bool:
    """Return True for a scale that `attach_scales` made: a length without values."""
    if not isinstance(item, h5py.Dataset) or item.ndim != 1 or "NAME" not in item.attrs or "crc32" in item.attrs:
        return False
    return bool(item.dtype == ">f4" and h5py.h5ds.is_scale(item.id))


def attach_scales(file: Group) -> None:
    """Attach a scale to every axis of every dataset of a file that is being written.

    An axis of a name is described by the dataset of that name in the same group, if that holds one number for each
    place on its own axis; otherwise a scale without values is made. The groups of a VTKHDF share those in /VTKHDF,
    since VTK takes every dataset of PointData and CellData for a field.

    Notes
    -----
    Readers of this library never use the attributes DIMENSION_LIST and REFERENCE_LIST that HDF5 makes here; they read
    the names in the attribute `dims`. DIMENSION_LIST lies in the global heap, which has no checksum.

    References
    ----------
    HDF5 Dimension Scale Specification and Design Notes; the netCDF-4 format in the NetCDF User Guide, appendix C.
    """
    for dataset in [item for _, item in walk(file) if isinstance(item, h5py.Dataset)]:
        for axis, name in enumerate(axis_names(dataset)):
            scale = _scale(_scope(dataset), name, dataset.shape[axis])
            if scale != dataset:
                dataset.dims[axis].attach_scale(scale)


def copy_data(source: Group, target: Group, leave: Sequence[str] = ()) -> None:
    """Copy the groups, datasets and attributes of a group, without its scales, which are made again for the new file.

    Parameters
    ----------
    source, target : h5py.Group
        Open groups. Attributes of a whole file, its header, are not copied.
    leave : sequence of str
        Paths in `source` that are left out.

    Raises
    ------
    FileFormatError
        For a link, and for data that lie outside of the file.
    """
    if source.name != "/":
        copy_attributes(source, target)
    for name in member_names(source):
        item = None if name in leave else member(source, name)
        if item is None or is_bare_axis(item):
            continue
        if isinstance(item, h5py.Group):
            copy_data(
                item,
                target.create_group(name),
                [path[len(name) + 1 :] for path in leave if path.startswith(f"{name}/")],
            )
        else:
            source.copy(item, target, name, without_attrs=True)
            copy_attributes(item, target[name])


def copy_attributes(source: Any, target: Any, leave: Collection[str] = ()) -> None:
    """Copy the attributes of an object of a file, but those of scales and those named by `leave`."""
    for key in set(source.attrs) - {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", *leave}:
        target.attrs.create(key, source.attrs[key], dtype=source.attrs.get_id(key).dtype)


def _scope(dataset: Any) -> Group:
    group = dataset.parent
    while group.name.startswith("/VTKHDF/"):
        group = group.parent
    return group


def _scale(group: Group, name: str, length: int) -> Any:
    """Return the scale of a name and length in a group; a name that something else has is lengthened."""
    while name in group:
        found = group[name]
        if isinstance(found, h5py.Dataset) and found.shape == (length,):
            if h5py.h5ds.is_scale(found.id):
                return found
            if axis_names(found) == [name]:
                found.make_scale(name)
                return found
        name += "_axis"
    scale = group.create_dataset(name, (length,), dtype=">f4")
    scale.make_scale(f"{_BARE}{length:10d}")
    return scale
