"""Monte Carlo of lattice models: many replicas over ranks, the same on any number of them, and parallel tempering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, Device, namespace_of, to_device, to_host
from sci.backend.philox import philox, require_seed, uniforms
from sci.distributed import Comm, Deferred, agreed, allgather_rows, rank_of, split
from sci.errors import InvalidValueError, ShapeError
from sci.generative.spins.clusters import require_ferromagnet, swendsen_wang
from sci.generative.spins.lattice import IsingModel, LatticeModel, require_beta
from sci.generative.spins.statistics import BOTH_SIDES, Estimate, estimate, estimated
from sci.generative.spins.sweeps import Checkerboard, heat_bath, require_replicas
from sci.progress import progress

__all__ = ["SpinChains", "sample_spins", "temper_spins"]

Method = Literal["heat_bath", "metropolis", "swendsen_wang"]
Measure = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class SpinChains:
    """What Monte Carlo of a lattice model has measured after every sweep.

    Parameters
    ----------
    model : IsingModel or PottsModel
    betas : (replicas,) float64
    energies : (sweeps, replicas) float64
        Of the whole lattice.
    fields : (sweeps, replicas) float64
        What the field multiplies, for a site: the mean spin, or the fraction of sites in state 0.
    states : (replicas, *shape) int8
        After the last sweep.
    exchanges : (len(betas) - 1,) float64
        Fraction of exchanges accepted between neighboring temperatures; empty without tempering.

    Examples
    --------
    >>> from sci.generative import IsingModel, sample_spins
    >>> chains = sample_spins(IsingModel((8, 8), 0.3), replicas=4, sweeps=50)
    >>> chains
    SpinChains(IsingModel(8 x 8, coupling=0.3, field=0), 4 replicas, 50 sweeps)
    """

    model: LatticeModel
    betas: np.ndarray
    energies: np.ndarray
    fields: np.ndarray
    states: np.ndarray
    exchanges: np.ndarray

    def __repr__(self) -> str:
        return f"SpinChains({self.model!r}, {len(self.betas)} replicas, {len(self.energies)} sweeps)"

    def _at(self, series: np.ndarray, beta: float | None) -> np.ndarray:
        value = self.betas[0] if beta is None else beta
        chosen = self.betas == value
        if not chosen.any() or (beta is None and not chosen.all()):
            raise InvalidValueError(
                f"beta is {beta} for replicas of {len(np.unique(self.betas))} temperatures; expected one of "
                f"{', '.join(f'{b:g}' for b in np.unique(self.betas)[:8])}"
            )
        return series[:, chosen]

    def energy(self, beta: float | None = None) -> Estimate:
        """Return the mean energy of the lattice, over the replicas of a temperature.

        Parameters
        ----------
        beta : float, optional
            Needed where replicas have several.
        """
        return estimate(self._at(self.energies, beta))

    def magnetization(self, beta: float | None = None, *, absolute: bool = False) -> Estimate:
        """Return the mean of `fields`, or of its absolute value, over the replicas of a temperature.

        Without a field all spins of an Ising model may turn at once, and the mean is 0; cold chains stay on the side
        where they are, which a `SamplingWarning` tells.
        """
        found = self._at(self.fields, beta)
        if absolute or not isinstance(self.model, IsingModel) or self.model.field:
            return estimate(np.abs(found) if absolute else found)
        return estimated(found, hint=BOTH_SIDES, zero=True)

    def heat_capacity(self, beta: float | None = None) -> Estimate:
        """Return beta^2 (<E^2> - <E>^2) for a site."""
        found = self._at(self.energies, beta)
        value = self.betas[0] if beta is None else beta
        return estimate(value**2 * (found - found.mean()) ** 2 / self.model.n_sites)

    def susceptibility(self, beta: float | None = None) -> Estimate:
        """Return beta sites (<m^2> - <|m|>^2), m the mean spin: what is left of a finite lattice's two signs."""
        found = np.abs(self._at(self.fields, beta))
        value = self.betas[0] if beta is None else beta
        return estimate(value * self.model.n_sites * (found - found.mean()) ** 2)


