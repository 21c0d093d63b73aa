"""The kinds of files: a codec for each class, registered by the class itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import h5py

from sci.errors import FileFormatError, InvalidValueError, with_article
from sci.io.core.datasets import Group, member

__all__ = [
    "Codec",
    "Kind",
    "codec",
    "codecs_in",
    "kind_named",
    "kind_of",
    "kinds",
    "late",
    "read_member",
    "size_of",
    "write_member",
]


class Codec(Protocol):
    """Layout of the objects of one class in a group of a file; `codec` registers one.

    The docstring of the class that implements it names the datasets and attributes: it is the row of that kind in the
    documentation. An optional `n_bytes(object)` says how much space the object takes, where the sizes of its fields do
    not add up to that. An optional `fields(object)` returns the `Fields` of an object on a regular grid, which ParaView
    and PyVista draw. An optional tuple `compressible` names the datasets, by patterns of `fnmatch`, that hold fields,
    which may be compressed with an error; all others are exact. An optional `read_parts(group, layout)` returns the
    object with one rank's parts of its arrays.

    Examples
    --------
    >>> from sci.io import Codec, kinds
    >>> isinstance(kinds()["particles"].codec, type)
    True
    """

    @staticmethod
    def write(group: Group, object: Any) -> None:
        """Write the object into an empty group."""

    @staticmethod
    def read(group: Group) -> Any:
        """Return the object in a group, and raise FileFormatError where it is damaged."""


@dataclass(frozen=True)
class Kind:
    """One kind of file: the class that it holds, and its codec.

    Parameters
    ----------
    name : str
        What the header's `kind` says.
    cls : type
    codec : Codec
    units : str
        What the header's `units` says if the caller of `save` does not.
    in_root : bool
        The object lies in the root of the file instead of a group with the name of the kind.
    old_names : tuple of str
        Names of the kind in files of older schemas.

    Examples
    --------
    >>> from sci.io import kinds
    >>> kinds()["particles"].cls.__name__
    'Particles'
    """

    name: str
    cls: type
    codec: type[Codec]
    units: str = ""
    in_root: bool = False
    old_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the name of the kind and of its class."""
        return f"Kind({self.name!r}, {_full_name(self.cls)})"

    @property
    def layout(self) -> str:
        """Datasets and attributes in words: the docstring of the codec in one line."""
        return " ".join((self.codec.__doc__ or "").split())

    @property
    def compressible(self) -> tuple[str, ...]:
        """Patterns of the paths, in a file of this kind, of datasets that hold fields."""
        patterns: tuple[str, ...] = getattr(self.codec, "compressible", ())
        return patterns if self.in_root else tuple(f"{self.name}/{pattern}" for pattern in patterns)

    def n_bytes(self, object: Any) -> int:
        """Return about how much space an object of this kind takes in a file."""
        count: Callable[[Any], int] = getattr(self.codec, "n_bytes", size_of)
        return count(object)

    def fields(self, object: Any) -> Any:
        """Return the `Fields` of an object on a grid.

        Raises
        ------
        InvalidValueError
            If objects of this kind are no fields.
        """
        made: Callable[[Any], Any] | None = getattr(self.codec, "fields", None)
        if made is None:
            fields = sorted(entry.cls.__name__ for entry in kinds().values() if hasattr(entry.codec, "fields"))
            raise InvalidValueError(
                f"{with_article(self.cls.__name__)} is no field on a grid; expected a PotentialGrid or one of "
                f"{', '.join(fields)}"
            )
        return made(object)


class _Unread(NamedTuple):
    """Codecs of a module that is imported when one of them is needed."""

    imported: Callable[[], ModuleType]
    kinds: frozenset[str]
    rooms: frozenset[str]


_BY_NAME: dict[str, Kind] = {}
_BY_CLASS: dict[type, Kind] = {}
_UNREAD: list[_Unread] = []
_IMPORTING = threading.RLock()


def late(imported: Callable[[], ModuleType]) -> ModuleType:
    """Import a module when it is needed, one thread at a time.

    Python gives a thread half a module where two threads import a circle of modules at once.
    """
    with _IMPORTING:
        return imported()


def codecs_in(imported: Callable[[], ModuleType], kinds: str, rooms: str = "") -> None:
    """Register a module with codecs, which is imported when one of them is needed.

    Parameters
    ----------
    imported : callable
        Imports the module.
    kinds : str
        The names of its kinds, old ones too, with spaces between them.
    rooms : str
        The packages below `sci` that define their classes; none for classes of the module itself.
    """
    _UNREAD.append(_Unread(imported, frozenset(kinds.split()), frozenset(rooms.split())))


