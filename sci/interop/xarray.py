"""Files as xarray datasets with named axes, places and units; the accessor `.sci` of datasets and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sci.errors import InvalidValueError
from sci.interop.packages import missing
from sci.io import LabelledArray, load, load_arrays, read_header
from sci.units import ENERGY_UNITS, POTENTIAL_UNITS, energy_factor, potential_factor

try:
    import xarray
except ImportError as error:
    raise missing("xarray") from error

__all__ = ["ArrayAccessor", "DatasetAccessor", "open"]


def open(path: str | Path) -> Any:
    """Return the arrays of a file as an xarray Dataset.

    Variables have the last part of their name in the file, or all of it with "_" for "/" where two end alike. Axes have
    the names of the file's; the array that has the name of its own axis becomes a coordinate. `attrs` of each array
    holds its `units`, `attrs` of the dataset the header of the file: kind, command, uuid and so on.

    Parameters
    ----------
    path : path
        A file of any kind of this library.

    Returns
    -------
    xarray.Dataset
        In memory. Its accessor `.sci` gives the object of the file.

    Raises
    ------
    FileFormatError, SchemaVersionError

    Notes
    -----
    Every array is checked as `sci.io.load` does. `xarray.open_datatree(path, engine="h5netcdf")` reads the same files
    lazily and without the checks.

    Examples
    --------
    >>> import numpy as np
    >>> import sci.interop.xarray
    >>> from sci.io import save
    >>> from sci.potentials import PotentialGrid
    >>> save("grid.h5", PotentialGrid(np.arange(24.0).reshape(2, 3, 4), (0, 0, 0), (0.5, 0.5, 0.5), "V"))
    >>> found = sci.interop.xarray.open("grid.h5")
    >>> found.potential.sel(x=0.5, y=1.0, z=0.0).item(), found.potential.units, found.x.units
    (20.0, 'V', 'angstrom')
    """
    arrays = load_arrays(path)
    names = _short_names(list(arrays), read_header(path).kind)
    lengths = _lengths(arrays)
    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {}
    for name, array in arrays.items():
        dims = [_axis(name, dim, length, lengths) for dim, length in zip(array.dims, array.values.shape)]
        attributes = {"units": array.units} if array.units else {}
        target = coordinates if dims == [name.rpartition("/")[2]] else variables
        target[dims[0] if target is coordinates else names[name]] = (dims, array.values, attributes)
    header = {key: value for key, value in asdict(read_header(path)).items() if key != "options" and value != ""}
    header["source"] = str(Path(path).resolve())
    return xarray.Dataset(variables, coordinates, header)


def _short_names(names: list[str], kind: str) -> dict[str, str]:
    """Return the name of each variable: the last part, or all of it where that is not unique."""
    ends = [name.rpartition("/")[2] for name in names]
    return {
        name: end if ends.count(end) == 1 else name.removeprefix(f"{kind}/").replace("/", "_")
        for name, end in zip(names, ends)
    }


def _lengths(arrays: Mapping[str, LabelledArray]) -> dict[str, set[int]]:
    """Return every length that the axes of each name have."""
    found: dict[str, set[int]] = {}
    for array in arrays.values():
        for dim, length in zip(array.dims, array.values.shape):
            found.setdefault(dim, set()).add(length)
    return found


def _axis(name: str, dim: str, length: int, lengths: Mapping[str, set[int]]) -> str:
    """Return the name of an axis; with its length where groups of the file use one name for several."""
    return dim if len(lengths[dim]) == 1 else f"{dim}_{length}"


@xarray.register_dataset_accessor("sci")
class DatasetAccessor:
    """The accessor `.sci` of datasets that `open` returned.

    Examples
    --------
    >>> import sci.interop.xarray
    >>> from sci.io import save
    >>> from sci.potentials import Particles
    >>> save("ion.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    >>> sci.interop.xarray.open("ion.h5").sci.object
    Particles(1 charges, 1 e in all)
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __repr__(self) -> str:
        """Return the kind and the name of the file."""
        return f"DatasetAccessor({self._dataset.attrs.get('kind', 'no file')!r})"

    @property
    def object(self) -> Any:
        """The object of the file, as `sci.io.load` gives it.

        Raises
        ------
        InvalidValueError
            For a dataset that came from no file of this library.
        """
        source = self._dataset.attrs.get("source")
        if source is None:
            raise InvalidValueError("this dataset names no file; open one by sci.interop.xarray.open(path)")
        return load(source)


@xarray.register_dataarray_accessor("sci")
class ArrayAccessor:
    """The accessor `.sci` of arrays: conversions of units.

    Examples
    --------
    >>> import sci.interop.xarray
    >>> import xarray
    >>> energy = xarray.DataArray(1.0, attrs={"units": "e^2/angstrom"})
    >>> print(round(energy.sci.to("kJ/mol").item(), 3))
    1389.355
    """

    def __init__(self, array: Any) -> None:
        self._array = array

    def __repr__(self) -> str:
        """Return the units."""
        return f"ArrayAccessor(units {self._array.attrs.get('units', '')!r})"

    def to(self, units: str, *, temperature: float = 298.15) -> Any:
        """Return the array in other units of potential or of energy.

        Parameters
        ----------
        units : str
            One of `sci.units.POTENTIAL_UNITS` for a potential, of `sci.units.ENERGY_UNITS` for an energy.
        temperature : float
            Kelvin, for kT.

        Raises
        ------
        InvalidValueError
            For units of another quantity, or an array without units.
        """
        given = self._array.attrs.get("units", "")
        for known, factor in ((POTENTIAL_UNITS, potential_factor), (ENERGY_UNITS, energy_factor)):
            if given in known and units in known:
                found = self._array * (factor(units, temperature) / factor(given, temperature))
                found.attrs = {**self._array.attrs, "units": units}
                return found
        raise InvalidValueError(
            f"the array has units {given!r}, which do not become {units!r}; expected two units of potential "
            f"({', '.join(POTENTIAL_UNITS)}) or of energy ({', '.join(ENERGY_UNITS)})"
        )
