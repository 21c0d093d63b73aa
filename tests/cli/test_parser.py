"""The table of subcommands, the help of each, the time to start, and errors that name the right help."""

from __future__ import annotations

import resource
import shlex
import subprocess
import sys
from typing import Any

import pytest
from command_cases import run

from sci.cli.parser import COMMANDS, actions_of, build_parser, parse


def _leaves(parser: Any = None) -> list[Any]:
    inner = actions_of(parser or build_parser())
    return [parser] if inner is None else [leaf for one in inner.values() for leaf in _leaves(one)]


LEAVES = _leaves()
NAMES = [leaf.prog.removeprefix("sci ") for leaf in LEAVES]
HEAVY = ("numpy", "scipy", "h5py", "sci.io", "sci.potentials", "tqdm")


def _started(*words: str) -> tuple[str, float, set[str]]:
    """Run the command in a process; return what it printed, its CPU seconds, and the modules that it loaded."""
    probe = (
        "import sys\n"
        "from sci.cli import main\n"
        f"code = main({list(words)!r})\n"
        "print(*sys.modules, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, seconds, set(done.stderr.split())


def test_the_help_lists_every_command_with_its_line_and_loads_nothing() -> None:
    out, seconds, modules = _started("--help")
    for name, (line, _) in COMMANDS.items():
        assert name in out
        assert line in out
    assert modules.isdisjoint(HEAVY)
    assert not [name for name in modules if name.startswith(("sci.cli.parsers", "sci.cli.commands"))]
    assert seconds < 0.3, "0.1 s on an idle machine"


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_command_is_complete_and_light(name: str) -> None:
    out, seconds, modules = _started(*name.split(), "--help")
    assert modules.isdisjoint(HEAVY)
    assert len(modules) < 200
    assert seconds < 0.6, "0.1 s on an idle machine"
    description = out.split("\n\n")[1]
    assert len(description.split()) > 7
    assert f"example: sci {name} " in out


@pytest.mark.parametrize("leaf", LEAVES, ids=NAMES)
def test_the_example_of_a_help_parses(leaf: Any) -> None:
    words = shlex.split(leaf.epilog.removeprefix("example: ").partition(" > ")[0])
    assert parse(words[1:]).run.__code__ is leaf.get_default("run").__code__


@pytest.mark.parametrize("leaf", LEAVES, ids=NAMES)
def test_options_are_alike(leaf: Any) -> None:
    """One meaning of each common option; outputs are named -o; every option that is no flag says what it is."""
    options = leaf._option_string_actions
    assert leaf.prog == "sci completion" or {"--json", "--quiet", "--config"} <= set(options)
    for name in ("--json", "--quiet", "--config", "--overwrite", "--threads", "--device", "--output"):
        if name in options:
            reference = next(one._option_string_actions[name] for one in LEAVES if name in one._option_string_actions)
            assert type(options[name]) is type(reference)
            assert options[name].dest == reference.dest
            assert name == "--output" or options[name].help == reference.help
    assert ("--output" in options) == ("-o" in options)
    assert "--output" not in options or "--overwrite" in options


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["potential", "a.pqr", "-o", "b.h5", "--tolerance", "1"],
            "--tolerance 1; did you mean --tol?; see sci potential --help",
        ),
        (["potential", "a.pqr", "-o", "b.h5", "--pading=1"], "did you mean --padding?; see sci potential --help"),
        (["operator", "train", "a.h5", "-o", "b.h5", "--depth", "3"], "--depth 3; see sci operator train --help"),
        (["solve", "problem.h5", "-o", "x.h5"], "invalid choice: 'problem.h5'"),
        (["solve", "train"], "required: -o/--output; see sci solve train --help"),
        (["info", "a.h5", "--overwrite"], "see sci info --help"),
        (["nothing"], "invalid choice: 'nothing'"),
        (["info", "a.h5", "--js"], "unrecognized arguments: --js; did you mean --json?; see sci info --help"),
    ],
)
def test_an_error_names_the_help_of_its_command(words: list[str], said: str, capsys: Any) -> None:
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_file_may_be_called_like_an_action(capsys: Any) -> None:
    assert parse(["solve", "run", "train", "-o", "x.h5"]).input.name == "train"
