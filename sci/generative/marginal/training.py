"""Trainings of marginalization models: on data by maximum likelihood, or on a log-weight without data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, namespace, to_device, to_host
from sci.distributed import Comm, agreed, allgather_rows, sample
from sci.errors import InvalidValueError
from sci.generative.marginal.exact import LogWeight, log_weights_of
from sci.generative.marginal.model import MarginalModel
from sci.nn import Adam, AdamW, Checkpoint, Draws, cosine, take_along_axis, train, value_of
from sci.nn.training.data import digest

__all__ = ["EnergyLoss", "LikelihoodLoss", "fit_energy", "fit_likelihood"]

Objective = Literal["regression", "divergence"]
"""What brings r(x) to the log-weight."""


@dataclass(frozen=True)
class _Numbers:
    """Samples that are their numbers: the loss draws what it needs."""

    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        return indices


def _partly(draws: Draws, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of the variables before a random place of a random order, (n, D), and the variable at it, (n,)."""
    ranks = np.argsort(np.argsort(draws.uniform("order", (n, d)), axis=1), axis=1)
    place = (draws.uniform("place", (n, 1)) * d).astype(np.int64)
    return ranks < place, np.argmax(ranks == place, axis=1)


def _chosen(logs: Any, variable: Array, value: Array) -> Any:
    """Return log p(x_i = value) of log-conditionals (n, D, K), (n,)."""
    n, d, k = value_of(logs).shape
    return take_along_axis(logs.reshape(n, d * k), (variable * k + value)[:, None], axis=1).reshape(n)


def _gap(model: MarginalModel, variables: Any, x: Array, known: Array, at: Array, step: Any) -> Any:
    """Return log p(x_s) + log p(x_i | x_s) - log p(x_s, x_i), (n,), of the conditionals `step`, (n,)."""
    xp, n = namespace(x), len(x)
    more = known | (xp.arange(model.n_variables) == at[:, None])
    scores = model.scores(variables, xp.concatenate([x, x]), xp.concatenate([known, more]))
    return scores[:n] + step - scores[n:]


def _settings(steps: int, batch: int, learning_rate: float, consistency: float) -> None:
    if steps < 1 or batch < 1 or not learning_rate > 0 or not 0 < consistency < math.inf:
        raise InvalidValueError(
            f"{steps} steps of {batch}, learning rate {learning_rate}, consistency {consistency}; expected one or "
            "more, and positive numbers"
        )


