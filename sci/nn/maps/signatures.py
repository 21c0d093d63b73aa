"""Robust weight signatures: what training on spoiled inputs adds to the weights, beside training on clean ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError
from sci.nn.core.packing import real_view
from sci.nn.core.trees import Tree, unflatten_tree
from sci.nn.maps.changes import WeightChange, require_weight
from sci.nn.maps.deltas import WeightDelta, fingerprint, require_arrays

__all__ = ["patched", "weight_signature"]


@entry
def weight_signature(
    start: Tree,
    clean: Tree,
    robust: Tree,
    *,
    names: Sequence[str] | None = None,
) -> WeightDelta:
    """Return the part of robust - start that is orthogonal to clean - start, parameter by parameter.

    With d_s = clean - start and d_c = robust - start the signature is d_c - (<d_c, d_s> / |d_s|^2) d_s, and d_c where
    d_s is zero. It belongs to the clean model, to which `patched` adds it.

    Parameters
    ----------
    start, clean, robust : dicts of arrays, or of dicts and lists of them
        The common start of two trainings; what the first made of it from clean samples, and the second from spoiled
        ones. From two starts the differences mean nothing.
    names : sequence of str, optional
        Parameters that have a signature; all unless given. Means and variances of normalizations are better left out.

    Returns
    -------
    WeightDelta
        Of "shift" changes in float64 (complex128 for complex parameters), of scale 1.

    Raises
    ------
    InvalidValueError, DTypeError

    References
    ----------
    Robust weight signatures, arXiv:2302.12480. Two inner products take the place of an n x n projection.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import weight_signature
    >>> start, clean, robust = ({"w": np.array(w)} for w in ([0.0, 0.0], [1.0, 0.0], [2.0, 3.0]))
    >>> weight_signature(start, clean, robust).changes["w"].arrays["direction"]
    array([0., 3.])
    """
    given = {"start": start, "clean": clean, "robust": robust}
    models = {who: require_arrays(tree, f"weight_signature: {who}") for who, tree in given.items()}
    chosen = list(models["clean"]) if names is None else list(names)
    for who, parameters in models.items():
        missing = sorted(set(map(str, chosen)) - set(parameters))
        if missing:
            raise InvalidValueError(f"weight_signature: {who} has no {', '.join(missing[:5])}; expected these names")
    changes = {name: _signature(name, *(model[name] for model in models.values())) for name in chosen}
    return WeightDelta(fingerprint(clean), changes)


def _signature(name: str, start: Array, clean: Array, robust: Array) -> WeightChange:
    if not start.shape == clean.shape == robust.shape or not start.dtype == clean.dtype == robust.dtype:
        shown = ", ".join(f"{tuple(a.shape)} {a.dtype}" for a in (start, clean, robust))
        raise InvalidValueError(f"weight_signature: {name} is {shown} in the three models; expected the same")
    xp, wide = namespace(start, clean, robust), np.result_type(start.dtype, np.float64)
    first, second, third = (
        xp.ascontiguousarray(require_weight(a, f"weight_signature: {name}", "fc")).astype(wide)
        for a in (start, clean, robust)
    )
    ours, theirs = second - first, third - first
    d_s, found = real_view(ours), real_view(theirs).copy()
    squares = float(d_s @ d_s)
    for _ in range(2 if squares > 0 else 0):  # again: the first difference may have cancelled
        found -= (float(found @ d_s) / squares) * d_s
    return WeightChange("shift", {"direction": found.view(wide).reshape(clean.shape), "scale": xp.ones(())})


@entry
def patched(parameters: Tree, signatures: Sequence[tuple[WeightDelta, float]]) -> Any:
    """Return a clean model with signatures added: theta + sum alpha_c signature_c.

    The sum is formed in double precision and rounded once. To take a signature off, leave it out of the list: without
    any the result has the bits of `parameters`, which a subtraction would not give back.

    Parameters
    ----------
    parameters : dict of arrays, or of dicts and lists of them
        Of the clean model; not changed.
    signatures : sequence of (WeightDelta, float)
        Signatures of this model, and their factors.

    Returns
    -------
    arrays in the form of `parameters`
        Copies.

    Raises
    ------
    InvalidValueError
        Also for signatures of another model, and deltas that are no signatures.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import patched, weight_signature
    >>> start, clean, robust = ({"w": np.array(w)} for w in ([0.0, 0.0], [1.0, 0.0], [2.0, 3.0]))
    >>> patched(clean, [(weight_signature(start, clean, robust), 0.5)])
    {'w': array([1. , 1.5])}
    """
    leaves = require_arrays(parameters, "patched")
    own = fingerprint(leaves)
    found = {name: array.copy() for name, array in leaves.items()}
    sums: dict[str, Array] = {}
    for signature, alpha in signatures:
        if not np.isfinite(alpha):
            raise InvalidValueError(f"patched: a factor is {alpha}; expected a finite number")
        if signature.model != own:
            signature.require(leaves)
        for name, change in signature.changes.items():
            if change.kind != "shift" or name not in leaves:
                raise InvalidValueError(f"patched: {signature!r} is no signature; expected shifts of the parameters")
            step = (alpha * float(change.arrays["scale"])) * change.arrays["direction"]
            sums[name] = sums[name] + step if name in sums else step
    for name, total in sums.items():
        found[name] = (leaves[name] + total).astype(leaves[name].dtype)
    return unflatten_tree(found, parameters)
