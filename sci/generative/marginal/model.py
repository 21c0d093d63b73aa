"""Marginalization models of discrete variables: marginals of any subset, conditionals and samples in any order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device, namespace, require_finite
from sci.backend.philox import require_seed, uniforms
from sci.errors import InvalidValueError, ShapeError
from sci.generative.marginal.network import encode, first_layer, initial_network, network, trunk
from sci.nn import ModelState, count_parameters, flatten_tree, log_softmax

__all__ = ["MarginalModel"]

_NETWORKS = ("marginal", "conditional")


@entry
class MarginalModel:
    """Log-marginals log p(x_s) for any subset s of D variables of K values, and conditionals p(x_i | x_s).

    One network has an output r(x_s), so that log p(x_s) = r(x_s) - r(nothing) takes one pass; another one has
    log p(x_i | x_s) for all i, from which samples grow in any order, one pass for each variable. Training makes them
    agree: log p(x_s) + log p(x_i | x_s) = log p(x_s, x_i). After `fit_energy` r is not normalized: r(nothing) is log Z.

    Parameters
    ----------
    n_variables, n_values : int
        D of at least 1, and K of at least 2; values are 0 ... K - 1.
    hidden, layers : int
        Width and number of the residual layers of each network.
    seed : int
    dtype : float32 or float64
    device : "cpu" or "cuda"

    Attributes
    ----------
    parameters : dict of dicts of arrays
        Of "marginal" and "conditional".

    Raises
    ------
    InvalidValueError

    References
    ----------
    S. Liu, P. J. Ramadge and R. P. Adams, "Generative Marginalization Models", ICML 2024, arXiv:2310.12920.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import MarginalModel
    >>> model = MarginalModel(9, 2, hidden=16, layers=1)
    >>> x, known = np.zeros((4, 9), int), np.arange(9) < 5
    >>> model, model.log_marginal(x, known).shape, model.sample(3).shape
    (MarginalModel(9 variables of 2 values, 2 networks of 1 x 16, 1,475 parameters), (4,), (3, 9))
    """

    def __init__(
        self,
        n_variables: int,
        n_values: int,
        *,
        hidden: int = 256,
        layers: int = 2,
        seed: int = 0,
        dtype: Any = np.float32,
        device: Device = "cpu",
    ) -> None:
        if n_variables < 1 or n_values < 2 or hidden < 1 or layers < 0:
            raise InvalidValueError(
                f"{n_variables} variables of {n_values} values, {layers} layers of {hidden}; expected one variable or "
                "more, at least 2 values, and one hidden unit or more"
            )
        if np.dtype(dtype).name not in ("float32", "float64"):
            raise InvalidValueError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")
        require_seed(seed)
        self.n_variables, self.n_values, self.hidden, self.layers = n_variables, n_values, hidden, layers
        rng, inputs = np.random.default_rng(seed), n_variables * n_values
        self.parameters: dict[str, dict[str, Array]] = {
            name: initial_network(rng, inputs, n_variables, hidden, layers, outputs, dtype, device)
            for name, outputs in zip(_NETWORKS, (1, inputs))
        }

    def __repr__(self) -> str:
        return (
            f"MarginalModel({self.n_variables} variables of {self.n_values} values, 2 networks of {self.layers} x "
            f"{self.hidden}, {count_parameters(self.parameters):,} parameters)"
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters."""
        found: np.dtype[Any] = self.parameters["marginal"]["in"].dtype
        return found

    @property
    def log_z(self) -> float:
        """r(nothing): the log of the partition function, after `fit_energy`."""
        xp = namespace(self.parameters["marginal"]["in"])
        nothing = xp.zeros((1, self.n_variables), np.int64)
        return float(self.scores(self.parameters, nothing, nothing > 0)[0])

    def log_marginal(self, x: Array, known: Array | None = None) -> Array:
        """Return log p(x_s), (n,), by one pass.

        Parameters
        ----------
        x : (n, D) integer array
            Values; those that are not known are not looked at.
        known : (n, D) or (D,) bool array, optional
            The subset s; all unless given.

        Raises
        ------
        ShapeError, InvalidValueError
        """
        x, mask = self.checked(x, known)
        return self.scores(self.parameters, x, mask) - self.log_z

    def log_conditionals(self, x: Array, known: Array) -> Array:
        """Return log p(x_i = k | x_s) for all variables, (n, D, K); 0 or minus infinity for those in s.

        Raises
        ------
        ShapeError, InvalidValueError
        """
        x, mask = self.checked(x, known)
        xp = namespace(x)
        found = self.conditional_scores(self.parameters, x, mask)
        same = x[..., None] == xp.arange(self.n_values)
        return xp.where(mask[..., None], xp.where(same, 0.0, -math.inf).astype(found.dtype), found)

    def scores(self, parameters: Mapping[str, Any], x: Array, known: Array) -> Any:
        """Return r(x_s), (n,), of parameters that may be variables: what the network adds to the uniform marginals.

        Parameters
        ----------
        parameters : dict of dicts of arrays or variables
        x, known : (n, D) integer and bool arrays
        """
        encoded = encode(x, known, self.n_values, self.dtype)
        uniform = ((~known).sum(axis=1) * math.log(self.n_values)).astype(self.dtype)
        return network(parameters["marginal"], encoded).reshape(len(x)) + uniform

    def conditional_scores(self, parameters: Mapping[str, Any], x: Array, known: Array) -> Any:
        """Return log p(x_i = k | x_s) for all i, also those known, (n, D, K), of parameters that may be variables."""
        found = network(parameters["conditional"], encode(x, known, self.n_values, self.dtype))
        return log_softmax(found.reshape(len(x), self.n_variables, self.n_values))

    def log_likelihood(self, x: Array, *, order: Sequence[int] | None = None) -> Array:
        """Return the sum of log p(x_i | those before) in an order, (n,): a normalized probability, by D passes.

        Parameters
        ----------
        x : (n, D) integer array
        order : sequence of D int, optional
            A permutation; 0 ... D - 1 unless given.

        Raises
        ------
        ShapeError, InvalidValueError
        """
        x, _ = self.checked(x, None)
        return self._grow(x, self._checked_order(order), None)[1]

    def sample(
        self,
        n: int,
        *,
        order: Sequence[int] | None = None,
        x: Array | None = None,
        known: Array | None = None,
        seed: int = 0,
    ) -> Array:
        """Draw samples variable by variable, in any order, given some of the variables.

        Parameters
        ----------
        n : int
        order : sequence of D int, optional
            A permutation; 0 ... D - 1 unless given. Known variables are left out.
        x : (D,) or (n, D) integer array, optional
            Values of the known variables.
        known : (D,) bool array, optional
            With `x`: which variables keep their values.
        seed : int
            Sample j is a function of the seed and j.

        Returns
        -------
        (n, D) int64 array

        Raises
        ------
        ShapeError, InvalidValueError
        """
        return self.draw(n, order=order, x=x, known=known, seed=seed)[0]

    def draw(
        self,
        n: int,
        *,
        first: int = 0,
        order: Sequence[int] | None = None,
        x: Array | None = None,
        known: Array | None = None,
        seed: int = 0,
    ) -> tuple[Array, Array]:
        """Return samples number `first` and on, and the log of the probability with which each was drawn.

        Parameters
        ----------
        n, first : int
        order, x, known, seed
            As in `sample`.
        """
        require_seed(seed)
        if n < 1 or first < 0 or (x is None) != (known is None):
            raise InvalidValueError(
                f"{n} samples from {first}, x or known alone; expected one sample or more, and both"
            )
        xp = namespace(self.parameters["conditional"]["in"])
        begin = xp.zeros((n, self.n_variables), np.int64)
        mask = xp.zeros(self.n_variables, bool)
        if x is not None and known is not None:
            if tuple(known.shape) != (self.n_variables,):
                raise ShapeError(f"known of shape {tuple(known.shape)}; expected ({self.n_variables},)")
            rows = x if x.ndim == 2 else x[None]
            if len(rows) not in (1, n):
                raise ShapeError(f"x of {len(rows)} rows for {n} samples; expected one row, or one for each")
            begin[...], mask = self.checked(rows, known)[0], known.astype(bool)
        steps = [i for i in self._checked_order(order) if not bool(mask[i])]
        u = uniforms(self.n_variables, xp.arange(first, first + n), 0, "sampling", seed)
        return self._grow(begin, steps, u, mask)

    def _grow(self, x: Array, order: list[int], u: Array | None, mask: Array | None = None) -> tuple[Array, Array]:
        """Return variables, drawn in an order where `u` is given, and the sum of the log-conditionals of those steps.

        The first layer is kept up to date by one column for each step, so that its product is not done again.
        """
        xp, weights = namespace(x), self.parameters["conditional"]
        known = xp.zeros(x.shape, bool) if mask is None else xp.broadcast_to(mask, x.shape)
        hidden = first_layer(weights, encode(x, known, self.n_values, self.dtype))
        columns, k = weights["in"].T, self.n_values
        x, total = x.copy(), xp.zeros(len(x))
        for i in order:
            rows = slice(i * k, i * k + k)
            found = trunk(weights, hidden) @ weights["head"][rows].T + weights["head_bias"][rows]
            logs = log_softmax(found.astype(np.float64))
            if u is not None:
                below = xp.cumsum(xp.exp(logs), axis=1)[:, :-1]
                x[:, i] = (u[:, i, None] > below).sum(axis=1)
            total += xp.take_along_axis(logs, x[:, i, None], axis=1)[:, 0]
            hidden += columns[i * k + x[:, i]]
        return x, total

    def checked(self, x: Array, known: Array | None) -> tuple[Array, Array]:
        """Return values (n, D) int64 and the mask (n, D) of a call.

        Raises
        ------
        ShapeError, InvalidValueError
        """
        xp = namespace(x, self.parameters["marginal"]["in"])
        if x.ndim != 2 or x.shape[1] != self.n_variables:
            raise ShapeError(f"x of shape {tuple(x.shape)}; expected (n, {self.n_variables})")
        if x.dtype.kind not in "iub":
            raise InvalidValueError(f"x has dtype {x.dtype}; expected integers from 0 to {self.n_values - 1}")
        mask = xp.ones(x.shape, bool)
        if known is not None:
            if known.dtype.kind != "b" or tuple(known.shape) not in (tuple(x.shape), tuple(x.shape[1:])):
                raise ShapeError(
                    f"known of shape {tuple(known.shape)} and dtype {known.dtype}; expected bool of shape "
                    f"{tuple(x.shape)} or ({self.n_variables},)"
                )
            mask = xp.broadcast_to(known, x.shape)
        x = x.astype(np.int64)
        if bool((mask & ((x < 0) | (x >= self.n_values))).any()):
            raise InvalidValueError(f"x holds values beyond 0 to {self.n_values - 1} where it is known")
        return x, mask

    def _checked_order(self, order: Sequence[int] | None) -> list[int]:
        found = list(range(self.n_variables)) if order is None else [int(i) for i in order]
        if sorted(found) != list(range(self.n_variables)):
            raise InvalidValueError(f"order is {order}; expected a permutation of 0 to {self.n_variables - 1}")
        return found

    def with_parameters(self, parameters: Mapping[str, Any]) -> MarginalModel:
        """Return the model with other parameters, like those of a training."""
        return MarginalModel.from_state(ModelState("marginal", self.to_state().options, parameters))

    def to_state(self) -> ModelState:
        """Return the plain state, as a file holds it."""
        names = ("n_variables", "n_values", "hidden", "layers")
        return ModelState("marginal", {name: getattr(self, name) for name in names}, self.parameters)

    @classmethod
    def from_state(cls, state: ModelState) -> MarginalModel:
        """Return the model of a state.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        if state.name != "marginal":
            raise InvalidValueError(f"the state {state.name!r} is not that of a marginalization model")
        given = flatten_tree(state.parameters)
        dtype = next(iter(given.values())).dtype if given else np.float32
        model = cls(**state.options, dtype=dtype)
        expected = flatten_tree(model.parameters)
        for name in sorted({*given, *expected}):
            shapes = [tuple(a[name].shape) if name in a else None for a in (given, expected)]
            if shapes[0] != shapes[1]:
                raise ShapeError(f"parameter {name} of shape {shapes[0]}; expected {shapes[1]}")
            require_finite(given[name], f"parameter {name}")
        model.parameters = {network: dict(state.parameters[network]) for network in _NETWORKS}
        return model
