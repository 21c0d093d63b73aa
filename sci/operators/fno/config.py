"""The architecture of a Fourier neural operator, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.operators.spectral.modes import check_modes, stored_modes
from sci.operators.spectral.weights import WeightFormat

__all__ = ["SKIPS", "FNOConfig"]

SKIPS = ("linear", "soft-gating", "identity", None)
_NORMS = (None, "instance", "group")


@entry
@dataclass(frozen=True)
class FNOConfig:
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_modes", check_modes(self.n_modes))
        if self.base_modes is not None:
            object.__setattr__(self, "base_modes", check_modes(self.base_modes))
        if isinstance(self.tensor_rank, Sequence):
            object.__setattr__(self, "tensor_rank", tuple(self.tensor_rank))
        if isinstance(self.domain_padding, Sequence):
            object.__setattr__(self, "domain_padding", tuple(map(float, self.domain_padding)))
        for name in ("in_channels", "out_channels", "hidden_channels", "n_layers"):
            _require(isinstance(getattr(self, name), int) and getattr(self, name) > 0, self, name, "a positive integer")
        for name in ("lifting_ratio", "projection_ratio", "channel_mlp_expansion"):
            width = getattr(self, name) * self.hidden_channels
            _require(round(width) >= 1, self, name, "a ratio that leaves at least one hidden channel")
        _require(self.fno_skip in SKIPS, self, "fno_skip", f"one of {SKIPS}")
        _require(self.channel_mlp_skip in SKIPS, self, "channel_mlp_skip", f"one of {SKIPS}")
        _require(self.norm in _NORMS, self, "norm", f"one of {_NORMS}")
        _require(self.stabilizer in (None, "tanh"), self, "stabilizer", "None or 'tanh'")
        _require(
            len(self.paddings) == self.dim and all(0 <= p < 1 for p in self.paddings),
            *(self, "domain_padding", f"a fraction in [0, 1), or one for each of the {self.dim} axes"),
        )
        self.form()
        if self.base_modes is not None and self.base_channels is None:
            raise InvalidValueError(f"base_modes is {self.base_modes} without base_channels; expected both")
        base = self.base()
        if base is not None:
            _require(self.factorization == "dense", self, "factorization", "'dense' for a model with a base model")
            _require(base.dim == self.dim, self, "base_modes", f"one number for each of the {self.dim} axes")

    def base(self) -> FNOConfig | None:
        """Return the narrow model whose learning rate and initial values hold under muP; None without one."""
        if self.base_channels is None:
            return None
        modes = self.n_modes if self.base_modes is None else self.base_modes
        return replace(self, hidden_channels=self.base_channels, n_modes=modes, base_channels=None, base_modes=None)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> FNOConfig:
        """Return the configuration of the entries that `to_options` gave.

        Raises
        ------
        InvalidValueError
            For other names.
        """
        known = set(cls.__dataclass_fields__)
        if not known - {"base_channels", "base_modes"} <= set(options) <= known:
            raise InvalidValueError(f"the options {sorted(options)} are not those of an FNO")
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        return cls(**settings)

    def to_options(self) -> dict[str, Any]:
        """Return the entries as JSON, without those of a base model where there is none."""
        given = {
            name: value for name, value in asdict(self).items() if value is not None or not name.startswith("base_")
        }
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}

    @property
    def dim(self) -> int:
        """Number of grid axes."""
        return len(self.n_modes)

    @property
    def paddings(self) -> tuple[float, ...]:
        """Fraction of the grid that is padded at both ends of each axis."""
        padding = self.domain_padding
        return padding if isinstance(padding, tuple) else (float(padding),) * self.dim

    @property
    def fused(self) -> bool:
        """Whether a block is one op: no normalization, no stabilizer, activation after the sums."""
        return self.norm is None and self.stabilizer is None and not self.preactivation

    def form(self) -> WeightFormat:
        """Return the format of the spectral weights."""
        width, layers = self.hidden_channels, self.n_layers if self.joint else 0
        ranks = (self.factorization, self.rank_fraction, self.tensor_rank)
        return WeightFormat(width, width, stored_modes(self.n_modes), *ranks, layers)

    def widths(self) -> dict[str, tuple[int, int, int]]:
        """Return (in, hidden, out) of the lifting, of the projection, and of the perceptron of a block."""
        width = self.hidden_channels
        lifted = self.in_channels + self.dim * self.positional_grid
        return {
            "lifting": (lifted, int(self.lifting_ratio * width), width),
            "projection": (width, int(self.projection_ratio * width), self.out_channels),
            "mlp": (width, round(self.channel_mlp_expansion * width), width),
        }


def _require(good: bool, config: Any, name: str, expected: str) -> None:
    if not good:
        raise InvalidValueError(f"{name} is {getattr(config, name)!r}; expected {expected}")
