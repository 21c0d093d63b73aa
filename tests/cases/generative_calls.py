"""A call of every public callable of `sci.generative`, whose arguments tests spoil one by one."""

from __future__ import annotations

from collections.abc import Callable

from crystal_calls import crystal_calls, denoiser_calls, diffusion_calls
from entry_calls import Call
from next_scale_calls import next_scale_calls
from spin_calls import spin_calls


def _generative() -> dict[str, Call]:
    return next_scale_calls() | spin_calls() | diffusion_calls() | crystal_calls() | denoiser_calls()


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"generative": _generative}
