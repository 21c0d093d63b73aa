"""The pages of the documentation as steps: Python blocks, and shell blocks, in the order in which they stand.

A reader follows a page from top to bottom in an empty folder, and so does `follow`:

- a block of Python is run in the namespace of the blocks before it; one with `title="NAME.py"` is written to that file;
- an indented block, and one of `console`, `bash` or `sh`, is a piece of a shell script;
- a block of another language is shown, not run;
- `<!-- not run: REASON -->` before a block leaves it out. REASONS says for what.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from wheel_environment import CHECKOUT, run_clean

DOCS = CHECKOUT / "docs"
PAGES = [
    *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "mpi_examples/README.md")),
    *sorted(DOCS.rglob("*.md")),
]
SHELLS = ("", "console", "bash", "sh")
REASONS = {
    "a checkout": "commands for developers of the library",
    "a cluster": "a batch system, environment modules or a container",
    "a GPU": "a device",
    "installs": "it changes the machine",
    "peers": "packages of the extra `peers`",
    "your files": "files that only the reader has",
}
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?P<info>[^\n]*)\n(?P<fenced>.*?)^(?P=indent)```\s*$"
    r"|(?<=\n\n)(?P<plain>(?: {4}[^\n]*\n|\n)+)",
    re.MULTILINE | re.DOTALL,
)
MARK = re.compile(r"<!-- not run: ([^>]*) -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """Code on a page: its language ("" for an indented block), its text, the line before it, a file's name, and why
    it is not run."""

    language: str
    text: str
    line: int
    title: str = ""
    not_run: str = ""

    @property
    def runs(self) -> bool:
        """Whether `follow` runs it."""
        return not self.not_run and (self.language == "python" or self.language in SHELLS)


def blocks(page: Path) -> list[Block]:
    """Return the code of a page."""
    text = page.read_text()
    found = []
    for match in BLOCK.finditer(text):
        fenced = match["plain"] is None
        body = match["fenced"] if fenced else match["plain"]
        indent = match["indent"] if fenced else "    "
        title = re.search(r'title="([^"]+)"', match["info"] or "")
        mark = MARK.search(text[: match.start()])
        found.append(
            Block(
                (match["language"] or "") if fenced else "",
                re.sub(rf"(?m)^{indent}", "", body),
                text.count("\n", 0, match.start("fenced" if fenced else "plain")),
                title[1] if title else "",
                mark[1] if mark else "",
            )
        )
    return found


def name(page: Path) -> str:
    """Return the path of a page in the checkout."""
    return page.relative_to(CHECKOUT).as_posix()


def command_lines(page: Path) -> list[list[str]]:
    """Return the words of each command of the shell blocks of a page, run or not, without settings of variables."""
    lines = [
        re.sub(r"^(\w+=\S+ +)+", "", line.strip())
        for block in blocks(page)
        if block.language in SHELLS
        for line in block.text.replace("\\\n", " ").splitlines()
    ]
    wanted = ("sci", "mpirun", "python", "make", "pip", "srun")
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words and words[0] in wanted]


FOLLOWER = """
import json, pathlib, subprocess, sys

page, steps = sys.argv[1], json.load(sys.stdin)
names = {"__name__": "__main__"}
for kind, line, text, title in steps:
    sys.stdout.flush()
    if title:
        pathlib.Path(title).write_text(text)
    elif kind == "python":
        exec(compile("\\n" * line + text, page, "exec", dont_inherit=True), names)
    else:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], stdin=subprocess.DEVNULL)
        if done.returncode:
            sys.exit(f"{page}, line {line + 1}: exit code {done.returncode} of\\n{text}")
"""


def follow(page: Path, python: Path, folder: Path) -> None:
    """Run a page in `folder` with the environment of `python`; raise AssertionError with the output if it fails."""
    steps = [(b.language, b.line, b.text, b.title) for b in blocks(page) if b.runs]
    done = run_clean(
        [str(python), "-c", FOLLOWER, name(page)],
        folder,
        given=json.dumps(steps),
        PATH=f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        OMPI_ALLOW_RUN_AS_ROOT="1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
        OMPI_MCA_rmaps_base_oversubscribe="1",
        PRTE_MCA_rmaps_default_mapping_policy=":oversubscribe",
        SCI_CACHE_DIR=os.environ.get("SCI_CACHE_DIR", str(Path.home() / ".cache" / "sci" / "kernels")),
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
