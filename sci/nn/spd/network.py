"""SPDNet: a classifier of symmetric positive definite matrices, with Bures-Wasserstein batch normalization."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Self

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device, namespace, namespace_of, to_device
from sci.distributed import Comm, agreed, sample
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.linalg.symmetric.matrices import as_symmetric, require_positive
from sci.nn.core.tape import value_of
from sci.nn.initialize import count_parameters, initial_uniform
from sci.nn.ops.probabilities import cross_entropy
from sci.nn.ops.products import linear
from sci.nn.ops.reductions import sum as sum_of
from sci.nn.ops.shaping import reshape
from sci.nn.spd.batch_norm import GBWBatchNorm
from sci.nn.spd.layers import bimap, logeig, reeig, semi_orthogonal
from sci.nn.training.model import ModelState, fitting, parted, with_statistics

__all__ = ["SPDNet"]


@entry
class SPDNet:
    """A classifier of positive definite matrices: blocks of BiMap, batch normalization, ReEig; then LogEig, linear.

    Parameters
    ----------
    sizes : sequence of int
        Rows of the matrices: of the inputs, then after each block; none larger than the one before.
    classes : int
        Number of classes.
    in_channels, hidden_channels : int
    batch_norm : bool
        Normalize after each BiMap, see `GBWBatchNorm`.
    theta, learn_metric, momentum, eps, margin
        As in `GBWBatchNorm`.
    scale : float
        First scale of the normalizations.
    threshold : float
        Smallest eigenvalue that ReEig leaves.
    seed : int or numpy Generator
    dtype : float32 or float64
    device : "cpu" or "cuda"

    Attributes
    ----------
    parameters : dict of arrays
        Free parameters; semi-orthogonal and positive definite matrices are functions of them.
    statistics : dict of arrays
        Running statistics of the normalizations, which `loss` changes in place.

    Raises
    ------
    InvalidValueError, ShapeError

    Notes
    -----
    Train by `sci.nn.train(model.loss(comm), model.parameters, (x, labels), buffers=model.statistics, comm=comm, ...)`
    and take `model.with_parameters(done.parameters)`. On ranks the batch is that of all ranks.

    References
    ----------
    Huang and Van Gool, AAAI 2017 (arXiv 1608.04233); Wang et al., CVPR 2025 (arXiv 2504.00660).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import SPDNet
    >>> model = SPDNet((8, 4), classes=3, batch_norm=False)
    >>> model
    SPDNet(8 -> 4, 3 classes, 1 hidden channel, 65 parameters)
    >>> model(np.eye(8, dtype=np.float32)[None, None]).shape
    (1, 3)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        classes: int,
        *,
        in_channels: int = 1,
        hidden_channels: int = 1,
        batch_norm: bool = True,
        theta: float = 1.0,
        learn_metric: bool = True,
        momentum: float = 0.1,
        eps: float = 1e-5,
        margin: float = 0.01,
        scale: float = 1.0,
        threshold: float = 1e-4,
        seed: int | np.random.Generator = 0,
        dtype: Any = np.float32,
        device: Device = "cpu",
    ) -> None:
        self.options: dict[str, Any] = {
            **{"sizes": [int(n) for n in sizes], "classes": classes, "in_channels": in_channels},
            **{"hidden_channels": hidden_channels, "batch_norm": batch_norm, "theta": theta},
            **{"learn_metric": learn_metric, "momentum": momentum, "eps": eps, "margin": margin},
            **{"threshold": threshold},
        }
        _check(self.options, dtype)
        xp = namespace_of(device)
        self.norms = _norms(self.options)
        self.parameters, self.statistics = _start(self.options, self.norms, scale, np.random.default_rng(seed), dtype)
        for arrays in (self.parameters, self.statistics):
            arrays.update({name: to_device(a, xp) for name, a in arrays.items()})

    def __repr__(self) -> str:
        sizes, channels = self.options["sizes"], self.options["hidden_channels"]
        norm = ", normalized" if self.norms else ""
        return (
            f"SPDNet({' -> '.join(map(str, sizes))}, {self.options['classes']} classes, {channels} hidden "
            f"channel{'' if channels == 1 else 's'}{norm}, {count_parameters(self.parameters):,} parameters)"
        )

    def forward(self, parameters: Mapping[str, Any], x: Any, *, training: bool = False, comm: Comm = None) -> Any:
        """Return the logits of matrices, with parameters that may be variables.

        Parameters
        ----------
        parameters : dict of arrays or variables
        x : (batch, in_channels, n, n) array or variable
            Positive semidefinite; definite after the first BiMap where the blocks are normalized.
        training : bool
            True normalizes by the statistics of the batch, and updates the running ones.
        comm : mpi4py communicator, optional
            In training the batch is that of all ranks. Collective.

        Returns
        -------
        (batch, classes) array or variable

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError, ConvergenceError
        """
        with agreed(comm, "SPDNet"):  # what fails on one rank from here on meets the others in an agreement
            with agreed(comm, "SPDNet") as agreement:
                agreement.same(options=self.options, training=training)
                self._check_input(value_of(x))
            return self._logits(parameters, x, training, comm)

    def _logits(self, parameters: Mapping[str, Any], x: Any, training: bool, comm: Comm) -> Any:
        for k in range(len(self.options["sizes"]) - 1):
            x = bimap(x, semi_orthogonal(parameters[f"block{k}.weight"]))
            if self.norms:
                start = f"block{k}.norm."
                mine = {n.removeprefix(start): p for n, p in parameters.items() if n.startswith(start)}
                seen = {n.removeprefix(start): a for n, a in self.statistics.items() if n.startswith(start)}
                x = self.norms[k](mine, x, seen, training=training, comm=comm)
            x = reeig(x, threshold=self.options["threshold"])
        flat = reshape(logeig(x), shape=(x.shape[0], parameters["head.weight"].shape[1]))
        return linear(flat, parameters["head.weight"], parameters["head.bias"])

    def _check_input(self, x: Array) -> None:
        """Raise DTypeError, ShapeError or InvalidValueError for inputs that are not matrices of this network."""
        dtype = self.parameters["head.weight"].dtype
        if x.dtype != dtype:
            raise DTypeError(f"matrices of dtype {x.dtype}; expected {dtype}, that of the network: convert them")
        n, channels = self.options["sizes"][0], self.options["in_channels"]
        if x.ndim != 4 or tuple(x.shape[1:]) != (channels, n, n):
            raise ShapeError(f"matrices of shape {tuple(x.shape)}; expected (batch, {channels}, {n}, {n})")
        if x.size:
            found = as_symmetric(x, "matrices")
            require_positive(namespace(x).linalg.eigvalsh(found), "matrices", definite=False)

    def __call__(self, x: Array, *, batch_size: int = 256) -> Array:
        """Return the logits (batch, classes) by the running statistics, `batch_size` samples at a time.

        Parameters
        ----------
        x : (batch, in_channels, n, n) array
        batch_size : int

        Returns
        -------
        array

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        parts = [self.forward(self.parameters, x[k : k + batch_size]) for k in _starts(len(x), batch_size)]
        return namespace(x).concatenate(parts)

    def loss(self, comm: Comm = None) -> Callable[[Mapping[str, Any], Any], Any]:
        """Return the loss of a batch (matrices, labels) for `sci.nn.train`: the mean cross-entropy.

        Parameters
        ----------
        comm : mpi4py communicator, optional
            As given to `sci.nn.train`.

        Returns
        -------
        callable
        """

        def cross_entropy_of_batch(parameters: Mapping[str, Any], batch: Any) -> Any:
            logits = self.forward(parameters, batch[0], training=True, comm=comm)
            # A rank without samples takes part in the batch of all, with a loss of 0 that counts 0.
            return cross_entropy(logits, batch[1]) if len(batch[1]) else sum_of(logits)

        cross_entropy_of_batch.collective = True  # type: ignore[attr-defined]
        return cross_entropy_of_batch

    def calibrate(self, x: Array, *, batch_size: int = 64, comm: Comm = None) -> SPDNet:
        """Return the network with statistics that its present parameters have on `x`, all batches weighted alike.

        Running statistics lag behind parameters that still move, and an evaluation may be far off for that reason:
        call this after a training whose learning rate does not end near 0.

        Parameters
        ----------
        x : (samples, in_channels, n, n) array
            The data of the training; on ranks each rank's own part, in as many batches as those of the others.
        batch_size : int
            The training's; of all ranks together it is this times their number.
        comm : mpi4py communicator, optional

        Returns
        -------
        SPDNet

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError, ConvergenceError
        """
        with agreed(comm, "calibrate") as agreement:
            starts = _starts(len(x), batch_size)
            agreement.same(batches=len(starts), parameters={n: sample(p) for n, p in self.parameters.items()})
        made = self.with_parameters(self.parameters)
        made.norms = tuple(replace(norm, momentum=_EQUAL) for norm in self.norms)
        for name, array in made.statistics.items():
            if name.endswith(".count"):
                array[...] = 0
        for start in starts:
            made.forward(made.parameters, x[start : start + batch_size], training=True, comm=comm)
        made.norms = self.norms
        return made

    def with_parameters(self, parameters: Mapping[str, Array]) -> SPDNet:
        """Return the network with other parameters, and copies of the running statistics.

        Parameters
        ----------
        parameters : dict of arrays
            Names, shapes and dtypes as those of `self.parameters`.

        Returns
        -------
        SPDNet

        Raises
        ------
        ShapeError
        """
        return self._with(parameters, self.statistics)

    def _with(self, parameters: Mapping[str, Array], statistics: Mapping[str, Array]) -> Self:
        made = object.__new__(type(self))
        made.options, made.norms = self.options, self.norms
        made.parameters = fitting(parameters, self.parameters, "parameter")
        made.statistics = {n: a.copy() for n, a in fitting(statistics, self.statistics, "statistic").items()}
        return made

    def to_state(self) -> ModelState:
        """Return name, options and arrays, as a file holds them.

        Returns
        -------
        ModelState
        """
        return ModelState("SPDNet", self.options, with_statistics(self.parameters, self.statistics))

    @classmethod
    def from_state(cls, state: ModelState) -> SPDNet:
        """Return the network that `to_state` described.

        Parameters
        ----------
        state : ModelState

        Returns
        -------
        SPDNet

        Raises
        ------
        InvalidValueError, ShapeError, DTypeError
            For the state of another model, or arrays that do not fit the options.
        """
        if state.name != "SPDNet" or "head.weight" not in state.parameters:
            raise InvalidValueError(f"the model is of the kind {state.name}; expected an SPDNet")
        plain = cls(**state.options, dtype=state.parameters["head.weight"].dtype)
        return plain._with(*parted(state.parameters))


_EQUAL = 1e-12
"""A momentum below the inverse of every number of batches, which gives all of them one weight."""


def _starts(count: int, batch_size: int) -> range:
    """Return the first sample of each batch, one for no samples."""
    if batch_size < 1:
        raise InvalidValueError(f"batch_size is {batch_size}; expected a positive integer")
    return range(0, max(count, 1), batch_size)


def _check(options: Mapping[str, Any], dtype: Any) -> None:
    sizes = options["sizes"]
    if len(sizes) < 2 or any(b > a or b < 1 for a, b in pairwise(sizes)):
        raise InvalidValueError(f"sizes are {sizes}; expected two or more positive numbers, none above the one before")
    for name in ("classes", "in_channels", "hidden_channels"):
        if options[name] < 1:
            raise InvalidValueError(f"{name} is {options[name]}; expected a positive integer")
    if not options["threshold"] > 0:
        raise InvalidValueError(f"threshold is {options['threshold']}; expected a positive eigenvalue")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise DTypeError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")


def _norms(options: Mapping[str, Any]) -> tuple[GBWBatchNorm, ...]:
    """Return the normalization of each block, none without `batch_norm`."""
    if not options["batch_norm"]:
        return ()
    shared = {name: options[name] for name in ("theta", "learn_metric", "momentum", "eps", "margin")}
    return tuple(GBWBatchNorm(options["hidden_channels"], n, **shared) for n in options["sizes"][1:])


def _start(
    options: Mapping[str, Any], norms: Sequence[GBWBatchNorm], scale: float, rng: np.random.Generator, dtype: Any
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return seeded parameters, the weights orthonormal, and the statistics before a batch."""
    parameters: dict[str, Array] = {}
    statistics: dict[str, Array] = {}
    sizes, before, after = options["sizes"], options["in_channels"], options["hidden_channels"]
    for k, (n, m) in enumerate(pairwise(sizes)):
        basis = np.linalg.qr(rng.standard_normal((after, before, n, m)))[0]
        parameters[f"block{k}.weight"] = np.ascontiguousarray(basis.swapaxes(-1, -2)).astype(dtype)
        if norms:
            arrays = norms[k].parameters(scale=scale, dtype=dtype)
            parameters.update({f"block{k}.norm.{name}": a for name, a in arrays.items()})
            statistics.update({f"block{k}.norm.{name}": a for name, a in norms[k].statistics(dtype=dtype).items()})
        before = after
    features = after * sizes[-1] * (sizes[-1] + 1) // 2
    parameters["head.weight"] = initial_uniform(rng, (options["classes"], features), features, dtype=dtype)
    parameters["head.bias"] = np.zeros(options["classes"], dtype)
    return parameters, statistics