@collective_entry
def fit_energy(
    model: MarginalModel,
    log_weight: LogWeight,
    *,
    objective: Objective = "regression",
    steps: int = 3000,
    batch: int = 256,
    learning_rate: float = 2e-3,
    consistency: float = 4.0,
    block: int = 4,
    explore: float = 0.5,
    seed: int = 0,
    save: Callable[[Checkpoint], None] | None = None,
    save_every: int | None = None,
    resume: Checkpoint | None = None,
    comm: Comm = None,
) -> tuple[MarginalModel, Checkpoint]:
    """Fit a model to an unnormalized log-probability, without samples of it, and make it consistent with itself.

    The loss is D + c E (r(x_s) + log p(x_i | x_s) - r(x_s, x_i))^2 over random orders and places. Some x are uniform;
    the others are those of chains that go on from step to step, of which each step erases a block and grows it again
    by the conditionals. D of "regression" is E (r(x) - f(x))^2. D of "divergence" is the variance of r(x) - f(x): where
    x are samples of the model alone (`explore=0`), its gradient E (r - f - b) grad r, b the mean of r - f, is that of
    the Kullback-Leibler divergence KL(p || exp(f) / Z), the score function with a baseline.

    Parameters
    ----------
    model : MarginalModel
        Where to start; not changed.
    log_weight : callable
        f of values (n, D), (n,): log p but for a constant, like `log_weight(IsingModel(...))`.
    objective : {"regression", "divergence"}
        The divergence sees no constant in f: that of r follows from the mean of r - f over the last chains. With some
        uniform x it is a log-variance divergence, which counts unlikely x, too.
    steps, batch : int
    learning_rate : float
        Of Adam, at the start; it falls as a cosine.
    consistency : float
        c.
    block : int
        Variables that a step erases in each chain, 1 to D.
    explore : float
        Fraction of uniform x in a batch, 0 to 1: some where errors matter far from what is likely.
    seed : int
    save, save_every, resume
        As in `sci.nn.train`.
    comm : mpi4py communicator, optional
        Ranks share each batch, and its chains.

    Returns
    -------
    MarginalModel, Checkpoint
        With `log_z` the log of the partition function, and the history.

    Raises
    ------
    InvalidValueError, ShapeError, ConvergenceError

    Notes
    -----
    Collective. The authors' paper trains by the divergence; the regression is "FM" in their code. A step is about 15
    passes of a network over the batch, with the chains' blocks.

    References
    ----------
    S. Liu, P. J. Ramadge and R. P. Adams, "Generative Marginalization Models", ICML 2024, section 4.2. L. Richter et
    al., NeurIPS 2020, arXiv:2010.10436, for the variance whose gradient is that of the divergence.

    Examples
    --------
    >>> from sci.generative import IsingModel, MarginalModel, fit_energy, log_weight, marginal_errors
    >>> f = log_weight(IsingModel((2, 2), 0.3, 0.1))
    >>> model, _ = fit_energy(MarginalModel(4, 2, hidden=32, layers=1), f, steps=100, batch=64, learning_rate=0.01)
    >>> marginal_errors(model, f).divergence < 0.02
    True
    """
    with agreed(comm, "fit_energy") as agreement:
        _settings(steps, batch, learning_rate, consistency)
        if objective not in get_args(Objective) or (objective == "divergence" and batch < 2):
            raise InvalidValueError(
                f"objective is {objective!r}, batch {batch}; expected 'regression', or 'divergence' with 2 x or more"
            )
        agreement.same(objective=objective)
        agreement.same(block=block, explore=explore, consistency=consistency, learning_rate=learning_rate)
        agreement.same(model=model.to_state().options)
        if not 1 <= block <= model.n_variables or not 0 <= explore <= 1:
            raise InvalidValueError(
                f"block {block}, explore {explore}; expected 1 to {model.n_variables} variables and a fraction"
            )
        agreement.same(log_weight=digest(_probed(model, log_weight)))
    begin = np.random.default_rng([seed, 1]).integers(0, model.n_values, (batch, model.n_variables))
    chains = begin.astype(np.float32)
    loss = EnergyLoss(model, log_weight, objective, consistency, block, round(explore * batch), chains, comm)
    history = train(
        loss,
        model.parameters,
        _Numbers(steps * batch),
        optimizer=Adam(learning_rate),
        epochs=1,
        batch_size=batch,
        schedule=cosine(1),
        schedule_each="step",
        shuffle=False,
        clip=100.0,
        seed=seed,
        save=save,
        save_every=save_every,
        resume=resume,
        settings={
            **({} if objective == "regression" else {"objective": objective}),  # as checkpoints of the regression have
            **{"consistency": consistency, "block": block, "explore": explore, "learning_rate": learning_rate},
        },
        buffers={"chains": chains},
        draws=True,
        title="marginals",
        comm=comm,
    )
    found = model.with_parameters(history.parameters)
    return (_leveled(found, log_weight, chains) if objective == "divergence" else found), history


def _leveled(model: MarginalModel, log_weight: LogWeight, chains: Array) -> MarginalModel:
    """Return the model whose r - f has the mean 0 over the chains: r(nothing) is log Z then."""
    xp = namespace(model.parameters["marginal"]["in"])
    x = to_device(chains.astype(np.int64), xp)
    away = model.scores(model.parameters, x, xp.ones(x.shape, bool)) - log_weights_of(log_weight, x, model.dtype)
    marginal = dict(model.parameters["marginal"])
    marginal["head_bias"] = marginal["head_bias"] - away.mean()
    return model.with_parameters({**model.parameters, "marginal": marginal})


def _probed(model: MarginalModel, log_weight: LogWeight) -> Array:
    """Return a log-weight of some variables, rounded to single precision: what tells it from another one."""
    x = np.random.default_rng(0).integers(0, model.n_values, (8, model.n_variables))
    x[0] = 0
    return log_weights_of(log_weight, to_device(x, namespace(model.parameters["marginal"]["in"])), np.float32)


