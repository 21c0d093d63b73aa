"""Trained operators: maps between fields in their own units, and their form in files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sci.arguments import entry
from sci.backend import Array, namespace, require_finite
from sci.errors import InvalidValueError
from sci.nn import ModelState, Standardizer
from sci.operators.fno.base import Operator
from sci.operators.fno.config import FNOConfig
from sci.operators.fno.model import FNO, SFNO, TFNO
from sci.operators.patches.parallel import predict_patches
from sci.operators.patches.windows import MultigridPatches
from sci.operators.uno.config import UNOConfig
from sci.operators.uno.model import UNO

__all__ = ["TrainedOperator"]


@entry
@dataclass(frozen=True, repr=False)
class TrainedOperator:
    """A model between fields in their own units: inputs are standardized, outputs turned back.

    Parameters
    ----------
    model : FNO, TFNO, SFNO or UNO
    inputs, outputs : Standardizer or None
    patches : MultigridPatches or None
        The model takes patches of the fields, and its outputs are stitched.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.operators import TFNO
    >>> operator = TrainedOperator(TFNO((4, 4), 1, 1, 8, 2))
    >>> operator
    TrainedOperator(TFNO((4, 4), 1 -> 8 -> 1 channels, 2 layers, tucker (3, 3, 2, 1), 981 parameters, 3.9 kB))
    >>> operator(np.zeros((3, 1, 9, 8), np.float32)).shape
    (3, 1, 9, 8)
    """

    model: Operator
    inputs: Standardizer | None = None
    outputs: Standardizer | None = None
    patches: MultigridPatches | None = None

    def __repr__(self) -> str:
        """Return the model, and what else there is."""
        parts = [f"{n}={getattr(self, n)!r}" for n in ("inputs", "outputs", "patches") if getattr(self, n) is not None]
        return f"TrainedOperator({', '.join([repr(self.model), *parts])})"

    def __call__(self, x: Array, *, batch_size: int = 64) -> Array:
        """Return the outputs for `x` (n, channel, *grid) on any grid, `batch_size` samples at a time.

        Raises
        ------
        InvalidValueError, ShapeError, DTypeError
        """
        require_finite(x, "the field")
        parts = []
        for start in range(0, max(len(x), 1), batch_size):
            part = x[start : start + batch_size]
            y = self._predict(self.inputs.encode(part) if self.inputs else part)
            parts.append(self.outputs.decode(y) if self.outputs else y)
        return namespace(x).concatenate(parts) if len(parts) > 1 else parts[0]

    def _predict(self, x: Array) -> Array:
        return self.model(x) if self.patches is None else predict_patches(self.model, self.patches, x)

    def to_state(self) -> ModelState:
        """Return its form in a file: options and arrays."""
        options: dict[str, Any] = {"config": self.model.config.to_options(), "class": type(self.model).__name__}
        if self.patches is not None:
            options["patches"] = asdict(self.patches)
        parameters = dict(self.model.parameters)
        for name, standardizer in (("inputs", self.inputs), ("outputs", self.outputs)):
            if standardizer is not None:
                options[f"{name}_eps"] = standardizer.eps
                parameters[f"standardizer.{name}.mean"] = standardizer.mean
                parameters[f"standardizer.{name}.std"] = standardizer.std
        return ModelState("UNO" if isinstance(self.model, UNO) else "FNO", options, parameters)

    @classmethod
    def from_state(cls, model: ModelState) -> TrainedOperator:
        """Return the operator that `to_state` described.

        Raises
        ------
        InvalidValueError
            If `model` is another kind of model, or its parts do not fit together.
        """
        config = _current_names(model.options.get("config"))
        if model.name not in ("FNO", "UNO") or not config:
            raise InvalidValueError(
                f"the model is of the kind {model.name}; expected an FNO or a UNO that was trained here"
            )
        own = {n: p for n, p in model.parameters.items() if n.partition(".")[0] not in _STANDARDIZERS}
        kind: type[Operator] = _CLASSES.get(str(model.options.get("class")), FNO)
        settings: type[FNOConfig | UNOConfig] = UNOConfig if kind is UNO else FNOConfig
        patches = model.options.get("patches")
        return cls(
            kind.of(settings.from_options(config), own),
            _standardizer(model, "inputs"),
            _standardizer(model, "outputs"),
            None if patches is None else MultigridPatches(**patches),
        )


_CLASSES: dict[str, type[Operator]] = {"FNO": FNO, "TFNO": TFNO, "SFNO": SFNO, "UNO": UNO}
_STANDARDIZERS = ("standardizer", "normalizer", "normaliser")
"""What the arrays of standardizers are named after; the last two in files of schema 1."""


def _current_names(config: Any) -> dict[str, Any]:
    """Return the options of an FNO in a file; those of schema 1 have a `rank`, a float where it is a fraction."""
    if not isinstance(config, dict):
        return {}
    settings = dict(config)
    if "rank" in settings:
        rank = settings.pop("rank")
        share = isinstance(rank, float)
        settings.update(rank_fraction=rank if share else 1.0, tensor_rank=None if share else rank)
    return settings


def _standardizer(model: ModelState, name: str) -> Standardizer | None:
    if f"{name}_eps" not in model.options:
        return None
    for prefix in _STANDARDIZERS:
        mean, std = (model.parameters.get(f"{prefix}.{name}.{part}") for part in ("mean", "std"))
        if mean is not None and std is not None:
            return Standardizer(mean, std, float(model.options[f"{name}_eps"]))
    raise InvalidValueError(f"the model has no arrays standardizer.{name}.*; the file is incomplete")
