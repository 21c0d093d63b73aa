"""Integrals of a tri-plane field along rays as one op: a kernel a ray, and the same in array calls."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.fields.compositing import composite
from sci.fields.planes import Box, box_ends, sample_planes
from sci.fields.rays import Rays
from sci.kernels import Kernel, get_kernel, launch, use_compiled
from sci.nn import Tape, add, concatenate, linear, op, relu, reshape, softplus, value_of

__all__ = ["RayMode", "integrate_rays", "perceptron"]

RayMode: TypeAlias = Literal["sum", "composite"]
"""What becomes of a field along a ray: its integral, or light through a medium."""

SLOPE = 0.2
"""Slope of the hidden units below zero."""
MOST, MOST_OUTPUTS = 64, 8
"""Features and hidden units, and outputs, that the kernel takes."""
HOST_PARTS, DEVICE_PARTS = 8, 1024
"""Parts in which gradients are summed: fixed, so that sums do not depend on threads."""
TOGETHER = 4096
"""Samples that the array formulation has at once."""


def perceptron(features: Any, w0: Any, b0: Any, w1: Any, b1: Any) -> Any:
    """Return W1 leaky(W0 f + b0) + b1 of features (m, F), arrays or variables; `w0` lies as (F, hidden)."""
    before = add(features @ w0, b0)
    return linear((1 - SLOPE) * relu(before) + SLOPE * before, w1, b1)


def _integrated(arrays: tuple[Any, ...], rays: Rays, box: Box, mode: RayMode) -> Any:
    """Return the integrals of a few rays, with arrays or variables."""
    planes, *weights = arrays
    n, steps = rays.places.shape
    points = rays.points().reshape(-1, 3)
    values = perceptron(sample_planes(planes, points, box=box), *weights)
    outputs = weights[-1].shape[0]
    values = reshape(values, shape=(n, steps, outputs))
    if mode == "sum":
        return (values * rays.lengths[..., None]).sum(axis=1)
    total, opacity = composite(softplus(values[:, :, 0]), values[:, :, 1:], lengths=rays.lengths)
    return concatenate(total, reshape(opacity, shape=(n, 1)), axis=1)


def _chunks(rays: Rays) -> list[slice]:
    each = max(1, TOGETHER // max(1, rays.places.shape[1]))
    return [slice(k, k + each) for k in range(0, len(rays), each)]


def integrate_reference(arrays: tuple[Array, ...], rays: Rays, box: Box, mode: RayMode) -> Array:
    """Reference of the kernel `rays_forward`, in array calls for a few rays at a time."""
    parts = [_integrated(arrays, rays[part], box, mode) for part in _chunks(rays)]
    return namespace(*arrays).concatenate(parts) if parts else _empty(arrays)


def _empty(arrays: tuple[Array, ...]) -> Array:
    return namespace(*arrays).empty((0, arrays[-1].shape[0]), arrays[-1].dtype)


def gradient_reference(
    dout: Array, arrays: tuple[Array, ...], rays: Rays, box: Box, mode: RayMode
) -> tuple[Array, ...]:
    """Reference of the kernel `rays_backward`: gradients of planes and perceptron, in array calls."""
    sums = [namespace(a).zeros_like(a) for a in arrays]
    for part in _chunks(rays):
        variables = Tape().watch(list(arrays))
        _integrated(tuple(variables), rays[part], box, mode).backward(dout[part])
        for total, variable in zip(sums, variables):
            if variable.gradient is not None:
                total += variable.gradient
    return tuple(sums)


def _compiled(name: str, arrays: tuple[Array, ...], mode: RayMode) -> Kernel | None:
    """Return the kernel, or None if array calls do its work."""
    planes, w0, _, w1, _ = arrays
    fits = max(w0.shape) <= MOST and w1.shape[0] <= MOST_OUTPUTS and planes.dtype in ("float32", "float64")
    if not fits or any(a.dtype != planes.dtype for a in arrays):
        return None
    kernel = get_kernel("grid/rays.cu", name, planes.dtype, mode == "composite")
    return kernel if use_compiled(kernel, planes) else None


def _ray_arrays(planes: Array, rays: Rays, box: Box) -> list[Array]:
    """Return the geometry of the planes and the arrays of the rays, as the kernels take them."""
    xp = namespace(planes)
    low, high = box_ends(box)
    geometry = np.concatenate([low, (planes.shape[1] - 1) / (high - low)])
    given = (geometry, rays.origins, rays.directions, rays.places, rays.lengths)
    return [xp.ascontiguousarray(xp.asarray(a), dtype=planes.dtype) for a in given]


def _integrate_rays_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    arrays, rays, box, mode = residuals
    kernel = _compiled("rays_backward", arrays, mode)
    if kernel is None:
        return gradient_reference(dout, arrays, rays, box, mode)
    xp, on_device = namespace(*arrays), is_device_array(arrays[0])
    planes, w0, b0, w1, b1 = (xp.ascontiguousarray(a) for a in arrays)
    parts = DEVICE_PARTS if on_device else HOST_PARTS
    copies = 1 if on_device else parts
    sums = [xp.zeros((k, *a.shape), a.dtype) for k, a in zip((copies, *[parts] * 4), (planes, w0, b0, w1, b1))]
    n_rays, steps = rays.places.shape
    kept = xp.empty((parts, 3, steps), planes.dtype)
    sizes = (n_rays, steps, planes.shape[1], *w0.shape, len(w1), parts, copies)
    geometry = _ray_arrays(planes, rays, box)
    launch(kernel, parts, planes, w0, b0, w1, b1, *geometry, xp.ascontiguousarray(dout), kept, *sums, *sizes)
    return tuple(total.sum(axis=0) for total in sums)


@op(vjp=_integrate_rays_vjp)
def integrate_rays(
    planes: Array, w0: Array, b0: Array, w1: Array, b1: Array, *, rays: Rays, box: Box, mode: RayMode = "sum"
) -> tuple[Array, Any]:
    """Return integrals along rays of the field v = W1 leaky(W0 f + b0) + b1, f the features of three planes.

    "sum": sum_s l_s v_s, (rays, outputs). "composite": with the density softplus(v[0]), the sum of w_s v_s[1:] of
    `composite` and the opacity, (rays, outputs).

    Parameters
    ----------
    planes : (3, n, n, features) array
        See `sample_planes`.
    w0, b0 : (features, hidden), (hidden,) arrays
    w1, b1 : (outputs, hidden), (outputs,) arrays
    rays : Rays
        On the host, and not differentiated.
    box : two triples of float
    mode : "sum" or "composite"

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    One kernel a ray for up to 64 features and hidden units and 8 outputs: no array of rays x steps x features. The
    derivative runs the ray again. Leaky units have the slope 0.2 below zero.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.fields import integrate_rays, parallel_rays
    >>> box = ((-1, -1, -1), (1, 1, 1))
    >>> rays = parallel_rays(np.zeros(1), (2, 2), box, steps=8)
    >>> planes, one = np.zeros((3, 4, 4, 2)), np.ones(1)
    >>> integrate_rays(planes, np.zeros((2, 1)), one, np.ones((1, 1)), 0 * one, rays=rays, box=box).ravel()
    array([2., 2., 2., 2.])
    """
    arrays = (planes, w0, b0, w1, b1)
    _check(arrays, mode)
    rays = rays.astype(planes.dtype)
    kernel = _compiled("rays_forward", arrays, mode)
    kept = (arrays, rays, box, mode)
    if kernel is None:
        return integrate_reference(arrays, rays, box, mode), kept
    xp = namespace(*arrays)
    n_rays, steps = rays.places.shape
    out = xp.empty((n_rays, len(w1)), planes.dtype)
    ready = [xp.ascontiguousarray(a) for a in arrays]
    sizes = (n_rays, steps, planes.shape[1], *w0.shape, len(w1))
    launch(kernel, n_rays, *ready, *_ray_arrays(planes, rays, box), out, *sizes)
    return out, kept


def _check(arrays: tuple[Array, ...], mode: RayMode) -> None:
    planes, w0, b0, w1, b1 = (value_of(a) for a in arrays)
    cubic = planes.ndim == 4 and planes.shape[0] == 3 and planes.shape[1] == planes.shape[2] >= 2
    shapes = w0.ndim == 2 and w1.ndim == 2 and b0.shape == w0.shape[1:] == w1.shape[1:] and b1.shape == w1.shape[:1]
    if not cubic or not shapes or w0.shape[0] != planes.shape[3]:
        found = ", ".join(str(tuple(a.shape)) for a in (planes, w0, b0, w1, b1))
        raise ShapeError(
            f"planes, w0, b0, w1, b1 have shapes {found}; expected (3, n, n, features), (features, hidden), (hidden,), "
            "(outputs, hidden), (outputs,)"
        )
    if mode not in ("sum", "composite"):
        raise InvalidValueError(f"mode is {mode!r}; expected 'sum' or 'composite'")
