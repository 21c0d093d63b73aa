"""Arguments of `sci ensemble dimension|cluster|select|distance`."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from sci.cli.common import add_common, add_output
from sci.cli.values import COUNT, SEED, SHARE, Number, file_name

__all__ = ["METHODS", "MODES", "add_ensemble"]

METHODS = ("both", "twonn", "mle")
MODES = ("hard", "easy")
NEIGHBORS = Number(int, 3, 10_000, "an integer from 3 to 10000")
REG = Number(float, 1e-6, 1e6, "a number from 1e-6 to 1e6")
TOL = Number(float, 1e-12, 0.5, "a number from 1e-12 to 0.5")

ENSEMBLE = """Sets of points: the frames of a trajectory, or the samples in an HDF5, .npy or .npz file. Frames are made
whole in their cell, superposed by rotations, and become points of three coordinates an atom, in angstrom."""
DIMENSION = """Estimate how many degrees of freedom a set of points has, from the distances to its nearest neighbors,
with intervals of 95 % for the sampling error, and say what speaks against the estimate. With --labels also how sharply
labels change; with --model the dimension of what a layer of a model makes of the samples."""
CLUSTER = """Find clusters of points by k-means and write centers, labels and distances; --frames writes the frame
nearest to each center. The same on any number of ranks."""
SELECT = """Choose a part of the points by their distance to the nearest of k centers: the hard ones, far from all, or
the easy ones. Write their numbers and the scores of all; --frames writes the chosen frames themselves."""
DISTANCE = """Measure how far two sets of points are apart, by optimal transport: the debiased Sinkhorn divergence, zero
for equal sets, with the error of its marginals, beside the distance of the halves of each set; and the exact cost of
transport where the sets are small."""
INPUT = "trajectory (.xyz, .extxyz, .pdb, .cif, .pqr; others with --topology), or points (.h5, .npy, .npz)"


def add_ensemble(parser: Any) -> None:
    """Add the actions of `sci ensemble`."""
    parser.describe(ENSEMBLE, "sci ensemble select run.xyz --fraction 0.05 -o chosen.h5 --frames chosen.xyz")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_dimension(parser.add_action(actions, "dimension", "estimate the number of degrees of freedom"))
    _add_cluster(parser.add_action(actions, "cluster", "find clusters by k-means"))
    _add_select(parser.add_action(actions, "select", "choose hard or easy points"))
    _add_distance(parser.add_action(actions, "distance", "measure how far two sets are apart"))


def _run(parser: Any, module: str, name: str) -> None:
    modules = {
        "dimension": lambda: import_module("sci.cli.commands.ensembles.dimension"),
        "clusters": lambda: import_module("sci.cli.commands.ensembles.clusters"),
        "distance": lambda: import_module("sci.cli.commands.ensembles.distance"),
    }
    parser.set_defaults(run=lambda a: getattr(modules[module](), name)(a))


def _add_dimension(parser: Any) -> None:
    parser.describe(DIMENSION, "sci ensemble dimension run.xyz --range ::10")
    parser.add_argument("input", type=file_name, metavar="INPUT", help=INPUT)
    parser.add_argument("--method", choices=METHODS, default="both", help="estimator (default: both)")
    line = "neighbors of mle, 3 or more (20)"
    neighbors = parser.add_argument("--neighbors", type=NEIGHBORS, default=20, metavar="K", help=line)
    parser.only_for("method", [m for m in METHODS if m != "twonn"], neighbors)
    _add_reading(parser)
    more = parser.add_argument_group("samples of a training")
    more.add_argument("--labels", metavar="NAME", help="array of one number for each point: measure label sharpness")
    more.add_argument("--classes", action="store_true", help="labels are classes: count every difference as one")
    more.add_argument("--model", type=file_name, metavar="MODEL.h5", help="take the activations of a model as points")
    more.add_argument("--layer", metavar="NAME", help="layer of the model (default: the last before its output)")
    add_common(parser, computes=True)
    _run(parser, "dimension", "run")


def _add_cluster(parser: Any) -> None:
    parser.describe(CLUSTER, "sci ensemble cluster run.xyz -k 50 -o clusters.h5 --frames centers.xyz")
    parser.add_argument("input", type=file_name, metavar="INPUT", help=INPUT)
    add_output(parser, "CLUSTERS.h5", "centers, labels, distances and inertia")
    parser.add_argument("-k", "--clusters", type=COUNT, required=True, metavar="K", help="number of clusters")
    _add_kmeans(parser)
    _add_reading(parser)
    _add_pictures(parser, "write the frame nearest to each center")
    add_common(parser, writes=True, computes=True)
    _run(parser, "clusters", "cluster")


def _add_select(parser: Any) -> None:
    parser.describe(SELECT, "sci ensemble select run.xyz --fraction 0.05 -o chosen.h5 --frames chosen.xyz")
    parser.add_argument("input", type=file_name, metavar="INPUT", help=INPUT)
    add_output(parser, "CHOSEN.h5", "numbers of the chosen points, and scores of all")
    parser.add_argument("--fraction", type=SHARE, required=True, metavar="F", help="part of the points, above 0 to 1")
    parser.add_argument("--mode", choices=MODES, default="hard", help="far from the centers, or near (default: hard)")
    parser.add_argument(
        "-k", "--clusters", type=COUNT, metavar="K", help="centers (default: root of the number of points)"
    )
    _add_kmeans(parser)
    _add_reading(parser)
    _add_pictures(parser, "write the chosen frames")
    add_common(parser, writes=True, computes=True)
    _run(parser, "clusters", "choose")


def _add_distance(parser: Any) -> None:
    parser.describe(DISTANCE, "sci ensemble distance first.xyz second.xyz --reg 1e-2")
    parser.add_argument("input", type=file_name, metavar="A", help=INPUT)
    parser.add_argument("other", type=file_name, metavar="B", help="a set of the same kind")
    parser.add_argument(
        "--reg",
        type=REG,
        default=1e-2,
        metavar="R",
        help="regularization over the mean squared distance of two points of both sets (0.01)",
    )
    parser.add_argument("--tol", type=TOL, default=1e-4, metavar="T", help="largest error of the marginals (0.0001)")
    parser.add_argument("--maxiter", type=COUNT, default=5000, metavar="N", help="largest number of iterations (5000)")
    _add_reading(parser)
    add_common(parser, computes=True)
    _run(parser, "distance", "run")


def _add_kmeans(parser: Any) -> None:
    parser.add_argument("--maxiter", type=COUNT, default=100, metavar="N", help="largest number of iterations (100)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="of the first centers (0)")
    parser.add_argument("--starts", type=COUNT, default=1, metavar="N", help="first centers to try; keep the best (1)")


def _add_reading(parser: Any) -> None:
    points = parser.add_argument_group("which points")
    points.add_argument("--range", default=":", metavar="A:B:STEP", help="frames or samples, from 0 (default: all)")
    points.add_argument("--dataset", metavar="NAME", help="array of the file (default: x, or the only one)")
    frames = parser.add_argument_group("trajectories")
    frames.add_argument("--topology", type=file_name, metavar="FILE", help="names of the atoms for .dcd, .xtc, ...")
    frames.add_argument(
        "--atoms", metavar="0:22,CA", help="ranges, numbers from 0, or names as in the file (default: all atoms)"
    )
    frames.add_argument(
        "--superpose",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="rotate and move the frames onto their mean structure, or not",
    )
    frames.add_argument("--reference", type=file_name, metavar="FILE", help="superpose on the first frame of this file")
    frames.add_argument(
        "--unwrap",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="make molecules whole that the periodic cell cuts, or not",
    )


def _add_pictures(parser: Any, frames: str) -> None:
    parser.add_argument("--frames", type=file_name, metavar="OUT.xyz", help=frames)
    parser.add_argument("--plot", type=file_name, metavar="FILE.png", help="picture of the points on principal axes")
