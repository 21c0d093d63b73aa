"""Parameters of a model of which some are functions of other arrays, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError
from sci.nn.core.op import op
from sci.nn.core.trees import Tree, named_arrays, structure_of, tree_from
from sci.nn.maps.changes import WeightMap
from sci.nn.maps.deltas import WeightDelta, fingerprint

__all__ = ["MappedParameters"]

_START = 1e-4
"""Largest difference of a map's first weight from the parameter, over the largest entry."""


@entry
class MappedParameters:
    """The parameters of a model, some of them functions of the arrays that are trained.

    The forward pass of the model stays as it is: it takes `weights(variables)` in place of its parameters. All
    parameters without a map are frozen; `FreeWeight` trains one as it is.

    Parameters
    ----------
    parameters : dict of arrays, or of dicts and lists of them
        Of the model; not changed.
    maps : dict name -> WeightMap
        For names of `parameters`, those of `flatten_tree`; each made for that parameter.

    Raises
    ------
    InvalidValueError
        For unknown names, and for a map that starts at another weight than the parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Adam, FreeWeight, LoLDU, MappedParameters, linear, mean_squared_error, relu, train
    >>> rng = np.random.default_rng(0)
    >>> model = {"hidden": rng.normal(size=(16, 8)), "head": rng.normal(size=(1, 16))}
    >>> mapped = MappedParameters(model, {"hidden": LoLDU(model["hidden"], 4), "head": FreeWeight(model["head"])})
    >>> def loss(v, batch):
    ...     w = mapped.weights(v)
    ...     return mean_squared_error(linear(relu(linear(batch[0], w["hidden"])), w["head"]), batch[1])
    >>> data = rng.normal(size=(32, 8)), rng.normal(size=(32, 1))
    >>> done = train(loss, mapped.start(), data, optimizer=Adam(0.05), epochs=20, batch_size=32)
    >>> mapped, list(done.parameters), bool(done.losses[-1] < done.losses[0])
    (MappedParameters(2 maps, 21 of 144 numbers), ['hidden.z', 'hidden.scale', 'head.value'], True)
    >>> delta = mapped.delta(done.parameters)
    >>> np.array_equal(delta.applied(model)["hidden"], mapped.fold(done.parameters)["hidden"])
    True
    """

    def __init__(self, parameters: Tree, maps: Mapping[str, WeightMap]) -> None:
        leaves = named_arrays(parameters, "parameters")
        unknown = sorted(set(maps) - set(leaves))
        if unknown or not maps:
            what = f"maps of {', '.join(unknown[:5])}" if unknown else "no maps"
            raise InvalidValueError(f"MappedParameters: {what}; expected maps of some of {', '.join(leaves)}")
        self.parameters, self.maps, self._structure = dict(leaves), dict(maps), structure_of(parameters)
        self._start = {name: weight_map.start() for name, weight_map in self.maps.items()}
        for name, weight_map in self.maps.items():
            rounds = getattr(weight_map, "rounds", False)
            _require_start(name, weight_map.fold(self._start[name]), self.parameters[name], rounds)

    def __repr__(self) -> str:
        total = sum(int(p.size) for p in self.parameters.values())
        maps = f"{len(self.maps)} map{'s' if len(self.maps) > 1 else ''}"
        return f"MappedParameters({maps}, {self.n_trained:,} of {total:,} numbers)"

    @property
    def n_trained(self) -> int:
        """How many numbers are trained."""
        return sum(int(a.size) for arrays in self._start.values() for a in arrays.values())

    @property
    def nbytes(self) -> int:
        """Bytes that the maps hold beside the parameters."""
        return sum(int(weight_map.nbytes) for weight_map in self.maps.values())

    def start(self) -> dict[str, Array]:
        """Return the arrays to train, named after parameter and array, like "hidden.weight.z"."""
        return {f"{name}.{key}": a for name, arrays in self._start.items() for key, a in arrays.items()}

    def weights(self, variables: Mapping[str, Any]) -> Any:
        """Return all parameters in their form for given arrays or variables, which have the names of `start()`.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        own = self._split(variables)
        found = {
            name: _weight(*own[name].values(), weight_map=self.maps[name], names=tuple(own[name]))
            if name in own
            else parameter
            for name, parameter in self.parameters.items()
        }
        return tree_from(self._structure, found)

    def fold(self, trained: Mapping[str, Array]) -> Any:
        """Return all parameters in their form, as plain arrays: the model without maps, with the same output.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        own = self._split(trained)
        found = {n: self.maps[n].fold(own[n]) if n in own else p for n, p in self.parameters.items()}
        return tree_from(self._structure, found)

    def delta(self, trained: Mapping[str, Array]) -> WeightDelta:
        """Return the delta that turns the model's parameters into `fold(trained)`, to be kept in a file.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        own = self._split(trained)
        changes = {name: weight_map.change(own[name]) for name, weight_map in self.maps.items()}
        return WeightDelta(fingerprint(self.parameters), changes)

    def _split(self, arrays: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        wanted = self.start()
        if set(arrays) != set(wanted):
            odd = ", ".join(sorted(map(str, set(arrays) ^ set(wanted)))[:5])
            raise InvalidValueError(f"no array, or no map, for {odd}; expected the names of start()")
        return {name: {key: arrays[f"{name}.{key}"] for key in own} for name, own in self._start.items()}


def _require_start(name: str, weight: Array, parameter: Array, rounds: bool) -> None:
    fits = weight.shape == parameter.shape and weight.dtype == parameter.dtype
    if fits and weight.size and not rounds:
        off = float(abs(weight - parameter).max())
        fits = off <= _START * float(abs(parameter).max())
    if not fits:
        raise InvalidValueError(
            f"the map of {name} starts at another weight than the parameter, of shape {tuple(parameter.shape)} and "
            f"dtype {parameter.dtype}; expected a map that was made for it"
        )


def _weight_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    weight_map, names, inner = residuals
    found = weight_map.vjp(dout, inner)
    return tuple(namespace(dout).asarray(found[name]) for name in names)


@op(vjp=_weight_vjp)
def _weight(*arrays: Any, weight_map: Any, names: Any) -> tuple[Array, Any]:
    """Return the weight of a map for its arrays."""
    found, inner = weight_map.forward(dict(zip(names, arrays)))
    return found, (weight_map, names, inner)
