"""Multi-grid patches over ranks: each rank has some patches of every field, and all have the same gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.distributed import Comm, agreed, allreduce_sum, form, sample, size, split
from sci.errors import DecompositionError, InvalidValueError, ShapeError
from sci.nn import copy_to_ranks, op, value_of
from sci.nn.losses import relative_ratio
from sci.operators.fno.base import Operator
from sci.operators.patches.windows import MultigridPatches, crop_patches

__all__ = ["patch_loss", "patched_relative_l2", "predict_patches", "require_patches"]


def _patched_relative_l2_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `patched_relative_l2` for this rank's patches."""
    difference, weights = residuals
    return (difference * (dout * weights).reshape(*weights.shape, *(1,) * (difference.ndim - 2)),)


@op(vjp=_patched_relative_l2_vjp, collective=True)
def patched_relative_l2(
    prediction: Array, *, target: Array, samples: Array, n_samples: int, comm: Comm = None
) -> tuple[Array, Any]:
    """Return the mean over samples of the relative L2 error of fields whose patches lie on several ranks.

    As `sci.nn.relative_l2`, each norm over the whole field of a sample and channel.

    Parameters
    ----------
    prediction, target : (n_local, channel, *core) arrays
        This rank's patches.
    samples : (n_local,) int array, host
        The sample that each patch belongs to.
    n_samples : int
    comm : mpi4py communicator, optional

    Notes
    -----
    Collective: one all-reduce of three numbers for each sample and channel. The target is standardized: where it is
    zero everywhere, the error counts over a field of ones.
    """
    with agreed(comm, "patched_relative_l2") as agreement:
        if prediction.shape != target.shape or len(samples) != len(prediction):
            raise ShapeError(
                f"patches of shapes {prediction.shape} and {target.shape} of {len(samples)} samples; expected one "
                "shape, and a sample of each"
            )
        agreement.same(prediction=form(prediction, free=[0]), n_samples=n_samples)
    xp = namespace(prediction, target)
    owners = np.arange(n_samples)[:, None] == np.asarray(samples)[None]
    members = xp.asarray(owners.astype(prediction.dtype))
    difference = prediction - target
    squares = [(a * a).reshape(*a.shape[:2], -1).sum(axis=2) for a in (difference, target)]
    points = xp.full(squares[0].shape, np.prod(target.shape[2:]), prediction.dtype)
    sums = allreduce_sum(xp.stack([members @ s for s in (*squares, points)]), comm, checked=True)
    loss, weights = relative_ratio(sums[0], sums[1], 1 / n_samples, zero=sums[2])
    return loss, (difference, members.T @ weights)


@entry
def patch_loss(
    model: Operator, cut: MultigridPatches, comm: Comm = None
) -> Callable[[Mapping[str, Any], tuple[Array, Array]], Any]:
    """Return a loss for `sci.nn.train`, called there without `comm`: the patches of each batch are shared by the ranks.

    Parameters
    ----------
    model : FNO, TFNO or UNO
        Takes `cut.channels(...)` channels, with `positional_grid=False` if `cut` appends the coordinates.
    cut : MultigridPatches
    comm : mpi4py communicator, optional

    Returns
    -------
    callable
        Takes (variables, (x, y)) with the whole batch on every rank. Loss and gradients are those of one process
        to rounding, the same bits on all ranks: the loss is the relative L2 error of the stitched fields.

    Raises
    ------
    InvalidValueError
        If the model appends coordinates, which are not those of the whole field.
    DecompositionError
        When it is called on fewer patches than ranks.

    Examples
    --------
    >>> from sci.operators import FNO, MultigridPatches
    >>> cut = MultigridPatches(levels=1, padding=0.125)
    >>> model = FNO((4, 4), cut.channels(1, dim=2), 1, 8, 2, positional_grid=False)
    >>> x = np.random.default_rng(0).normal(size=(3, 1, 16, 16)).astype(np.float32)
    >>> patch_loss(model, cut)(model.parameters, (x, x)).shape
    ()
    """
    require_patches(model, cut)

    def loss(variables: Mapping[str, Any], batch: tuple[Array, Array]) -> Any:
        x, y = batch
        with agreed(comm, "patch_loss") as agreement:
            if size(comm) > 1:
                agreement.same(cut=cut, model=model.config, x=sample(x), y=sample(y))
                agreement.same(**{f"the parameter {n}": sample(value_of(p)) for n, p in variables.items()})
            mine, samples = _share(cut, x, comm)
        values = copy_to_ranks(*variables.values(), comm=comm)
        prediction = model.forward(dict(zip(variables, values)), cut.split(x)[mine])
        cores = crop_patches(prediction, cut=cut, grid=tuple(x.shape[2:]))
        options: dict[str, Any] = {"target": cut.targets(y)[mine], "samples": samples, "n_samples": len(x)}
        return patched_relative_l2(cores, comm=comm, **options)

    return loss


def require_patches(model: Operator, cut: MultigridPatches) -> None:
    """Raise if the model appends coordinates to patches: they are those of a window, the same in every patch.

    Raises
    ------
    InvalidValueError
    """
    if model.config.positional_grid and (cut.levels or cut.positional_grid):
        raise InvalidValueError(
            "the model appends the coordinates of a window, which are the same in every patch; make it with "
            "positional_grid=False: MultigridPatches appends those of the whole field (positional_grid=True)"
        )


def _share(cut: MultigridPatches, x: Array, comm: Comm) -> tuple[slice, np.ndarray]:
    """Return this rank's patches and the sample of each."""
    each = cut.count(x.shape[2:])
    if len(x) * each < size(comm):
        raise DecompositionError(f"{len(x) * each} patches cannot be shared by {size(comm)} ranks; use fewer ranks")
    mine = split(len(x) * each, comm)
    return mine, np.arange(len(x) * each)[mine] // each


@entry
def predict_patches(model: Operator, cut: MultigridPatches, x: Array) -> Array:
    """Return the field (batch, out_channels, *grid) stitched from the model's output on every patch of `x`.

    Parameters
    ----------
    model : FNO, TFNO or UNO
        Trained on such patches.
    cut : MultigridPatches
        How fields are cut.
    x : (batch, channel, *grid) array
        The whole fields.

    Returns
    -------
    (batch, out_channels, *grid) array
        In the dtype and on the device of `x`.

    Raises
    ------
    InvalidValueError, ShapeError

    Examples
    --------
    >>> from sci.operators import FNO, MultigridPatches
    >>> cut = MultigridPatches(levels=1, padding=0.125)
    >>> model = FNO((4, 4), cut.channels(1, dim=2), 1, 8, 2, positional_grid=False)
    >>> predict_patches(model, cut, np.zeros((3, 1, 16, 16), np.float32)).shape
    (3, 1, 16, 16)
    """
    require_patches(model, cut)
    grid = tuple(x.shape[2:])
    return cut.stitch(cut.crop(model(cut.split(x)), grid), grid)
