"""Augmentation of a tensor: more cells, drawn axis by axis, with the labels of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from sci.arguments import entry
from sci.completion.neural.influence import entity_importance
from sci.completion.neural.network import NeuralCompletion, neural_completion
from sci.completion.observations import Observations
from sci.errors import InvalidValueError, ShapeError

__all__ = ["augmented_cells", "augmented_completion"]

_ROUNDS = 20
"""Times that as many cells are drawn as are wanted, in the place of those that are there already."""


@entry
def augmented_cells(
    observations: Observations, shares: Sequence[np.ndarray], count: int, *, seed: int = 0
) -> np.ndarray:
    """Draw cells without an entry, the place along each axis by its share and apart from the others.

    Parameters
    ----------
    observations : Observations
    shares : sequence of K (n_k,) arrays
        From 0; of each axis, such as `entity_importance` returns.
    count : int
    seed : int

    Returns
    -------
    (a, K) int64 array
        Each cell once, in lexicographic order; fewer than `count` where few cells are left.

    Raises
    ------
    InvalidValueError, ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import augmented_cells, observe
    >>> found = observe(np.array([[0, 0], [0, 1], [1, 0], [1, 0]]), np.arange(4.0), shape=(2, 2))
    >>> augmented_cells(found, [np.ones(2), np.ones(2)], 5)
    array([[1, 1]])
    """
    shape = observations.shape
    if [np.shape(s) for s in shares] != [(n,) for n in shape]:
        raise ShapeError(f"shares of shapes {[np.shape(s) for s in shares]}; expected {[(n,) for n in shape]}")
    if count < 1:
        raise InvalidValueError(f"count is {count}; expected at least 1")
    for k, share in enumerate(shares):
        if not (np.isfinite(share).all() and np.min(share) >= 0 and np.sum(share) > 0):
            raise InvalidValueError(f"shares[{k}]: expected numbers from 0, not all of them 0")
    rng = np.random.default_rng(seed)
    taken = {tuple(cell) for cell in observations.index.tolist()}
    found: set[tuple[int, ...]] = set()
    for _ in range(_ROUNDS):
        drawn = np.stack([rng.choice(n, count, p=share / np.sum(share)) for n, share in zip(shape, shares)], axis=1)
        for cell in map(tuple, drawn.tolist()):
            if len(found) < count and cell not in taken:
                found.add(cell)
        if len(found) == count:
            break
    return np.array(sorted(found), dtype=np.int64).reshape(-1, len(shape))


@entry
def augmented_completion(
    observations: Observations,
    *,
    draw: Literal["influence", "uniform", "frequency"] = "uniform",
    labels: Callable[[dict[str, np.ndarray]], Any] | None = None,
    share: float = 0.5,
    seed: int = 0,
    **options: Any,
) -> NeuralCompletion:
    """Complete a tensor by a network that is trained on observed entries and on cells that a model labels.

    Parameters
    ----------
    observations : Observations
        Of one process.
    draw : {"uniform", "influence", "frequency"}
        How places are drawn: alike; by their share in the influence of the entries of a first network (the paper's
        DAIN); or by their share in the entries.
    labels : callable, optional
        Takes a dict of coordinates by the names of the axes, (a,) each, and returns (a,) values, like
        `lambda x: model.predict(x).mean` of a functional CP; those of a first network unless given.
    share : float
        Drawn cells over entries that are trained on.
    seed : int
        Of the first network and the cells; the last network has the next seed.
    **options
        See `neural_completion`.

    Returns
    -------
    NeuralCompletion
        Trained from the start on both.

    Raises
    ------
    InvalidValueError, ShapeError
        Also if every cell is observed.

    Notes
    -----
    What helps is to train on more cells, and how good their labels are: where the cells lie makes no difference that
    could be told from the scatter of seeds. See the page on completion for the numbers.

    References
    ----------
    Oh, Kim, Rossi and Kumar, CIKM 2021, arXiv:2108.10248.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import augmented_completion, observe
    >>> i, j = np.divmod(np.random.default_rng(0).permutation(400)[:200], 20)
    >>> observations = observe(np.stack([i, j], axis=1), np.sin(i / 3) + j, shape=(20, 20))
    >>> augmented_completion(observations, epochs=10).axes
    (Axis(axis_0: 20 coordinates from 0 to 19), Axis(axis_1: 20 coordinates from 0 to 19))
    """
    if not 0 < share < np.inf:
        raise InvalidValueError(f"share is {share:g}; expected a positive number")
    first = (
        None if labels is not None and draw != "influence" else neural_completion(observations, seed=seed, **options)
    )
    if draw == "influence":
        assert first is not None, "the influence is that of a first network"
        shares = entity_importance(observations.index, first.influence, observations.shape)
    elif draw == "frequency":
        shares = entity_importance(observations.index, observations.weights, observations.shape)
    else:
        shares = tuple(np.ones(n) for n in observations.shape)
    seen = len(observations.values) * (1 - options.get("held_out", 0.2))
    cells = augmented_cells(observations, shares, max(1, round(share * seen)), seed=seed)
    if not len(cells):
        raise InvalidValueError("every cell that could be drawn has an entry; there is nothing to augment")
    coordinates = {axis.name: axis.places[number] for axis, number in zip(observations.axes, cells.T)}
    values = first.predict(coordinates) if labels is None and first is not None else _labelled(labels, coordinates)
    return neural_completion(observations, extra=(cells, values), seed=seed + 1, **options)


def _labelled(labels: Any, coordinates: dict[str, np.ndarray]) -> np.ndarray:
    values, n = np.asarray(labels(coordinates), dtype=float), len(next(iter(coordinates.values())))
    if values.shape != (n,) or not np.isfinite(values).all():
        raise InvalidValueError(f"labels returned an array of shape {values.shape}; expected ({n},), finite")
    return values
