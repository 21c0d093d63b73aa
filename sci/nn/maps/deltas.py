"""What changes the weights of a model, kept apart from it and bound to it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, to_host
from sci.errors import DTypeError, InvalidValueError, with_article
from sci.nn.core.trees import Tree, flatten_tree, unflatten_tree
from sci.nn.maps.changes import FreeWeight, ShiftedWeight, WeightChange
from sci.nn.maps.compander import Compander
from sci.nn.maps.loldu import LoLDU
from sci.nn.maps.quantized.codebook import CodebookWeight
from sci.nn.maps.quantized.statistics import StatisticsQuantizer

__all__ = ["WeightDelta", "WeightDeltas", "fingerprint", "require_arrays"]

_MAPS: dict[str, Any] = {
    "free": FreeWeight,
    "shift": ShiftedWeight,
    "loldu": LoLDU,
    "compander": Compander,
    "codebook": CodebookWeight,
    "statistics": StatisticsQuantizer,
}


@entry
def fingerprint(parameters: Tree) -> str:
    """Return the SHA-256 of names, shapes, dtypes and all values, whatever the order of the names.

    Parameters
    ----------
    parameters : dict of arrays, or of dicts and lists of them, whose leaves count by their names

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import fingerprint
    >>> fingerprint({"w": np.ones(2)})[:8], fingerprint({"w": np.ones((2, 1))})[:8]
    ('b568f005', '126ac522')
    """
    leaves = require_arrays(parameters, "fingerprint")
    found = hashlib.sha256()
    for name in sorted(leaves):
        host = np.ascontiguousarray(to_host(leaves[name]))
        little = host.astype(host.dtype.newbyteorder("<"), copy=False)
        shape = tuple(leaves[name].shape)
        found.update(f"{len(name)} {name} {shape} {little.dtype.str}\n".encode())
        found.update(little.tobytes())
    return found.hexdigest()


def require_arrays(parameters: Tree, who: str) -> Mapping[str, Array]:
    """Return the leaves of parameters by name; raise DTypeError for one that is no array of floats."""
    leaves = flatten_tree(parameters)
    for name, array in leaves.items():
        dtype = getattr(array, "dtype", None)
        if not isinstance(name, str) or dtype is None or dtype.kind not in "fc":
            shown = f"is {with_article(type(array).__name__)}" if dtype is None else f"has dtype {dtype}"
            raise DTypeError(f"{who}: parameter {name!r} {shown}; expected named arrays of real or complex floats")
    return leaves


@entry
@dataclass(frozen=True)
class WeightDelta:
    """What changes some weights of one model: an adapter, or a signature.

    Parameters
    ----------
    model : str
        The `fingerprint` of the parameters that it belongs to.
    changes : dict name -> WeightChange
        For each weight that changes.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import FreeWeight, MappedParameters
    >>> model = {"w": np.zeros(2), "b": np.ones(1)}
    >>> delta = MappedParameters(model, {"b": FreeWeight(model["b"])}).delta({"b.value": np.full(1, 3.0)})
    >>> delta
    WeightDelta(of 1 weight, 1 number, model 66644c8e)
    >>> delta.applied(model)
    {'w': array([0., 0.]), 'b': array([3.])}
    """

    model: str
    changes: Mapping[str, WeightChange]

    def __repr__(self) -> str:
        weights, numbers = len(self.changes), self.n_numbers
        words = f"of {weights} weight{'s' * (weights != 1)}, {numbers:,} number{'s' * (numbers != 1)}"
        return f"WeightDelta({words}, model {self.model[:8]})"

    def __post_init__(self) -> None:
        if len(self.model) != 64 or not set(self.model) <= set("0123456789abcdef"):
            raise InvalidValueError(f"the model of a delta is {self.model[:80]!r}; expected its fingerprint")
        for name in self.changes:
            if not isinstance(name, str) or not name:
                raise InvalidValueError(f"a change is named {name!r}; expected the name of a parameter")

    @property
    def n_numbers(self) -> int:
        """How many real or complex numbers it holds; indices do not count."""
        return sum(int(a.size) for c in self.changes.values() for a in c.arrays.values() if a.dtype.kind in "fc")

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(change.nbytes for change in self.changes.values())

    def applied(self, parameters: Tree) -> Any:
        """Return the changed parameters in their form; arrays that do not change are the given ones.

        To take the delta off again keep what you gave: a subtraction would round.

        Raises
        ------
        InvalidValueError
            If the parameters are not those of the model, to the last bit.
        """
        self.require(parameters)
        found = dict(flatten_tree(parameters))
        for name, change in self.changes.items():
            weight_map, arrays = _known(name, change).from_change(found[name], change)
            found[name] = weight_map.fold(arrays)
        return unflatten_tree(found, parameters)

    def require(self, parameters: Tree) -> None:
        """Raise InvalidValueError unless the parameters are those that the delta belongs to."""
        found = fingerprint(parameters)
        if found != self.model:
            raise InvalidValueError(
                f"the delta belongs to a model with the fingerprint {self.model[:8]}, and this one has {found[:8]}; "
                "expected the parameters that it was made for, unchanged"
            )
        missing = sorted(set(self.changes) - set(flatten_tree(parameters)))
        if missing:
            raise InvalidValueError(f"the delta changes {', '.join(missing[:5])}, which the model does not have")


def _known(name: str, change: WeightChange) -> Any:
    if change.kind not in _MAPS:
        raise InvalidValueError(f"the change of {name} is of kind {change.kind!r}; expected one of {', '.join(_MAPS)}")
    return _MAPS[change.kind]


@entry
@dataclass(frozen=True)
class WeightDeltas:
    """Deltas of one model, by name, as one file holds them.

    Parameters
    ----------
    deltas : dict name -> WeightDelta
        At least one; all of one model.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.nn import WeightDelta, WeightDeltas
    >>> WeightDeltas({"low": WeightDelta("0" * 64, {}), "high": WeightDelta("0" * 64, {})})
    WeightDeltas(['low', 'high'], model 00000000)
    """

    deltas: Mapping[str, WeightDelta]

    def __repr__(self) -> str:
        return f"WeightDeltas({list(self.deltas)}, model {self.model[:8]})"

    def __post_init__(self) -> None:
        for name in self.deltas:
            if not isinstance(name, str) or not name.strip(".") or "/" in name or not name.isprintable():
                raise InvalidValueError(f"a delta is named {name!r}; expected printable text without '/'")
        models = {delta.model[:8] for delta in self.deltas.values()}
        if len({delta.model for delta in self.deltas.values()}) != 1:
            raise InvalidValueError(f"deltas of the models {sorted(models)}; expected deltas of one model")

    @property
    def model(self) -> str:
        """The fingerprint of the model."""
        return next(iter(self.deltas.values())).model

    def named(self, name: str | None = None) -> WeightDelta:
        """Return a delta by its name; the only one without.

        Raises
        ------
        InvalidValueError
        """
        if name is None and len(self.deltas) == 1:
            return next(iter(self.deltas.values()))
        if name is None or name not in self.deltas:
            what = "no name" if name is None else repr(name)
            known = ", ".join(self.deltas)
            raise InvalidValueError(f"{what} was given of the deltas {known}; expected one, as name= or --adapter-name")
        return self.deltas[name]
