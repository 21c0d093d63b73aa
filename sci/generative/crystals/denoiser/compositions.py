"""Compositions from a network: how many atoms each element has, drawn before places are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.backend import Array
from sci.errors import InvalidValueError
from sci.generative.crystals.denoiser.features import CrystalFeatures
from sci.generative.crystals.metrics import neutral_composition
from sci.generative.marginal.model import MarginalModel
from sci.generative.marginal.training import LikelihoodLoss
from sci.nn import Draws, flatten_tree, unflatten_tree

__all__ = [
    "composer",
    "composer_loss",
    "composer_parameters",
    "composer_tree",
    "counts_of",
    "draw_counts",
    "slots_of_counts",
]

PREFIX = "composition."
"""Begins the names of the parameters of the network of compositions."""
WEIGHT = 0.05
"""Of its loss beside that of places. Adam does not see it, as no parameter is shared; the clipped norm does."""
ROUNDS = 200
"""Draws for one composition until one fits, at most."""
_STRIDE = 0x9E3779B97F4A7C15


def composer(features: CrystalFeatures, hidden: int, *, seed: int = 0, dtype: Any = np.float32) -> MarginalModel:
    """Return the untrained network of compositions of crystals with these slots."""
    return MarginalModel(len(features.elements), max(features.depths) + 1, hidden=hidden, seed=seed, dtype=dtype)


def composer_parameters(model: MarginalModel) -> dict[str, Array]:
    """Return the parameters of a network of compositions by the names that they have in a diffusion."""
    return {PREFIX + name: array for name, array in flatten_tree(model.parameters).items()}


def composer_tree(model: MarginalModel, parameters: Mapping[str, Any]) -> Any:
    """Return the parameters of the network of compositions among those of a diffusion, as its own tree."""
    flat = {name.removeprefix(PREFIX): a for name, a in parameters.items() if name.startswith(PREFIX)}
    return unflatten_tree(flat, model.parameters)


def counts_of(features: CrystalFeatures, occupied: np.ndarray) -> np.ndarray:
    """Return the atoms of each element of crystals whose slots (n, slots) are occupied or not, (n, elements) int64."""
    starts = np.cumsum([0, *features.depths[:-1]])
    return np.add.reduceat(occupied.astype(np.int64), starts, axis=1)


def composer_loss(model: MarginalModel, parameters: Mapping[str, Any], counts: np.ndarray, draws: Draws) -> Any:
    """Return the weighted loss of a batch of compositions (n, elements): see `fit_likelihood`.

    Parameters
    ----------
    model : MarginalModel
        Gives the sizes.
    parameters : dict of arrays or variables
        Of the diffusion, those of the composer among them.
    counts : (n, elements) int64
    draws : Draws
    """
    return LikelihoodLoss(model, 1.0)(composer_tree(model, parameters), (counts,), draws) * WEIGHT


def draw_counts(
    model: MarginalModel, features: CrystalFeatures, number: int, *, neutral: bool, seed: int
) -> tuple[np.ndarray, float]:
    """Draw compositions.

    Draws with no atom, or more of an element than slots, are drawn again: the distribution is that of the network
    under the condition that there are slots.

    Parameters
    ----------
    model : MarginalModel
    features : CrystalFeatures
    number : int
    neutral : bool
        Draw again, too, what `neutral_composition` refuses.
    seed : int
        Composition k is a function of the seed and k.

    Returns
    -------
    counts : (number, elements) int64
    accepted : float
        Part of the draws that were kept.

    Raises
    ------
    InvalidValueError
        Where none of 200 draws for a composition fits.
    """
    counts, left, tried = np.zeros((number, model.n_variables), np.int64), np.arange(number), 0
    for turn in range(ROUNDS):
        drawn = model.sample(number, seed=(seed + turn * _STRIDE) % 2**63)[left]
        tried += len(left)
        good = _fits(features, drawn, neutral)
        counts[left[good]] = drawn[good]
        left = left[~good]
        if not len(left):
            return counts, number / tried
    raise InvalidValueError(
        f"{ROUNDS} compositions for draw {left[0]} have no slots{', or are not neutral' if neutral else ''}; train the "
        "model longer"
    )


def _fits(features: CrystalFeatures, counts: np.ndarray, neutral: bool) -> np.ndarray:
    """Return True for compositions (n, elements) of an atom at least, with slots for all, and neutral if asked."""
    found = (counts.sum(axis=1) > 0) & (counts <= np.array(features.depths)).all(axis=1)
    if neutral:
        found &= [bool(c.any()) and neutral_composition(np.repeat(features.elements, c)) for c in counts]
    return np.asarray(found)


def slots_of_counts(features: CrystalFeatures, counts: np.ndarray) -> np.ndarray:
    """Return the slots that compositions (n, elements) take, (n, slots) booleans: the first ones of each element."""
    held: np.ndarray = features.levels < counts[:, features.owners]
    return held