@collective_entry
def sample_spins(
    model: LatticeModel,
    beta: float | Sequence[float] = 1.0,
    *,
    replicas: int = 8,
    sweeps: int = 1000,
    warm_up: int = 100,
    method: Method = "heat_bath",
    start: Literal["random", "ordered"] | Array = "random",
    seed: int = 0,
    device: Device = "cpu",
    comm: Comm = None,
) -> SpinChains:
    """Sample a lattice model at one temperature, or at one for each replica.

    Parameters
    ----------
    model : IsingModel or PottsModel
    beta : float or sequence of float
        Inverse temperatures of 0 or more; with several, each has `replicas` chains.
    replicas : int
        Independent chains of a temperature; ranks share the chains.
    sweeps, warm_up : int
        Sweeps that are measured, and those before them.
    method : "heat_bath", "metropolis" or "swendsen_wang"
        The first two change one color of a checkerboard after the other: `IsingModel` needs even sides for both; where
        log odds are within 1, Metropolis' flips are those of the heat bath, so that hot lattices mix. `PottsModel` has
        the heat bath on any grid. Cluster moves are for any grid, on the CPU, and for a coupling of 0 or more.
    start : "random", "ordered", or (chains, *shape) array
    seed : int
        Chain r of sweep t is a function of the seed, r and t: the same on any number of ranks, CPU or GPU.
    device : "cpu" or "cuda"
    comm : mpi4py communicator, optional

    Returns
    -------
    SpinChains
        Of all ranks, on each.

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    Collective. Local moves are the kernel `spins/lattice.cu`; a probability is rounded to a multiple of 2^-32. Near the
    critical point local moves need L^2.2 sweeps for an independent sample, cluster moves about L^0.25.

    Examples
    --------
    >>> from sci.generative import IsingModel, sample_spins, transfer_matrix
    >>> model = IsingModel((8, 8), 0.3, 0.1)
    >>> found = sample_spins(model, replicas=32, sweeps=200, seed=1).energy()
    >>> abs(found.value - transfer_matrix(model).energy) < 4 * found.error
    True
    """
    with agreed(comm, "sample_spins") as agreement:
        given = start if isinstance(start, str) else None
        agreement.same(model=model, beta=beta, replicas=replicas, sweeps=sweeps, warm_up=warm_up, method=method)
        agreement.same(start=given or to_host(start), seed=seed, device=device)
        require_replicas(replicas)
        betas = np.repeat(np.atleast_1d(np.asarray(beta, dtype=float)), replicas)
        moves = _checked(model, betas, sweeps, warm_up, method, seed, device)
        begin = _start(model, start, len(betas), seed)
    own, work = split(len(betas), comm), Deferred()
    energies, fields = np.zeros((2, own.stop - own.start, sweeps))
    states = begin[own]
    with work:
        chain = moves(model, states, betas[own], first=own.start, seed=seed)
        for t in progress(range(warm_up + sweeps), "sweeps", show=rank_of(comm) == 0):
            chain.sweep(t)
            if t >= warm_up:
                energies[:, t - warm_up], fields[:, t - warm_up] = chain.measure()
        states = chain.states()
    work.settle(comm, "sample_spins")
    energies, fields, states = (allgather_rows(np.ascontiguousarray(a), comm) for a in (energies, fields, states))
    return SpinChains(model, betas, energies.T.copy(), fields.T.copy(), states, np.empty(0))


