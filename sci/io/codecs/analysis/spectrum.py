"""Spectra in files: nodes and weights of the density, the ends, and the log-determinant, with their errors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from sci.errors import FileFormatError
from sci.io.core.datasets import Group, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec
from sci.linalg import Extremes, SpectralDensity, TraceEstimate
from sci.solvers import Spectrum

_ENDS = ("smallest", "largest", "smallest_error", "largest_error")
_ESTIMATE = ("value", "standard_error", "truncation")
_COUNTS = ("probes", "steps")
_PREFIX = "log_determinant_"


@codec(Spectrum, kind="spectrum", units="those of the matrix", in_root=True)
class _SpectrumCodec:
    """`nodes` (node), eigenvalues in ascending order, and `weights` (node), the part of all eigenvalues at each; `size`
    and `null_size` (integers); `smallest`, `largest`, `smallest_error`, `largest_error`; `log_determinant_value`,
    `log_determinant_standard_error`, `log_determinant_truncation`, and the integers `log_determinant_probes` and
    `log_determinant_steps`; attribute `preconditioner`. Errors that are not known are left out."""

    @staticmethod
    def write(group: Group, spectrum: Spectrum) -> None:
        write_text(group, "preconditioner", spectrum.preconditioner)
        write_array(group, "nodes", spectrum.density.nodes, "", ("node",))
        write_array(group, "weights", spectrum.density.weights, "1", ("node",))
        write_array(group, "size", np.int64(spectrum.density.size), "1")
        write_array(group, "null_size", np.int64(spectrum.null_size), "1")
        for name, value in asdict(spectrum.extremes).items():
            if np.isfinite(value):
                write_array(group, name, np.float64(value))
        for name, value in asdict(spectrum.log_determinant).items():
            if np.isfinite(value):
                write_array(group, _PREFIX + name, np.int64(value) if name in _COUNTS else np.float64(value), "1")

    @staticmethod
    def read(group: Group) -> Spectrum:
        nodes = read_array(group, "nodes", (None,))
        weights = read_array(group, "weights", (len(nodes),))
        if not len(nodes) or not (np.diff(nodes) >= 0).all():
            raise FileFormatError(f"{group.name}/nodes are {len(nodes)} numbers; expected some, in ascending order")
        count = {name: int(read_array(group, name, (), ("i8",))) for name in ("size", "null_size")}
        ends = {name: _number(group, name) for name in _ENDS}
        estimate: dict[str, Any] = {name: _number(group, _PREFIX + name) for name in _ESTIMATE}
        estimate |= {name: int(read_array(group, _PREFIX + name, (), ("i8",))) for name in _COUNTS}
        return Spectrum(
            SpectralDensity(nodes, weights, count["size"]),
            Extremes(**ends),
            TraceEstimate(**estimate),
            count["null_size"],
            read_text(group, "preconditioner"),
        )


def _number(group: Group, name: str) -> float:
    """Return a number, NaN for an error that is not there."""
    unknown = name not in group and name.endswith(("error", "truncation"))
    return float("nan") if unknown else float(read_array(group, name))
