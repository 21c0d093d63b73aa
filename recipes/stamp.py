"""Write the version and checksum of a source distribution into the recipes.

python recipes/stamp.py dist/sci_hpc-0.1.0.tar.gz
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
SUFFIXES = (".yaml", ".py", ".eb")


def stamp(archive: Path, folder: Path = FOLDER) -> list[Path]:
    """Put version and checksum of `archive` into the recipes of a folder; return those that changed."""
    found = re.fullmatch(r"sci_hpc-(\d+\.\d+\.\d+\w*)\.tar\.gz", archive.name)
    if found is None:
        raise SystemExit(
            f"{archive} is no source distribution; expected sci_hpc-VERSION.tar.gz, as make wheels builds it"
        )
    version, digest = found[1], hashlib.sha256(archive.read_bytes()).hexdigest()
    changed = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES and p.name != "stamp.py"):
        old = text = path.read_text()
        text = re.sub(r"""(?<=["'])[0-9a-f]{64}(?=["'])""", digest, text)
        text = re.sub(r"""(\bversion(?: = |: |\()["'])\d+\.\d+\.\d+\w*(?=["'])""", rf"\g<1>{version}", text)
        text = re.sub(r"(sci_hpc-)\d+\.\d+\.\d+\w*(?=\.tar)", rf"\g<1>{version}", text)
        target = path.with_name(re.sub(r"^(sci-hpc-)[^-]+", rf"\g<1>{version}", path.name))
        if (text, target) != (old, path):
            path.unlink()
            target.write_text(text)
            changed.append(target)
    return changed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    for recipe in stamp(Path(sys.argv[1])):
        print(recipe)
