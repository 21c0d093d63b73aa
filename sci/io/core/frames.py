"""Datasets that are filled frame by frame, each frame with a checksum of its own."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from sci.errors import FileFormatError
from sci.io.core.datasets import Group, member

__all__ = ["count_finished", "frames_dataset", "frames_group"]


def count_finished(file: Group, kind: str) -> dict[str, int]:
    """Return the numbers of frames, and of finished ones, in an open file.

    Raises
    ------
    FileFormatError
        If the group of the kind, or its checksums, are missing or damaged.
    """
    checksums = np.asarray(frames_dataset(frames_group(file, kind), "checksums")[()])
    return {"frames": len(checksums), "finished": int((checksums >= 0).sum())}


def frames_group(file: Group, kind: str) -> Group:
    """Return the group that holds the frames.

    Raises
    ------
    FileFormatError
        If it is missing.
    """
    group = member(file, kind)
    if not isinstance(group, h5py.Group):
        raise FileFormatError(f"the group /{kind} is missing; the file is damaged: make it again")
    return group


def frames_dataset(group: Group, name: str) -> Any:
    """Return a dataset that is filled frame by frame, whose checksum is that of each frame.

    Raises
    ------
    FileFormatError
        If it is missing, in several pieces, or larger than what is stored.
    """
    dataset = member(group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.chunks is not None:
        raise FileFormatError(f"{group.name}/{name} is missing or not in one piece; the file is damaged: make it again")
    if dataset.id.get_storage_size() != dataset.nbytes or dataset.nbytes > dataset.file.id.get_filesize():
        raise FileFormatError(f"{group.name}/{name} claims {dataset.nbytes} bytes, which are not stored; it is damaged")
    return dataset
