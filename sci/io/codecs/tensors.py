"""How each object lies in a group: one plain function to write it, one to read it."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.errors import FileFormatError
from sci.io.core.hdf5 import Group, read_array, write_array
from sci.potentials.particles import Particles
from sci.tensor import Canonical, ChebTuck, Tucker

__all__ = [
    "read_canonical",
    "read_chebtuck",
    "read_particles",
    "read_tucker",
    "write_canonical",
    "write_chebtuck",
    "write_particles",
    "write_tucker",
]

_NUMBERS = ("f4", "f8", "c8", "c16")
_MAX_AXES = 32


def write_particles(group: Group, particles: Particles) -> None:
    """Write positions, charges and what else there is of radii, names and cell."""
    write_array(group, "positions", particles.positions, "angstrom")
    write_array(group, "charges", particles.charges, "e")
    if particles.radii is not None:
        write_array(group, "radii", particles.radii, "angstrom")
    if particles.names is not None:
        write_array(group, "names", particles.names)
    if particles.cell is not None:
        write_array(group, "cell", particles.cell, "angstrom")


def read_particles(group: Group) -> Particles:
    """Return the particles in `group`; the constructor checks that they fit together."""
    positions = read_array(group, "positions", (None, 3))
    n = len(positions)
    names = None
    if "names" in group:
        names = tuple(name.decode() for name in read_array(group, "names", (n,), ("S",)).tolist())
    radii = read_array(group, "radii", (n,)) if "radii" in group else None
    cell = read_array(group, "cell", (3, 3)) if "cell" in group else None
    return Particles(positions, read_array(group, "charges", (n,)), radii, names, cell)


def write_canonical(group: Group, tensor: Canonical) -> None:
    """Write weights and factors."""
    write_array(group, "weights", tensor.weights)
    _write_factors(group, tensor.factors)


def read_canonical(group: Group) -> Canonical:
    """Return the canonical tensor in `group`."""
    weights = read_array(group, "weights", (None,), _NUMBERS)
    return Canonical(weights, _read_factors(group))


def write_tucker(group: Group, tensor: Tucker) -> None:
    """Write core and factors."""
    write_array(group, "core", tensor.core)
    _write_factors(group, tensor.factors)


def read_tucker(group: Group) -> Tucker:
    """Return the Tucker tensor in `group`."""
    return Tucker(read_array(group, "core", None, _NUMBERS), _read_factors(group))


def write_chebtuck(group: Group, tensor: ChebTuck) -> None:
    """Write core, factors (Chebyshev coefficients by column) and domain."""
    write_array(group, "core", tensor.core)
    _write_factors(group, tensor.factors)
    write_array(group, "domain", np.array(tensor.domain, dtype=np.float64))


def read_chebtuck(group: Group) -> ChebTuck:
    """Return the Chebyshev-Tucker function in `group`."""
    core = read_array(group, "core", (None, None, None), _NUMBERS)
    factors = _read_factors(group)
    first, second, third = read_array(group, "domain", (3, 2)).tolist()
    return ChebTuck(core, factors, (tuple(first), tuple(second), tuple(third)))


def _write_factors(group: Group, factors: tuple[Any, ...]) -> None:
    for axis, factor in enumerate(factors):
        write_array(group, f"factor_{axis}", factor)


def _read_factors(group: Group) -> tuple[np.ndarray, ...]:
    count = sum(name.startswith("factor_") for name in group)
    if not 2 <= count <= _MAX_AXES:
        raise FileFormatError(f"{group.name} holds {count} factors; expected one an axis, 2 to {_MAX_AXES}")
    return tuple(read_array(group, f"factor_{axis}", (None, None), _NUMBERS) for axis in range(count))
