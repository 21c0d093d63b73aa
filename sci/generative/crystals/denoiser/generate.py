"""New crystals from a trained diffusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sci.arguments import collective_entry, entry
from sci.atomistic import Configuration
from sci.distributed import Comm, agreed
from sci.errors import InvalidValueError, SciError
from sci.generative.crystals.crystals import Crystals
from sci.generative.crystals.denoiser.compositions import draw_counts, slots_of_counts
from sci.generative.crystals.denoiser.model import CrystalDiffusion
from sci.generative.crystals.elements import atomic_numbers
from sci.generative.diffusion.sampling import draw_samples

__all__ = ["GeneratedCrystals", "generate_crystals", "occupied_slots"]

_COMPOSITION = 1
"""After seed and sample: the stream of numbers that chooses a composition."""


@entry
@dataclass(frozen=True, eq=False)
class GeneratedCrystals:
    """Crystals that a model made, and the draws that became none.

    Parameters
    ----------
    configurations : sequence of Configuration
    draws : sequence of int
        The number of each, from 0.
    failures : dict of int to str
        Why the other draws are no crystals: no atom, or a cell without volume.
    accepted : float
        Part of the drawn compositions that were kept; 1 where none is drawn by a network.

    Examples
    --------
    >>> from sci.generative import GeneratedCrystals
    >>> GeneratedCrystals([], [], {0: "no slot holds an atom"})
    GeneratedCrystals(0 of 1 draw)
    """

    configurations: Sequence[Configuration]
    draws: Sequence[int]
    failures: Mapping[int, str]
    accepted: float = 1.0

    def __repr__(self) -> str:
        return f"GeneratedCrystals({len(self.configurations)} of {self.number} draw{'s' * (self.number > 1)})"

    @property
    def number(self) -> int:
        """Number of draws."""
        return len(self.draws) + len(self.failures)


@collective_entry
def generate_crystals(
    model: CrystalDiffusion,
    number: int,
    *,
    composition: Mapping[str, int] | None = None,
    neutral: bool = False,
    steps: int | None = None,
    eta: float = 1.0,
    seed: int = 0,
    batch_size: int = 16,
    comm: Comm = None,
) -> GeneratedCrystals:
    """Draw crystals from a model.

    Parameters
    ----------
    model : CrystalDiffusion
    number : int
        Draws; each is a function of the seed and its number, on any number of ranks.
    composition : dict of str to int, optional
        Atoms of each element in the cell, like {"Na": 4, "Cl": 4}. Unless given, a model of compositions "given" takes
        them as often as they were in its training; one of "first" draws them; one of "joint" always makes its own.
    neutral : bool
        Of a model of compositions "first": draw again those that `neutral_composition` refuses. The result tells which
        part was kept.
    steps, eta, seed, batch_size, comm
        See `draw_samples`.

    Returns
    -------
    GeneratedCrystals

    Raises
    ------
    InvalidValueError
        On every rank; for a composition whose elements or numbers of atoms the model has not seen, and one that is
        given to a model that makes its own.

    Notes
    -----
    Collective over `comm`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import CrystalConfig, CrystalDiffusion, Crystals, crystal, generate_crystals
    >>> salts = Crystals([crystal([11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], a * np.eye(3)) for a in (2.8, 3.0)])
    >>> generate_crystals(CrystalDiffusion.create(salts, CrystalConfig(widths=[8], steps=20)), 3)  # untrained
    GeneratedCrystals(3 of 3 draws)
    """
    with agreed(comm, "generate_crystals") as agreement:
        agreement.same(
            model=model.to_state(), number=number, composition=None if composition is None else dict(composition)
        )
        agreement.same(neutral=neutral)
        occupied, accepted = occupied_slots(model, number, composition, seed, neutral=neutral)
    vectors = draw_samples(
        *(model, model.schedule, number, [model.features.width]),
        steps=steps,
        eta=eta,
        conditions=occupied,
        seed=seed,
        batch_size=batch_size,
        dtype=next(iter(model.parameters.values())).dtype,
        comm=comm,
    )
    found, draws, failures = [], [], {}
    for k, vector in enumerate(vectors):
        try:
            found.append(model.features.decode(vector, None if occupied is None else occupied[k]))
            draws.append(k)
        except SciError as error:
            failures[k] = str(error)
    return GeneratedCrystals(found, draws, failures, accepted)


def occupied_slots(
    model: CrystalDiffusion,
    number: int,
    composition: Mapping[str, int] | None,
    seed: int,
    *,
    neutral: bool = False,
) -> tuple[np.ndarray | None, float]:
    """Return the slots of each draw, (number, slots) booleans; None where they are denoised with the places.

    Parameters
    ----------
    model : CrystalDiffusion
    number : int
    composition : dict of str to int, optional
    seed : int
    neutral : bool

    Returns
    -------
    array or None
    accepted : float
        Part of the compositions that were kept.

    Raises
    ------
    InvalidValueError
    """
    if number < 1 or seed < 0:
        raise InvalidValueError(f"number is {number}, seed {seed}; expected a positive integer, and one of 0 or more")
    if neutral and (model.config.compositions != "first" or composition is not None):
        raise InvalidValueError(
            "neutral is for compositions that the model draws; leave it out, or train one of compositions='first' and "
            "give no composition"
        )
    if not model.config.conditional:
        if composition is not None:
            raise InvalidValueError(
                "the model makes its own compositions; leave composition out, or train one that takes it"
            )
        return None, 1.0
    if composition is not None:
        if not composition or min(composition.values()) < 1:
            raise InvalidValueError(f"composition is {dict(composition)}; expected atoms of each element, 1 or more")
        if max(composition.values()) > (most := max(model.features.depths)):  # before so many atoms are listed
            raise InvalidValueError(
                f"composition is {dict(composition)}; the crystals of the training have at most {most} atoms of an "
                "element: expected no more"
            )
        symbols = [symbol for symbol, n in composition.items() for _ in range(n)]
        one = model.features.occupied(np.sort(atomic_numbers(symbols, "composition: ")), "composition: ")
        return np.repeat(one[None], number, axis=0), 1.0
    if model.config.compositions == "first":
        counts, accepted = draw_counts(model.composer, model.features, number, neutral=neutral, seed=seed)
        return slots_of_counts(model.features, counts), accepted
    known = [model.features.occupied(np.repeat(*np.array(one).T)) for one in model.compositions]
    weights = np.array(list(model.compositions.values()), dtype=np.float64)
    draws = [
        np.random.default_rng([seed, k, _COMPOSITION]).choice(len(known), p=weights / weights.sum())
        for k in range(number)
    ]
    return np.array(known)[draws], 1.0


def without_coincident(generated: GeneratedCrystals) -> tuple[Crystals | None, dict[int, str]]:
    """Return the draws that are crystals, None without any, and why the others are none, by their numbers.

    A crystal whose atoms are nearer than numbers in files can tell is none.

    Parameters
    ----------
    generated : GeneratedCrystals

    Returns
    -------
    crystals : Crystals or None
    failures : dict of int to str
    """
    kept: list[Configuration] = []
    wrong = dict(generated.failures)
    for draw, one in zip(generated.draws, generated.configurations):
        try:
            Crystals([one])
            kept.append(one)
        except SciError as error:
            wrong[draw] = str(error).removeprefix("crystal 0 (counted from 0): ")
    return (Crystals(kept) if kept else None), wrong
