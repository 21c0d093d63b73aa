"""Fields from what few views measure: the fit of a tri-plane field to integrals along rays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import Real, entry
from sci.backend import as_finite
from sci.errors import InvalidValueError, ShapeError
from sci.fields.integrals import RayMode
from sci.fields.patches import patch_beta, patch_coordinates, sample_patches
from sci.fields.rays import Rays
from sci.fields.triplane import TriPlane
from sci.nn import Adam, Checkpoint, cosine, mean_squared_error, train

__all__ = ["fit_field"]


@dataclass(frozen=True)
class _Draws:
    """Numbers of the rays of each step: at random, or those of a patch of one view."""

    rays: int
    steps: int
    batch: int
    seed: int
    views: tuple[int, int, int] | None = None
    patch: int | None = None
    annealed: bool = True

    def __len__(self) -> int:
        return self.steps * self.batch

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        """Return the rays of the step in which the given draws are."""
        step = int(indices[0]) // self.batch
        rng = np.random.default_rng([self.seed, step])
        if self.patch is None or self.views is None:
            return rng.integers(0, self.rays, self.batch)
        n_views, rows, columns = self.views
        scale, offset = np.ones(1), np.zeros((1, 2))
        if self.annealed:
            smallest = min(1.0, self.patch / min(rows, columns))
            scale, offset = sample_patches(1, patch_beta(step / self.steps), smallest, seed=rng)
        at = patch_coordinates(self.patch, float(scale[0]), (float(offset[0, 0]), float(offset[0, 1])))
        column = np.rint((at[..., 0] + 1) / 2 * (columns - 1)).astype(np.int64)
        row = np.rint((at[..., 1] + 1) / 2 * (rows - 1)).astype(np.int64)
        return ((int(rng.integers(n_views)) * rows + row) * columns + column).reshape(-1)


def _roughness(planes: Any) -> Any:
    """Return the mean square of the differences of neighboring nodes times the nodes along a side."""
    n = planes.shape[1]
    down, along = planes[:, 1:] - planes[:, :-1], planes[:, :, 1:] - planes[:, :, :-1]
    return ((down * down).mean() + (along * along).mean()) * (0.5 * n * n)


@entry
def fit_field(
    field: TriPlane,
    rays: Rays,
    measured: Real,
    *,
    steps: int = 1000,
    batch: int = 1024,
    learning_rate: float = 0.01,
    mode: RayMode = "sum",
    views: tuple[int, int, int] | None = None,
    patch: int | None = None,
    annealed: bool = True,
    smoothness: float = 0.0,
    seed: int = 0,
) -> tuple[TriPlane, Checkpoint]:
    """Fit a field to integrals along rays by least squares and Adam, with a rate that falls as a cosine.

    Parameters
    ----------
    field : TriPlane
        Where to start; not changed.
    rays : Rays
    measured : (rays, outputs) array
        What `integrate_rays` is to give; of any scale, as the fit is to measured values over their root mean square.
    steps, batch : int
        Rays of a step are drawn at random.
    learning_rate : float
        At the start.
    mode : "sum" or "composite"
        In "composite" values are absolute: opacities are.
    views : (views, rows, columns), optional
        The order of the rays, as `parallel_rays` gives them; for `patch`.
    patch : int, optional
        Draw the rays of a step as patch x patch pixels of one view in place of `batch` ones at random, of scales that
        fall in the course of the training (EpiGRAF). For losses that see images, like that of `PatchDiscriminator`.
    annealed : bool
        False for patches that are always a whole view, thinned.
    smoothness : float
        Factor of the mean squared slope of the planes, over sides of 1, that is added to the misfit.
    seed : int

    Returns
    -------
    TriPlane, Checkpoint
        The field, and the history with a loss for each step.

    Raises
    ------
    ShapeError, InvalidValueError, ConvergenceError

    Notes
    -----
    A patch-wise fit sees less of a view at once; for two-dimensional images EpiGRAF's authors find that it
    under-performs whole images. Nothing is known of what no ray meets: compare with views that were left out.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.fields import TriPlane, fit_field, parallel_rays
    >>> box = ((-1, -1, -1), (1, 1, 1))
    >>> rays = parallel_rays(np.linspace(0, np.pi, 4, endpoint=False), (8, 8), box, steps=16)
    >>> start = TriPlane(8, features=4, hidden=8, box=box)
    >>> fitted, history = fit_field(start, rays, np.ones((len(rays), 1)), steps=30, batch=64)
    >>> bool(history.losses[-1] < 0.1 * history.losses[0])
    True
    """
    dtype = field.parameters["planes"].dtype
    outputs = len(field.parameters["w1"])
    values = as_finite(measured, "measured", shape=(len(rays), outputs), dtype=dtype)
    if patch is not None and (views is None or int(np.prod(views)) != len(rays) or len(views) != 3):
        raise ShapeError(f"views {views} for {len(rays)} rays; patches need the views, rows and columns of the rays")
    if steps < 1 or batch < 1 or not len(rays) or (patch is not None and patch < 2):
        raise InvalidValueError(
            f"{steps} steps of {batch} rays of {len(rays)}, patches of {patch}; expected one or more, patches from 2"
        )
    scale = float(np.sqrt(np.mean(np.square(values, dtype=float)))) if mode == "sum" else 1.0
    scale = scale or 1.0
    own = rays.astype(dtype)
    each = batch if patch is None else patch**2

    def loss(variables: Mapping[str, Any], numbers: np.ndarray) -> Any:
        found = field.integrals(own[numbers], variables, mode=mode)
        misfit = mean_squared_error(found, values[numbers] / dtype.type(scale))
        return misfit if smoothness == 0 else misfit + smoothness * _roughness(variables["planes"])

    history = train(
        loss,
        field.parameters,
        _Draws(len(rays), steps, each, seed, views, patch, annealed),
        optimizer=Adam(learning_rate, betas=(0.9, 0.99)),
        epochs=1,
        batch_size=each,
        schedule=cosine(1),
        schedule_each="step",
        shuffle=False,
        seed=seed,
        title="field",
    )
    found = dict(history.parameters)
    found["w1"], found["b1"] = found["w1"] * dtype.type(scale), found["b1"] * dtype.type(scale)
    return field.with_parameters(found), history
