"""The stencil of the Poisson operator on padded arrays."""

from __future__ import annotations

from collections.abc import Sequence

from sci.backend import Array

__all__ = ["apply_constant", "apply_variable"]


def _view(padded: Array, axis: int, shift: int) -> Array:
    """Return the cells of a padded array moved by `shift` along `axis`."""
    key = [slice(1, -1)] * padded.ndim
    key[axis] = slice(1 + shift, padded.shape[axis] - 1 + shift)
    return padded[tuple(key)]


def apply_constant(u: Array, counts: Array, out: Array, weight: float) -> None:
    """Write weight (counts u - sum of neighbours), zero where counts is zero, into the interior of `out`."""
    apply_constant_reference(u, counts, out, weight)


def apply_constant_reference(u: Array, counts: Array, out: Array, weight: float) -> None:
    """Do what the kernel does, in array calls."""
    d = _view(counts, 0, 0)
    total = d * _view(u, 0, 0)
    for axis in range(u.ndim):
        total = total - (_view(u, axis, -1) + _view(u, axis, 1))
    _view(out, 0, 0)[...] = (d > 0) * total * weight


def apply_variable(u: Array, links: Sequence[Array], diagonal: Array, out: Array) -> None:
    """Write diagonal u - sum of links times neighbours into the interior of `out`."""
    apply_variable_reference(u, links, diagonal, out)


def apply_variable_reference(u: Array, links: Sequence[Array], diagonal: Array, out: Array) -> None:
    """Do what the kernel does, in array calls."""
    total = _view(diagonal, 0, 0) * _view(u, 0, 0)
    for axis, link in enumerate(links):
        total = total - _view(link, axis, 0) * _view(u, axis, -1) - _view(link, axis, 1) * _view(u, axis, 1)
    _view(out, 0, 0)[...] = total