@dataclass(frozen=True)
class EnergyLoss:
    """The loss of `fit_energy`; the chains are one for each place of the batch, the same on all ranks.

    Parameters
    ----------
    model : MarginalModel
    log_weight : callable
    objective : {"regression", "divergence"}
    consistency : float
    block, uniform : int
        Variables that a step erases, and how many of a batch are uniform.
    chains : (batch, D) float32 array
        Changed in place.
    comm : mpi4py communicator, optional
    """

    model: MarginalModel
    log_weight: LogWeight
    objective: Objective
    consistency: float
    block: int
    uniform: int
    chains: np.ndarray
    comm: Comm
    collective = True

    def __call__(self, variables: Mapping[str, Any], batch: np.ndarray, draws: Draws) -> Any:
        model, n, d = self.model, len(batch), self.model.n_variables
        xp = namespace(self.model.parameters["marginal"]["in"])
        own = self.chains[draws.first : draws.first + n].astype(np.int64)
        own = self._moved(
            own, {name: {k: value_of(v) for k, v in part.items()} for name, part in variables.items()}, draws
        )
        moved = allgather_rows(own, self.comm)
        self.chains[: len(moved)] = moved
        free = (np.arange(draws.first, draws.first + n) < self.uniform)[:, None]
        drawn = (draws.uniform("values", (n, d)) * model.n_values).astype(np.int64)
        x = to_device(np.where(free, drawn, own), xp)
        known, at = (to_device(a, xp) for a in _partly(draws, n, d))
        value = xp.take_along_axis(x, at[:, None], axis=1)[:, 0]
        step = _chosen(model.conditional_scores(variables, x, known), at, value)
        aim = log_weights_of(self.log_weight, x, model.dtype) if n else xp.zeros(0, model.dtype)
        miss = model.scores(variables, x, xp.ones(x.shape, bool)) - aim
        if self.objective == "divergence":  # the mean is a constant: the deviations from it add up to nothing
            miss = miss - to_device(allgather_rows(to_host(value_of(miss)), self.comm), xp).mean()
        gap = _gap(model, variables, x, known, at, step)
        return ((miss * miss).sum() + (gap * gap).sum() * self.consistency) * (1 / max(n, 1))

    def _moved(self, x: np.ndarray, parameters: Mapping[str, Any], draws: Draws) -> np.ndarray:
        """Return chains (n, D) of which a block of variables has been erased and grown again."""
        model, (n, d) = self.model, x.shape
        if not n:
            return x
        xp = namespace(parameters["conditional"]["in"])
        places = np.argsort(draws.uniform("erase", (n, d)), axis=1)[:, : self.block]
        u = draws.uniform("grow", (n, self.block))
        known = np.ones(x.shape, bool)
        np.put_along_axis(known, places, False, axis=1)
        rows, moved = xp.arange(n), to_device(x.copy(), xp)
        mask, places, u = (to_device(a, xp) for a in (known, places, u))
        for j in range(self.block):
            at = places[:, j]
            logs = model.conditional_scores(parameters, moved, mask)[rows, at]
            below = xp.cumsum(xp.exp(logs.astype(np.float64)), axis=1)[:, :-1]
            moved[rows, at] = (u[:, j, None] > below).sum(axis=1)
            mask[rows, at] = True
        return to_host(moved)


