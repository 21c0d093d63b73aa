"""A call of every public callable of `sci.fields`, whose arguments tests spoil one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from entry_calls import Call, call, real

from sci import fields

BOX = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))


def _fields() -> dict[str, Call]:
    """Return the calls by name."""
    rays = fields.parallel_rays(np.zeros(1), (2, 3), BOX, steps=4)
    field = fields.TriPlane(4, features=2, hidden=3, dtype=np.float64)
    arrays = tuple(field.parameters.values())
    start = {"features": 2, "hidden": 3, "outputs": 1, "box": BOX, "scale": 0.1, "seed": 1}
    lengths = np.full((2, 3), 0.5)
    return {
        "PatchDiscriminator": call(fields.PatchDiscriminator, 1, (4,), code=2, seed=1),
        "Rays": call(fields.Rays, rays.origins, rays.directions, rays.places, rays.lengths),
        "TriPlane": call(fields.TriPlane, 4, **start),
        "composite": call(fields.composite, real(2, 3) ** 2, real(2, 3, 1), lengths=lengths, opaque_end=True),
        "expected_scale": call(fields.expected_scale, 0.5, 0.25),
        "fit_field": call(fields.fit_field, field, rays, real(6, 1), steps=2, batch=3, learning_rate=0.1, seed=1),
        "integrate_rays": call(fields.integrate_rays, *arrays, rays=rays, box=BOX, mode="sum"),
        "parallel_rays": call(fields.parallel_rays, np.zeros(2), (2, 3), BOX, steps=4),
        "patch_beta": call(fields.patch_beta, 0.5, start=0.1, stop=0.9),
        "patch_coordinates": call(fields.patch_coordinates, 3, 0.5, (0.1, 0.2)),
        "sample_patches": call(fields.sample_patches, 3, 0.5, 0.25, seed=1),
        "sample_planes": call(fields.sample_planes, arrays[0], real(5, 3), box=BOX),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"fields": _fields}
