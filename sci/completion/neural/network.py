"""A network of embeddings that completes a tensor, and its training with early stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array
from sci.completion.axes import Axis
from sci.completion.neural.influence import last_layer_influence
from sci.completion.observations import Observations, cells_of
from sci.distributed import size
from sci.errors import InvalidValueError, ShapeError
from sci.nn import Adam, concatenate, embedding, linear, mean, relu, train

__all__ = ["NeuralCompletion", "check_cells", "neural_completion"]

_BLOCK = 2**16
"""Cells at a time."""


@entry
@dataclass(frozen=True, eq=False)
class NeuralCompletion:
    """A network of embeddings fitted to entries: y = offset + scale f(e_1[i_1], ..., e_K[i_K]). Made by
    `neural_completion`.

    Parameters
    ----------
    axes : tuple of K Axis
    parameters : dict of float64 arrays
        Embeddings (n_k, width) and layers.
    offset, scale : float
    held_out : (m,) bool array
        Entries of the observations that ended the training, and were not trained on.
    influence : (m,) float64 array
        Of each entry on the squared error of those held out, see `last_layer_influence`; 0 for these themselves.
    errors : (epochs + 1,) float64 array
        Mean squared error of the entries held out, of standardized values, before the training and after each epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import neural_completion, observe
    >>> i, j = np.divmod(np.arange(400), 20)
    >>> found = neural_completion(observe(np.stack([i, j], axis=1), np.sin(i / 3) + j, shape=(20, 20)))
    >>> bool(found.errors.min() < 0.1)
    True
    """

    axes: tuple[Axis, ...]
    parameters: dict[str, np.ndarray]
    offset: float
    scale: float
    held_out: np.ndarray
    influence: np.ndarray
    errors: np.ndarray

    def __repr__(self) -> str:
        names = ", ".join(axis.name for axis in self.axes)
        count = sum(p.size for p in self.parameters.values())
        error = self.scale * float(np.sqrt(self.errors.min()))
        return f"NeuralCompletion({count:,} parameters for {names}; error of held-out entries {error:.4g})"

    def predict(self, coordinates: Array | Mapping[str, Any]) -> np.ndarray:
        """Return the entries at places of the axes.

        Parameters
        ----------
        coordinates : (m, K) array, or mapping of the names of the axes to (m,) columns
            As for `observe`.

        Returns
        -------
        (m,) float64 array

        Raises
        ------
        ShapeError, InvalidValueError
            Also for a place that is not on its axis.
        """
        index = cells_of(coordinates, self.axes)
        return np.asarray(self.offset + self.scale * self.entries(index))

    def entries(self, index: np.ndarray) -> np.ndarray:
        """Return standardized entries at cells, (m, K) numbers of places along the axes."""
        parts = [forward(self.parameters, index[k : k + _BLOCK])[0] for k in range(0, len(index), _BLOCK)]
        return np.concatenate([np.empty(0), *parts])


def forward(parameters: Mapping[str, Any], index: np.ndarray) -> tuple[Any, Any]:
    """Return outputs (m,) and the last hidden values (m, H) of the network for cells (m, K)."""
    x = concatenate(*(embedding(parameters[f"embedding_{k}"], index[:, k]) for k in range(index.shape[1])), axis=1)
    for k in range(sum(name.startswith("hidden_") for name in parameters) // 2):
        x = relu(linear(x, parameters[f"hidden_{k}_weight"], parameters[f"hidden_{k}_bias"]))
    return linear(x, parameters["out_weight"], parameters["out_bias"])[:, 0], x


def drawn_network(
    shape: Sequence[int], width: int, hidden: Sequence[int], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return first parameters: normal embeddings of deviation 0.3, and weights of variance 2 / fan in."""
    found = {f"embedding_{k}": 0.3 * rng.standard_normal((n, width)) for k, n in enumerate(shape)}
    sizes = [width * len(shape), *hidden]
    for k, (below, above) in enumerate(pairwise(sizes)):
        found[f"hidden_{k}_weight"] = rng.standard_normal((above, below)) * np.sqrt(2 / below)
        found[f"hidden_{k}_bias"] = np.zeros(above)
    found["out_weight"] = rng.standard_normal((1, sizes[-1])) / np.sqrt(sizes[-1])
    found["out_bias"] = np.zeros(1)
    return found


