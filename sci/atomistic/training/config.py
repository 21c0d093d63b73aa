"""The settings of a training of a potential."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["PotentialTraining"]

_ELSEWHERE = ("epochs", "patience")


@entry
@dataclass(frozen=True)
class PotentialTraining:
    """How a potential is trained: Adam on squared errors, the rate along half a cosine.

    The loss of a configuration is w_E (dE / n)^2 + w_F mean |dF|^2 / 3 + w_S mean (dW / n)^2 over the nine entries of
    the virial W = V times the stress, in units of the root mean square of the forces; labels that a configuration lacks
    are left out.

    Parameters
    ----------
    epochs, batch_size : int
        Passes over the configurations, and configurations of a step on all ranks together.
    learning_rate : float
        At the start.
    energy_weight, force_weight, stress_weight : float
        w_E, w_F and w_S; not all 0.
    horizon : float, optional
        Epochs after which the cosine reaches 0; `epochs` unless given.
    clip : float, optional
        Largest norm of a gradient.
    average : float, optional
        Decay of an exponential average of the parameters over steps, like 0.99; it is the potential that is returned.
    patience : int, optional
        The training ends after so many epochs without a smaller force error on the first of `tests`, and returns the
        potential of the best epoch.
    standardize : bool
        Take the energies of single atoms, the scale and the number of neighbors from the configurations; without, they
        stay those of the potential, as for a potential that is trained on more.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.atomistic import PotentialTraining
    >>> PotentialTraining(epochs=200, batch_size=4).force_weight
    10.0
    """

    epochs: int = 100
    batch_size: int = 4
    learning_rate: float = 1e-2
    energy_weight: float = 1.0
    force_weight: float = 10.0
    stress_weight: float = 1.0
    horizon: float | None = None
    clip: float | None = 10.0
    average: float | None = None
    patience: int | None = None
    standardize: bool = True

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InvalidValueError(f"{name} is {getattr(self, name)}; expected a positive integer")
        if not 0 < self.learning_rate <= 1:
            raise InvalidValueError(f"learning_rate is {self.learning_rate:g}; expected a number above 0, at most 1")
        weights = (self.energy_weight, self.force_weight, self.stress_weight)
        if min(weights) < 0 or max(weights) == 0:
            raise InvalidValueError(f"the weights are {weights}; expected numbers from 0, not all 0")
        if self.horizon is not None and not self.horizon > 0:
            raise InvalidValueError(f"horizon is {self.horizon:g}; expected a positive number of epochs")
        if self.average is not None and not 0 < self.average < 1:
            raise InvalidValueError(f"average is {self.average:g}; expected a decay between 0 and 1, like 0.99")

    def fixed(self) -> dict[str, Any]:
        """Return the settings that a resumed training must share: all but `epochs` and `patience`, which may grow.

        Returns
        -------
        dict
        """
        settings = {**asdict(self), "horizon": float(self.horizon or self.epochs)}
        return {name: value for name, value in settings.items() if name not in _ELSEWHERE and name != "average"}
