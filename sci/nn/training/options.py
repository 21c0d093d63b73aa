"""The numbers and choices of a training, checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sci.errors import InvalidValueError
from sci.nn.halves import keeper_of
from sci.nn.storage import Storage, require_storage

__all__ = ["PLAIN", "Options"]

PLAIN = {"accumulate": 1, "average": None, "storage": None, "activations": None, "monitor": None, "draws": False}
"""Options that a training which goes on has to share, beside the order of the samples, and what they are unless given:
then a checkpoint says nothing of them, as older ones do not."""


@dataclass(frozen=True)
class Options:
    """The options of `sci.nn.train` that are numbers or choices.

    Raises
    ------
    InvalidValueError
    """

    n_samples: int
    epochs: int
    batch_size: int
    seed: int
    shuffle: bool
    equal_samples: bool
    accumulate: int
    clip: float | None
    average: float | None
    storage: Storage | None
    activations: str | None
    monitor: str | None
    patience: int | None
    save_every: int | None
    schedule_each: str
    draws: bool
    prefetch: int
    evaluated: bool

    def __post_init__(self) -> None:
        self._check_counts()
        if self.clip is not None and not self.clip > 0:
            raise InvalidValueError(f"clip is {self.clip}; expected a positive norm, or None")
        if self.average is not None and not 0 < self.average < 1:
            raise InvalidValueError(f"average is {self.average}; expected a decay between 0 and 1, like 0.999, or None")
        if self.schedule_each not in ("epoch", "step"):
            raise InvalidValueError(f"schedule_each is {self.schedule_each!r}; expected 'epoch' or 'step'")
        if self.storage is not None:
            require_storage(self.storage)
        keeper_of(self.activations)
        if self.monitor is not None and not self.evaluated:
            raise InvalidValueError(f"monitor is {self.monitor!r} without evaluate; expected a function for it")
        if self.patience is not None and self.monitor is None:
            raise InvalidValueError(f"patience is {self.patience} without monitor; expected the name of a metric")

    def _check_counts(self) -> None:
        names = ("batch_size", "epochs", "save_every", "accumulate", "patience")
        counts = {"the number of samples": self.n_samples, **{name: getattr(self, name) for name in names}}
        for name, number in counts.items():
            if number is None and name in ("save_every", "patience"):
                continue
            if not isinstance(number, (int, np.integer)) or number < 1:
                raise InvalidValueError(f"{name} is {number!r}; expected a positive integer")
        if self.accumulate > self.batch_size:
            raise InvalidValueError(
                f"accumulate is {self.accumulate} for batches of {self.batch_size}; expected at most batch_size"
            )
        for name, number in {"the seed": self.seed, "prefetch": self.prefetch}.items():
            if not isinstance(number, (int, np.integer)) or number < 0:
                raise InvalidValueError(f"{name} is {number!r}; expected an integer of 0 or more")

    def fixed(self) -> dict[str, Any]:
        """Return the options that must be the same when the training goes on; plain ones are left out."""
        return {name: getattr(self, name) for name, plain in PLAIN.items() if getattr(self, name) != plain}

    def compared(self) -> dict[str, Any]:
        """Return the options that ranks must share beside the order of the samples, by the name of the argument."""
        others = ("n_samples", "epochs", "batch_size", "seed", "shuffle", "evaluated")
        return {name: value for name, value in asdict(self).items() if name not in others}