@entry
def neural_completion(
    observations: Observations,
    *,
    width: int = 16,
    hidden: Sequence[int] = (64, 32),
    epochs: int = 40,
    patience: int = 8,
    batch_size: int = 256,
    learning_rate: float = 2e-3,
    held_out: float = 0.2,
    extra: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
) -> NeuralCompletion:
    """Complete a tensor by a network: the embeddings of a cell's places, side by side, through layers to its value.

    Trained by Adam on the squared error, until the entries held out have not improved for some epochs; the best
    parameters are kept. With every epoch the influence of each entry on those held out is summed, at the weights of
    the beginning of the epoch.

    Parameters
    ----------
    observations : Observations
        Of one process.
    width : int
        Numbers that describe a place.
    hidden : sequence of int
        Units of the layers.
    epochs, patience : int
        Most epochs, and those without improvement after which the training ends.
    batch_size : int
    learning_rate : float
    held_out : float
        Share of the cells that the training does not see, in (0, 1).
    extra : (cells, values), optional
        More cells to train on, (a, K) numbers of places with (a,) values, as `augmented_cells` draws them: they are
        neither held out nor have an influence.
    seed : int
        Of the parameters, the batches and the cells held out.

    Returns
    -------
    NeuralCompletion

    Raises
    ------
    InvalidValueError, ShapeError
        Also for observations on several ranks.
    ConvergenceError
        If the loss becomes NaN.

    References
    ----------
    Oh, Kim, Rossi and Kumar, CIKM 2021, arXiv:2108.10248 (DAIN: network, influence and augmentation).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import neural_completion, observe
    >>> i, j = np.divmod(np.arange(400), 20)
    >>> found = neural_completion(observe(np.stack([i, j], axis=1), np.sin(i / 3) + j, shape=(20, 20)), epochs=20)
    >>> found.influence.shape
    (400,)
    """
    _check(observations, width, hidden, epochs, patience, held_out)
    index, y, weights = observations.index, observations.standardized, observations.weights
    away = _held_out(index, held_out, np.random.default_rng([seed, 1]))
    own = ~away
    cells, targets, counts = index[own], y[own], weights[own]
    if extra is not None:
        more, values = check_cells(extra, observations)
        cells, counts = np.concatenate([cells, more]), np.concatenate([counts, np.ones(len(more))])
        targets = np.concatenate([targets, (values - observations.offset) / observations.scale])
    start = drawn_network(observations.shape, width, hidden, np.random.default_rng([seed, 0]))
    seen = _Seen(index, y, weights, away, learning_rate)
    seen(start)
    done = train(
        *(_loss, start, (cells, targets, counts / counts.mean())),
        optimizer=Adam(learning_rate),
        epochs=epochs,
        batch_size=min(batch_size, len(cells)),
        seed=seed,
        evaluate=lambda parameters: {"error": seen(parameters)},
        monitor="error",
        patience=patience,
        title="neural completion",
    )
    return NeuralCompletion(
        observations.axes,
        dict(done.best or done.parameters),
        observations.offset,
        observations.scale,
        away,
        seen.influence,
        np.array(seen.errors),
    )


def _loss(parameters: Any, batch: Any) -> Any:
    """Return the mean squared error of cells, values and weights."""
    away = forward(parameters, batch[0])[0] - batch[1]
    return mean(batch[2] * away * away)


class _Seen:
    """Errors and influences, as a training looks at them before its first epoch and after every one.

    Parameters
    ----------
    index : (m, K) array
    y, weights : (m,) arrays
    away : (m,) bool array
        Entries that are held out.
    learning_rate : float
    """

    def __init__(
        self, index: np.ndarray, y: np.ndarray, weights: np.ndarray, away: np.ndarray, learning_rate: float
    ) -> None:
        self.index, self.y, self.weights, self.away, self.rate = index, y, weights, away, learning_rate
        self.errors: list[float] = []
        self.sum: np.ndarray = np.zeros(len(y))
        self.influence: np.ndarray = self.sum
        """Sum over the beginnings of the epochs that led to the least error."""

    def __call__(self, parameters: Mapping[str, np.ndarray]) -> float:
        """Return the error of the entries held out, and add the influence of the others at these parameters."""
        found, features = forward(parameters, self.index)
        away, own = self.away, ~self.away
        left = found - self.y
        error = float(np.average(left[away] ** 2, weights=self.weights[away]))
        if self.errors and error < min(self.errors[1:], default=np.inf):
            self.influence = self.sum.copy()
        self.errors.append(error)
        self.sum[own] += self.rate * last_layer_influence(
            *(features[own], left[own], features[away], left[away]),
            weights=self.weights[own],
            held_out_weights=self.weights[away],
        )
        return error


def _held_out(index: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return a mask of the entries to hold out: a share of the cells, with all entries of each."""
    new = np.ones(len(index), bool)
    new[1:] = (np.diff(index, axis=0) != 0).any(axis=1)
    cell = np.cumsum(new) - 1
    n = int(cell[-1]) + 1
    count = min(max(1, round(share * n)), n - 1)
    chosen: np.ndarray = np.zeros(n, bool)
    chosen[rng.choice(n, count, replace=False)] = True
    return np.asarray(chosen[cell])


def check_cells(extra: tuple[np.ndarray, np.ndarray], observations: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Return cells and values to train on besides, or refuse them."""
    cells, values = np.asarray(extra[0]), np.asarray(extra[1], dtype=float)
    k = len(observations.shape)
    if cells.ndim != 2 or cells.shape[1] != k or values.shape != (len(cells),) or cells.dtype.kind not in "iu":
        raise ShapeError(
            f"extra holds cells of shape {cells.shape} and dtype {cells.dtype}, and values of shape {values.shape}; "
            f"expected integers (a, {k}), and (a,)"
        )
    if len(cells) and ((cells < 0) | (cells >= observations.shape)).any():
        raise InvalidValueError(f"extra holds cells outside of the shape {observations.shape}")
    if not np.isfinite(values).all():
        raise InvalidValueError("extra holds values that are NaN or infinite")
    return cells.astype(np.int64), values


def _check(
    observations: Observations, width: int, hidden: Sequence[int], epochs: int, patience: int, held_out: float
) -> None:
    if size(observations.comm) > 1:
        raise InvalidValueError("the observations lie on several ranks; a network is trained by one process on all")
    if min(width, epochs, patience, *hidden) < 1 or not 0 < held_out < 1:
        raise InvalidValueError(
            f"width {width}, hidden {tuple(hidden)}, epochs {epochs}, patience {patience}, held_out {held_out:g}; "
            "expected positive numbers, and a share above 0 and below 1"
        )
