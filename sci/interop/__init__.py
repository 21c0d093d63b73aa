"""Adapters to other packages, one module each: `sci.interop.ase`, `mdanalysis`, `parmed`, `safetensors`,
`torch` and `xarray`.

A module imports its package; importing this room imports none.
"""

from sci.interop.packages import adapters

__all__ = ["adapters"]