@collective_entry
def fit_likelihood(
    model: MarginalModel,
    data: Array,
    *,
    epochs: int = 20,
    batch: int = 128,
    learning_rate: float = 2e-3,
    consistency: float = 1.0,
    weight_decay: float = 0.0,
    validation: Array | None = None,
    patience: int | None = None,
    seed: int = 0,
    save: Callable[[Checkpoint], None] | None = None,
    save_every: int | None = None,
    resume: Checkpoint | None = None,
    comm: Comm = None,
) -> tuple[MarginalModel, Checkpoint]:
    """Fit a model to data: conditionals by maximum likelihood in all orders, marginals by self-consistency with them.

    Parameters
    ----------
    model : MarginalModel
        Where to start; not changed.
    data : (n, D) integer array
    epochs, batch : int
    learning_rate : float
        Of AdamW, at the start; it falls as a cosine.
    consistency : float
        Factor of the squared gap between marginals and conditionals, which reaches the marginals alone.
    weight_decay : float
    validation : (m, D) integer array, optional
        The mean of -log p of these, by fixed random subsets, is the metric "nll"; the best epoch's parameters are kept.
    patience : int, optional
        The training ends after so many epochs without a better "nll".
    seed : int
    save, save_every, resume
        As in `sci.nn.train`.
    comm : mpi4py communicator, optional

    Returns
    -------
    MarginalModel, Checkpoint

    Raises
    ------
    InvalidValueError, ShapeError, ConvergenceError

    Notes
    -----
    Collective. A sample counts -D / (D - d) times the sum of log p(x_j | x_s) over all D - d variables beyond a random
    subset, whose mean is the mean of -log p over orders.

    References
    ----------
    S. Liu, P. J. Ramadge and R. P. Adams, "Generative Marginalization Models", ICML 2024, section 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import MarginalModel, fit_likelihood
    >>> data = np.repeat(np.random.default_rng(0).integers(0, 2, (400, 1)), 4, axis=1)  # four copies of one bit
    >>> model, _ = fit_likelihood(MarginalModel(4, 2, hidden=32), data, epochs=10, batch=50)
    >>> float(model.log_likelihood(np.ones((1, 4), int))[0]) > -1.0
    True
    """
    with agreed(comm, "fit_likelihood") as agreement:
        _settings(epochs, batch, learning_rate, consistency)
        agreement.same(consistency=consistency, learning_rate=learning_rate, weight_decay=weight_decay)
        agreement.same(model=model.to_state().options, data=sample(data))
        x, _ = model.checked(data, None)
        held = None if validation is None else model.checked(validation, None)[0]
        agreement.same(validation=None if held is None else sample(held))
        if not 0 <= weight_decay < math.inf or not len(x) or (held is not None and not len(held)):
            raise InvalidValueError(
                f"weight_decay {weight_decay}, {len(x)} samples; expected a number of 0 or more, and samples"
            )
    history = train(
        LikelihoodLoss(model, consistency),
        model.parameters,
        (x,),
        optimizer=AdamW(learning_rate, weight_decay=weight_decay),
        epochs=epochs,
        batch_size=batch,
        schedule=cosine(epochs),
        schedule_each="step",
        clip=100.0,
        evaluate=None if held is None else lambda p: {"nll": _mean_loss(model.with_parameters(p), held)},
        monitor=None if held is None else "nll",
        patience=patience,
        seed=seed,
        save=save,
        save_every=save_every,
        resume=resume,
        settings={
            **{"consistency": consistency, "learning_rate": learning_rate, "weight_decay": weight_decay},
            **{"horizon": epochs, "samples": digest(x), "validation": None if held is None else digest(held)},
        },
        draws=True,
        title="likelihood",
        comm=comm,
    )
    return model.with_parameters(history.parameters if held is None else history.best), history


@dataclass(frozen=True)
class LikelihoodLoss:
    """The loss of `fit_likelihood`: of variables like the parameters of the model, and a batch (samples,).

    Parameters
    ----------
    model : MarginalModel
    consistency : float
    """

    model: MarginalModel
    consistency: float

    def __call__(self, variables: Mapping[str, Any], batch: tuple[Array], draws: Draws) -> Any:
        model, x = self.model, batch[0]
        (n, d), xp = x.shape, namespace(x)
        known, at = (to_device(a, xp) for a in _partly(draws, n, d))
        logs = model.conditional_scores(variables, x, known)
        loss = -_beyond(logs, x, known).sum() * (1 / n)
        # The gap has to vanish for all values: half of the samples get a random one.
        other = to_device((draws.uniform("values", (n,)) * 2 * model.n_values).astype(np.int64), xp)
        own = xp.take_along_axis(x, at[:, None], axis=1)[:, 0]
        value = xp.where(other < model.n_values, other, own)
        changed = xp.where(xp.arange(d) == at[:, None], value[:, None], x)
        gap = _gap(model, variables, changed, known, at, _chosen(value_of(logs), at, value))
        return loss + (gap * gap).sum() * (self.consistency / n)


def _mean_loss(model: MarginalModel, x: Array, draws: int = 16) -> float:
    """Return the mean of -log p over samples, by fixed random subsets."""
    xp, total = namespace(x), 0.0
    for j in range(draws):
        known = to_device(_partly(Draws(0, j), *x.shape)[0], xp)
        logs = model.conditional_scores(model.parameters, x, known)
        total -= float((_beyond(logs, x, known)).mean()) / draws
    return total


def _beyond(logs: Any, x: Array, known: Array) -> Any:
    """Return D / (D - d) times the sum of log p(x_j | x_s) over the variables that are not known, (n,)."""
    n, d = x.shape
    weights = (~known) * (d / (~known).sum(axis=1, keepdims=True))
    each = take_along_axis(logs, x[..., None], axis=2).reshape(n, d)
    return (each * weights.astype(value_of(logs).dtype)).sum(axis=1)
