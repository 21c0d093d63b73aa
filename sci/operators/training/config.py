"""The settings of a training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["LOSSES", "IncrementalModes", "TrainingConfig"]

LOSSES = ("h1", "l2", "lp", "sobolev")


@entry
@dataclass(frozen=True)
class IncrementalModes:
    """How the wavenumbers of a model grow during its training, from `start` along each axis by `step` at a time.

    Parameters
    ----------
    rule : "loss-gap" or "gradient"
        Add wavenumbers when the mean loss of an epoch differs from that of the one before by at most `threshold`; or
        every `every` epochs if the last `buffer` wavenumbers (of the largest magnitude along any axis) hold more than
        `threshold` of the sum of the squared gradients of all spectral weights since then.
    start : int
        Wavenumbers along each axis at first, of both signs, at most those of the model.
    step : int
    threshold : float
    every, buffer : int
        For the rule "gradient".

    Raises
    ------
    InvalidValueError

    References
    ----------
    George, Zhao, Kossaifi, Li and Anandkumar, TMLR 2024 (incremental FNO).

    Examples
    --------
    >>> from sci.operators import IncrementalModes
    >>> IncrementalModes("loss-gap", start=4, threshold=1e-3).step
    1
    """

    rule: str = "loss-gap"
    start: int = 2
    step: int = 1
    threshold: float = 1e-3
    every: int = 1
    buffer: int = 1

    def __post_init__(self) -> None:
        if self.rule not in ("loss-gap", "gradient"):
            raise InvalidValueError(f"rule is {self.rule!r}; expected 'loss-gap' or 'gradient'")
        for name in ("start", "step", "every", "buffer"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name} is {getattr(self, name)}; expected a positive integer")
        if not self.threshold >= 0:
            raise InvalidValueError(f"threshold is {self.threshold:g}; expected a number from 0")


_ELSEWHERE = ("epochs", "accumulate", "average", "patience")


@entry
@dataclass(frozen=True)
class TrainingConfig:
    """How an operator is trained: AdamW on a relative loss of standardized outputs, the rate along half a cosine.

    Parameters
    ----------
    epochs, batch_size : int
        Passes over the samples, and samples of a step on all ranks together.
    learning_rate : float
        At the start; at most 1.
    weight_decay : float
        Of AdamW; below 1 / learning_rate.
    loss : "h1", "l2", "lp" or "sobolev"
        Relative error of values and first differences, of values alone, of their power `order` (1 is the mean of
        magnitudes), or of derivatives up to `order` by Fourier transforms, for periodic fields.
    periodic : bool, optional
        True if the fields are periodic: differences wrap around. False if not: differences at the ends are one-sided.
        Needed for the H1 loss and for H1 errors.
    horizon : float, optional
        Epochs after which the cosine reaches 0; `epochs` unless given.
    each_step : bool
        The rate changes after every step instead of every epoch.
    shuffle : bool
    square : bool
        Every pass shows each sample in one of the eight symmetries of the square, drawn at random: for equations that
        do not tell the two axes and their directions apart. Reflections map point i to N - i, of points i / N.
    equal_samples : bool
        See `sci.nn.train`.
    accumulate : int
        Parts in which a rank computes its share of a batch, for memory.
    average : float, optional
        Decay of an exponential average of the parameters over steps, like 0.999; it is the model that is returned.
    patience : int, optional
        The training ends after so many epochs without a smaller error on the first of `tests`, and returns the model of
        the best epoch.
    eps : float
        Of AdamW, beside gradients of the mean loss of a batch.
    order : float, optional
        Needed for the losses "lp" and "sobolev", and for no others.
    incremental : IncrementalModes, optional
        Start with few wavenumbers and add some as a rule says; for an FNO or TFNO.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> TrainingConfig(epochs=50, learning_rate=4e-3, periodic=True).loss
    'h1'
    >>> TrainingConfig(epochs=50)
    Traceback (most recent call last):
    ...
    sci.errors.InvalidValueError: the H1 loss needs to know whether the fields are periodic; say periodic=True or False
    """

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 8e-3
    weight_decay: float = 1e-4
    loss: str = "h1"
    periodic: bool | None = None
    horizon: float | None = None
    each_step: bool = True
    shuffle: bool = True
    square: bool = False
    equal_samples: bool = False
    accumulate: int = 1
    average: float | None = None
    patience: int | None = None
    eps: float = 1e-8
    order: float | None = None
    incremental: IncrementalModes | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "patience"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InvalidValueError(f"{name} is {getattr(self, name)}; expected a positive integer")
        if not 0 < self.learning_rate <= 1:
            raise InvalidValueError(
                f"learning_rate is {self.learning_rate:g}; expected a number above 0, at most 1: AdamW moves every "
                "parameter by about as much in a step"
            )
        if not 0 <= self.weight_decay * self.learning_rate < 1:
            raise InvalidValueError(
                f"weight_decay is {self.weight_decay:g}; expected a number from 0 to below 1 / learning_rate = "
                f"{1 / self.learning_rate:g}: a step takes weight_decay times learning_rate off every parameter"
            )
        if self.horizon is not None and not self.horizon > 0:
            raise InvalidValueError(f"horizon is {self.horizon:g}; expected a positive number of epochs")
        if self.accumulate > self.batch_size:
            raise InvalidValueError(
                f"accumulate is {self.accumulate} for batches of {self.batch_size}; expected at most batch_size"
            )
        if self.average is not None and not 0 < self.average < 1:
            raise InvalidValueError(f"average is {self.average:g}; expected a decay between 0 and 1, like 0.999")
        if self.patience is not None and self.square:
            raise InvalidValueError(
                f"patience is {self.patience} with square, whose passes are evaluated at the end alone; expected one "
                "of the two"
            )
        self._check_loss()
        if self.incremental is not None and (self.square or self.patience is not None):
            raise InvalidValueError(
                "incremental modes with square=True, which is one pass, or with patience, whose best epoch may have "
                "had fewer; expected neither"
            )

    def _check_loss(self) -> None:
        if self.loss not in LOSSES:
            raise InvalidValueError(f"loss is {self.loss!r}; expected {', '.join(map(repr, LOSSES))}")
        if (self.order is None) == (self.loss in ("lp", "sobolev")):
            raise InvalidValueError(
                f"loss is {self.loss!r} and order {self.order}; expected an order for 'lp' and 'sobolev', for no other"
            )
        if self.loss == "lp" and not 1 <= (self.order or 0) <= 64:
            raise InvalidValueError(f"order is {self.order:g} for the loss 'lp'; expected 1 to 64")
        if self.loss == "sobolev" and not -4 <= (self.order or 0) <= 4:
            raise InvalidValueError(f"order is {self.order:g} for the loss 'sobolev'; expected -4 to 4")
        if self.loss == "sobolev" and self.periodic is False:
            raise InvalidValueError("the loss 'sobolev' is for periodic fields, and periodic is False; expected 'h1'")
        if self.loss == "h1" and self.periodic is None:
            raise InvalidValueError(
                "the H1 loss needs to know whether the fields are periodic; say periodic=True or False"
            )

    def fixed(self) -> dict[str, Any]:
        """Return the settings that a resumed training must share: all but `epochs` and `patience`, which may grow.

        `accumulate` and `average` are noted by `sci.nn.train`.
        """
        settings = {**asdict(self), "horizon": float(self.horizon or self.epochs)}
        return {name: value for name, value in settings.items() if name not in _ELSEWHERE}
