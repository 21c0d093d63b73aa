"""Options from a TOML file: a table for each command, and options of all commands before the first table."""

from __future__ import annotations

import argparse
import difflib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sci.cli.common import COMMON
from sci.cli.values import Number
from sci.errors import FileFormatError, InvalidValueError

__all__ = ["config_values", "given_config", "without_config"]

OPTION = "--config"
LARGEST = 1_000_000
"""Bytes of a file of options."""


def given_config(words: Sequence[str]) -> Path | None:
    """Return the path that --config names, the last one if there are several."""
    found = None
    for word, following in zip(words, [*words[1:], ""]):
        if word == OPTION:
            found = following
        elif word.startswith(f"{OPTION}="):
            found = word.partition("=")[2]
    return Path(found) if found else None


def without_config(words: Sequence[str]) -> list[str]:
    """Return the words without --config and its file."""
    places = [k for k, word in enumerate(words) if word == OPTION]
    dropped = {*places, *(k + 1 for k in places)}
    return [w for k, w in enumerate(words) if k not in dropped and not w.startswith(f"{OPTION}=")]


def config_values(
    path: Path, parser: argparse.ArgumentParser, leaves: Callable[[], dict[str, argparse.ArgumentParser]]
) -> dict[str, Any]:
    """Return the values that a file gives to the options of a command.

    Every key of the file is checked, also those of other commands.

    Parameters
    ----------
    path : Path
        TOML. Before the first table stand options that many commands have, like `threads = 2`; options of one command
        stand in its table, like `[potential]` or `[operator.train]`. A key is the long name without its dashes.
    parser : argparse.ArgumentParser
        Parser of the command; the last words of its `prog` are the name of its table.
    leaves : callable
        Returns the parser of every command under its name.

    Returns
    -------
    dict
        Values by the name of the argument.

    Raises
    ------
    FileFormatError
        For a file that is missing or is no TOML.
    InvalidValueError
        For an unknown table or key, or a value that the option does not take.
    """
    tables, parsers = dict(_tables(_read(path))), leaves()
    own, options = parser.prog.partition(" ")[2], _keys(parser)
    for name, table in tables.items():
        allowed = COMMON if name == "" else _keys(parsers[name]) if name in parsers else None
        if allowed is None:
            hint = _nearest(name, parsers)
            raise InvalidValueError(f"{path}: unknown table [{name.replace(' ', '.')}]{hint}; a table is a command")
        for key in table:
            if key not in allowed:
                where = f"table [{name.replace(' ', '.')}]" if name else "the top, where options of all commands stand"
                mine = not name and key in options
                hint = f"; expected it in [{own.replace(' ', '.')}]" if mine else _nearest(key, allowed)
                raise InvalidValueError(f"{path}: unknown key {key!r} in {where}{hint}")
    given = {key: value for key, value in tables.get("", {}).items() if key in options} | tables.get(own, {})
    return {options[key].dest: _value(path, key, options[key], value) for key, value in given.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():
            raise FileFormatError(f"{path}: this is no regular file; expected a TOML file after {OPTION}")
        if path.stat().st_size > LARGEST:
            raise FileFormatError(f"{path}: the file has more than {LARGEST} bytes; expected options in TOML")
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); check the name after {OPTION}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: this is no TOML: {error}") from error


def _tables(data: dict[str, Any], name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each table under the words of its command, and what stands outside of tables under ""."""
    values = {key: value for key, value in data.items() if not isinstance(value, dict)}
    if values or not data:
        yield name, values
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _tables(value, f"{name} {key}".strip())


def _keys(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Return the options that may stand in a file, by their long names."""
    named = [action for action in parser._actions if action.option_strings and action.dest not in ("help", "config")]
    return {next(o for o in a.option_strings if o.startswith("--")).removeprefix("--"): a for a in named}


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0].replace(' ', '.')!r}?" if near else ""


def _value(path: Path, key: str, action: argparse.Action, value: Any) -> Any:
    """Return a value of the file as the option would have it from words."""
    try:
        if isinstance(action, argparse._AppendAction):
            return [_one_or_more(action, each) for each in _listed(value)]
        return _one_or_more(action, value)
    except (ValueError, TypeError, argparse.ArgumentTypeError) as error:
        raise InvalidValueError(f"{path}: {key} = {value!r}: {error}") from error


def _one_or_more(action: argparse.Action, value: Any) -> Any:
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ValueError("expected true or false")
        return value
    if action.nargs is None:
        return _converted(action, value)
    items = _listed(value if isinstance(value, list) or action.nargs != "+" else [value])
    if not items or (isinstance(action.nargs, int) and len(items) != action.nargs):
        raise ValueError(f"expected a list of {action.nargs if isinstance(action.nargs, int) else 'one or more'} items")
    return [_converted(action, item) for item in items]


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("expected a list")
    return value


def _converted(action: argparse.Action, value: Any) -> Any:
    kind: Any = action.type or str
    if isinstance(kind, Number):
        result = kind.of(value)
    elif isinstance(value, str) or (kind is str and isinstance(value, int | float) and not isinstance(value, bool)):
        result = kind(str(value))
    else:
        raise ValueError("expected a text")
    if action.choices is not None and result not in action.choices:
        raise ValueError(f"expected one of {', '.join(map(str, action.choices))}")
    return result