def codec(
    cls: type, *, kind: str, units: str = "", in_root: bool = False, old_names: Sequence[str] = ()
) -> Callable[[type[Codec]], type[Codec]]:
    """Decorate the codec of a class, so that `save` writes its objects and `load` gives them back.

    Parameters
    ----------
    cls : type
        Objects of exactly this class are stored; those of a subclass need a codec of their own.
    kind : str
        Name of the kind of file, used once: letters, digits and "_".
    units : str
        Units of the contents, for people.
    in_root : bool
        Use the root of the file instead of a group of the kind's name; for layouts that other programs prescribe.
    old_names : sequence of str
        Names of the kind in older files, which are still read.

    Returns
    -------
    decorator

    Raises
    ------
    InvalidValueError
        If the kind or the class has a codec already, or `kind` is no such name.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from sci.io import codec, load, read_array, save, write_array
    >>> @dataclass
    ... class Lines:
    ...     energies: np.ndarray
    >>> @codec(Lines, kind="lines", units="eV")
    ... class LinesCodec:
    ...     "`energies` (n) of the lines."
    ...
    ...     @staticmethod
    ...     def write(group, lines):
    ...         write_array(group, "energies", lines.energies, "eV")
    ...
    ...     @staticmethod
    ...     def read(group):
    ...         return Lines(read_array(group, "energies", (None,)))
    >>> path = pathlib.Path(tempfile.mkdtemp(), "lines.h5")
    >>> save(path, Lines(np.array([1.5, 2.5])))
    >>> load(path)
    Lines(energies=array([1.5, 2.5]))
    """
    if not kind.isidentifier():
        raise InvalidValueError(f"kind is {kind!r}; expected letters, digits and '_'")
    ours = any(kind in unread.kinds for unread in _UNREAD)  # its module is being imported just now
    for name in (kind, *old_names):
        if (taken := _BY_NAME.get(name) if ours else _of_name(name)) is not None:
            raise InvalidValueError(
                f"the kind {name!r} is that of {_full_name(taken.cls)}; choose another name for {_full_name(cls)}"
            )
    stored = _BY_CLASS.get(cls) if ours else _of_class(cls)
    if stored is not None:
        raise InvalidValueError(f"{_full_name(cls)} is stored as kind {stored.name!r}; expected one codec")

    def register(implementation: type[Codec]) -> type[Codec]:
        entry = Kind(kind, cls, implementation, units, in_root, tuple(old_names))
        _BY_CLASS[cls] = entry
        _BY_NAME.update(dict.fromkeys((kind, *old_names), entry))
        return implementation

    return register


def kinds() -> Mapping[str, Kind]:
    """Return every kind of the library, and those that are registered beside, by its present name.

    Returns
    -------
    dict of Kind

    Notes
    -----
    Imports the modules of all codecs, and with them most of the library.
    """
    for unread in _UNREAD:
        late(unread.imported)
    return {entry.name: entry for entry in _BY_CLASS.values()}


def kind_of(object: Any) -> Kind:
    """Return the kind of file that holds an object.

    Raises
    ------
    InvalidValueError
        If its class has no codec.
    """
    cls = type(object)
    if (known := _of_class(cls)) is not None:
        return known
    names = ", ".join(sorted(known.cls.__name__ for known in kinds().values()))
    near = next((base for base in cls.__mro__ if base in _BY_CLASS), None)
    why = f", a subclass of {near.__name__}, which would be read back as one" if near else ""
    raise InvalidValueError(
        f"cannot save {with_article(_full_name(cls))}{why}; expected one of {names}, or register a codec of the "
        "class with sci.io.codec"
    )


def _of_name(name: str) -> Kind | None:
    """Return the kind of a name, after the import of its codec."""
    for unread in _UNREAD:
        if name in unread.kinds:
            late(unread.imported)
    return _BY_NAME.get(name)


def _of_class(cls: type) -> Kind | None:
    """Return the kind of a class, after the codecs of its room have been imported one by one."""
    room = cls.__module__.removeprefix("sci.").partition(".")[0]
    for unread in _UNREAD:
        if cls in _BY_CLASS:
            break
        if room in unread.rooms:
            late(unread.imported)
    return _BY_CLASS.get(cls)


def kind_named(name: str) -> Kind:
    """Return the kind that a file's header names.

    Raises
    ------
    FileFormatError
        For a kind without a codec.
    """
    if (known := _of_name(name)) is None:
        raise FileFormatError(
            f"the file holds kind {name!r}; expected one of {', '.join(sorted(kinds()))}; import the module that "
            "registers its codec, if it is one of yours"
        )
    return known


def write_member(group: Group, name: str, object: Any) -> None:
    """Write an object into a new group inside another one, by the codec of its class.

    Parameters
    ----------
    group : h5py.Group
        Where it lies in the file.
    name : str
        Of the new group.
    object : object
        Of a class that has a codec.

    Raises
    ------
    InvalidValueError
        If its class has no codec.
    """
    kind_of(object).codec.write(group.create_group(name), object)


def read_member(group: Group, name: str, cls: type) -> Any:
    """Return the object of class `cls` that `write_member` wrote.

    Parameters
    ----------
    group : h5py.Group
        Where it lies in the file.
    name : str
        Of the group inside `group`.
    cls : type
        A class that has a codec.

    Returns
    -------
    object of `cls`
        As its codec makes it.

    Raises
    ------
    FileFormatError
        If the group is missing, or its contents are damaged.
    InvalidValueError
        If the class has no codec.
    """
    found = member(group, name)
    if not isinstance(found, h5py.Group):
        raise FileFormatError(
            f"the group {group.name.rstrip('/')}/{name} is missing; the file is damaged: make it again"
        )
    kind = _of_class(cls)
    if kind is None:
        raise InvalidValueError(f"no codec reads {with_article(_full_name(cls))}; register one with sci.io.codec")
    return kind.codec.read(found)


def _full_name(cls: type) -> str:
    module = cls.__module__
    return cls.__qualname__ if module in ("builtins", "__main__") else f"{module}.{cls.__qualname__}"


def size_of(object: Any) -> int:
    """Return about how much space the arrays and numbers of an object take."""
    if isinstance(object, tuple | list):
        return sum(map(size_of, object))
    if isinstance(object, Mapping):
        return sum(map(size_of, object.values()))
    if is_dataclass(object):
        return sum(size_of(getattr(object, f.name)) for f in fields(object))
    return int(getattr(object, "nbytes", 8))
