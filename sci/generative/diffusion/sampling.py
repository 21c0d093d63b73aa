"""Samples from a denoiser: noise is taken off step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, Device, namespace, namespace_of, require_finite, to_device
from sci.distributed import Comm, Deferred, agreed, allgather_rows, rank_of, size, split
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative.diffusion.schedules import NoiseSchedule
from sci.progress import progress

__all__ = ["draw_samples", "sampling_steps"]


def sampling_steps(schedule: NoiseSchedule, steps: int | None) -> list[int]:
    """Return the numbers T = t_0 > t_1 > ... > 0 of a backward pass, spread evenly.

    Parameters
    ----------
    schedule : NoiseSchedule
    steps : int or None
        Denoisings; all T unless given.

    Returns
    -------
    list of int
        `steps` + 1 numbers.

    Raises
    ------
    InvalidValueError
    """
    count = schedule.steps if steps is None else steps
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or not 1 <= count <= schedule.steps:
        raise InvalidValueError(
            f"steps is {steps}; expected an integer from 1 to {schedule.steps}, those of the schedule"
        )
    return [int(t) for t in np.linspace(schedule.steps, 0, int(count) + 1).round()]


@collective_entry
def draw_samples(
    denoiser: Callable[..., Array],
    schedule: NoiseSchedule,
    count: int,
    shape: Sequence[int],
    *,
    steps: int | None = None,
    eta: float = 1.0,
    conditions: Array | None = None,
    seed: int = 0,
    batch_size: int = 16,
    dtype: Any = np.float64,
    device: Device = "cpu",
    comm: Comm = None,
) -> Array:
    """Draw samples: standard normal noise, and from it step by step towards what the denoiser says.

    Parameters
    ----------
    denoiser : callable
        `denoiser(x, step)` returns estimates of the samples (n, *shape) without noise of x (n, *shape) at a step from T
        to 1: an `ExactDenoiser`, or a network. With `conditions` it is called as `denoiser(x, step, conditions)`, with
        their rows for x.
    schedule : NoiseSchedule
    count : int
    shape : sequence of int
        Of one sample.
    steps : int, optional
        Denoisings, spread evenly over the schedule; all of its steps unless given.
    eta : float
        1 is ancestral sampling (DDPM), 0 adds no noise on the way (DDIM), and numbers between them some.
    conditions : (count, ...) array, optional
        What each sample is to have.
    seed : int
        Sample k takes its noise from `numpy.random.default_rng([seed, k])`: its start first, then that of each step.
    batch_size : int
        Samples that the denoiser gets at once. Ranks share whole batches, so that samples are the same, to the bit, for
        any number of ranks.
    dtype : float32 or float64
    device : "cpu" or "cuda"
    comm : mpi4py communicator, optional

    Returns
    -------
    (count, *shape) array of `dtype`
        On every rank.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        On every rank; also where a denoiser returns NaN, Inf, or another shape.

    Notes
    -----
    Collective; messages are sent at the end alone.

    References
    ----------
    Ho, Jain and Abbeel, arXiv:2006.11239, algorithm 2 with the variance beta~; Song, Meng and Ermon, arXiv:2010.02502,
    equation 12.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import ExactDenoiser, cosine_schedule, draw_samples
    >>> schedule = cosine_schedule(50)
    >>> found = draw_samples(ExactDenoiser(schedule, np.array([[-1.0], [2.0]])), schedule, 16, [1])
    >>> sorted(set(found.ravel().tolist()))
    [-1.0, 2.0]
    """
    with agreed(comm, "draw_samples") as agreement:
        numbers = sampling_steps(schedule, steps)
        shape = tuple(int(n) for n in shape)
        _check(count, shape, seed, batch_size, eta, dtype, conditions)
        agreement.same(betas=schedule.betas, count=count, shape=shape, steps=numbers, eta=float(eta), seed=int(seed))
        agreement.same(batch_size=batch_size, dtype=str(np.dtype(dtype)), device=device)
        if size(comm) > 1:
            agreement.same(conditions=conditions)
    passes = [schedule.transition(t, s, float(eta)) for t, s in pairwise(numbers)]
    starts = range(0, int(count), int(batch_size))
    own, found, work = starts[split(len(starts), comm)], [], Deferred()
    with work:
        xp = namespace_of(device)
        for start in progress(own, "sampling", show=rank_of(comm) == 0):
            batch = _Batch(int(seed), range(start, min(start + int(batch_size), int(count))), shape, dtype, xp)
            given = () if conditions is None else (conditions[batch.numbers.start : batch.numbers.stop],)
            x = batch.normal()
            for t, (of_sample, of_noisy, deviation) in zip(numbers, passes):
                x0 = _denoised(denoiser(x, t, *given), x, t)
                x = x0 * of_sample + x * of_noisy
                if deviation > 0:
                    x += deviation * batch.normal()
            found.append(x)
    work.settle(comm, "draw_samples")
    empty = namespace_of(device).zeros((0, *shape), dtype)
    rows = namespace(empty).concatenate([empty, *found])
    return allgather_rows(rows, comm)


class _Batch:
    """Normal numbers of a range of samples, each from a generator of its own."""

    def __init__(self, seed: int, numbers: range, shape: tuple[int, ...], dtype: Any, xp: Any) -> None:
        self.numbers, self.shape, self.dtype, self.xp = numbers, shape, dtype, xp
        self.generators = [np.random.default_rng([seed, k]) for k in numbers]

    def normal(self) -> Array:
        """Return the next numbers (n, *shape)."""
        drawn = np.array([one.standard_normal(self.shape) for one in self.generators])
        return to_device(drawn.astype(self.dtype), self.xp)


def _denoised(x0: Any, x: Array, step: int) -> Array:
    """Return the estimate of a denoiser, or refuse it by name."""
    if getattr(x0, "shape", None) != x.shape:
        raise ShapeError(f"the denoiser returned {getattr(x0, 'shape', type(x0))} at step {step}; expected {x.shape}")
    if x0.dtype.kind != "f":
        raise DTypeError(f"the denoiser returned {x0.dtype} at step {step}; expected {x.dtype}")
    require_finite(x0, f"what the denoiser returned at step {step}")
    return x0.astype(x.dtype, copy=False)


def _check(
    count: int, shape: tuple[int, ...], seed: int, batch_size: int, eta: float, dtype: Any, conditions: Any
) -> None:
    """Refuse numbers out of range."""
    if count < 1 or batch_size < 1:
        raise InvalidValueError(f"count is {count}, batch_size {batch_size}; expected positive integers")
    if not shape or min(shape) < 1:
        raise ShapeError(f"shape is {shape}; expected positive lengths, one at least")
    if seed < 0:
        raise InvalidValueError(f"seed is {seed}; expected an integer of 0 or more")
    if not 0 <= eta <= 1:
        raise InvalidValueError(f"eta is {eta}; expected a number from 0 (DDIM) to 1 (DDPM)")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise DTypeError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")
    if conditions is not None and len(conditions) != count:
        raise ShapeError(f"{len(conditions)} conditions for {count} samples; expected one for each")
