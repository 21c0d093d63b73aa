"""Pruning by the inverse of the empirical Fisher matrix: which weights to drop, and how the others make up for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, as_finite, namespace, to_host
from sci.distributed import Comm, agreed, allgather_rows, rank_of
from sci.errors import InvalidValueError, ShapeError
from sci.linalg import WoodburySolver, gram_matrix
from sci.nn.core.packing import kinds_of, real_view, unpacked
from sci.nn.core.trees import Tree, named_arrays, unflatten_tree

__all__ = ["prune"]


@collective_entry
def prune(
    parameters: Tree,
    gradients: Tree,
    sparsity: float,
    *,
    damping: float = 1e-3,
    saliency: Literal["fisher", "magnitude"] = "fisher",
    compensate: bool = True,
    names: Sequence[str] | None = None,
    comm: Comm = None,
) -> tuple[Any, Any]:
    """Set the least important weights to zero, and move the others to where the loss rises least.

    With F = damping I + (1 / m) sum g_i g_i' a weight costs w_i^2 / (2 (F^-1)_ii) alone. For all dropped weights S
    together the kept ones R move by F_RR^-1 F_RS w_S: the minimum of the quadratic model with w_S = 0.

    Parameters
    ----------
    parameters : dict of real arrays, or of dicts and lists of them
        Of a trained network.
    gradients : (m, *shape) arrays in the same form
        Gradients of the loss of m samples or small batches, at these parameters.
    sparsity : float
        Share of the weights that are dropped, in [0, 1).
    damping : float
        Positive; in units of squared gradients.
    saliency : {"fisher", "magnitude"}
        What is dropped: the weights of least cost, or of least modulus.
    compensate : bool
        Move the kept weights.
    names : sequence of str, optional
        Parameters from which weights are dropped; all unless given. All move.
    comm : mpi4py communicator, optional
        Ranks over which the parameters are split; the weights are ranked over all of them.

    Returns
    -------
    pruned : arrays in the form of `parameters`
    kept : bool arrays in that form
        Masks of the weights that were kept, for training on.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        On every rank.

    Notes
    -----
    The right side F_RS w_S is a combination of the gradients, so that the compensation is one factor of m x m and a
    product with the kept columns: 2 m^2 n flops however many weights are dropped. Sums of single updates, as often
    used, are worse than no compensation at high sparsity.

    References
    ----------
    Hassibi and Stork, NIPS 1992 (optimal brain surgeon); Frantar, Kurtic and Alistarh, NeurIPS 2021, arXiv:2107.03356.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import prune
    >>> gradients = {"w": np.array([[1.0, 1.0], [1.0, 1.1]])}
    >>> pruned, kept = prune({"w": np.array([2.0, 0.5])}, gradients, 0.5)
    >>> kept["w"], pruned["w"].round(2)
    (array([ True, False]), array([2.52, 0.  ]))
    """
    with agreed(comm, "prune") as agreement:
        leaves = named_arrays(parameters, "parameters")
        rows, flat, droppable = _checked(leaves, named_arrays(gradients, "gradients"), names)
        if not (0 <= sparsity < 1 and 0 < damping < np.inf):
            raise InvalidValueError(f"sparsity {sparsity}, damping {damping}; expected 0 <= sparsity < 1, damping > 0")
        agreement.same(m=len(rows), sparsity=sparsity, damping=damping, saliency=saliency, compensate=compensate)
    xp = namespace(rows)
    cost = xp.abs(flat)
    if saliency == "fisher":
        cost = cost / WoodburySolver(rows, damping, comm=comm).diagonal() ** 0.5
    dropped = xp.asarray(_least(to_host(cost), to_host(droppable), sparsity, comm))
    after = xp.where(dropped, 0.0, flat)
    if compensate:
        # F_RR^-1 F_RS w_S with F_RS w_S = R'(S w_S) / m, a combination of the rows: nothing cancels.
        lost = xp.where(dropped, flat, 0.0)
        solver = WoodburySolver(rows * ~dropped, damping, comm=comm)
        coefficients = gram_matrix(lost[None], rows, comm=comm)[0] / len(rows)
        after = after + solver.solve_combination(coefficients) * ~dropped
    kinds = kinds_of(leaves)
    kept = unpacked(~dropped, {name: (shape, bool) for name, (shape, _) in kinds.items()})
    return unflatten_tree(unpacked(after, kinds), parameters), unflatten_tree(kept, parameters)


def _checked(
    parameters: Mapping[str, Array], gradients: Mapping[str, Array], names: Sequence[str] | None
) -> tuple[Array, Array, Array]:
    """Return gradients as rows, the parameters, and which may be dropped, as flat float64 arrays."""
    if set(parameters) != set(gradients):
        odd = ", ".join(sorted(set(parameters) ^ set(gradients))[:5])
        raise InvalidValueError(f"no gradient, or no parameter, for {odd}; expected gradients of each parameter")
    unknown = sorted(set(names or ()) - set(parameters))
    if unknown:
        raise InvalidValueError(f"names holds {', '.join(unknown[:5])}; expected names of parameters")
    xp = namespace(*parameters.values(), *gradients.values())
    counts = {len(g) if g.ndim else 0 for g in gradients.values()}
    if len(counts) != 1 or 0 in counts:
        raise ShapeError(f"gradients of {sorted(counts)} samples; expected one number of at least one")
    rows, flat, droppable = [], [], []
    m = counts.pop()
    for name, w in parameters.items():
        if w.dtype.kind != "f":
            raise InvalidValueError(f"parameter {name} has dtype {w.dtype}; expected real weights")
        rows.append(as_finite(gradients[name], f"gradients[{name!r}]", shape=(m, *w.shape)).reshape(m, -1))
        flat.append(as_finite(real_view(xp.ascontiguousarray(w)), name).astype(np.float64))
        droppable.append(xp.full(w.size, names is None or name in names))
    return xp.concatenate(rows, axis=1).astype(np.float64), xp.concatenate(flat), xp.concatenate(droppable)


def _least(cost: np.ndarray, droppable: np.ndarray, sparsity: float, comm: Comm) -> np.ndarray:
    """Return the mask of the share of least cost over all ranks; of equal costs the first go."""
    where = np.flatnonzero(droppable)
    every = allgather_rows(cost[where], comm)
    own = allgather_rows(np.array([len(where)]), comm)
    count = int(sparsity * len(every))
    order = np.argsort(every, kind="stable")[:count]
    chosen = np.zeros(len(every), bool)
    chosen[order] = True
    start = int(own[: rank_of(comm)].sum())
    mask = np.zeros(len(cost), bool)
    mask[where] = chosen[start : start + len(where)]
    return mask
