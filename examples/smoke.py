"""A smoke plume that rises round a ball: frames in an HDF5 file, a picture, and the iterations of every solver.

python examples/smoke.py -o plume.h5 --plot plume.png            # the plane, 128 x 192 cells
python examples/smoke.py --size 48 --space --steps 40            # space, 48 x 48 x 72 cells
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from sci.applications import SmokePlume, ball
from sci.io import load, save_smoke
from sci.solvers import FastPoisson, IncompleteCholesky, LearnedMultigrid, Multigrid, cg

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("-o", "--output", type=Path, default=Path("plume.h5"))
parser.add_argument("--size", type=int, default=128, help="cells across (128)")
parser.add_argument("--space", action="store_true", help="three axes")
parser.add_argument("--steps", type=int, default=120)
parser.add_argument("--dt", type=float, help="by default so that a run at any size looks alike")
parser.add_argument("--plot", type=Path, metavar="FILE.png")
parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
a = parser.parse_args()

shape = (a.size, *([a.size] if a.space else []), 3 * a.size // 2)
middle = (0.5,) * (len(shape) - 1)
plume = SmokePlume(
    shape, ball(shape, (*middle, 0.7), 0.14), ball(shape, (*middle, 0.1), 0.09), spacing=1 / a.size, buoyancy=1.0
)
dt = a.dt or 2.56 / a.size
count = save_smoke(a.output, plume.run(dt, a.steps), overwrite=a.overwrite)
frames = load(a.output)
iterations = [frame.result.iterations for frame in frames]
print(f"{count} frames of {shape} in {a.output}; multigrid iterations to 1e-6: {min(iterations)} to {max(iterations)}")

last = plume.step(dt)
solvers = {
    "CG": None,
    "IC(0)": IncompleteCholesky(plume.A),
    "MIC(0)": IncompleteCholesky(plume.A, modified=0.97),
    "fast Poisson": FastPoisson(plume.A),
    "multigrid": Multigrid(plume.A),
    "learned": LearnedMultigrid(plume.A),
}
for name, M in solvers.items():
    loose, tight = (cg(plume.A, last.source, M=M, rtol=rtol) for rtol in (1e-4, 1e-8))
    print(f"{name:14s}{loose.iterations:5d} to 1e-4 {tight.iterations:5d} to 1e-8 {tight.seconds:8.3f} s")

if a.plot:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.9), layout="constrained")
    chosen = [frames[k] for k in np.linspace(len(frames) // 4, len(frames) - 1, 4).astype(int)]
    panels = figure.subplots(1, 4, sharey=True)
    for axes, frame in zip(panels, chosen):
        density, fluid = frame.density, plume.fluid
        if a.space:
            density, fluid = density[:, a.size // 2], fluid[:, a.size // 2]
        picture = np.where(fluid, density, np.nan)
        axes.set_facecolor("#b05030")
        image = axes.imshow(picture.T, origin="lower", extent=(0, 1, 0, 1.5), cmap="magma", vmin=0, vmax=1)
        axes.set(xticks=[0, 1], yticks=[0, 0.5, 1, 1.5], xlabel="x, in widths")
        axes.set_title(f"t = {frame.time:.2f}, {frame.result.iterations} iterations", fontsize=10)
    panels[0].set_ylabel("height, in widths")
    figure.colorbar(image, ax=panels, label="density of the smoke, inlet = 1", shrink=0.85)
    figure.savefig(a.plot, dpi=110)
