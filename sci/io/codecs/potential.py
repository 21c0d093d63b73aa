"""How a range-separated potential lies in a file: particles, long range, short range, results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from sci.errors import FileFormatError
from sci.io.codecs.tensors import read_chebtuck, read_particles, write_chebtuck, write_particles
from sci.io.core.hdf5 import Group, read_array, read_text, write_array, write_text
from sci.potentials.radial.kernels import GaussianSum, Newton, RadialKernel, Yukawa
from sci.potentials.radial.split import Split

__all__ = ["read_potential", "read_results", "write_potential", "write_results"]


def write_potential(group: Group, potential: Any) -> None:
    """Write the groups particles, long_range and short_range, from which the potential is rebuilt without work."""
    write_particles(group.create_group("particles"), potential.all_particles)
    write_chebtuck(group.create_group("long_range"), potential.long_range)
    split = potential.split
    short = group.create_group("short_range")
    write_text(short, "kernel", split.kernel.name)
    write_array(short, "kappa", np.float64(split.kernel.kappa), "1/angstrom")
    write_array(short, "alpha", np.float64(split.alpha), "1/angstrom")
    write_array(short, "cutoff", np.float64(split.cutoff), "angstrom")
    write_array(short, "exponents", split.gaussians.exponents, "1/angstrom")
    write_array(short, "weights", split.gaussians.weights, "1/angstrom")
    write_array(short, "a", split.a)
    write_array(short, "b", split.b, "1/angstrom")
    write_array(short, "tol", np.float64(potential.tol))


def read_potential(group: Group) -> Any:
    """Return the RangeSeparatedPotential in `group`."""
    from sci.potentials.range_separated.potential import RangeSeparatedPotential  # reading other kinds needs no kernels

    particles = read_particles(_subgroup(group, "particles"))
    long_range = read_chebtuck(_subgroup(group, "long_range"))
    short = _subgroup(group, "short_range")
    exponents = read_array(short, "exponents", (None,))
    weights = read_array(short, "weights", (len(exponents),))
    alpha, cutoff, tol = (_positive(short, name) for name in ("alpha", "cutoff", "tol"))
    b = read_array(short, "b", (None,))
    a = read_array(short, "a", (None,))
    split = Split(_kernel(short), alpha, cutoff, GaussianSum(exponents, weights), a, b)
    return RangeSeparatedPotential.from_parts(particles, long_range, split, tol)


def _kernel(short: Group) -> RadialKernel:
    name, kappa = read_text(short, "kernel"), float(read_array(short, "kappa"))
    if name == Newton.name:
        return Newton()
    if name == Yukawa.name:
        return Yukawa(kappa)
    raise FileFormatError(f"the kernel is {name!r}; expected {Newton.name!r} or {Yukawa.name!r}")


def _positive(group: Group, name: str) -> float:
    value = float(read_array(group, name))
    if value <= 0:
        raise FileFormatError(f"{group.name}/{name} is {value}; expected a positive number")
    return value


def _subgroup(group: Group, name: str) -> Group:
    found = group.get(name)
    if not isinstance(found, h5py.Group):
        raise FileFormatError(f"the group /{name} is missing; the file is damaged: make it again")
    return found


def write_results(group: Group, results: Mapping[str, Any]) -> None:
    """Write numbers and arrays as datasets, texts as attributes, mappings as groups."""
    for name, value in results.items():
        if isinstance(value, Mapping):
            write_results(group.create_group(name), value)
        elif isinstance(value, str):
            write_text(group, name, value)
        else:
            write_array(group, name, np.float64(value) if isinstance(value, float | int) else value)


def read_results(group: Group, depth: int = 0) -> dict[str, Any]:
    """Return what `write_results` wrote; datasets of one number as float."""
    if depth > 8:
        raise FileFormatError(f"{group.name} is nested too deep; the file is damaged")
    found: dict[str, Any] = {name: read_text(group, name) for name in group.attrs}
    for name, member in group.items():
        if isinstance(member, h5py.Group):
            found[name] = read_results(member, depth + 1)
        else:
            data = read_array(group, name, None, ("f4", "f8", "i8"))
            found[name] = float(data) if data.ndim == 0 else data
    return found
