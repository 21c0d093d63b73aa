"""The choices of a U-Net, and those that make it STU-Net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["UNetConfig", "stunet_config"]

Norm = Literal["instance", "group", "evonorm_s0", "evonorm_b0"]
Downsampling = Literal["stride", "average", "max"]
SkipScaling = Literal["none", "root_half", "decay", "learned"]


@entry
@dataclass(frozen=True)
class UNetConfig:
    """What a U-Net is made of.

    Parameters
    ----------
    axes : int
        1 to 3, those of the grid.
    in_channels, out_channels : int
    channels : sequence of int
        Of every stage, the finest first; each stage halves the grid of the one before.
    depths : int, or one for each stage
        Residual blocks of a stage, in the encoder and in the decoder.
    kernel : int
        Taps of a convolution along each axis; odd.
    separable : bool
        Split each convolution into one of each channel and a matrix between channels.
    norm : {"instance", "group", "evonorm_s0", "evonorm_b0"}
        The first two with a leaky ReLU of slope 0.01.
    groups : int
        Of "group" and "evonorm_s0"; a divisor of all `channels`.
    downsampling : {"stride", "average", "max"}
        By the stride of the first block of a stage, or by a pool before it.
    skip_scaling : {"none", "root_half", "decay", "learned"}
        Factors of the skips: 1; 1 / sqrt 2; `skip_decay`^i for the skip i, 0 the finest; or a number a channel between
        0 and 1, computed by two layers from the means of the skip's channels.
    skip_decay : float
        Above 0, at most 1.
    deep_supervision : bool
        A head at every stage of the decoder, not at the finest alone.
    embedding : int
        Numbers of a vector for each sample, like a time or a class: every block adds it, through a matrix of its own,
        behind its first norm. 0 for none.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.nn import UNetConfig
    >>> UNetConfig(2, 1, 3, (8, 16, 32))
    UNetConfig(2 axes, 1 -> 8, 16, 32 -> 3 channels, 1 block a stage, instance norm)
    """

    axes: int
    in_channels: int
    out_channels: int
    channels: Sequence[int]
    depths: int | Sequence[int] = 1
    kernel: int = 3
    separable: bool = False
    norm: Norm = "instance"
    groups: int = 1
    downsampling: Downsampling = "stride"
    skip_scaling: SkipScaling = "none"
    skip_decay: float = 0.7
    deep_supervision: bool = True
    embedding: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(int(c) for c in self.channels))
        depths = self.depths if isinstance(self.depths, Sequence) else (self.depths,) * len(self.channels)
        object.__setattr__(self, "depths", tuple(int(d) for d in depths))
        if self.axes not in (1, 2, 3):
            raise InvalidValueError(f"axes is {self.axes}; expected 1, 2 or 3")
        if len(self.channels) < 2 or len(depths) != len(self.channels):
            raise InvalidValueError(
                f"channels are {self.channels} and depths {self.depths}; expected two stages or more, and one depth "
                "for each"
            )
        if min(self.in_channels, self.out_channels, *self.channels, *depths) < 1:
            raise InvalidValueError(f"{self!r}; expected positive channels and depths")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise InvalidValueError(f"kernel is {self.kernel}; expected an odd number of taps")
        if self.groups < 1 or any(c % self.groups for c in self.channels):
            raise InvalidValueError(f"groups is {self.groups} for channels {self.channels}; expected a divisor of all")
        if self.embedding < 0:
            raise InvalidValueError(f"embedding is {self.embedding}; expected a number of entries, or 0 for none")
        if not 0 < self.skip_decay <= 1:
            raise InvalidValueError(f"skip_decay is {self.skip_decay}; expected a number above 0, at most 1")

    def __repr__(self) -> str:
        depths = sorted(set(self.depths))  # type: ignore[arg-type]
        blocks = f"{depths[0]} block{'' if depths == [1] else 's'}" if len(depths) == 1 else f"{self.depths} blocks"
        extras = [
            *(["separable"] if self.separable else []),
            f"{self.norm} norm" if self.norm in ("instance", "group") else self.norm,
            *([] if self.skip_scaling == "none" else [f"{self.skip_scaling} skips"]),
            *([f"embedding of {self.embedding}"] if self.embedding else []),
        ]
        return (
            f"UNetConfig({self.axes} ax{'i' if self.axes == 1 else 'e'}s, {self.in_channels} -> "
            f"{', '.join(map(str, self.channels))} -> {self.out_channels} channels, {blocks} a stage, "
            f"{', '.join(extras)})"
        )

    @property
    def multiple(self) -> int:
        """Cells of the finest grid in one of the coarsest, along each axis."""
        return int(2 ** (len(self.channels) - 1))

    def skip_factors(self) -> list[float]:
        """Return the constant factor of each skip, the finest first.

        Returns
        -------
        list of float
        """
        count = len(self.channels) - 1
        if self.skip_scaling == "decay":
            return [self.skip_decay**i for i in range(count)]
        return [0.5**0.5 if self.skip_scaling == "root_half" else 1.0] * count


@entry
def stunet_config(
    size: Literal["small", "base", "large", "huge"], in_channels: int = 1, out_channels: int = 105, *, axes: int = 3
) -> UNetConfig:
    """Return the configuration of STU-Net: six stages of (1, 2, 4, 8, 16, 16) times a base width.

    Parameters
    ----------
    size : {"small", "base", "large", "huge"}
        Widths of 16, 32, 64 and 96 channels, with 1, 1, 2 and 3 blocks a stage.
    in_channels, out_channels : int
        105 are the classes of TotalSegmentator with the background, for which sizes were published.
    axes : int

    Returns
    -------
    UNetConfig

    References
    ----------
    Huang et al., arXiv:2304.06716, figure 2 and table 1.

    Examples
    --------
    >>> from sci.nn import stunet_config
    >>> stunet_config("small")
    UNetConfig(3 axes, 1 -> 16, 32, 64, 128, 256, 256 -> 105 channels, 1 block a stage, instance norm)
    """
    base, depth = {"small": (16, 1), "base": (32, 1), "large": (64, 2), "huge": (96, 3)}[size]
    return UNetConfig(axes, in_channels, out_channels, tuple(base * m for m in (1, 2, 4, 8, 16, 16)), depth)
