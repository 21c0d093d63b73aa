"""The architecture of a Fourier neural operator, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

from sci.arguments import entry
from sci.errors import InvalidValueError, with_article
from sci.operators.fno.layer import Layer, scalings
from sci.operators.spectral.modes import check_modes, stored_modes
from sci.operators.spectral.resample import CONVENTIONS
from sci.operators.spectral.weights import WeightFormat
from sci.spherical.grids import KINDS

__all__ = ["SKIPS", "FNOConfig", "OperatorConfig", "require_option"]

SKIPS = ("linear", "soft-gating", "identity", None)
_NORMS = (None, "instance", "group")


class OperatorConfig:
    """What the configurations of all operators have: their layers, the form in files, and the grid of the output."""

    n_modes: Any
    in_channels: int
    out_channels: int
    hidden_channels: int
    n_layers: int
    positional_grid: bool
    fno_skip: str | None
    channel_mlp_skip: str | None
    channel_mlp_expansion: float
    norm: str | None
    preactivation: bool
    domain_padding: float | tuple[float, ...]
    factorization: str
    separable: bool
    conventions: str
    base_channels: int | None
    stabilizer: str | None = None
    joint: bool = False
    complex_data: bool = False
    sphere: str | None = None
    horizontal_skip: str | None = None

    def check_common(self) -> None:
        """Raise InvalidValueError for an entry outside its range, of those that all operators have."""
        if isinstance(getattr(self, "tensor_rank", None), Sequence):
            object.__setattr__(self, "tensor_rank", tuple(self.tensor_rank))  # type: ignore[attr-defined]
        if isinstance(self.domain_padding, Sequence):
            object.__setattr__(self, "domain_padding", tuple(map(float, self.domain_padding)))
        for name in ("in_channels", "out_channels", "hidden_channels", "n_layers"):
            require_option(
                isinstance(getattr(self, name), int) and getattr(self, name) > 0, self, name, "a positive integer"
            )
        require_option(self.fno_skip in SKIPS, self, "fno_skip", f"one of {SKIPS}")
        require_option(self.channel_mlp_skip in SKIPS, self, "channel_mlp_skip", f"one of {SKIPS}")
        require_option(self.norm in _NORMS, self, "norm", f"one of {_NORMS}")
        require_option(self.stabilizer in (None, "tanh"), self, "stabilizer", "None or 'tanh'")
        require_option(self.conventions in CONVENTIONS, self, "conventions", f"one of {CONVENTIONS}")
        require_option(
            len(self.paddings) == self.dim and all(0 <= p < 1 for p in self.paddings),
            *(self, "domain_padding", f"a fraction in [0, 1), or one for each of the {self.dim} axes"),
        )

    @property
    def dim(self) -> int:
        """Number of grid axes."""
        return len(self.n_modes)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each block is made of."""
        raise NotImplementedError

    def widths(self) -> dict[str, tuple[int, int, int]]:
        """Return (in, hidden, out) of the lifting and of the projection."""
        raise NotImplementedError

    def horizontal(self) -> dict[int, int]:
        """Return by block the earlier block whose output joins its input."""
        return {}

    def base(self) -> Self | None:
        """Return the narrow model whose learning rate and initial values hold under muP; None without one."""
        raise NotImplementedError

    @property
    def paddings(self) -> tuple[float, ...]:
        """Fraction of the grid that is padded at both ends of each axis."""
        padding = self.domain_padding
        return padding if isinstance(padding, tuple) else (float(padding),) * self.dim

    @property
    def fused(self) -> bool:
        """Whether a block on one grid is one op: no normalization, no stabilizer, activation after the sums."""
        plain = self.norm is None and self.stabilizer is None and not self.preactivation
        return plain and not self.complex_data and self.sphere is None

    @property
    def scaled(self) -> bool:
        """Whether a block changes its grid."""
        return any(layer.scaling is not None for layer in self.layers)

    def grids(self, grid: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the grid of the input of the first block, and that of the output of each."""
        found = [tuple(n + 2 * round(p * n) for p, n in zip(self.paddings, grid))]
        for layer in self.layers:
            found.append(layer.target(found[-1]))
        return found

    def margins(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Return the points at both ends of each axis of the last block's output that the padding became."""
        factors = [1.0] * self.dim
        for layer in self.layers:
            factors = [f * s for f, s in zip(factors, layer.scaling or (1.0,) * self.dim)]
        return tuple(round(f * round(p * n)) for f, p, n in zip(factors, self.paddings, grid))

    def output_grid(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Return the grid of the output for an input on `grid`."""
        return tuple(n - 2 * m for n, m in zip(self.grids(grid)[-1], self.margins(grid)))

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Return the configuration of the entries that `to_options` gave.

        Raises
        ------
        InvalidValueError
            For other names.
        """
        known = {f.name: f.default for f in fields(cls)}  # type: ignore[arg-type]
        needed = {name for name in known if name not in cls.later()}
        if not needed <= set(options) <= set(known):
            raise InvalidValueError(f"the options {sorted(options)} are not those of {with_article(cls.__name__[:-6])}")
        return cls(**{name: _tuples(value) for name, value in options.items()})

    def to_options(self) -> dict[str, Any]:
        """Return the entries as JSON, without those of later versions that have their first value."""
        defaults = {f.name: f.default for f in fields(self)}  # type: ignore[arg-type]
        later = self.later()
        given = {n: v for n, v in asdict(self).items() if n not in later or v != defaults[n]}  # type: ignore[call-overload]
        return {name: _lists(value) for name, value in given.items()}

    @classmethod
    def later(cls) -> tuple[str, ...]:
        """Return the options that files of earlier versions do not have."""
        return ()


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _lists(value: Any) -> Any:
    return [_lists(entry) for entry in value] if isinstance(value, tuple) else value


@entry
@dataclass(frozen=True)
class FNOConfig(OperatorConfig):
    """The architecture of an FNO; see `FNO` for the meaning of the entries.

    Parameters
    ----------
    n_modes, in_channels, out_channels, hidden_channels, ...
        As in `FNO`.

    Raises
    ------
    InvalidValueError
        If an entry is outside its range.

    Examples
    --------
    >>> config = FNOConfig((8, 8), 1, 1, 32, factorization="tucker", rank_fraction=0.1)
    >>> config.dim, config.form().ranks(), config.fused
    (2, (17, 17, 4, 3), True)
    """

    n_modes: tuple[int, ...]
    in_channels: int
    out_channels: int
    hidden_channels: int
    n_layers: int = 4
    lifting_ratio: float = 2.0
    projection_ratio: float = 2.0
    positional_grid: bool = True
    fno_skip: str | None = "linear"
    channel_mlp_skip: str | None = "soft-gating"
    channel_mlp_expansion: float = 0.5
    norm: str | None = None
    preactivation: bool = False
    stabilizer: str | None = None
    domain_padding: float | tuple[float, ...] = 0.0
    factorization: str = "dense"
    rank_fraction: float = 1.0
    tensor_rank: int | tuple[int, ...] | None = None
    joint: bool = False
    base_channels: int | None = None
    base_modes: tuple[int, ...] | None = None
    separable: bool = False
    complex_data: bool = False
    resolution_scaling: float | tuple[Any, ...] | None = None
    conventions: str = "exact"
    sphere: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_modes", check_modes(self.n_modes))
        if self.base_modes is not None:
            object.__setattr__(self, "base_modes", check_modes(self.base_modes))
        self.check_common()
        for name in ("lifting_ratio", "projection_ratio", "channel_mlp_expansion"):
            width = getattr(self, name) * self.hidden_channels
            require_option(round(width) >= 1, self, name, "a ratio that leaves at least one hidden channel")
        scaled = scalings(self.resolution_scaling, self.n_layers, self.dim, "resolution_scaling")
        object.__setattr__(self, "resolution_scaling", scaled)
        self._check_kinds()
        self.form()
        if self.base_modes is not None and self.base_channels is None:
            raise InvalidValueError(f"base_modes is {self.base_modes} without base_channels; expected both")
        base = self.base()
        if base is not None:
            plain = self.factorization == "dense" and not self.separable
            require_option(plain, self, "factorization", "'dense', not separable, for a model with a base model")
            require_option(base.dim == self.dim, self, "base_modes", f"one number for each of the {self.dim} axes")

    def _check_kinds(self) -> None:
        """Raise InvalidValueError for a sphere, or complex data, beside what they do not go with."""
        require_option(self.sphere in (None, *KINDS), self, "sphere", f"one of {(None, *KINDS)}")
        if self.sphere is not None:
            require_option(self.dim == 2, self, "n_modes", "degrees, and twice the orders, of fields on a sphere")
            require_option(self.n_modes[1] >= 2, self, "n_modes", "at least one order, which is half the second number")
            require_option(not self.complex_data, self, "complex_data", "False on a sphere")
            require_option(self.resolution_scaling is None, self, "resolution_scaling", "None on a sphere")
            require_option(not any(self.paddings), self, "domain_padding", "0 on a sphere, which has no ends")
        if self.complex_data and self.resolution_scaling is not None:
            require_option(self.conventions == "exact", self, "conventions", "'exact' for complex data on other grids")

    def base(self) -> FNOConfig | None:
        """Return the narrow model whose learning rate and initial values hold under muP; None without one."""
        if self.base_channels is None:
            return None
        modes = self.n_modes if self.base_modes is None else self.base_modes
        return replace(self, hidden_channels=self.base_channels, n_modes=modes, base_channels=None, base_modes=None)

    @classmethod
    def later(cls) -> tuple[str, ...]:
        """Return the options that files of earlier versions do not have."""
        new = ("separable", "complex_data", "resolution_scaling", "conventions", "sphere")
        return ("base_channels", "base_modes", *new)

    def form(self) -> WeightFormat:
        """Return the format of the spectral weights."""
        width, layers = self.hidden_channels, self.n_layers if self.joint else 0
        ranks = (self.factorization, self.rank_fraction, self.tensor_rank)
        modes = stored_modes(self.n_modes)
        if self.sphere is not None:
            modes = self.n_modes[:1]
        elif self.complex_data:
            modes = self.n_modes
        return WeightFormat(width, width, modes, *ranks, layers, self.separable, self.complex_data)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """What each block is made of."""
        width, form = self.hidden_channels, self.form()
        scaled: Any = self.resolution_scaling or (None,) * self.n_layers
        return tuple(
            Layer(width, width, self.n_modes, form, scaled[k], activate=k < self.n_layers - 1)
            for k in range(self.n_layers)
        )

    def widths(self) -> dict[str, tuple[int, int, int]]:
        """Return (in, hidden, out) of the lifting and of the projection."""
        width = self.hidden_channels
        lifted = self.in_channels + self.dim * self.positional_grid
        return {
            "lifting": (lifted, int(self.lifting_ratio * width), width),
            "projection": (width, int(self.projection_ratio * width), self.out_channels),
        }


def require_option(good: bool, config: Any, name: str, expected: str) -> None:
    """Raise InvalidValueError, naming the option of `config`, unless `good`."""
    if not good:
        raise InvalidValueError(f"{name} is {getattr(config, name)!r}; expected {expected}")
