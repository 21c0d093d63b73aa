"""The packages that the adapters adapt to, and the error where one is missing."""

from __future__ import annotations

from sci.distribution import install_command
from sci.errors import MissingDependencyError
from sci.versions import EXTRAS, package_version

__all__ = ["adapters", "missing"]

_PACKAGES = {
    "ase": "ase",
    "mdanalysis": "MDAnalysis",
    "parmed": "ParmEd",
    "safetensors": "safetensors",
    "torch": "torch",
    "xarray": "xarray",
}


def adapters() -> dict[str, str | None]:
    """Return the version of each package that has an adapter, by the adapter's name; None for a missing one.

    Returns
    -------
    dict of str or None

    Examples
    --------
    >>> from sci.interop import adapters
    >>> sorted(adapters())
    ['ase', 'mdanalysis', 'parmed', 'safetensors', 'torch', 'xarray']
    """
    return {name: package_version(package) for name, package in _PACKAGES.items()}


def missing(package: str) -> MissingDependencyError:
    """Return the error for a package that is not installed; its message names the extra that installs it."""
    return MissingDependencyError(f"this adapter needs {package}: {install_command(EXTRAS[package])}")
