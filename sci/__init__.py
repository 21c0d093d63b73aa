"""Scientific computing for HPC jobs: tensor formats, operators, solvers and rings on NumPy, CuPy and MPI."""

from sci.options import options

__all__ = ["__version__", "options"]

__version__ = "0.1.0"
