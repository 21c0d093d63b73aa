"""Reading structures, saving and loading results, and exporting grids: the only door to h5py."""

from sci.io.codecs.npz import load_inputs, read_state_dict
from sci.io.codecs.poisson import load_problem, load_solution, save_problem, save_solution
from sci.io.codecs.samples import load_samples, save_samples
from sci.io.codecs.trajectory import compute_trajectory, trajectory_state
from sci.io.core.hdf5 import SCHEMA_VERSION, Header, read_header
from sci.io.core.parallel import gather, save_grid_parallel
from sci.io.core.slabs import GridSlabs, read_slabs, save_slabs
from sci.io.exports.dx_cube import write_cube, write_dx
from sci.io.readers.cif import read_crystal
from sci.io.readers.structure import STRUCTURE_FORMATS, read_structure
from sci.io.readers.trajectory import count_frames, read_frames
from sci.io.store import describe, load, load_grid, load_results, save, save_potential_file

__all__ = [
    "SCHEMA_VERSION",
    "STRUCTURE_FORMATS",
    "GridSlabs",
    "Header",
    "compute_trajectory",
    "count_frames",
    "describe",
    "gather",
    "load",
    "load_grid",
    "load_inputs",
    "load_problem",
    "load_results",
    "load_samples",
    "load_solution",
    "read_crystal",
    "read_frames",
    "read_header",
    "read_slabs",
    "read_state_dict",
    "read_structure",
    "save",
    "save_grid_parallel",
    "save_potential_file",
    "save_problem",
    "save_samples",
    "save_slabs",
    "save_solution",
    "trajectory_state",
    "write_cube",
    "write_dx",
]
