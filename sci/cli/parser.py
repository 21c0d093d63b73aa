"""The parser of the command `sci`: the table of its subcommands, one-line errors, and options from a TOML file."""

from __future__ import annotations

import argparse
import difflib
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, NoReturn

import sci
from sci.cli.config import config_values, given_config, without_config
from sci.cli.outcome import say

__all__ = ["COMMANDS", "Parser", "actions_of", "build_parser", "parse"]

EPILOG = """exit codes: 0 done, 1 the computation failed, 2 bad input, 130 interrupted.
Data go to stdout, messages to stderr. SCI_DEBUG=1 shows the traceback of an error.
Commands take --config FILE.toml, --json and --quiet; see `sci COMMAND --help`.

example: sci potential protein.pqr -o protein.h5 --grid 96"""

COMMANDS: dict[str, tuple[str, Callable[[], Callable[[Parser], None]]]] = {
    "potential": (
        "compute the potential of a molecule",
        lambda: import_module("sci.cli.parsers.potentials").add_potential,
    ),
    "trajectory": (
        "compute energies and forces of every frame",
        lambda: import_module("sci.cli.parsers.potentials").add_trajectory,
    ),
    "lattice": (
        "compute the potential of a finite crystal",
        lambda: import_module("sci.cli.parsers.potentials").add_lattice,
    ),
    "operator": ("train and use neural operators", lambda: import_module("sci.cli.parsers.operators").add_operator),
    "atoms": ("train and use potentials of atoms", lambda: import_module("sci.cli.parsers.atoms").add_atoms),
    "crystals": (
        "train models that draw crystals, and use them",
        lambda: import_module("sci.cli.parsers.generative.crystals").add_crystals,
    ),
    "fields": (
        "train models that draw fields scale by scale, and use them",
        lambda: import_module("sci.cli.parsers.generative.fields").add_fields,
    ),
    "segment": (
        "train U-Nets that label volumes, and use them",
        lambda: import_module("sci.cli.parsers.segment").add_segment,
    ),
    "solve": (
        "solve elliptic problems, or train a model that does",
        lambda: import_module("sci.cli.parsers.solvers").add_solve,
    ),
    "spectrum": (
        "estimate the eigenvalues of a Poisson problem",
        lambda: import_module("sci.cli.parsers.solvers").add_spectrum,
    ),
    "ensemble": (
        "degrees of freedom, clusters and distances of sets",
        lambda: import_module("sci.cli.parsers.ensembles").add_ensemble,
    ),
    "complete": (
        "complete scattered entries to a field with error bars",
        lambda: import_module("sci.cli.parsers.complete").add_complete,
    ),
    "scaling": (
        "fit power laws to the losses of runs",
        lambda: import_module("sci.cli.parsers.scaling").add_scaling,
    ),
    "sequence": (
        "time attention, and predict its cost on ranks",
        lambda: import_module("sci.cli.parsers.sequences").add_sequence,
    ),
    "info": ("print what a file of sci holds", lambda: import_module("sci.cli.parsers.files").add_info),
    "report": (
        "write a page with tables and charts of a file",
        lambda: import_module("sci.cli.parsers.files").add_report,
    ),
    "export": (
        "write the grid of a file as OpenDX or Gaussian cube",
        lambda: import_module("sci.cli.parsers.files").add_export,
    ),
    "compress": (
        "write a file in few bytes, within a bound on its error",
        lambda: import_module("sci.cli.parsers.compression").add_compress,
    ),
    "decompress": (
        "write a compressed file with plain datasets again",
        lambda: import_module("sci.cli.parsers.compression").add_decompress,
    ),
    "join": ("join the parts that ranks wrote", lambda: import_module("sci.cli.parsers.files").add_join),
    "dataset": (
        "list or copy the example data and scripts",
        lambda: import_module("sci.cli.parsers.tools").add_dataset,
    ),
    "completion": (
        "print the completion of words for a shell",
        lambda: import_module("sci.cli.parsers.tools").add_completion,
    ),
    "doctor": ("report what this machine has and lacks", lambda: import_module("sci.cli.parsers.tools").add_doctor),
}
"""Each subcommand: its line in `sci --help`, and what imports the function that adds its arguments to a parser."""


