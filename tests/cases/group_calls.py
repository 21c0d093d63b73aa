"""A call of every public callable of group layers and objective laws, whose arguments tests spoil one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from entry_calls import Call, call, real

from sci import applications, nn


def _bump(points: Any, *features: Any) -> Any:
    """Return a kernel of one output for one input."""
    return np.exp(-(points**2).sum(axis=1, keepdims=True))


def _groups() -> dict[str, Call]:
    group = nn.LinearGroup(2)
    samples = group.sample(3, spread=0.2)
    network = nn.SirenKernel(2, 1, width=3, dtype=np.float64)
    same: dict[str, Any] = {"taps": 3, "spacing": 0.5, "boundary": "zeros"}
    return {
        "GroupSamples": call(nn.GroupSamples, samples.elements, samples.weights),
        "LinearGroup": call(nn.LinearGroup, 2, special=True),
        "LinearGroup.coordinates": call(group.coordinates, samples.elements),
        "LinearGroup.features": call(group.features, samples.elements),
        "LinearGroup.sample": call(group.sample, 3, 1, spread=0.5, dtype=np.float64, device="cpu"),
        "SirenKernel": call(nn.SirenKernel, 2, 1, width=3, depth=1, frequency=5.0, seed=1, dtype=np.float64),
        "SirenKernel.call": call(network, network.parameters, real(4, 2)),
        "group_convolution": call(nn.group_convolution, real(1, 1, 3, 5, 5), _bump, samples, group=group, **same),
        "integrate_group": call(nn.integrate_group, real(1, 1, 3, 5, 5), samples),
        "lifting_convolution": call(nn.lifting_convolution, real(1, 1, 5, 5), _bump, samples.elements, **same),
    }


def _laws() -> dict[str, Call]:
    phase = applications.LinearElastic(bulk=2.0, shear=1.0)
    law = applications.ObjectiveLaw(applications.stress_of(phase))
    gradients = np.eye(2) + 0.1 * real(3, 2, 2)
    return {
        "InfinitesimalLaw": call(applications.InfinitesimalLaw, law.law),
        "ObjectiveLaw": call(applications.ObjectiveLaw, law.law),
        "ObjectiveLaw.cauchy": call(law.cauchy, gradients),
        "ObjectiveLaw.first_piola": call(law.first_piola, gradients),
        "ObjectiveLaw.kirchhoff": call(law.kirchhoff, gradients),
        "hencky_strain": call(applications.hencky_strain, gradients, "material"),
        "objectivity_error": call(applications.objectivity_error, law, gradients, np.linspace(0, 1, 3)),
        "stress_of": call(applications.stress_of, phase),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"nn": _groups, "applications": _laws}
