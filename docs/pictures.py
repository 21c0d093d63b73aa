"""Make the pictures of the documentation by the commands that its pages name: `python docs/pictures.py [NAME ...]`.

A picture is reduced to 256 colors. The one in docs/images is left as it is where no difference can be seen, so that a
new version of matplotlib does not change every file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from draw_gallery import scripts
from PIL import Image

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
VISIBLE = 2.0
"""Mean difference, of 255, above which a picture is replaced."""

MOLECULE = "sci potential sci/datasets/data/1ubi.pqr -o {folder}/1ubi.h5 --units kT/e --plot {out}"
VACANCY = "sci lattice sci/datasets/data/nacl.cif --repeats 200 200 200 --vacancy 0 100 100 100 --plot {out}"
COMMANDS = {
    "1ubi.png": MOLECULE,
    "nacl_vacancy.png": VACANCY,
    "zno_periodic.png": "python mpi_examples/periodic.py {out}",
    "trajectory.png": "python mpi_examples/trajectory.py {out}",
    "poses.png": "python mpi_examples/poses.py 20000 {out}",
    "network.png": "python mpi_examples/train_network.py 40 {out}",
    "learned_iterations.png": "python benchmarks/learned_multigrid.py --only times --sizes 32 64 128 256 --repeats 2 "
    "--plot {out}",
    "nonlinear.png": "python examples/nonlinear.py --plot {out}",
    "smoke.png": "python examples/smoke.py -o {folder}/plume.h5 --plot {out}",
    "spd_network.png": "python examples/spd_network.py --plot {out}",
    "tomography.png": "python examples/few_view_tomography.py --plot {out}",
    "atoms.png": "python benchmarks/atomistic.py --only melt gas --plot {out}",
    "next_scale.png": "python benchmarks/next_scale.py --only flow --plot {out}",
    "frames.png": "python examples/choose_frames.py -o {folder}/run.xyz --plot {out}",
    "stations.png": "python examples/station_field.py -o {folder}/stations.csv --plot {out}",
    "tensors.png": "python examples/diffusion_tensors.py --plot {out}",
    "darcy.png": "python docs/draw_operator.py {out}",
    "transfer.png": "python docs/draw_transfer.py {out}",
    "sequences.png": "python docs/draw_sequences.py {out}",
    "context.png": "python docs/draw_language_model.py {out}",
    "motif_pairs.png": "python mpi_examples/motif_pairs.py --length 256 --pairs 8 --steps 400 --batch 32 --seeds 3 "
    "--tests 512 --plot {out}",
}
"""Each picture and the command that makes it."""

COMMANDS |= {f"gallery/{name}": f"python docs/draw_gallery.py {name} {{out}}" for name in scripts()}


def run(command: str, out: Path) -> None:
    """Run `command` in the checkout with this Python and the `sci` beside it."""
    words = command.format(out=out, folder=out.parent).split()
    beside = Path(sys.executable).parent
    words[0] = sys.executable if words[0] == "python" else shutil.which(words[0], path=beside) or words[0]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = {**threads, **os.environ, "PYTHONPATH": str(ROOT), "SCI_PROGRESS": "off"}
    subprocess.run(words, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


def reduce(path: Path) -> Image.Image:
    """Return the picture with at most 256 colors, on white."""
    picture = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB").quantize(256, dither=Image.Dither.NONE)


def differs(new: Image.Image, path: Path) -> bool:
    """Tell whether the picture at `path` is missing or looks otherwise."""
    if not path.exists():
        return True
    old = Image.open(path)
    if old.size != new.size:
        return True
    return float(np.abs(np.asarray(old.convert("RGB"), float) - np.asarray(new.convert("RGB"), float)).mean()) > VISIBLE


def main(names: list[str]) -> int:
    """Make the pictures that are named, or all."""
    if unknown := set(names) - set(COMMANDS):
        print(f"unknown: {', '.join(sorted(unknown))}; expected some of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    for name in names or COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / Path(name).name
            run(COMMANDS[name], out)
            picture, target = reduce(out), IMAGES / name
            changed = differs(picture, target)
            if changed:
                picture.save(target, optimize=True)
            print(f"{'new ' if changed else 'same'} {target.relative_to(ROOT)} {target.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