class _Formatter(argparse.HelpFormatter):
    """Formatter that breaks no line of a text that has lines of its own, like an example."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(("example:", "exit codes:")) else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """Parser whose errors are one line that names the right help, and whose options may stand in a file."""

    def __init__(self, **settings: Any) -> None:
        # A word that stands for an option today would be ambiguous after the next option.
        super().__init__(**{"allow_abbrev": False, "formatter_class": _Formatter, **settings})
        self._owned: list[tuple[argparse.Action, Any, str, tuple[str, ...]]] = []

    def only_for(self, chooser: str, kinds: Sequence[str], *actions: argparse.Action) -> None:
        """Let options count for some choices of another argument alone: with others they are refused by name.

        Parameters
        ----------
        chooser : str
            Name of the argument that chooses, as the parsed arguments have it.
        kinds : sequence of str
            Its values with which the options go.
        *actions : argparse.Action
            The options; with other values they are None.
        """
        for action in actions:
            self._owned.append((action, action.default, chooser, tuple(kinds)))
            action.default = None

    def _settle(self, known: argparse.Namespace) -> None:
        """Give options that are not given their defaults, and refuse those that do not go with what was chosen."""
        for action, default, chooser, kinds in self._owned:
            chosen, given = getattr(known, chooser), getattr(known, action.dest)
            if given is None and chosen in kinds:
                setattr(known, action.dest, default)
            elif given is not None and chosen not in kinds:
                own = next(a for a in self._actions if a.dest == chooser)
                name = f"{own.option_strings[0]} " if own.option_strings else ""
                other = f", not with {chosen}; leave it out" if chosen is not None else "; give that, or leave it out"
                self.error(f"{action.option_strings[0]} goes with {name}{' or '.join(kinds)}{other}")

    def describe(self, description: str, example: str) -> None:
        """Set the text above the arguments, and the command that works below them."""
        self.description, self.epilog = description, f"example: {example}"

    def add_action(self, actions: Any, name: str, line: str) -> Parser:
        """Add an action to the sub-parsers of this parser, `line` in its help and at the head of the action's."""
        text = f"{line[0].upper()}{line[1:]}."
        action: Parser = actions.add_parser(name, prog=f"{self.prog} {name}", help=line, description=text)
        return action

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; unknown words are an error of this parser, and options in --config FILE.toml count as given."""
        words = [str(word) for word in args or []]
        path = given_config(words) if actions_of(self) is None else None
        found: dict[str, Any] = {} if path is None else config_values(path, self, _leaves)
        for action in self._actions:
            if action.dest in found:
                action.required, action.default = False, argparse.SUPPRESS
        known, unknown = super().parse_known_args(words, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._nearest(unknown[0])}")
        used = {name: value for name, value in found.items() if not hasattr(known, name)}
        for name, value in used.items():
            setattr(known, name, value)
        self._settle(known)
        if path is not None:
            known.configured = [word for a in self._actions if a.dest in used for word in _as_words(a, used[a.dest])]
        return known, unknown

    def _nearest(self, word: str) -> str:
        """Return a question for the option that is meant: one that begins alike, or is spelled almost so."""
        name, options = word.partition("=")[0], [o for o in self._option_string_actions if o.startswith("--")]
        near = [o for o in options if len(name) > 3 and (o.startswith(name) or name.startswith(o))]
        near += difflib.get_close_matches(name, options, 1, cutoff=0.7)
        return f"; did you mean {near[0]}?" if near else ""

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print a help; what argparse prints fails in silence."""
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2."""
        say("error", f"{message}; see {self.prog} --help")
        raise SystemExit(2)


def _as_words(action: argparse.Action, value: Any) -> list[str]:
    """Return the words of a command line that give an option this value."""
    name = action.option_strings[-1 if value is False else 0] if action.nargs == 0 else action.option_strings[-1]
    if action.nargs == 0:
        return [name] if value or isinstance(action, argparse.BooleanOptionalAction) else []
    if isinstance(action, argparse._AppendAction):
        return [w for one in value for w in (name, *map(str, one if isinstance(one, list) else [one]))]
    if isinstance(value, tuple):
        return [name, ",".join(value)]
    return [name, *map(str, value if isinstance(value, list) else [value])]


def actions_of(parser: argparse.ArgumentParser) -> dict[str, Any] | None:
    """Return the parsers of a parser's subcommands by name; None if it has none."""
    groups = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return next((dict(group.choices) for group in groups), None)


def _leaves() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command and action, under words like "operator train"."""

    def walk(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
        inner = actions_of(parser)
        if inner is None:
            yield name, parser
        for word, one in (inner or {}).items():
            yield from walk(one, f"{name} {word}".strip())

    return dict(walk(build_parser(), ""))


def build_parser(chosen: str | None = None) -> Parser:
    """Return the parser of the command `sci`.

    Parameters
    ----------
    chosen : str, optional
        The only subcommand that gets its arguments; every one unless given. The others have their line in the help.
    """
    parser = Parser(
        prog="sci",
        description="Electrostatic potentials, neural operators, Poisson solvers and attention, from the command line.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"sci {sci.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (line, load) in COMMANDS.items():
        command = commands.add_parser(name, prog=f"sci {name}", help=line, description=f"{line[0].upper()}{line[1:]}.")
        if chosen in (None, name):
            load()(command)
    return parser


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of the command `sci` with these words; `command` is the command in full.

    Options from a file of --config stand in `command` as words, so that it says what was computed.
    """
    chosen = next((word for word in words if not word.startswith("-")), "")
    arguments: argparse.Namespace = build_parser(chosen).parse_args(list(words))
    arguments.command = shlex.join(["sci", *without_config(words), *getattr(arguments, "configured", [])])
    return arguments
