"""Arguments of `sci crystals train|generate|evaluate`."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from sci.cli.common import add_checkpoints, add_common
from sci.cli.values import CHANNELS, COUNT, DECAY, SEED, SHARE, Number, file_name, hdf5_name

__all__ = ["add_crystals", "formula"]

DEPTH = Number(int, 1, 64, "an integer from 1 to 64")
STEPS = Number(int, 2, 100_000, "an integer from 2 to 100000")
PASSES = Number(int, 1, 100_000, "an integer from 1 to 100000")
UNITS = Number(int, 1, 1000, "an integer from 1 to 1000")
ETA = Number(float, 0.0, 1.0, "a number from 0 to 1")
WEIGHT = Number(float, 0.0, 1e6, "a number from 0 to 1000000")
LENGTH = Number(float, 1e-6, 100.0, "a number from 0.000001 to 100")
"""Angstrom."""

CRYSTALS = """Diffusion of crystals over the periodic table: train a network that takes noise off them, draw new ones,
and measure what was drawn. Crystals are files of extended XYZ, CIF, folders of CIF files, or HDF5 files of sci."""
TRAIN = """Train a model on crystals and write it. It learns crystals of given compositions; with --compositions first
it learns to draw compositions, too, and with "joint" atoms and places at once. The same seed gives the same
model; --checkpoint and --resume continue a training that was stopped. Under mpirun the ranks share every batch."""
GENERATE = """Draw crystals from a model and write them: .h5, .extxyz with one frame for each, .cif for a single one,
or a name without a suffix for a folder of CIF files. Draws that become no crystal are told and left out. Under mpirun
the ranks share the draws, with the same result."""
EVALUATE = """Measure crystals: validity (no two atoms nearer than --distance), compositions that common oxidation
states make neutral, how many differ, and how many are like none of --training. Space groups need spglib. Under mpirun
the ranks share the crystals."""


def formula(text: str) -> str:
    """Return a formula that reads as one, like CaTiO3.

    Raises
    ------
    argparse.ArgumentTypeError
    """
    from sci.errors import InvalidValueError
    from sci.generative import composition_of

    try:
        composition_of(text)
    except InvalidValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def add_crystals(parser: Any) -> None:
    """Add the actions of `sci crystals`."""
    parser.describe(CRYSTALS, "sci crystals generate model.h5 -o salts --number 8 --composition NaCl --units 4")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_train(parser.add_action(actions, "train", "train a model on crystals"))
    _add_generate(parser.add_action(actions, "generate", "draw crystals from a model"))
    _add_evaluate(parser.add_action(actions, "evaluate", "measure crystals beside those of a training"))


def _add_train(parser: Any) -> None:
    parser.describe(TRAIN, "sci crystals train data.extxyz -o model.h5 --epochs 1000")
    parser.add_argument("input", type=file_name, metavar="DATA", help="extended XYZ, CIF, a folder of CIF, or HDF5")
    parser.add_argument("-o", "--output", type=hdf5_name, required=True, metavar="MODEL.h5", help="the model to write")
    model = parser.add_argument_group("model")
    model.add_argument(
        "--network",
        choices=("perceptron", "unet"),
        default="perceptron",
        help="layers on all numbers, or a U-Net over the periodic table (perceptron)",
    )
    model.add_argument(
        "--widths",
        type=CHANNELS,
        nargs="+",
        metavar="C",
        help="of the layers, one number (256); of two or three stages of the U-Net, even numbers (16 32)",
    )
    model.add_argument("--depth", type=DEPTH, metavar="N", help="layers (3), or blocks of a stage (1)")
    model.add_argument("--steps", type=STEPS, default=200, metavar="T", help="of the noise schedule (200)")
    model.add_argument(
        "--compositions",
        choices=("given", "first", "joint"),
        default="given",
        help="given; drawn by a network before the places; or denoised with them (given)",
    )
    model.add_argument(
        "--predicts",
        choices=("residual", "sample", "velocity", "noise"),
        default="sample",
        help="what the network gives (sample)",
    )
    model.add_argument(
        "--representation",
        choices=("circle", "fraction"),
        default="circle",
        help="coordinates on circles, where 0 is 1, or as they are (circle)",
    )
    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=COUNT, default=300, metavar="N", help="passes over the crystals (300)")
    training.add_argument("--batch", type=COUNT, default=32, metavar="N", help="crystals of a step (32)")
    training.add_argument("--learning-rate", type=SHARE, default=2e-3, metavar="LR", help="at the start (0.002)")
    training.add_argument(
        "--average", type=DECAY, default=0.99, metavar="D", help="decay of the average of parameters (0.99)"
    )
    training.add_argument(
        "--shuffle-slots", action="store_true", help="put atoms of an element in a new order each step"
    )
    training.add_argument("--translate", action="store_true", help="move each crystal by a random vector each step")
    training.add_argument(
        "--empty-weight", type=WEIGHT, metavar="W", help="of empty slots in the loss of --compositions joint (1)"
    )
    training.add_argument("--cell-weight", type=WEIGHT, default=1.0, metavar="W", help="of the cell in the loss (1)")
    training.add_argument("--seed", type=SEED, default=0, metavar="S", help="of parameters, order and noise (0)")
    add_checkpoints(training)
    parser.add_argument("--plot", type=file_name, metavar="FILE.png", help="picture of the loss")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.crystals.train").run(a))


def _add_generate(parser: Any) -> None:
    parser.describe(GENERATE, "sci crystals generate model.h5 -o new.extxyz --number 100 --seed 1")
    parser.add_argument("model", type=file_name, metavar="MODEL.h5", help="of `sci crystals train`")
    parser.add_argument(
        *("-o", "--output"),
        type=file_name,
        required=True,
        metavar="OUT",
        help="file .h5, .extxyz or .cif, or folder of CIF files, to write",
    )
    parser.add_argument("--number", type=UNITS, default=1, metavar="N", help="draws (1)")
    parser.add_argument(
        "--composition",
        type=formula,
        metavar="FORMULA",
        help="like CaTiO3; unless given, the model's own, or those of its training",
    )
    parser.add_argument(
        "--neutral",
        action="store_true",
        help="draw again compositions without neutral oxidation states, and tell how many",
    )
    parser.add_argument("--units", type=UNITS, default=1, metavar="Z", help="formula units in a cell (1)")
    parser.add_argument("--steps", type=PASSES, metavar="K", help="denoisings, at most those of the model (all)")
    parser.add_argument("--eta", type=ETA, default=1.0, metavar="E", help="1 for DDPM, 0 for DDIM (1)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="of the draws (0)")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.crystals.generate").run(a))


def _add_evaluate(parser: Any) -> None:
    parser.describe(EVALUATE, "sci crystals evaluate new.extxyz --training data.extxyz --symmetry 0.1")
    parser.add_argument("input", type=file_name, metavar="DATA", help="extended XYZ, CIF, a folder of CIF, or HDF5")
    parser.add_argument("--training", type=file_name, metavar="DATA", help="tell novelty and densities beside these")
    parser.add_argument("--distance", type=LENGTH, default=0.5, metavar="R", help="of valid atoms, angstrom (0.5)")
    parser.add_argument(
        "--tolerance",
        type=LENGTH,
        default=0.1,
        metavar="R",
        help="of distances of crystals that are alike, angstrom (0.1)",
    )
    parser.add_argument("--symmetry", type=LENGTH, metavar="R", help="tell space groups by spglib, to this tolerance")
    add_common(parser, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.crystals.evaluate").run(a))
