"""Read what a kernel's source says about it: template parameters, arguments with types and shapes, and instances."""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sci.errors import DTypeError, InvalidValueError, KernelCompileError
from sci.options import get as get_option

__all__ = ["Kernel", "Parameter", "every_kernel", "get_kernel", "kernel_folder"]

DTYPES: dict[str, np.dtype[Any]] = {
    "double": np.dtype(np.float64),
    "float": np.dtype(np.float32),
    "i64": np.dtype(np.int64),
    "int": np.dtype(np.int32),
    "signed char": np.dtype(np.int8),
    "Half": np.dtype(np.uint16),
}
"""The C types of arguments. A bfloat16 (`Half`) is held as its 16 bits."""

_C_TYPES = {dtype: name for name, dtype in DTYPES.items()}
_TEMPLATE = re.compile(
    r"(?:^// Instances(?P<host> \(host\))?: (?P<instances>[^\n]*(?:\n//[^\n]*)*)\n)?"
    r"(?:^template <(?P<variables>[^>]*)>\n)?"
    r"^SCI_KERNEL (?P<name>\w+)\(SCI_INDEX\s+(?P<parameters>.*?)\)\s*\{",
    re.M | re.S,
)
_PARAMETER = re.compile(
    r"(?P<const>const )?(?P<type>(?:signed )?\w+)(?P<pointer>\*?) (?:__restrict__ )?(?P<name>\w+)"
    r"(?: /\*\[(?P<dims>[^\]]*)\]\*/)?(?:, ?|$)"
)


@dataclass(frozen=True)
class Parameter:
    """An argument of a kernel.

    Parameters
    ----------
    name : str
    c_type : str
    dtype : numpy.dtype
    dims : tuple of int and str, or None
        Shape of an array; a name stands for one length in the whole call. None for a scalar.
    output : bool
        Whether the kernel may write to the array.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.kernels import get_kernel
    >>> from sci.kernels import every_kernel
    >>> every_kernel("particles/direct_sum.cu")[0].parameters[0].dtype
    dtype('float64')
    """

    name: str
    c_type: str
    dtype: np.dtype[Any]
    dims: tuple[int | str, ...] | None
    output: bool


@dataclass(frozen=True)
class Template:
    """A kernel as its source declares it, before types and numbers are put in.

    Parameters
    ----------
    variables : tuple of str
        Names of the template parameters.
    parameters : str
        The parameter list.
    instances : tuple of tuple of str
        Declared template arguments.
    host_only : bool
    """

    variables: tuple[str, ...]
    parameters: str
    instances: tuple[tuple[str, ...], ...]
    host_only: bool


