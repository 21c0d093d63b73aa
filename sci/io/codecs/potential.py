"""Range-separated potentials in files: particles, long range, short range."""

from __future__ import annotations

from typing import cast, get_args

import numpy as np

from sci.errors import FileFormatError
from sci.io.core.datasets import Group, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec, read_member, write_member
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import Coulomb, GaussianSum, RadialKernel, Yukawa
from sci.potentials.radial.split import Split, smooth_part
from sci.potentials.range_separated.build import Accuracy
from sci.potentials.range_separated.potential import RangeSeparatedPotential
from sci.tensor import ChebTuck

_COULOMB = (Coulomb.name, "newton")
"""Names of the kernel 1/r: that of the present schema first."""


@codec(Split, kind="split", units="1/angstrom")
class _SplitCodec:
    """Attribute `kernel` (`coulomb` or `yukawa`); `kappa`, `alpha` (1/angstrom), `cutoff` (angstrom); `exponents` and
    `weights` of the Gaussians; `b`: coefficients of their polynomial within the cutoff."""

    @staticmethod
    def write(group: Group, split: Split) -> None:
        write_text(group, "kernel", split.kernel.name)
        write_array(group, "kappa", np.float64(split.kernel.kappa), "1/angstrom")
        write_array(group, "alpha", np.float64(split.alpha), "1/angstrom")
        write_array(group, "cutoff", np.float64(split.cutoff), "angstrom")
        write_array(group, "exponents", split.gaussians.exponents, "1/angstrom", ("gaussian",))
        write_array(group, "weights", split.gaussians.weights, "1/angstrom", ("gaussian",))
        write_array(group, "b", split.b, "1/angstrom", ("power",))

    @staticmethod
    def read(group: Group) -> Split:
        exponents = read_array(group, "exponents", (None,))
        gaussians = GaussianSum(exponents, read_array(group, "weights", (len(exponents),)))
        alpha, cutoff = _positive(group, "alpha"), _positive(group, "cutoff")
        kernel, b = _kernel(group), read_array(group, "b", (None,))
        if kernel.kappa > 0 and "a" in group:  # older files part a screened kernel into two polynomials
            b = smooth_part(gaussians, cutoff, len(b) - 1)
        return Split(kernel, alpha, cutoff, gaussians, b)


@codec(RangeSeparatedPotential, kind="potential", units="angstrom, e, e/angstrom", in_root=True)
class _PotentialCodec:
    """Groups `particles` (the charges of all ranks), `long_range` (as `chebtuck`, e/angstrom) and `short_range` (as
    `split`, and `tol`, `build_tol`, and what it holds for as attribute `accuracy`); rebuilt without work."""

    @staticmethod
    def write(group: Group, potential: RangeSeparatedPotential) -> None:
        write_member(group, "particles", potential.all_particles)
        write_member(group, "long_range", potential.long_range)
        write_text(group["long_range/core"], "units", "e/angstrom")
        write_text(group["long_range/domain"], "units", "angstrom")
        write_member(group, "short_range", potential.split)
        write_array(group["short_range"], "tol", np.float64(potential.tol), "1")
        write_text(group["short_range"], "accuracy", potential.accuracy)
        if potential.build_tol is not None:
            write_array(group["short_range"], "build_tol", np.float64(potential.build_tol), "1")

    @staticmethod
    def read(group: Group) -> RangeSeparatedPotential:
        particles = read_member(group, "particles", Particles)
        long_range = read_member(group, "long_range", ChebTuck)
        split = read_member(group, "short_range", Split)
        short = group["short_range"]
        return RangeSeparatedPotential.from_parts(
            particles,
            long_range,
            split,
            _positive(short, "tol"),
            accuracy=_accuracy(short),
            build_tol=_positive(short, "build_tol") if "build_tol" in short else None,
        )

    @staticmethod
    def n_bytes(potential: RangeSeparatedPotential) -> int:
        """Return the size of the charges and of the long range."""
        return 32 * potential.all_particles.n + int(potential.long_range.nbytes)


def _kernel(group: Group) -> RadialKernel:
    name, kappa = read_text(group, "kernel"), float(read_array(group, "kappa"))
    if name in _COULOMB:
        return Coulomb()
    if name == Yukawa.name:
        return Yukawa(kappa)
    raise FileFormatError(f"the kernel is {name!r}; expected {_COULOMB[0]!r} or {Yukawa.name!r}")


def _accuracy(group: Group) -> Accuracy:
    found = read_text(group, "accuracy") if "accuracy" in group.attrs else "potential"
    for known in get_args(Accuracy):
        if found == known:
            return cast(Accuracy, known)
    raise FileFormatError(f"accuracy is {found!r}; expected 'potential' or 'forces'")


def _positive(group: Group, name: str) -> float:
    value = float(read_array(group, name))
    if value <= 0:
        raise FileFormatError(f"{group.name}/{name} is {value}; expected a positive number")
    return value
