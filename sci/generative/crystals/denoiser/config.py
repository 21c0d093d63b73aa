"""The choices of a diffusion of crystals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.generative.crystals.denoiser.features import Representation
from sci.generative.diffusion.parameterizations import PREDICTIONS, Predicts

__all__ = ["CrystalConfig", "Network", "Source"]

Network = Literal["perceptron", "unet"]
Source = Literal["given", "first", "joint"]
"""Where compositions come from."""


@entry
@dataclass(frozen=True)
class CrystalConfig:
    """What a diffusion of crystals is made of.

    Parameters
    ----------
    network : {"perceptron", "unet"}
        Residual layers on all numbers, or the U-Net over (slot, row, column) of the periodic table.
    widths : sequence of int
        Of the layers, one number; or of two or three stages of the U-Net, even ones.
    depth : int
        Residual layers, or blocks of a stage.
    steps : int
        Of the noise schedule, a cosine.
    compositions : {"given", "first", "joint"}
        "given": the network is told which slots are occupied, and empty ones are known. "first": the same, and a
        `MarginalModel` of how many atoms each element has draws compositions. "joint": the slots are denoised
        together with the places in them, as it was published.
    predicts : {"sample", "residual", "velocity", "noise"}
        What the network gives. "sample" is the crystal itself, whose error is then as small at little noise as the
        network can make it. With the others a part of the noise stays, and coordinates miss their places.
    representation : {"circle", "fraction"}
        See `CrystalFeatures`.
    composer : int
        Width of the network of compositions.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.generative import CrystalConfig
    >>> CrystalConfig(widths=[128])
    CrystalConfig(perceptron of 128, depth 3, 200 steps, compositions given, sample, circle)
    """

    network: Network = "perceptron"
    widths: Sequence[int] = (256,)
    depth: int = 3
    steps: int = 200
    compositions: Source = "given"
    predicts: Predicts = "sample"
    representation: Representation = "circle"
    composer: int = 128

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(int(w) for w in self.widths))
        choices = {
            "network": get_args(Network),
            "compositions": get_args(Source),
            "predicts": PREDICTIONS,
            "representation": get_args(Representation),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InvalidValueError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}")
        if self.network == "perceptron" and len(self.widths) != 1:
            raise InvalidValueError(f"widths are {self.widths}; expected one number for a perceptron")
        if self.network == "unet" and not (2 <= len(self.widths) <= 3 and all(w % 2 == 0 for w in self.widths)):
            raise InvalidValueError(f"widths are {self.widths}; expected two or three even numbers for a U-Net")
        if min(*self.widths, self.depth, self.composer) < 1 or not 2 <= self.steps <= 100_000:
            raise InvalidValueError(f"{self!r}; expected positive widths and depth, and 2 to 100,000 steps")

    def __repr__(self) -> str:
        widths = ", ".join(map(str, self.widths))
        return (
            f"CrystalConfig({self.network} of {widths}, depth {self.depth}, {self.steps} steps, "
            f"compositions {self.compositions}, {self.predicts}, {self.representation})"
        )

    @property
    def conditional(self) -> bool:
        """Whether the network is told which slots are occupied."""
        return self.compositions != "joint"

    def to_options(self) -> dict[str, Any]:
        """Return the arguments of the constructor, as JSON.

        Returns
        -------
        dict
        """
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
