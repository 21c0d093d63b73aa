"""The model of the learned V-cycle: its 265 numbers, pretrained, untrained or trained anew."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sci.arguments import entry
from sci.backend import Array
from sci.errors import InvalidValueError, with_article
from sci.nn import ModelState
from sci.solvers.learned.parameters import Parameters, check_parameters, initial_parameters
from sci.solvers.learned.training import train_cycle

__all__ = ["CycleModel"]

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
        265 numbers in 24 arrays, of `sci.solvers.learned.training.train_cycle`.

    Raises
    ------
    InvalidValueError, ShapeError
        If names or shapes are not those of this cycle, or a number is not finite.

    Examples
    --------
    >>> from sci.solvers import CycleModel
    >>> CycleModel.pretrained()
    CycleModel(265 parameters)
    >>> CycleModel.train(sizes=(8,), steps=1).n_parameters
    265
    """

    def __init__(self, parameters: Mapping[str, Array]) -> None:
        self.parameters: Parameters = check_parameters(parameters)

    @classmethod
    def pretrained(cls) -> CycleModel:
        """Return the model that ships with the library, trained on masks of 32^3 and 64^3 cells."""
        return cls(_pretrained())

    @classmethod
    def untrained(cls) -> CycleModel:
        """Return the model before training: linear interpolation and Chebyshev-like damping, for comparison."""
        return cls(initial_parameters())

    @classmethod
    def train(cls, **settings: Any) -> CycleModel:
        """Train a model; the settings are those of `train_cycle`."""
        return cls(train_cycle(**settings))

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


@functools.cache
def _pretrained() -> Parameters:
    return check_parameters(json.loads(PRETRAINED.read_text()))
