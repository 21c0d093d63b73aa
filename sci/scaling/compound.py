"""Compound scaling (Dollar et al.): depth, width and resolution grow together, so that flops grow by a factor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.scaling.counts import Counts
from sci.scaling.networks import StagedNetwork

__all__ = ["ScaleFactors", "ScaledNetwork", "scale_factors", "scale_network"]

WIDTH_STEP, GRID_STEP = 8, 4
"""Widths become multiples of the one, resolutions of the other."""


@dataclass(frozen=True)
class ScaleFactors:
    """Factors of a compound scaling.

    Parameters
    ----------
    depth, width, resolution : float
        Of the number of blocks, of the channels, and of the points along each axis.
    ndim : int
        Axes of the grid.

    Examples
    --------
    >>> from sci.scaling import ScaleFactors
    >>> ScaleFactors(depth=1.0, width=2.0, resolution=1.0, ndim=2).flops
    4.0
    """

    depth: float
    width: float
    resolution: float
    ndim: int

    @property
    def flops(self) -> float:
        """Factor of the flops: d w^2 r^n."""
        return self.activations * self.width

    @property
    def parameters(self) -> float:
        """Factor of the parameters: d w^2."""
        return self.depth * self.width**2

    @property
    def spectral_parameters(self) -> float:
        """Factor of the weights over Fourier modes, of which there are r times as many along each axis: d w^2 r^n."""
        return self.flops

    @property
    def activations(self) -> float:
        """Factor of the activations: d w r^n."""
        return self.depth * self.width * self.resolution**self.ndim


@entry
def scale_factors(s: float, alpha: float = 0.8, *, ndim: int = 2, fixed_grid: bool = False) -> ScaleFactors:
    """Return the factors of depth, width and resolution that make the flops d w^2 r^n grow by `s`.

    d = s^((1 - alpha)/2), w = s^(alpha/2), r = s^((1 - alpha)/(2 n)): activations d w r^n grow as s^(1 - alpha/2).

    Parameters
    ----------
    s : float
        Factor of the flops, positive.
    alpha : float
        Part of the growth that goes into the width: 0.8 is the fast scaling of the paper, 1/3 the uniform one, 1 width
        alone.
    ndim : int
        Axes of the grid, 1 to 3. The published factors are those of 2.
    fixed_grid : bool
        Keep the resolution: d = s^(1 - alpha), as for operators on data of one grid.

    Returns
    -------
    ScaleFactors

    Raises
    ------
    InvalidValueError

    Notes
    -----
    A layer of a Fourier neural operator of width w on grids of n points with m modes has about d w^2 m^D parameters and
    d w n^D activations, and products of w^2 n^D + w^2 m^D multiply-adds: modes that grow with the grid follow the same
    factors, and its parameters then grow like the flops.

    References
    ----------
    Dollar, Singh, Girshick, arXiv:2103.06877, section 4.

    Examples
    --------
    >>> from sci.scaling import scale_factors
    >>> [round(scale_factors(s).activations, 3) for s in (4.0, 16.0)]
    [2.297, 5.278]
    """
    if not 0 < s < float("inf") or not 0 <= alpha <= 1 or ndim not in (1, 2, 3):
        raise InvalidValueError(
            f"scaling by {s} with alpha {alpha} in {ndim} dimensions; expected a positive factor, alpha from 0 to 1 "
            "and 1 to 3 dimensions"
        )
    rest = 1 - alpha
    if fixed_grid:
        return ScaleFactors(s**rest, s ** (alpha / 2), 1.0, ndim)
    return ScaleFactors(s ** (rest / 2), s ** (alpha / 2), s ** (rest / (2 * ndim)), ndim)


@dataclass(frozen=True)
class ScaledNetwork:
    """A network that was scaled, and what the rounding of its sizes left of the factor.

    Parameters
    ----------
    network : StagedNetwork
    counts, before : Counts
        Of the network and of the one it was made from.
    asked : float
        Factor of the flops that was asked for.

    Examples
    --------
    >>> from sci.scaling import StagedNetwork, scale_network
    >>> round(scale_network(StagedNetwork((4, 4), (64, 128), (2, 2), 64), 2.0).parameters, 2)
    1.72
    """

    network: StagedNetwork
    counts: Counts
    before: Counts
    asked: float

    @property
    def flops(self) -> float:
        """Factor of the flops that was reached."""
        return self.counts.flops / self.before.flops

    @property
    def activations(self) -> float:
        """Factor of the activations that was reached."""
        return self.counts.activations / self.before.activations

    @property
    def parameters(self) -> float:
        """Factor of the parameters that was reached."""
        return self.counts.parameters / self.before.parameters

    def __repr__(self) -> str:
        return (
            f"ScaledNetwork({self.network!r}, flops x {self.flops:.4g} of {self.asked:.4g}, parameters x "
            f"{self.parameters:.4g}, activations x {self.activations:.4g})"
        )


@entry
def scale_network(network: StagedNetwork, s: float, alpha: float = 0.8) -> ScaledNetwork:
    """Scale a residual network so that its flops grow by about `s`.

    Parameters
    ----------
    network : StagedNetwork
    s, alpha : float
        As in `scale_factors`.

    Returns
    -------
    ScaledNetwork

    Raises
    ------
    InvalidValueError

    Notes
    -----
    Widths are rounded to multiples of 8, resolutions to multiples of 4, depths to whole blocks, at least one a stage;
    the width of groups grows as the channels do, to 1, 2, 4 or multiples of 8, and the channels are whole groups. Small
    networks therefore miss the factor: the one that was reached is in the result.

    Examples
    --------
    >>> from sci.scaling import StagedNetwork, scale_network
    >>> small = StagedNetwork((2, 4, 2), (32, 64, 128), (2, 2, 2), 64)
    >>> scaled = scale_network(small, 4.0)
    >>> scaled.network.depths, scaled.network.widths, scaled.network.resolution
    ((2, 5, 2), (56, 112, 224), 68)
    >>> round(scaled.flops, 2), round(scaled.activations, 2)
    (3.98, 2.11)
    """
    factors = scale_factors(s, alpha, ndim=network.ndim)
    group = _group(network.group_width * factors.width) if network.group_width else 0
    stem = (_multiple(network.stem[0] * factors.width, WIDTH_STEP), *network.stem[1:])
    scaled = replace(
        network,
        depths=tuple(max(1, round(d * factors.depth)) for d in network.depths),
        widths=tuple(_width(w * factors.width, group * max(1, network.bottleneck)) for w in network.widths),
        resolution=_multiple(network.resolution * factors.resolution, GRID_STEP),
        group_width=group,
        stem=stem,
    )
    return ScaledNetwork(scaled, scaled.counts(), network.counts(), s)


def _multiple(value: float, step: int) -> int:
    """Return the nearest multiple of `step` that is positive."""
    return max(step, step * round(value / step))


def _width(value: float, group: int) -> int:
    """Return the nearest width: a multiple of 8, and of whole groups where there are groups."""
    if not group:
        return _multiple(value, WIDTH_STEP)
    return _multiple(value, group if group % WIDTH_STEP == 0 else WIDTH_STEP * group)


def _group(value: float) -> int:
    """Return the nearest width of a group: 1, 2, 4, or a multiple of 8."""
    return min((1, 2, 4, _multiple(value, WIDTH_STEP)), key=lambda g: abs(g - value))
