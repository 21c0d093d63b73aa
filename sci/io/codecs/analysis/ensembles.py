"""Clusters and selections of points in files."""

from __future__ import annotations

import numpy as np

from sci.backend import to_host
from sci.ensembles import Clusters, Selection
from sci.errors import FileFormatError
from sci.io.core.datasets import Group, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec


@codec(Clusters, kind="clusters", units="those of the points")
class _ClustersCodec:
    """`centers` (k, D, float32 or float64); of each point `labels` (n, integers), its center, and `squared` (n), its
    squared distance to it; `inertia`, the sum of these; `iterations` and `converged` (0 or 1)."""

    @staticmethod
    def write(group: Group, clusters: Clusters) -> None:
        write_array(group, "centers", clusters.centers, "", ("center", "coordinate"))
        write_array(group, "labels", np.asarray(to_host(clusters.labels), np.int64), "1", ("point",))
        write_array(group, "squared", clusters.squared, "", ("point",))
        write_array(group, "inertia", np.float64(clusters.inertia))
        write_array(group, "iterations", np.int64(clusters.iterations), "1")
        write_array(group, "converged", np.int64(clusters.converged), "1")

    @staticmethod
    def read(group: Group) -> Clusters:
        centers = read_array(group, "centers", (None, None), ("f4", "f8"))
        labels = read_array(group, "labels", (None,), ("i8",))
        squared = read_array(group, "squared", (len(labels),), (centers.dtype.str[1:],))
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(centers):
            raise FileFormatError(f"{group.name}/labels names centers that do not exist; the file is damaged")
        iterations, converged = (int(read_array(group, name, (), ("i8",))) for name in ("iterations", "converged"))
        return Clusters(centers, labels, squared, float(read_array(group, "inertia")), iterations, bool(converged))


@codec(Selection, kind="selection", units="those of the points")
class _SelectionCodec:
    """`scores` (n) of all points, `indices` (m, integers) of the chosen ones, ascending; attribute `mode`, "hard"
    (the largest scores) or "easy"."""

    @staticmethod
    def write(group: Group, selection: Selection) -> None:
        write_array(group, "scores", selection.scores, "", ("point",))
        write_array(group, "indices", np.asarray(selection.indices, np.int64), "1", ("chosen",))
        write_text(group, "mode", selection.mode)

    @staticmethod
    def read(group: Group) -> Selection:
        scores, mode = read_array(group, "scores", (None,)), read_text(group, "mode")
        indices = read_array(group, "indices", (None,), ("i8",))
        if mode not in ("hard", "easy"):
            raise FileFormatError(f"the attribute mode of {group.name} is {mode!r}; expected hard or easy")
        inside = len(indices) > 0 and indices[0] >= 0 and indices[-1] < len(scores)
        if not inside or (np.diff(indices) <= 0).any():
            raise FileFormatError(f"{group.name}/indices are no ascending numbers of points; the file is damaged")
        return Selection(indices, scores, mode)
