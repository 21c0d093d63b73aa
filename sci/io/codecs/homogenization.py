"""EquiNO models in files: the image of the phases, their laws, the modes and the networks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from sci.applications import Composite, EquiNO, LinearElastic, Saturating
from sci.backend import to_host
from sci.errors import FileFormatError, InvalidValueError, with_article
from sci.io.codecs.models import read_arrays, read_dict, write_arrays
from sci.io.core.datasets import Group, axis_dims, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec, read_member, write_member
from sci.io.grids.fields import Fields

_UNITS = {"phase": "1", "strain": "1"}
_LAWS: dict[str, type[Any]] = {"linear_elastic": LinearElastic, "saturating": Saturating}


@codec(Composite, kind="composite")
class _CompositeCodec:
    """`phase` (n, m, integers); attribute `laws` (JSON): for each phase the name of its law and its constants."""

    @staticmethod
    def write(group: Group, composite: Composite) -> None:
        write_array(group, "phase", to_host(composite.phase).astype(np.int64), "1", axis_dims(2))
        write_text(group, "laws", json.dumps([_plain(law) for law in composite.laws]))

    @staticmethod
    def read(group: Group) -> Composite:
        laws = json.loads(read_text(group, "laws"))
        if not isinstance(laws, list):
            raise FileFormatError(f"the attribute laws of {group.name} is damaged; expected a JSON list")
        return Composite(read_array(group, "phase", (None, None), ("i8",)), tuple(map(_law, laws)))

    @staticmethod
    def fields(composite: Composite) -> Fields:
        """Return the image of the phases."""
        return Fields(tuple(composite.phase.shape), [(None, {"phase": composite.phase})], {"phase": "1"})


@codec(EquiNO, kind="equino")
class _EquiNOCodec:
    """Group `composite`; `strain_modes` and `stress_modes` (r, 3, n, m); attribute `options` (JSON: strain_range,
    depth); group `parameters` as `model`."""

    @staticmethod
    def write(group: Group, model: EquiNO) -> None:
        write_member(group, "composite", model.composite)
        for branch, modes in model.modes.items():
            dims = (f"{branch}_mode", "xx_yy_xy", *axis_dims(2))
            write_array(group, f"{branch}_modes", modes, _UNITS.get(branch, ""), dims)
        write_text(group, "options", json.dumps({"strain_range": model.strain_range, "depth": model.depth}))
        write_arrays(group, "parameters", model.parameters)

    @staticmethod
    def read(group: Group) -> EquiNO:
        strain, stress = (read_array(group, f"{b}_modes", (None, 3, None, None)) for b in ("strain", "stress"))
        options, parameters = read_dict(group, "options"), read_arrays(group, "parameters")
        width = len(parameters["strain.0.bias"]) if "strain.0.bias" in parameters else 1
        model = EquiNO(read_member(group, "composite", Composite), strain, stress, width=width, **options)
        expected = {name: p.shape for name, p in model.parameters.items()}
        if {name: p.shape for name, p in parameters.items()} != expected:
            raise FileFormatError(f"the parameters of {group.name} do not fit its options; the file is damaged")
        model.parameters = {name: parameters[name] for name in expected}
        return model

    @staticmethod
    def n_bytes(model: EquiNO) -> int:
        """Return the size of image and modes."""
        return 8 * int(model.composite.phase.size) + sum(int(modes.nbytes) for modes in model.modes.values())

    @staticmethod
    def fields(model: EquiNO) -> Fields:
        """Return the image of the phases and the components of every mode."""
        values = {"phase": model.composite.phase}
        for branch, modes in model.modes.items():
            for k, mode in enumerate(to_host(modes)):
                values |= {f"{branch}_mode_{k}_{name}": part for name, part in zip(("xx", "yy", "xy"), mode)}
        units = {name: _UNITS[name.split("_")[0]] for name in values if name.split("_")[0] in _UNITS}
        return Fields(tuple(model.composite.phase.shape), [(None, values)], units)


def _plain(law: Any) -> list[Any]:
    for name, cls in _LAWS.items():
        if type(law) is cls:
            return [name, asdict(law)]
    raise InvalidValueError(
        f"cannot save a composite with {with_article(type(law).__name__)}; "
        "expected the laws LinearElastic or Saturating"
    )


def _law(entry: Any) -> Any:
    match entry:
        case [str(name), dict(constants)] if name in _LAWS:
            return _LAWS[name](**constants)
    raise FileFormatError(f"the law {entry!r} is unknown; expected one of {', '.join(_LAWS)}")
