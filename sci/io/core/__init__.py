"""Files: HDF5 with checksums, atomic writes, slabs and parts of ranks."""
