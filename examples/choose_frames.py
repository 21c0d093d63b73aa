"""Which 5 % of the frames of a trajectory to compute: by regular steps, by chance, hard ones, or those of clusters.

python examples/choose_frames.py -o run.xyz --plot frames.png

A chain of five carbon atoms turns about its two inner bonds by Metropolis' rule; the bonds shake by 0.02 angstrom. Each
way of choosing is judged by how far a frame of the run is from the nearest chosen one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from sci.ensembles import intrinsic_dimension, k_means, prototype_scores, select, superpose
from sci.io import read_positions
from sci.linalg import nearest
from sci.plotting import plot_points

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("-o", "--output", type=Path, default=Path("run.xyz"))
parser.add_argument("--frames", type=int, default=2000, help="frames of the run (2000)")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--plot", type=Path, metavar="FILE.png")
parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
a = parser.parse_args()
if a.output.exists() and not a.overwrite:
    parser.error(f"{a.output} exists; choose another name, or --overwrite")

BOND, ANGLE, TRANS = 1.53, np.deg2rad(112.0), np.pi
rng = np.random.default_rng(a.seed)


def chain(torsions: np.ndarray) -> np.ndarray:
    """Return the positions of five atoms, angstrom."""
    x = [np.zeros(3), np.array([BOND, 0, 0]), np.array([BOND * (1 - np.cos(ANGLE)), BOND * np.sin(ANGLE), 0])]
    for torsion in torsions:
        along = (x[-1] - x[-2]) / BOND
        normal = np.cross(x[-2] - x[-3], along)
        normal /= np.linalg.norm(normal)
        turned = np.cos(torsion) * np.cross(normal, along) + np.sin(torsion) * normal
        x.append(x[-1] + BOND * (np.sin(ANGLE) * turned - np.cos(ANGLE) * along))
    return np.array(x)


def energy(torsions: np.ndarray) -> float:
    """Return the energy in units of kT: three staggered states a bond, and a push between the ends."""
    x = chain(torsions)
    bonds = 2.0 * (1 + np.cos(3 * torsions)) + 0.5 * (1 + np.cos(torsions))
    return float(bonds.sum() + (3.3 / np.linalg.norm(x[4] - x[0])) ** 12)


def turn() -> np.ndarray:
    """Return a random rotation."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else q[:, ::-1]


now, torsions = np.array([TRANS, TRANS]), []
for step in range(10 * a.frames):
    proposed = now + 0.6 * rng.normal(size=2)
    if rng.random() < np.exp(min(0.0, energy(now) - energy(proposed))):
        now = proposed
    if step % 10 == 9:
        torsions.append(np.rad2deg(now) % 360)
with a.output.open("w") as file:
    for k, angles in enumerate(torsions):
        x = (chain(np.deg2rad(angles)) + 0.02 * rng.normal(size=(5, 3))) @ turn() + 10 * rng.normal(size=3)
        file.write(f"5\nframe {k}\n" + "".join(f"C {p[0]:.5f} {p[1]:.5f} {p[2]:.5f}\n" for p in x))

found = superpose(np.array([frame.positions for _, frame in read_positions(a.output)]))
points = found.aligned.reshape(a.frames, -1)
print(found)
print(intrinsic_dimension(points, "mle"), "for two torsions and the shaking of the bonds")

count = max(1, a.frames // 20)
clusters = k_means(points, count, seed=a.seed)
scores = prototype_scores(points, k_means(points, 9, seed=a.seed).centers)
ways = {
    "every 20th": np.arange(count) * 20,
    "by chance": np.sort(rng.permutation(a.frames)[:count]),
    "hard": select(scores, 0.05).indices,
    "of clusters": np.unique(clusters.representatives()),
}
print(f"{'':14s}{'frames':>8s}{'RMSD to the nearest chosen frame, angstrom: mean, largest':>60s}")
for name, chosen in ways.items():
    distances = np.sqrt(nearest(points, points[chosen])[0] / 5)
    print(f"{name:14s}{len(chosen):8d}{distances.mean():40.3f}{distances.max():20.3f}")
if a.plot:
    names = ("first torsion (degrees)", "second torsion (degrees)")
    title = f"{len(ways['of clusters'])} of {a.frames} frames, one of each cluster"
    plot_points(
        np.array(torsions), a.plot, chosen=ways["of clusters"], axes_names=names, title=title, overwrite=a.overwrite
    )
