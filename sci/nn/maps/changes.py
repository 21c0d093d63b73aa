"""What a map of a weight is in a file, the two simplest maps, and their protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, require_finite, to_device
from sci.errors import DTypeError, InvalidValueError, ShapeError, with_article

__all__ = [
    "FreeWeight",
    "ShiftedWeight",
    "WeightChange",
    "WeightMap",
    "as_on",
    "given_arrays",
    "require_gradient",
    "require_weight",
]

_NUMBERS = ("f4", "f8", "c8", "c16", "i8")


@entry
@dataclass(frozen=True)
class WeightChange:
    """What turns one weight of a model into another, as a file holds it.

    Parameters
    ----------
    kind : str
        "free", "shift", "loldu", "compander", "codebook" or "statistics": the map that the arrays belong to.
    arrays : dict of arrays
        float32, float64, complex64, complex128 or int64.

    Raises
    ------
    InvalidValueError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import WeightChange
    >>> WeightChange("shift", {"direction": np.ones((2, 3)), "scale": np.ones(())})
    WeightChange('shift', direction (2, 3), scale ())
    """

    kind: str
    arrays: Mapping[str, Array]

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name} {tuple(a.shape)}" for name, a in self.arrays.items())
        return f"WeightChange({self.kind!r}, {arrays})"

    def __post_init__(self) -> None:
        if not self.kind.isidentifier():
            raise InvalidValueError(f"the kind of a change is {self.kind!r}; expected a name of letters")
        for name, array in self.arrays.items():
            dtype = getattr(array, "dtype", type(array))
            if not isinstance(name, str) or not name.isidentifier():
                raise InvalidValueError(f"an array of a change is named {name!r}; expected a name of letters")
            if getattr(dtype, "str", "")[1:] not in _NUMBERS or not getattr(dtype, "isnative", False):
                raise DTypeError(f"the array {name} of a change has dtype {dtype}; expected {', '.join(_NUMBERS)}")
            require_finite(array, f"the array {name} of a change")

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(int(a.nbytes) for a in self.arrays.values())


class WeightMap(Protocol):
    """A weight as a differentiable function of other arrays; `MappedParameters` applies maps to weights by name.

    A map is made for one weight, and `forward(start())` is that weight; for a map with a true attribute `rounds`, which
    quantizes, it is one near it.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Compander
    >>> weight_map = Compander(np.array([0.5, -0.25]))
    >>> weight_map.fold(weight_map.start()).round(6)
    array([ 0.5 , -0.25])
    """

    nbytes: int
    """Bytes that the map holds beside the weight."""

    def start(self) -> dict[str, Array]:
        """Return the arrays that are trained, by name, at which the map gives the weight that it was made for."""

    def forward(self, arrays: Mapping[str, Array]) -> tuple[Array, Any]:
        """Return the weight, and what `vjp` needs."""

    def vjp(self, dweight: Array, residuals: Any) -> dict[str, Array]:
        """Return the gradients with respect to each of the arrays."""

    def fold(self, arrays: Mapping[str, Array]) -> Array:
        """Return the weight."""

    def change(self, arrays: Mapping[str, Array]) -> WeightChange:
        """Return the change, for a file, that makes the weight `fold(arrays)` of the one that the map was made for."""


@entry
class FreeWeight:
    """A weight that is trained as it is, beside others that are mapped: the head of a network, say.

    Parameters
    ----------
    weight : array
        float32, float64, complex64 or complex128.

    Raises
    ------
    DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import FreeWeight
    >>> FreeWeight(np.ones((2, 3)))
    FreeWeight((2, 3), float64)
    """

    nbytes = 0

    def __init__(self, weight: Array) -> None:
        self.weight = require_weight(weight, "FreeWeight", "fc")

    def __repr__(self) -> str:
        return f"FreeWeight({tuple(self.weight.shape)}, {self.weight.dtype})"

    def start(self) -> dict[str, Array]:
        """Return the weight as `value`."""
        return {"value": self.weight}

    def forward(self, arrays: Mapping[str, Array]) -> tuple[Array, Any]:
        """Return `value`, and nothing for `vjp`."""
        return given_arrays(arrays, self.start())[0], None

    def vjp(self, dweight: Array, residuals: Any) -> dict[str, Array]:
        """Return the gradient of `value`."""
        return {"value": require_gradient(dweight, self.weight)}

    def fold(self, arrays: Mapping[str, Array]) -> Array:
        """Return `value`."""
        return self.forward(arrays)[0]

    def change(self, arrays: Mapping[str, Array]) -> WeightChange:
        """Return `value` as the change "free"."""
        return WeightChange("free", {"value": self.fold(arrays)})

    @classmethod
    def from_change(cls, weight: Array, change: WeightChange) -> tuple[FreeWeight, dict[str, Array]]:
        """Return map and arrays of a change."""
        return cls(weight), {"value": as_on(_member(change, "value"), weight, weight.dtype)}


@entry
class ShiftedWeight:
    """A weight moved along one direction: w = w0 + scale direction, `scale` trained from 0 on.

    Parameters
    ----------
    weight : array
        float32, float64, complex64 or complex128.
    direction : array
        Of the shape of `weight`; a weight signature, say.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import ShiftedWeight
    >>> weight_map = ShiftedWeight(np.ones(2), np.array([1.0, -1.0]))
    >>> weight_map.fold({"scale": np.array(0.5)})
    array([1.5, 0.5])
    """

    def __init__(self, weight: Array, direction: Array) -> None:
        self.weight = require_weight(weight, "ShiftedWeight", "fc")
        self.direction = require_weight(direction, "ShiftedWeight", "fc")
        if direction.shape != weight.shape or direction.dtype.kind != weight.dtype.kind:
            raise ShapeError(
                f"ShiftedWeight: direction has shape {tuple(direction.shape)} and dtype {direction.dtype}, the weight "
                f"{tuple(weight.shape)} and {weight.dtype}; expected the same"
            )
        self.nbytes = int(direction.nbytes)

    def __repr__(self) -> str:
        return f"ShiftedWeight({tuple(self.weight.shape)}, {self.weight.dtype})"

    def start(self) -> dict[str, Array]:
        """Return the scale, an array without axes."""
        return {"scale": namespace(self.weight).zeros((), self.weight.real.dtype)}

    def forward(self, arrays: Mapping[str, Array]) -> tuple[Array, Any]:
        """Return the weight, and nothing for `vjp`."""
        (scale,) = given_arrays(arrays, self.start())
        return (self.weight + scale * self.direction).astype(self.weight.dtype), None

    def vjp(self, dweight: Array, residuals: Any) -> dict[str, Array]:
        """Return the gradient of the scale: the sum of dw direction, real and imaginary parts alike."""
        xp = namespace(dweight)
        require_gradient(dweight, self.weight)
        total = xp.vdot(self.direction.ravel(), dweight.ravel()).real
        return {"scale": xp.asarray(total).astype(self.weight.real.dtype).reshape(())}

    def fold(self, arrays: Mapping[str, Array]) -> Array:
        """Return the weight."""
        return self.forward(arrays)[0]

    def change(self, arrays: Mapping[str, Array]) -> WeightChange:
        """Return direction and scale as the change "shift"."""
        (scale,) = given_arrays(arrays, self.start())
        return WeightChange("shift", {"direction": self.direction, "scale": scale})

    @classmethod
    def from_change(cls, weight: Array, change: WeightChange) -> tuple[ShiftedWeight, dict[str, Array]]:
        """Return map and arrays of a change."""
        direction = as_on(_member(change, "direction"), weight)
        scale = as_on(_member(change, "scale"), weight, weight.real.dtype)
        return cls(weight, direction), {"scale": scale}


def require_weight(weight: Array, name: str, kinds: str) -> Array:
    """Return a finite weight in single or double precision, of kind real ("f") or also complex ("fc").

    Raises
    ------
    DTypeError, InvalidValueError
    """
    dtype = getattr(weight, "dtype", None)
    if dtype is None or dtype.kind not in kinds or dtype.itemsize not in (4, 8, 16) or not dtype.isnative:
        what = "real weights" if kinds == "f" else "weights"
        shown = f"is {with_article(type(weight).__name__)}" if dtype is None else f"has dtype {dtype}"
        raise DTypeError(f"{name}: weight {shown}; expected {what} in single or double precision")
    require_finite(weight, f"{name}: weight")
    return weight


def require_gradient(dweight: Array, weight: Array) -> Array:
    """Return the gradient of a weight, of its shape and dtype.

    Raises
    ------
    ShapeError
    """
    if dweight.shape != weight.shape or dweight.dtype != weight.dtype:
        shown = f"{tuple(dweight.shape)} and {dweight.dtype}"
        raise ShapeError(f"dweight is {shown}; expected {tuple(weight.shape)} and {weight.dtype}, as the weight")
    return dweight


def given_arrays(arrays: Mapping[str, Array], like: Mapping[str, Array]) -> list[Array]:
    """Return the arrays in the order of `like`, of the same names, shapes and dtypes.

    Raises
    ------
    InvalidValueError, ShapeError
    """
    if set(arrays) != set(like):
        raise InvalidValueError(f"the arrays of a map are {sorted(arrays)}; expected {sorted(like)}")
    for name, wanted in like.items():
        found = arrays[name]
        if getattr(found, "shape", None) != wanted.shape or found.dtype != wanted.dtype:
            shown = f"{getattr(found, 'shape', type(found).__name__)}, {getattr(found, 'dtype', '')}"
            raise ShapeError(f"the array {name} of a map is {shown}; expected {wanted.shape}, {wanted.dtype}")
    return [arrays[name] for name in like]


def _member(change: WeightChange, name: str) -> Array:
    if name not in change.arrays:
        raise InvalidValueError(f"{change!r} has no array {name}; the file is damaged")
    return change.arrays[name]


def as_on(array: Array, weight: Array, dtype: Any = None) -> Array:
    """Return an array where the weight is, as `dtype`; refuse to drop imaginary parts."""
    if dtype is not None and array.dtype.kind != np.dtype(dtype).kind:
        raise DTypeError(f"an array of a change has dtype {array.dtype}; expected {dtype}, as the weight asks for")
    moved = to_device(array, namespace(weight))
    return moved if dtype is None else moved.astype(dtype)
