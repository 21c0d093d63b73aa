"""Monte Carlo of associative memories: heat bath of one spin after the other, many chains over ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.arguments import Computed, collective_entry
from sci.backend import Array, namespace, to_device, to_host
from sci.backend.philox import require_seed, uniforms
from sci.distributed import Comm, Deferred, agreed, allgather_rows, rank_of, split
from sci.errors import InvalidValueError, ShapeError
from sci.generative.spins.memory import DenseAssociativeMemory, newton, require_signs
from sci.generative.spins.statistics import BOTH_SIDES, Estimate, estimate, estimated
from sci.generative.spins.sweeps import require_replicas
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.progress import progress

__all__ = ["Retrieval", "memory_sweep_reference", "retrieve"]

_COLD = 1e30
"""Inverse temperature in place of infinity: a field of 0 then still leaves both signs."""


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Overlaps of chains of a memory with its targets after every sweep.

    Parameters
    ----------
    overlaps : (sweeps, chains, targets) float64
        target.s / N.
    spins : (chains, N) int8
        After the last sweep.
    symmetric : bool
        Whether -s has the energy of s: of couplings of an even number of spins.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import DenseAssociativeMemory, retrieve
    >>> patterns = np.random.default_rng(0).choice([-1, 1], size=(3, 200))
    >>> found = retrieve(DenseAssociativeMemory(patterns, 4), patterns[0], 4.0, sweeps=5)
    >>> found, found.magnetization().value > 0.95
    (Retrieval(1 chain of 200 spins, 3 targets, 5 sweeps), True)
    """

    overlaps: np.ndarray
    spins: np.ndarray
    symmetric: bool = False

    def __repr__(self) -> str:
        sweeps, chains, targets = self.overlaps.shape
        many = "chain" if chains == 1 else "chains"
        return f"Retrieval({chains} {many} of {self.spins.shape[1]} spins, {targets} targets, {sweeps} sweeps)"

    def magnetization(self, target: int = 0, *, absolute: bool = False) -> Estimate:
        """Return the mean overlap with a target, or its mean absolute value, over sweeps and chains.

        A cold chain stays near the target, or near its negative, where it began: for an even order both have the same
        energy, and the mean over all states is 0. Chains of both sides are told by a `SamplingWarning`.
        """
        if not 0 <= target < self.overlaps.shape[2]:
            raise InvalidValueError(f"target is {target}; expected a number below {self.overlaps.shape[2]}")
        found = self.overlaps[:, :, target]
        if absolute:
            return estimate(np.abs(found))
        return estimated(found, hint=BOTH_SIDES) if self.symmetric else estimate(found)


@collective_entry
def retrieve(
    memory: DenseAssociativeMemory,
    start: Array,
    beta: Computed,
    *,
    targets: Array | None = None,
    replicas: int = 1,
    sweeps: int = 50,
    warm_up: int = 10,
    seed: int = 0,
    comm: Comm = None,
) -> Retrieval:
    """Run heat bath from given spins at inverse temperature beta.

    Parameters
    ----------
    memory : DenseAssociativeMemory
        On the CPU or a GPU, where the chains run.
    start : (N,) or (starts, N) array of +1 and -1
        Like a noisy pattern.
    beta : float
        0 or more, or infinity.
    targets : (targets, N) array of +1 and -1, optional
        What overlaps are measured with: archetypes. The signs of the patterns unless given.
    replicas : int
        Chains of each start; ranks share the chains.
    sweeps, warm_up : int
        Sweeps that are measured, and those before them.
    seed : int
        Chains are the same on any number of ranks.
    comm : mpi4py communicator, optional

    Returns
    -------
    Retrieval
        Of all ranks, on each; chains in the order of the starts.

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    Collective. The kernel `spins/memory.cu` has one thread for each chain; a sweep is N patterns P^2 / 2 operations.
    Spins change one after the other, which leaves the distribution exp(-beta E) as it is; all at once would not.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import DenseAssociativeMemory, retrieve
    >>> rng = np.random.default_rng(0)
    >>> patterns = rng.choice([-1, 1], size=(3, 200))
    >>> noisy = patterns[0] * np.where(rng.random(200) < 0.15, -1, 1)
    >>> retrieve(DenseAssociativeMemory(patterns, 4), noisy, 5.0, sweeps=5).magnetization().value > 0.95
    True
    """
    with agreed(comm, "retrieve") as agreement:
        agreement.same(order=memory.order, patterns=to_host(memory.patterns), start=to_host(start), beta=beta)
        agreement.same(replicas=replicas, sweeps=sweeps, warm_up=warm_up, seed=seed)
        agreement.same(targets=None if targets is None else to_host(targets))
        begin, aims = _checked(memory, start, beta, targets, sweeps, warm_up)
        require_replicas(replicas)
        require_seed(seed, sweeps + warm_up)
    begin = np.repeat(begin, replicas, axis=0)
    own, work, xp = split(len(begin), comm), Deferred(), namespace(memory.patterns)
    overlaps, spins = np.zeros((own.stop - own.start, sweeps, len(aims))), begin[own]
    with work:
        chains = _Chains(memory, to_device(np.ascontiguousarray(spins.T), xp), min(beta, _COLD), own.start, seed)
        toward = to_device(aims.astype(np.float64), xp)
        for t in progress(range(warm_up + sweeps) if len(spins) else range(0), "sweeps", show=rank_of(comm) == 0):
            chains.sweep(t)
            if t >= warm_up:
                overlaps[:, t - warm_up] = to_host(toward @ chains.spins.astype(np.float64)).T / begin.shape[1]
        spins = np.ascontiguousarray(to_host(chains.spins).T)
    work.settle(comm, "retrieve")
    overlaps, spins = allgather_rows(overlaps, comm), allgather_rows(spins, comm)
    return Retrieval(np.ascontiguousarray(overlaps.transpose(1, 0, 2)), spins, memory.order % 2 == 0)


