"""The convolutional network of deep conjugate directions, and its training."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    Adam,
    Checkpoint,
    Model,
    Tape,
    add,
    add_vjp,
    average_pool,
    average_pool_vjp,
    convolve,
    convolve_vjp,
    count_parameters,
    mix_channels,
    mix_channels_vjp,
    relu,
    relu_vjp,
    train,
    upsample_nearest,
    upsample_nearest_vjp,
)
from sci.solvers.dcdm.iteration import line_search_loss, line_search_loss_vjp
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["DirectionNetwork", "train_direction_network"]

CHANNELS = 16
BRANCHES = {64: (4, 6, 4), 128: (6, 10, 6)}
"""Convolutions of the fine, the coarse and the upper branch of the networks for 64^3 and 128^3 cells."""


class DirectionNetwork:
    """Network of 3 x 3 x 3 convolutions that turns a residual of unit length into a direction.

    A linear convolution to 16 channels; a fine branch; one level below, reached by means over 2 x 2 x 2 cells; an upper
    branch that starts from the repeated coarse cells plus the fine branch's end; a linear map to one channel. The
    branches alternate a convolution with ReLU and one that adds its input of two layers before.

    Parameters
    ----------
    size : 64 or 128
        Which of the two published networks: 97,457 or 152,881 parameters. Either runs on any grid of even lengths.
    parameters : dict of arrays, optional
        Untrained from `seed` if not given.
    seed : int
    dtype : dtype

    Notes
    -----
    The network never sees the bodies: they act through A in `conjugate_directions` alone. 6.1e4 and 9.2e4
    multiplications a cell.

    References
    ----------
    Kaneda et al., A deep conjugate direction method for iteratively solving linear systems, ICML 2023, figure 3; layer
    by layer as in the authors' published training script.
    """

    def __init__(
        self, size: int = 64, parameters: dict[str, Array] | None = None, *, seed: int = 0, dtype: Any = np.float32
    ) -> None:
        if size not in BRANCHES:
            raise InvalidValueError(f"size is {size}; expected 64 or 128")
        self.size = size
        self.parameters = _initial(size, seed, dtype) if parameters is None else dict(parameters)
        expected = {name: p.shape for name, p in _initial(size, 0, dtype).items()}
        found = {name: tuple(p.shape) for name, p in self.parameters.items()}
        if found != expected:
            odd = sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
            raise ShapeError(f"the parameters {', '.join(odd)} are missing, unknown or of the wrong shape")

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return count_parameters(self.parameters)

    def forward(self, tape: Tape, parameters: dict[str, Any], x: Any) -> Any:
        """Return the directions (batch, 1, *grid) of residuals (batch, 1, *grid)."""

        def conv(name: str, value: Any, active: bool = True) -> Any:
            weights = (parameters[f"{name}.weight"], parameters[f"{name}.bias"])
            out = tape.call(convolve, convolve_vjp, value, *weights)
            return tape.call(relu, relu_vjp, out) if active else out

        def plus(a: Any, b: Any) -> Any:
            return tape.call(add, add_vjp, a, b)

        fine, coarse, upper = BRANCHES[self.size]
        even = conv("fine0", conv("first", x, active=False))
        odd = conv("fine1", even)
        for layer in range(2, fine, 2):
            even = plus(conv(f"fine{layer}", odd), even)
            odd = conv(f"fine{layer + 1}", even)
        low = tape.call(average_pool, average_pool_vjp, odd)
        for layer in range(0, coarse, 2):
            low = plus(conv(f"coarse{layer + 1}", conv(f"coarse{layer}", low)), low)
        high = plus(tape.call(upsample_nearest, upsample_nearest_vjp, low), odd)
        for layer in range(0, upper, 2):
            high = plus(conv(f"upper{layer + 1}", conv(f"upper{layer}", high)), high)
        return tape.call(mix_channels, mix_channels_vjp, high, parameters["last.weight"], parameters["last.bias"])

    def __call__(self, r: Array) -> Array:
        """Return the direction for a residual on a grid (n0, n1, n2) of even lengths."""
        if r.ndim != 3:
            raise ShapeError(f"the residual has shape {tuple(r.shape)}; expected a grid of three axes")
        xp = namespace(r)
        parameters = {name: to_device(p, xp) for name, p in self.parameters.items()}
        x = r.astype(parameters["first.bias"].dtype)[None, None]
        return self.forward(Tape(record=False), parameters, x)[0, 0].astype(r.dtype)

    def to_model(self) -> Model:
        """Return what a file holds of the network."""
        return Model("DirectionNetwork", {"size": self.size}, self.parameters)

    @classmethod
    def from_model(cls, model: Model) -> DirectionNetwork:
        """Return the network that a file holds.

        Raises
        ------
        InvalidValueError, ShapeError
            If the model is of another class, or its arrays do not fit.
        """
        if model.name != "DirectionNetwork":
            raise InvalidValueError(f"the model is a {model.name}; expected a DirectionNetwork")
        return cls(int(model.options["size"]), model.parameters)


def _initial(size: int, seed: int, dtype: Any) -> dict[str, Array]:
    """Return uniform weights in +-sqrt(6 / (27 (inputs + outputs))), and zero biases."""
    rng = np.random.default_rng(seed)
    names = [f"{branch}{layer}" for branch, n in zip(("fine", "coarse", "upper"), BRANCHES[size]) for layer in range(n)]
    shapes: dict[str, tuple[int, ...]] = {"first": (CHANNELS, 1, 3, 3, 3)}
    shapes |= dict.fromkeys(names, (CHANNELS, CHANNELS, 3, 3, 3)) | {"last": (1, CHANNELS)}
    parameters: dict[str, Array] = {}
    for name, shape in shapes.items():
        bound = (6 / (sum(shape[:2]) * np.prod(shape[2:]))) ** 0.5
        parameters[f"{name}.weight"] = rng.uniform(-bound, bound, shape).astype(dtype)
        parameters[f"{name}.bias"] = np.zeros(shape[0], dtype)
    return parameters


def train_direction_network(
    network: DirectionNetwork,
    A: PoissonOperator,
    right_hand_sides: Array,
    *,
    epochs: int = 1,
    batch_size: int = 10,
    rate: float = 1e-4,
    seed: int = 0,
    resume: Checkpoint | None = None,
    save: Any = None,
) -> tuple[DirectionNetwork, Checkpoint]:
    """Train without solutions: minimize ||b - A x||^2 with x the best multiple of the network's direction for b.

    Parameters
    ----------
    network : DirectionNetwork
    A : PoissonOperator
        Of the box that the right-hand sides belong to.
    right_hand_sides : (count, *grid) or (count, n) array
        Of unit length, such as `ritz_right_hand_sides` gives.
    epochs, batch_size : int
    rate : float
        Of Adam, constant.
    seed : int
        Of the order of the samples.
    resume : Checkpoint, optional
    save : callable, optional
        Takes checkpoints, see `sci.nn.train`.

    Returns
    -------
    network : DirectionNetwork
        A new one; the given one is not changed.
    checkpoint : Checkpoint
    """
    xp, dtype = namespace(right_hand_sides, A.mask), network.parameters["first.bias"].dtype
    rows = right_hand_sides
    if rows.shape[1:] != A.grid_shape:
        rows = xp.stack([A.scatter(row) for row in rows])
    rows = rows.astype(dtype)[:, None]

    def apply(y: Array) -> Array:
        return xp.stack([A.apply(sample[0])[None] for sample in y])

    def loss(tape: Tape, variables: dict[str, Any], batch: tuple[Array, ...]) -> Any:
        (b,) = batch
        y = network.forward(tape, variables, b)
        return tape.call(line_search_loss, line_search_loss_vjp, y, b, apply=apply)

    done = train(
        loss,
        network.parameters,
        (rows,),
        optimizer=Adam(rate),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        resume=resume,
        save=save,
        title="training the network",
    )
    return DirectionNetwork(network.size, done.parameters), done
