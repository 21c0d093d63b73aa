"""Reading structures, saving and loading results, and exporting grids: the only door to h5py."""

from sci.io.crystal import read_crystal
from sci.io.export import write_cube, write_dx
from sci.io.frames import count_frames, read_frames
from sci.io.hdf5 import SCHEMA_VERSION, Header, read_header
from sci.io.operators import load_inputs, read_state_dict
from sci.io.parallel import gather, save_grid_parallel
from sci.io.problems import load_problem, load_solution, save_problem, save_solution
from sci.io.samples import load_samples, save_samples
from sci.io.slabs import GridSlabs, read_slabs, save_slabs
from sci.io.store import describe, load, load_grid, load_results, save, save_potential_file
from sci.io.structure import STRUCTURE_FORMATS, read_structure
from sci.io.trajectory import compute_trajectory, trajectory_state

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