@collective_entry
def temper_spins(
    model: LatticeModel,
    betas: Sequence[float],
    *,
    ladders: int = 4,
    sweeps: int = 1000,
    warm_up: int = 100,
    method: Method = "heat_bath",
    seed: int = 0,
    device: Device = "cpu",
    comm: Comm = None,
) -> SpinChains:
    """Sample a lattice model at a ladder of temperatures, whose lattices are exchanged after every sweep.

    Neighbors k and k + 1 exchange with probability min(1, exp((beta_k - beta_k+1) (E_k - E_k+1))), even and odd k in
    turn, so that lattices which are stuck when cold are renewed when hot.

    Parameters
    ----------
    model : IsingModel or PottsModel
    betas : sequence of float
        At least two, rising.
    ladders : int
        Independent ladders; ranks share them, each whole.
    sweeps, warm_up, method, seed, device, comm
        As in `sample_spins`.

    Returns
    -------
    SpinChains
        Chains by temperature, ladder by ladder; `exchanges` says how often neighbors have changed places.

    Raises
    ------
    ShapeError, InvalidValueError

    References
    ----------
    K. Hukushima and K. Nemoto, J. Phys. Soc. Jpn. 65, 1604 (1996).

    Examples
    --------
    >>> from sci.generative import IsingModel, temper_spins
    >>> chains = temper_spins(IsingModel((6, 6)), [0.3, 0.35, 0.4], ladders=2, sweeps=50)
    >>> chains.energies.shape, bool((chains.exchanges > 0.2).all())
    ((50, 6), True)
    """
    with agreed(comm, "temper_spins") as agreement:
        agreement.same(model=model, betas=betas, ladders=ladders, sweeps=sweeps, warm_up=warm_up, method=method)
        agreement.same(seed=seed, device=device)
        require_replicas(ladders)
        rungs = np.asarray(betas, dtype=float)
        if rungs.ndim != 1 or len(rungs) < 2 or not (np.diff(rungs) > 0).all():
            raise InvalidValueError(f"betas are {betas}; expected two or more inverse temperatures that rise")
        moves = _checked(model, rungs, sweeps, warm_up, method, seed, device)
        begin = _start(model, "random", ladders * len(rungs), seed)
    own, n, work = split(ladders, comm), len(rungs), Deferred()
    count = own.stop - own.start
    energies, fields = np.zeros((2, count * n, sweeps))
    states, accepted = begin[own.start * n : own.stop * n], np.zeros((count, n - 1))
    with work:
        chain = moves(model, states, np.tile(rungs, count), first=own.start * n, seed=seed)
        order = np.tile(np.arange(n), (count, 1))  # the lattice at each rung, ladder by ladder
        rows = np.arange(count)[:, None] * n
        for t in progress(range(warm_up + sweeps), "sweeps", show=rank_of(comm) == 0):
            chain.sweep(t)
            energy, field = (a[rows + order] for a in chain.measure())
            if t >= warm_up:
                energies[:, t - warm_up], fields[:, t - warm_up] = energy.reshape(-1), field.reshape(-1)
            swapped = _exchange(order, energy, rungs, t, first=own.start, seed=seed)
            accepted += swapped if t >= warm_up else 0
            found = np.empty(count * n)
            found[(rows + order).reshape(-1)] = np.tile(rungs, count)
            chain.set_betas(found)
        states = chain.states()[(rows + order).reshape(-1)]
    work.settle(comm, "temper_spins")
    gathered = (allgather_rows(np.ascontiguousarray(a), comm) for a in (energies, fields, states, accepted))
    energies, fields, states, accepted = gathered
    tries = np.array([sum((t + k) % 2 == 0 for t in range(warm_up, warm_up + sweeps)) for k in range(n - 1)])
    rates = accepted.sum(axis=0) / (ladders * np.maximum(tries, 1))
    return SpinChains(model, np.tile(rungs, ladders), energies.T.copy(), fields.T.copy(), states, rates)


def _exchange(order: np.ndarray, energy: np.ndarray, rungs: np.ndarray, t: int, *, first: int, seed: int) -> np.ndarray:
    """Exchange neighbors in `order` (ladders, rungs) in place; return which did, (ladders, rungs - 1)."""
    swapped = np.zeros((len(order), len(rungs) - 1), bool)
    ks = np.arange(t % 2, len(rungs) - 1, 2)
    gain = (rungs[ks] - rungs[ks + 1]) * (energy[:, ks] - energy[:, ks + 1])
    u = uniforms(len(rungs), np.arange(first, first + len(order)), t, "exchange", seed)[:, ks]
    swapped[:, ks] = np.log(u) < gain
    for ladder, k in np.argwhere(swapped):
        order[ladder, [k, k + 1]] = order[ladder, [k + 1, k]]
    return swapped


