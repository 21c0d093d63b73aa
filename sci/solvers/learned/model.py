"""The model of the learned V-cycle: its 279 numbers, pretrained, untrained or trained anew."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from sci.arguments import entry
from sci.backend import Array
from sci.errors import InvalidValueError, with_article
from sci.nn import ModelState
from sci.solvers.learned.parameters import Parameters, check_parameters, initial_parameters
from sci.solvers.learned.training import train_cycle
from sci.solvers.network.training import train_network

__all__ = ["CycleModel", "generations"]

# Package data, so that the model is found without h5py, which only sci.io opens, below this room. Numbers in JSON are
# exact, and a change shows in a diff. To replace it:
#   sci solve train -o MODEL.h5 --sizes 32 64
#   python -c 'import json, sci.io
#   for n, p in sci.io.load("MODEL.h5").parameters.items(): print(f" {json.dumps(n)}: {json.dumps(p.tolist())},")'
PRETRAINED = Path(__file__).parent / "pretrained.json"


@entry
class CycleModel:
    """What a learned V-cycle has learned; it serves every mask, any size and every mix of Dirichlet and Neumann parts.

    `sci.io.save` writes a model, `sci.io.load` reads it back.

    Parameters
    ----------
    parameters : mapping of arrays
        265 numbers in 24 arrays, of `sci.solvers.learned.training.train_cycle`, and 14 in four arrays, of
        `sci.solvers.network.training.train_network`; zeros where there are none of these, as in older files.

    Raises
    ------
    InvalidValueError, ShapeError
        If names or shapes are not those of this cycle, or a number is not finite.

    Examples
    --------
    >>> from sci.solvers import CycleModel
    >>> CycleModel.pretrained()
    CycleModel(279 parameters)
    >>> CycleModel.train(sizes=(8,), steps=1).n_parameters
    279
    """

    def __init__(self, parameters: Mapping[str, Array]) -> None:
        self.parameters: Parameters = check_parameters(parameters)

    @classmethod
    def pretrained(cls) -> CycleModel:
        """Return the model that ships with the library, trained on masks of 32^3 and 64^3 cells, and media of 32^3."""
        return cls(_pretrained())

    @classmethod
    def untrained(cls) -> CycleModel:
        """Return the model before training: linear interpolation and Chebyshev-like damping, for comparison."""
        return cls(initial_parameters())

    @classmethod
    def train(cls, sizes: Sequence[int] = (32, 64), *, steps: int = 1000, seed: int = 0, **settings: Any) -> CycleModel:
        """Train a model: the cycle on random masks, then the numbers of networks on random media.

        Parameters
        ----------
        sizes : sequence of int
            Cells along the axes of the masks; media have those of the smallest one, 16 at least.
        steps : int
            Steps for the cycle; networks take `generations` of them.
        seed : int
        **settings
            Others of `train_cycle`.
        """
        cycle = train_cycle(sizes, steps=steps, seed=seed, **settings)
        return cls(cycle | train_network(generations(steps), n=min(sizes), seed=seed))

    @classmethod
    def from_state(cls, model: ModelState) -> CycleModel:
        """Return the cycle model that a file holds.

        Raises
        ------
        InvalidValueError, ShapeError
            If the model is of another class, or its arrays do not fit.
        """
        if model.name != cls.__name__:
            raise InvalidValueError(
                f"the model is {with_article(model.name)}; expected a CycleModel, written by `sci solve train`"
            )
        return cls(model.parameters)

    def to_state(self) -> ModelState:
        """Return the name and the arrays that a file holds."""
        return ModelState(type(self).__name__, {}, self.parameters)

    @property
    def n_parameters(self) -> int:
        """Number of learned numbers."""
        return sum(int(p.size) for p in self.parameters.values())

    def __repr__(self) -> str:
        return f"CycleModel({self.n_parameters} parameters)"


def generations(steps: int) -> int:
    """Return the generations of the training of networks that go with steps of that of the cycle: 60 with 1000."""
    return ceil(0.06 * steps)


@functools.cache
def _pretrained() -> Parameters:
    return check_parameters(json.loads(PRETRAINED.read_text()))
