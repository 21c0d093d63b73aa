"""Reading structures, saving and loading results, and exporting grids: the only door to h5py."""

from sci.io.structure import STRUCTURE_FORMATS, read_structure

__all__ = ["STRUCTURE_FORMATS", "read_structure"]