def _checked(
    model: LatticeModel,
    betas: np.ndarray,
    sweeps: int,
    warm_up: int,
    method: Method,
    seed: int,
    device: Device,
) -> Callable[..., Any]:
    """Return the class of the moves after checking what they need."""
    if betas.ndim != 1 or not len(betas):
        raise ShapeError(f"beta of shape {betas.shape}; expected a number, or a sequence of numbers")
    for beta in betas.tolist():
        require_beta(beta, model)
    if sweeps < 2 or warm_up < 0:
        raise InvalidValueError(
            f"{sweeps} sweeps after {warm_up}; expected 2 sweeps or more, and a warm-up of 0 or more"
        )
    require_seed(seed, sweeps + warm_up)
    if method == "swendsen_wang":
        require_ferromagnet(model)
        if device != "cpu":
            raise InvalidValueError(f"device is {device!r} for cluster moves; expected 'cpu', or method='heat_bath'")
        return _Clusters
    if not isinstance(model, IsingModel):
        if method == "metropolis":
            raise InvalidValueError(f"method is 'metropolis' for {model!r}; expected 'heat_bath' or 'swendsen_wang'")

        def sites(*args: Any, **options: Any) -> _Sites:
            return _Sites(*args, **options, device=device)

        return sites
    Checkerboard.of(model, 1)

    def boards(*args: Any, **options: Any) -> _Boards:
        return _Boards(*args, **options, method=method, device=device)

    return boards


def _start(model: LatticeModel, start: Any, chains: int, seed: int) -> np.ndarray:
    """Return the first states of all chains, (chains, *shape)."""
    if isinstance(start, str):
        if start == "ordered":
            return np.full((chains, *model.shape), model.values[-1], np.int8)
        words = philox(np.arange(model.n_sites)[None, :], np.arange(chains)[:, None], 0, "start", seed)[0]
        return np.asarray(model.values[(words * model.n_states) >> 32]).reshape(chains, *model.shape)
    found = to_host(start)
    if found.shape != (chains, *model.shape) or not np.isin(found, model.values).all():
        raise ShapeError(
            f"start of shape {found.shape}; expected {(chains, *model.shape)} with values of "
            f"{', '.join(map(str, model.values[:8].tolist()))}"
        )
    return found.astype(np.int8)


class _Boards:
    """Chains that move by checkerboards."""

    def __init__(
        self,
        model: IsingModel,
        states: np.ndarray,
        betas: np.ndarray,
        *,
        first: int,
        seed: int,
        method: Any,
        device: Device,
    ) -> None:
        self.model, self.first, self.seed, self.method = model, first, seed, method
        self.board = Checkerboard.of(model, len(states), device)
        self.colors = self.board.pack(to_device(np.ascontiguousarray(states), namespace_of(device)))
        self.set_betas(betas)

    def set_betas(self, betas: np.ndarray) -> None:
        """Take other temperatures."""
        self.levels = self.board.thresholds(betas, self.method)

    def sweep(self, number: int) -> None:
        """Make a sweep."""
        if self.board.replicas:
            self.board.sweep(self.colors, self.levels, number, first=self.first, seed=self.seed)

    def measure(self) -> Measure:
        """Return energies and mean spins."""
        if not self.board.replicas:
            return np.empty(0), np.empty(0)
        bonds, sites = (to_host(a) for a in self.board.bonds_and_sites(self.colors))
        return -self.model.coupling * bonds - self.model.field * sites, sites / self.model.n_sites

    def states(self) -> np.ndarray:
        """Return the spins, (replicas, *shape)."""
        return to_host(self.board.unpack(self.colors))


class _Sites:
    """Chains that move site by site, of any model and grid."""

    def __init__(
        self,
        model: LatticeModel,
        states: np.ndarray,
        betas: np.ndarray,
        *,
        first: int,
        seed: int,
        device: Device = "cpu",
    ) -> None:
        self.model, self.first, self.seed, self.xp = model, first, seed, namespace_of(device)
        self.held = to_device(states.copy(), self.xp)
        self.set_betas(betas)

    def set_betas(self, betas: np.ndarray) -> None:
        """Take other temperatures."""
        self.betas = to_device(betas, self.xp)

    def sweep(self, number: int) -> None:
        """Make a sweep."""
        heat_bath(self.model, self.held, self.betas, number, first=self.first, seed=self.seed)

    def measure(self) -> Measure:
        """Return energies, and what the field multiplies, for a site."""
        axes = tuple(range(1, self.held.ndim))
        return to_host(self.model.energy(self.held)), to_host(self.model.lifted(self.held).mean(axis=axes))

    def states(self) -> np.ndarray:
        """Return the states, (replicas, *shape)."""
        return to_host(self.held)


class _Clusters(_Sites):
    """Chains that move by clusters."""

    def sweep(self, number: int) -> None:
        """Make a move."""
        swendsen_wang(self.model, self.held, self.betas, number, first=self.first, seed=self.seed)