def _checked(
    memory: DenseAssociativeMemory, start: Array, beta: float, targets: Array | None, sweeps: int, warm_up: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts (starts, N) int8 and the targets (targets, N)."""
    n = memory.patterns.shape[1]
    if not beta >= 0:
        raise InvalidValueError(f"beta is {beta}; expected an inverse temperature of 0 or more")
    if sweeps < 2 or warm_up < 0:
        raise InvalidValueError(
            f"{sweeps} sweeps after {warm_up}; expected 2 sweeps or more, and a warm-up of 0 or more"
        )
    begin = to_host(start)
    begin = begin[None] if begin.ndim == 1 else begin
    aims = np.where(to_host(memory.patterns) < 0, -1, 1) if targets is None else to_host(targets)
    for name, array in (("start", begin), ("targets", aims)):
        if array.ndim != 2 or array.shape[1] != n or not len(array):
            raise ShapeError(f"{name} of shape {array.shape}; expected rows of {n} spins")
        require_signs(array, name)
    return begin.astype(np.int8), aims


class _Chains:
    """Spins of chains (N, chains), with what a sweep needs of the patterns."""

    def __init__(self, memory: DenseAssociativeMemory, spins: Array, beta: float, origin: int, seed: int) -> None:
        xp, psi = namespace(memory.patterns), memory.patterns
        self.memory, self.spins, self.beta, self.origin, self.seed = memory, spins, beta, origin, seed
        self.patterns = xp.ascontiguousarray(psi.T)
        self.odd_powers = [psi ** (2 * o + 1) for o in range(memory.order // 2)]
        evens = [(psi**j).sum(axis=1) for j in range(2, memory.order, 2)]
        self.even = xp.stack(evens) if evens else xp.zeros((0, len(psi)))

    def sweep(self, number: int) -> None:
        """Give every spin a new value."""
        xp = namespace(self.spins)
        s = self.spins.astype(np.float64)
        odd = xp.ascontiguousarray(xp.stack([p @ s for p in self.odd_powers], axis=1))
        kernel = get_kernel("spins/memory.cu", "memory_sweep", np.float64, self.memory.order)
        if not use_compiled(kernel, self.spins):
            memory_sweep_reference(self.memory, self.spins, self.beta, origin=self.origin, step=number, seed=self.seed)
            return
        n, k = self.patterns.shape
        chains = self.spins.shape[1]
        launch(
            *(kernel, -(-chains // block_size(self.spins)), self.patterns, self.even, odd, self.spins, n, k, chains),
            *(self.beta, self.memory.scale, self.origin, number, self.seed),
        )


def memory_sweep_reference(
    memory: DenseAssociativeMemory, spins: Array, beta: float, *, origin: int, step: int, seed: int
) -> None:
    """Reference of the kernel `memory_sweep`: spins (N, chains) change in place, one after the other."""
    xp, psi, order = namespace(spins), memory.patterns, memory.order
    n, chains = spins.shape
    u = uniforms(n, xp.arange(origin, origin + chains), step, "retrieval", seed)
    s = spins.astype(np.float64)
    powers = [xp.stack([(psi**j) @ s**j]).reshape(len(psi), chains) for j in range(1, order + 1)]
    for i in range(n):
        x = psi[:, i, None] * s[i]
        e = newton([p - x**j for j, p in enumerate(powers, 1)], order - 1)
        odds = -2 * beta * memory.scale * (psi[:, i, None] * e).sum(axis=0)
        new = xp.where(u[:, i] * (1 + xp.exp(xp.clip(odds, -708, 700))) < 1, 1.0, -1.0)
        y = psi[:, i, None] * new
        powers = [p + y**j - x**j for j, p in enumerate(powers, 1)]
        s[i] = new
    spins[...] = s.astype(np.int8)
