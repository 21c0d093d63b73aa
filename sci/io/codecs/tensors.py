"""Particles and tensors in files."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.errors import FileFormatError
from sci.io.core.datasets import Group, member_names, read_array, write_array
from sci.io.core.registry import codec
from sci.potentials.forcefield.exclusions import Exclusions
from sci.potentials.particles import Particles
from sci.tensor import CP, ChebTuck, TensorTrain, Tucker

_NUMBERS = ("f4", "f8", "c8", "c16")
_MAX_AXES = 32


@codec(Particles, kind="particles", units="angstrom, e")
class _ParticlesCodec:
    """`positions` (n, 3), `charges` (n), and where given `radii` (n), `names` (n, bytes), `cell` (3, 3), and pairs that
    are left out or scaled: `exclusions` (m, 2; atoms from 0) and `exclusion_scales` (m)."""

    @staticmethod
    def write(group: Group, particles: Particles) -> None:
        write_array(group, "positions", particles.positions, "angstrom", ("particle", "xyz"))
        write_array(group, "charges", particles.charges, "e", ("particle",))
        if particles.radii is not None:
            write_array(group, "radii", particles.radii, "angstrom", ("particle",))
        if particles.names is not None:
            write_array(group, "names", particles.names, "1", ("particle",))
        if particles.cell is not None:
            write_array(group, "cell", particles.cell, "angstrom", ("cell_vector", "xyz"))
        if (found := particles.exclusions) is not None:
            write_array(group, "exclusions", found.pairs, "1", ("pair", "atom_of_pair"))
            write_array(group, "exclusion_scales", np.asarray(found.scales), "1", ("pair",))

    @staticmethod
    def read(group: Group) -> Particles:
        positions = read_array(group, "positions", (None, 3))
        n = len(positions)
        names = None
        if "names" in group:
            names = tuple(name.decode() for name in read_array(group, "names", (n,), ("S",)).tolist())
        radii = read_array(group, "radii", (n,)) if "radii" in group else None
        cell = read_array(group, "cell", (3, 3)) if "cell" in group else None
        exclusions = None
        if "exclusions" in group:
            pairs = read_array(group, "exclusions", (None, 2), ("i8",))
            exclusions = Exclusions(pairs, n, read_array(group, "exclusion_scales", (len(pairs),)))
        return Particles(positions, read_array(group, "charges", (n,)), radii, names, cell, exclusions)


@codec(CP, kind="cp", old_names=("canonical",))
class _CPCodec:
    """`weights` (R), `factor_0`, `factor_1`, ... (n_l, R)."""

    @staticmethod
    def write(group: Group, tensor: CP) -> None:
        write_array(group, "weights", tensor.weights, "1", ("component",))
        for axis, factor in enumerate(tensor.factors):
            write_array(group, f"factor_{axis}", factor, "1", (f"point_{axis}", "component"))

    @staticmethod
    def read(group: Group) -> CP:
        return CP(read_array(group, "weights", (None,), _NUMBERS), _read_factors(group))


@codec(Tucker, kind="tucker")
class _TuckerCodec:
    """`core` (r_0, r_1, ...), `factor_l` (n_l, r_l)."""

    @staticmethod
    def write(group: Group, tensor: Tucker) -> None:
        _write_tucker(group, tensor, "point")

    @staticmethod
    def read(group: Group) -> Tucker:
        return Tucker(read_array(group, "core", None, _NUMBERS), _read_factors(group))


@codec(TensorTrain, kind="tensor_train")
class _TensorTrainCodec:
    """`factor_0` (n_0, r_1), `factor_l` (r_l, n_l, r_{l+1}), the last (r_{d-1}, n_{d-1}): the cores."""

    @staticmethod
    def write(group: Group, tensor: TensorTrain) -> None:
        last = len(tensor.cores) - 1
        for axis, factor in enumerate(tensor.cores):
            left, right = ((f"rank_{axis}",) if axis else ()), ((f"rank_{axis + 1}",) if axis < last else ())
            write_array(group, f"factor_{axis}", factor, "1", (*left, f"point_{axis}", *right))

    @staticmethod
    def read(group: Group) -> TensorTrain:
        return TensorTrain(_read_factors(group, None))


@codec(ChebTuck, kind="chebtuck")
class _ChebTuckCodec:
    """`core` and `factor_l` as `tucker`, with Chebyshev coefficients in the columns of the factors; `domain` (3, 2)."""

    @staticmethod
    def write(group: Group, tensor: ChebTuck) -> None:
        _write_tucker(group, tensor, "degree")
        write_array(group, "domain", np.array(tensor.domain, dtype=np.float64), "1", ("axis", "bound"))

    @staticmethod
    def read(group: Group) -> ChebTuck:
        core = read_array(group, "core", (None, None, None), _NUMBERS)
        factors = _read_factors(group)
        first, second, third = read_array(group, "domain", (3, 2)).tolist()
        return ChebTuck(core, factors, (tuple(first), tuple(second), tuple(third)))


def _write_tucker(group: Group, tensor: Any, rows: str) -> None:
    """Write core and factors; `rows` names what the rows of the factors are."""
    write_array(group, "core", tensor.core, "1", [f"rank_{axis}" for axis in range(tensor.core.ndim)])
    for axis, factor in enumerate(tensor.factors):
        write_array(group, f"factor_{axis}", factor, "1", (f"{rows}_{axis}", f"rank_{axis}"))


def _read_factors(group: Group, shape: tuple[int | None, ...] | None = (None, None)) -> tuple[np.ndarray, ...]:
    count = sum(name.startswith("factor_") for name in member_names(group))
    if not 2 <= count <= _MAX_AXES:
        raise FileFormatError(f"{group.name} holds {count} factors; expected one for each axis, 2 to {_MAX_AXES}")
    return tuple(read_array(group, f"factor_{axis}", shape, _NUMBERS) for axis in range(count))
