"""The header of a file: its root attributes, which say what it holds, who made it, and from what."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

import sci
from sci.errors import FileFormatError, SchemaVersionError
from sci.io.core.datasets import Group, read_text, write_text
from sci.options import snapshot

__all__ = ["SCHEMA_VERSION", "Header", "checked_header", "make_header", "write_header"]

SCHEMA_VERSION = 2
"""Version of the layout of the files that this library writes; it reads this and every older one."""


@dataclass(frozen=True)
class Header:
    """Root attributes of a file: what it is, who made it, and from what.

    Parameters
    ----------
    kind : str
        What the file holds: particles, grid, potential, ...
    units : str
        Units of the contents, for people.
    command : str
        The command or call that made the file; empty if unknown.
    parent_uuid : str
        The uuid of the file that this one was made from; empty if none.
    uuid, created, sci_version, schema_version, options
        Filled in by `make_header`; `created` is in UTC, `options` are the settings of `sci.options`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import read_header, save
    >>> from sci.potentials import Particles
    >>> save("ion.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    >>> read_header("ion.h5").kind
    'particles'
    """

    kind: str
    units: str
    command: str
    parent_uuid: str
    uuid: str
    created: str
    sci_version: str
    schema_version: int = SCHEMA_VERSION
    options: dict[str, Any] = field(default_factory=dict)


def make_header(kind: str, units: str, command: str | None = None, parent_uuid: str | None = None) -> Header:
    """Return a new header with the present time, a new uuid and the present options."""
    return Header(
        kind=kind,
        units=units,
        command=command or "",
        parent_uuid=parent_uuid or "",
        uuid=str(uuid.uuid4()),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        sci_version=sci.__version__,
        options=snapshot(),
    )


def write_header(file: Group, header: Header) -> None:
    """Write `header` as the root attributes of an open file."""
    write_text(file, "format", "sci")
    for name, value in asdict(header).items():
        if name == "schema_version":
            file.attrs[name] = value
        else:
            write_text(file, name, json.dumps(value) if name == "options" else value)


def checked_header(file: Group) -> Header:
    """Return the header of an open file of ours.

    Raises
    ------
    FileFormatError, SchemaVersionError
    """
    try:
        ours = read_text(file, "format") == "sci"
    except FileFormatError:
        ours = False
    if not ours:
        raise FileFormatError("this HDF5 file was not written by sci; expected a root attribute `format` that is `sci`")
    version = file.attrs.get("schema_version")
    if not isinstance(version, np.integer) or version < 1:
        raise FileFormatError(f"the attribute schema_version is {version!r}; expected a positive integer")
    if version > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"the file has schema version {int(version)}, written by sci {read_text(file, 'sci_version', '?')}; "
            f"this is sci {sci.__version__}, which reads up to {SCHEMA_VERSION}: install a newer version"
        )
    texts = {
        name: read_text(file, name) for name in Header.__annotations__ if name not in ("schema_version", "options")
    }
    settings = json.loads(read_text(file, "options"))
    if not isinstance(settings, dict):
        raise FileFormatError("the attribute options is damaged; expected a JSON object")
    return Header(**texts, schema_version=int(version), options=settings)
