"""Scientific computing for HPC jobs: tensor formats, operators, solvers and rings on NumPy, CuPy and MPI."""

from sci.options import options

__all__ = ["__version__", "options", "show_versions"]

__version__ = "0.1.0"


def show_versions(*, as_json: bool = False) -> None:
    """Print the versions and capabilities of this machine that a bug report needs.

    The library, Python, the processor, compiler and kernels, BLAS, HDF5, MPI, GPUs, and every optional package.

    Parameters
    ----------
    as_json : bool
        Print one JSON object instead of the table. `sci.versions.versions` returns the same as a dictionary.

    Examples
    --------
    >>> import sci
    >>> sci.show_versions()
    sci
      version       ...
    """
    from sci import versions  # asks the kernels and the backend, which `import sci` leaves alone

    versions.show(as_json=as_json)
