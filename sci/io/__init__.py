"""Reading structures, saving and loading results, and exporting grids: the only door to h5py."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import sci.io.codecs.table  # where the codecs are
import sci.io.core.registry
from sci.io.core.datasets import read_array, read_text, write_array, write_text
from sci.io.core.hdf5 import read_header
from sci.io.core.header import SCHEMA_VERSION, Header
from sci.io.core.outputs import reserve
from sci.io.core.registry import Codec, Kind, codec, kinds, read_member, write_member
from sci.io.core.results import Quantity

if TYPE_CHECKING:
    from sci.io.codecs.compressed.arrays import read_compressed
    from sci.io.codecs.compressed.packing import CompressedDataset, compress_file
    from sci.io.codecs.compressed.rules import StoredField, stored_fields
    from sci.io.codecs.compressed.series import CompressedSeries
    from sci.io.codecs.compressed.unpacking import decompress_file
    from sci.io.codecs.compressed.vector import read_coded_block
    from sci.io.codecs.models import model_codec
    from sci.io.codecs.poisson import PoissonProblem, load_problem
    from sci.io.codecs.samples import Samples, load_inputs, load_samples, save_samples
    from sci.io.codecs.smoke import SmokeRun, save_smoke
    from sci.io.codecs.trajectory import TrajectoryFile, TrajectoryState, compute_trajectory, trajectory_state
    from sci.io.configurations import read_configurations, write_configurations
    from sci.io.crystals import read_crystals, write_crystals
    from sci.io.description import describe
    from sci.io.exports.cif import write_cif
    from sci.io.exports.dx_cube import write_cube, write_dx
    from sci.io.exports.frames import copy_frames
    from sci.io.exports.vtkhdf import export_vtkhdf
    from sci.io.grids.computed import ComputedGrid, save_computed_grid
    from sci.io.grids.fields import Fields
    from sci.io.grids.parts import join_parts, save_grid_parallel
    from sci.io.grids.slabs import GridSlabs, read_slabs, save_slabs
    from sci.io.labelled import LabelledArray, load_arrays
    from sci.io.points import PointSet, read_points
    from sci.io.readers.cif import read_cif, read_crystal
    from sci.io.readers.exclusions import read_exclusions, structure_exclusions
    from sci.io.readers.frame import Frame
    from sci.io.readers.state_dict import read_state_dict
    from sci.io.readers.structure import STRUCTURE_FORMATS, read_structure
    from sci.io.readers.table import read_table
    from sci.io.readers.trajectory import count_frames, read_frames, read_positions
    from sci.io.sample_blocks import SampleBlocks, read_sample_blocks
    from sci.io.sample_reader import SampleReader
    from sci.io.store import load, load_grid, load_results, save, save_potential_file

__all__ = [
    "SCHEMA_VERSION",
    "STRUCTURE_FORMATS",
    "Codec",
    "CompressedDataset",
    "CompressedSeries",
    "ComputedGrid",
    "Fields",
    "Frame",
    "GridSlabs",
    "Header",
    "Kind",
    "LabelledArray",
    "PointSet",
    "PoissonProblem",
    "Quantity",
    "SampleBlocks",
    "SampleReader",
    "Samples",
    "SmokeRun",
    "StoredField",
    "TrajectoryFile",
    "TrajectoryState",
    "codec",
    "compress_file",
    "compute_trajectory",
    "copy_frames",
    "count_frames",
    "decompress_file",
    "describe",
    "export_vtkhdf",
    "join_parts",
    "kinds",
    "load",
    "load_arrays",
    "load_grid",
    "load_inputs",
    "load_problem",
    "load_results",
    "load_samples",
    "model_codec",
    "read_array",
    "read_cif",
    "read_coded_block",
    "read_compressed",
    "read_configurations",
    "read_crystal",
    "read_crystals",
    "read_exclusions",
    "read_frames",
    "read_header",
    "read_member",
    "read_points",
    "read_positions",
    "read_sample_blocks",
    "read_slabs",
    "read_state_dict",
    "read_structure",
    "read_table",
    "read_text",
    "reserve",
    "save",
    "save_computed_grid",
    "save_grid_parallel",
    "save_potential_file",
    "save_samples",
    "save_slabs",
    "save_smoke",
    "stored_fields",
    "structure_exclusions",
    "trajectory_state",
    "write_array",
    "write_cif",
    "write_configurations",
    "write_crystals",
    "write_cube",
    "write_dx",
    "write_member",
    "write_text",
]

_LATER: tuple[tuple[Callable[[], ModuleType], str], ...] = (
    (lambda: import_module("sci.io.codecs.compressed.arrays"), "read_compressed"),
    (lambda: import_module("sci.io.codecs.compressed.packing"), "CompressedDataset compress_file"),
    (lambda: import_module("sci.io.codecs.compressed.rules"), "StoredField stored_fields"),
    (lambda: import_module("sci.io.codecs.compressed.series"), "CompressedSeries"),
    (lambda: import_module("sci.io.codecs.compressed.unpacking"), "decompress_file"),
    (lambda: import_module("sci.io.codecs.compressed.vector"), "read_coded_block"),
    (lambda: import_module("sci.io.codecs.models"), "model_codec"),
    (lambda: import_module("sci.io.codecs.poisson"), "PoissonProblem load_problem"),
    (lambda: import_module("sci.io.codecs.samples"), "Samples load_inputs load_samples save_samples"),
    (lambda: import_module("sci.io.codecs.smoke"), "SmokeRun save_smoke"),
    (
        lambda: import_module("sci.io.codecs.trajectory"),
        "TrajectoryFile TrajectoryState compute_trajectory trajectory_state",
    ),
    (lambda: import_module("sci.io.configurations"), "read_configurations write_configurations"),
    (lambda: import_module("sci.io.crystals"), "read_crystals write_crystals"),
    (lambda: import_module("sci.io.description"), "describe"),
    (lambda: import_module("sci.io.exports.cif"), "write_cif"),
    (lambda: import_module("sci.io.exports.dx_cube"), "write_cube write_dx"),
    (lambda: import_module("sci.io.exports.frames"), "copy_frames"),
    (lambda: import_module("sci.io.exports.vtkhdf"), "export_vtkhdf"),
    (lambda: import_module("sci.io.grids.computed"), "ComputedGrid save_computed_grid"),
    (lambda: import_module("sci.io.grids.fields"), "Fields"),
    (lambda: import_module("sci.io.grids.parts"), "join_parts save_grid_parallel"),
    (lambda: import_module("sci.io.grids.slabs"), "GridSlabs read_slabs save_slabs"),
    (lambda: import_module("sci.io.labelled"), "LabelledArray load_arrays"),
    (lambda: import_module("sci.io.points"), "PointSet read_points"),
    (lambda: import_module("sci.io.readers.cif"), "read_cif read_crystal"),
    (lambda: import_module("sci.io.readers.exclusions"), "read_exclusions structure_exclusions"),
    (lambda: import_module("sci.io.readers.frame"), "Frame"),
    (lambda: import_module("sci.io.readers.state_dict"), "read_state_dict"),
    (lambda: import_module("sci.io.readers.structure"), "STRUCTURE_FORMATS read_structure"),
    (lambda: import_module("sci.io.readers.table"), "read_table"),
    (lambda: import_module("sci.io.readers.trajectory"), "count_frames read_frames read_positions"),
    (lambda: import_module("sci.io.sample_blocks"), "SampleBlocks read_sample_blocks"),
    (lambda: import_module("sci.io.sample_reader"), "SampleReader"),
    (lambda: import_module("sci.io.store"), "load load_grid load_results save save_potential_file"),
)
"""Modules that import rooms which a program may not need, and the names in them: imported when they are asked for."""
_IMPORT_OF = {name: imported for imported, names in _LATER for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _IMPORT_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(sci.io.core.registry.late(_IMPORT_OF[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