@dataclass(frozen=True, eq=False)
class Kernel:
    """One instance of a kernel template; `get_kernel` makes it, once.

    Parameters
    ----------
    folder : Path
        The kernel folder.
    file : str
        Source in it, e.g. "particles/direct_sum.cu".
    template : str
        Name of the template.
    arguments : tuple of str
        Template arguments in C++.

    Examples
    --------
    >>> from sci.kernels import get_kernel
    >>> found = get_kernel("particles/direct_sum.cu", "direct_sum", "float64", True, False)
    >>> found
    Kernel('direct_sum<double, true, false>' of particles/direct_sum.cu)
    >>> [p.name for p in found.parameters if p.output]
    ['out']
    """

    folder: Path
    file: str
    template: str
    arguments: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Kernel({self.name!r} of {self.file})"

    @cached_property
    def name(self) -> str:
        """The instance as C++ spells it."""
        return f"{self.template}<{', '.join(self.arguments)}>" if self.arguments else self.template

    @cached_property
    def is_declared(self) -> bool:
        """Whether the source lists this instance."""
        return self.arguments in self._declaration.instances

    @cached_property
    def host_only(self) -> bool:
        """Whether a device has another kernel, or array code, for the task."""
        return self._declaration.host_only

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every argument in order.

        Raises
        ------
        InvalidValueError
            If the source does not list this instance.
        """
        declaration = self._declaration
        if not self.is_declared:
            known = ", ".join(f"<{', '.join(i)}>" for i in declaration.instances)
            raise InvalidValueError(
                f"{self.file} declares no instance {self.name}; it has {known}; add it to the line `// Instances:`"
            )
        values = dict(zip(declaration.variables, self.arguments))
        return _parameters(declaration.parameters, values, f"{self.template} of {self.file}")

    @cached_property
    def lengths(self) -> tuple[tuple[int, str], ...]:
        """Position and name of each scalar that is a length of an array."""
        dims = {dim for p in self.parameters for dim in p.dims or ()}
        return tuple((i, p.name) for i, p in enumerate(self.parameters) if p.dims is None and p.name in dims)

    @property
    def _declaration(self) -> Template:
        found = _templates(self.folder, self.file).get(self.template)
        if found is None:
            raise KernelCompileError(f"{self.file} in {self.folder} has no kernel {self.template}")
        return found


def get_kernel(file: str, template: str, *arguments: Any) -> Kernel:
    """Return an instance of a kernel template.

    Parameters
    ----------
    file : str
        Source in the kernel folder, e.g. "grid/stencil.cu".
    template : str
        Name of the template in it.
    *arguments
        Template arguments: a dtype for `typename`, bool, int.

    Returns
    -------
    Kernel
        The same object for the same arguments.

    Raises
    ------
    DTypeError
        For a dtype that no kernel takes.
    """
    return _kernel(kernel_folder(), file, template, *arguments)


@functools.lru_cache(maxsize=None, typed=True)
def _kernel(folder: Path, file: str, template: str, *arguments: Any) -> Kernel:
    return _kernel_of_text(folder, file, template, tuple(_argument(a) for a in arguments))


@functools.cache
def _kernel_of_text(folder: Path, file: str, template: str, arguments: tuple[str, ...]) -> Kernel:
    return Kernel(folder, file, template, arguments)


def every_kernel(file: str | None = None) -> tuple[Kernel, ...]:
    """Return all declared instances, or those of one source.

    Parameters
    ----------
    file : str, optional
        A source, like "nn/gelu.cu"; all unless given.

    Returns
    -------
    tuple of Kernel
    """
    return _every_kernel(kernel_folder(), file)


@functools.cache
def _every_kernel(folder: Path, file: str | None) -> tuple[Kernel, ...]:
    files = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*.cu"))] if file is None else [file]
    return tuple(
        _kernel_of_text(folder, file, name, arguments)
        for file in files
        for name, template in _templates(folder, file).items()
        for arguments in template.instances
    )


def kernel_folder() -> Path:
    """Return the folder of kernel sources: the option `kernel_path`, the wheel's, or the checkout's.

    Returns
    -------
    Path
    """
    return _kernel_folder(get_option("kernel_path"))


@functools.cache
def _kernel_folder(chosen: str | None) -> Path:
    if chosen:
        return Path(chosen)
    package = Path(__file__).parents[1]
    shipped = package / "_kernels"
    return shipped if shipped.is_dir() else package.parent / "kernels"


def _argument(value: Any) -> str:
    """Return a template argument as C++ spells it."""
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    dtype = np.dtype(value)
    if dtype not in _C_TYPES:
        raise DTypeError(f"no kernel takes dtype {dtype}; they take {', '.join(str(d) for d in _C_TYPES)}")
    return _C_TYPES[dtype]


@functools.cache
def _templates(folder: Path, file: str) -> dict[str, Template]:
    try:
        text = (folder / file).read_text()
    except OSError as error:
        raise KernelCompileError(f"kernel source {file} is not in {folder}; check SCI_KERNEL_PATH") from error
    return {match["name"]: _template(match) for match in _TEMPLATE.finditer(text)}


def _template(match: re.Match[str]) -> Template:
    variables = tuple(v.split()[-1] for v in (match["variables"] or "").split(",") if v)
    instances = _instances(match["instances"] or "", variables) if variables else ((),)
    return Template(variables, re.sub(r"\s+", " ", match["parameters"]), instances, match["host"] is not None)


def _instances(text: str, variables: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Expand a list such as `<float|double, signed char|T, false>`, in which T is the argument before."""
    found = []
    for group in re.findall(r"<([^>]*)>", text):
        for choice in itertools.product(*([c.strip() for c in part.split("|")] for part in group.split(","))):
            values = dict(zip(variables, choice))
            found.append(tuple(values.get(argument, argument) for argument in choice))
    return tuple(found)


def _parameters(text: str, values: dict[str, str], where: str) -> tuple[Parameter, ...]:
    """Read a parameter list, with `values` in place of the template parameters."""
    found, end = [], 0
    while end < len(text):
        match = _PARAMETER.match(text, end)
        c_type = values.get(match["type"], match["type"]) if match else ""
        if match is None or c_type not in DTYPES or bool(match["pointer"]) != (match["dims"] is not None):
            raise KernelCompileError(
                f"cannot read the parameter `{text[end : end + 60]}` of {where}; expected `const T* x /*[n, 3]*/` or "
                f"`const i64 n`, of the types {', '.join(DTYPES)}"
            )
        dims = None if match["dims"] is None else tuple(_dim(d, values) for d in match["dims"].split(","))
        output = dims is not None and not match["const"]
        found.append(Parameter(match["name"], c_type, DTYPES[c_type], dims, output))
        end = match.end()
    return tuple(found)


def _dim(text: str, values: dict[str, str]) -> int | str:
    """Return a length: a number, a name, or the one that `FLAG ? this : that` chooses."""
    flag, _, choices = (part.strip() for part in text.partition("?"))
    if choices:
        text = choices.split(":")[0 if values[flag] == "true" else 1]
    text = values.get(text.strip(), text.strip())
    return int(text) if text.isdigit() else text
