"""Run the commands of the tutorial on operators and keep the picture: `python docs/draw_operator.py PICTURE.png`."""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

from sci.cli import main
from sci.io import save_samples
from sci.problems import darcy_flow

PAGE = Path(__file__).parent / "tutorials" / "operators.md"

if __name__ == "__main__":
    picture = Path(sys.argv[1]).resolve()
    text = PAGE.read_text().replace("\\\n", " ")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        save_samples("train.h5", *darcy_flow(n_samples=200, grid=16, seed=0), grid_axes=2, periodic=False)
        save_samples("test.h5", *darcy_flow(n_samples=20, grid=32, seed=1), grid_axes=2, periodic=False)
        for command in re.findall(r"^    sci (operator (?:train|predict) .*)$", text, re.MULTILINE):
            if code := main(shlex.split(command)):
                raise SystemExit(code)
        picture.write_bytes(Path("prediction.png").read_bytes())
        os.chdir(PAGE.parent)
