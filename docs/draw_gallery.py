"""Run the block of the gallery that writes a picture: `python docs/draw_gallery.py NAME.png PICTURE.png`."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).parent / "gallery.md"


def scripts() -> dict[str, str]:
    """Return the code of each picture of the gallery."""
    found = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return {re.findall(r'"(\w+\.png)"', code)[-1]: code for code in found}


if __name__ == "__main__":
    name, target = sys.argv[1], Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        exec(compile(scripts()[name], name, "exec", dont_inherit=True), {"__name__": "__main__"})
        target.write_bytes(Path(name).read_bytes())
        os.chdir(target.parent)
