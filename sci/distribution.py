"""The distribution that installed this package: its name, and the command that adds one of its extras."""

from __future__ import annotations

import functools
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

import sci

__all__ = ["KERNELS_NAME", "distribution_name", "install_command", "kernels_command", "other_distributions"]

NAME = "sci-hpc"
"""The name on package indexes, where `sci` is another project; the import and the command are `sci`."""
KERNELS_NAME = "sci-hpc-kernels"
"""The distribution that a release brings its compiled kernels in."""


@functools.cache
def distribution_name() -> str:
    """Return the name in the metadata of the installed distribution, or "sci-hpc" in a bare checkout.

    Returns
    -------
    str
    """
    try:
        return str(distribution(NAME).metadata["Name"])
    except PackageNotFoundError:
        return NAME


def install_command(extra: str) -> str:
    """Return the command that installs an extra.

    Parameters
    ----------
    extra : str
        Name of the extra.

    Returns
    -------
    str

    Examples
    --------
    >>> from sci.distribution import install_command
    >>> install_command("plot")
    'pip install "sci-hpc[plot]"'
    """
    return f'pip install "{distribution_name()}[{extra}]"'


def kernels_command() -> str:
    """Return the command that installs the compiled kernels of this version, for machines without a compiler.

    Returns
    -------
    str

    Examples
    --------
    >>> from sci.distribution import kernels_command
    >>> kernels_command()
    'pip install "sci-hpc-kernels==..."'
    """
    return f'pip install "{KERNELS_NAME}=={sci.__version__}"'


def other_distributions() -> list[str]:
    """Return name and version of every other installed distribution that brings a package `sci`.

    Returns
    -------
    list of str
    """
    return [
        f"{found.metadata['Name']} {found.version}"
        for found in distributions()
        if found.metadata["Name"] != distribution_name() and _brings_sci(found)
    ]


def _brings_sci(found: Distribution) -> bool:
    return any(Path(str(file)).parts[:2] == ("sci", "__init__.py") for file in found.files or ())
