"""`sci completion bash|zsh|fish`: a script that completes the words of `sci`, made from the parsers.

The script holds every word, so that a key press starts no Python, which takes seconds on a busy parallel file system.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from sci.cli.outcome import print_json
from sci.cli.parser import Parser, actions_of, build_parser
from sci.cli.values import file_name, hdf5_name

__all__ = ["Option", "Place", "places", "run", "script"]


FILES = (file_name, hdf5_name)
"""Types of arguments that are names of files."""


@dataclass(frozen=True)
class Option:
    """An option of a command: its names, its line in the help, and the values that it takes."""

    names: tuple[str, ...]
    help: str
    takes: str
    """"nothing", "choices", "file" or "text"."""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """What may follow the words of a command, like "operator train": commands with their lines, options, files."""

    name: str
    commands: dict[str, str]
    options: tuple[Option, ...]
    files: bool


def run(arguments: argparse.Namespace) -> None:
    """Print the script."""
    found = script(arguments.shell)
    if arguments.json:
        print_json({"shell": arguments.shell, "script": found})
    elif not arguments.quiet:
        print(found, end="")


def script(shell: str) -> str:
    """Return the script for "bash", "zsh" or "fish"."""
    found = list(places(build_parser()))
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](found)


def places(parser: Parser) -> Iterator[Place]:
    """Yield what may follow each command, the program itself first."""
    name, inner = parser.prog.partition(" ")[2], actions_of(parser) or {}
    options: list[Option] = []
    commands: dict[str, str] = {}
    files = False
    for action in parser._actions:
        if action.option_strings:
            options.append(_option(action))
        elif isinstance(action, argparse._SubParsersAction):
            commands |= {str(one.dest): str(one.help) for one in action._choices_actions}
        else:
            files |= action.type in FILES
            commands |= dict.fromkeys(map(str, action.choices or ()), "")
    yield Place(name, commands, tuple(options), files)
    for one in inner.values():
        yield from places(one)


def _option(action: argparse.Action) -> Option:
    choices = tuple(map(str, action.choices or ()))
    takes = "nothing" if action.nargs == 0 else "choices" if choices else "file" if action.type in FILES else "text"
    return Option(
        tuple(action.option_strings), " ".join((action.help or "").replace("%%", "%").split()), takes, choices
    )


def _steps(found: list[Place]) -> str:
    """Return the patterns "PLACE WORD" that lead from one place to the next, for `case` of a shell."""
    return "|".join(shlex.quote(f"{p.name.rpartition(' ')[0]}>{p.name.rpartition(' ')[2]}") for p in found if p.name)


def _values(found: list[Place], choices: str, files: str) -> list[str]:
    """Return the branches of `case` that complete the value of the option before; `choices` has a field `words`."""
    lines = []
    for place in found:
        for option in place.options:
            pattern = "|".join(shlex.quote(f"{place.name}>{name}") for name in option.names)
            action = {"choices": choices.format(words=" ".join(map(shlex.quote, option.choices))), "file": files}
            if option.takes in action:
                lines.append(f"        {pattern}) {action[option.takes]}; return ;;")
    return lines


def _words(place: Place) -> list[str]:
    return [*place.commands, *(name for option in place.options for name in option.names)]


def _bash(found: list[Place]) -> str:
    texts = {p.name: " ".join(_words(p)) for p in found}
    lines = [
        "# completion of sci for bash: source it, or keep it as ~/.local/share/bash-completion/completions/sci",
        "_sci() {",
        '    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} place="" word known="" files=""',
        '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        '        case "$place>$word" in',
        f"        {_steps(found)}) place=${{place:+$place }}$word ;;",
        "        esac",
        "    done",
        "    COMPREPLY=()",
        '    case "$place>$before" in',
        *_values(
            found,
            'COMPREPLY=($(compgen -W "{words}" -- "$cur"))',
            'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur")',
        ),
        "    esac",
        '    case "$place" in',
        *(f"        {shlex.quote(p.name)}) known={shlex.quote(texts[p.name])} files={p.files:d} ;;" for p in found),
        "    esac",
        '    mapfile -t COMPREPLY < <(compgen -W "$known" -- "$cur")',
        "    if [[ $files == 1 && $cur != -* ]]; then",
        "        compopt -o filenames 2>/dev/null",
        '        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")',
        '        [[ -n $cur ]] || mapfile -t COMPREPLY < <(compgen -f -- "$cur")',
        "    fi",
        "}",
        "complete -F _sci sci",
    ]
    return "\n".join(lines) + "\n"


def _zsh(found: list[Place]) -> str:
    def described(place: Place) -> str:
        pairs = [*place.commands.items(), *((name, o.help) for o in place.options for name in o.names)]
        return " ".join(shlex.quote(f"{word.replace(':', chr(92) + ':')}:{text}") for word, text in pairs)

    lines = [
        "#compdef sci",
        "# completion of sci for zsh: keep it as _sci in a folder of $fpath, or source it after compinit",
        "_sci() {",
        '    local before="$words[CURRENT-1]" place="" word files=0',
        "    local -a known",
        '    for word in "${(@)words[2,CURRENT-1]}"; do',
        '        case "$place>$word" in',
        f'        {_steps(found)}) place="${{place:+$place }}$word" ;;',
        "        esac",
        "    done",
        '    case "$place>$before" in',
        *_values(found, "compadd -- {words}", "_files"),
        "    esac",
        '    case "$place" in',
        *(f"        {shlex.quote(p.name)}) known=({described(p)}); files={p.files:d} ;;" for p in found),
        "    esac",
        "    [[ $files == 1 && $PREFIX != -* ]] && _files",
        "    _describe 'word' known",
        "}",
        'if [[ "$funcstack[1]" == "_sci" ]]; then _sci "$@"; else compdef _sci sci; fi',
    ]
    return "\n".join(lines) + "\n"


def _fish(found: list[Place]) -> str:
    lines = [
        "# completion of sci for fish: keep it as ~/.config/fish/completions/sci.fish",
        "function __sci_place",
        '    set -l place ""',
        "    for word in (commandline -opc)[2..-1]",
        '        switch "$place>$word"',
        f"            case {_steps(found).replace('|', ' ')}",
        '                set place (string trim "$place $word")',
        "        end",
        "    end",
        "    echo $place",
        "end",
        "complete -c sci -f",
    ]
    for place in found:
        start = f"complete -c sci -n 'test (__sci_place) = \"{place.name}\"'"
        lines += [f"{start} -F"] if place.files else []
        lines += [f"{start} -a {word} -d {_fish_quoted(text)}" for word, text in place.commands.items()]
        for option in place.options:
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            takes = {"choices": f" -x -a {_fish_quoted(' '.join(option.choices))}", "file": " -r -F", "text": " -x"}
            lines.append(f"{start} {names}{takes.get(option.takes, '')} -d {_fish_quoted(option.help)}")
    return "\n".join(lines) + "\n"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
