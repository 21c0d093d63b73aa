"""Arguments of `sci atoms train|evaluate`."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from sci.cli.common import add_checkpoints, add_common, add_output
from sci.cli.values import CHANNELS, COUNT, DECAY, POSITIVE, SEED, SHARE, Number, file_name

__all__ = ["add_atoms", "charge_of"]

DEGREE = Number(int, 0, 8, "an integer from 0 to 8")
LAYERS = Number(int, 1, 8, "an integer from 1 to 8")
FACTORS = Number(int, 1, 4, "an integer from 1 to 4")
RADIAL = Number(int, 1, 64, "an integer from 1 to 64")
WIDTH = Number(int, 1, 1024, "an integer from 1 to 1024")
CUTOFF = Number(float, 0.5, 100.0, "a number from 0.5 to 100")
"""Angstrom."""
WEIGHT = Number(float, 0.0, 1e6, "a number from 0 to 1000000")
TOL = Number(float, 1e-11, 0.1, "a number from 1e-11 to 0.1")

ATOMS = """Potentials of atoms: an equivariant network for the short range, and Coulomb's sum over all images for the
long one. Configurations are extended XYZ files with energies in eV, forces in eV/angstrom and stresses in
eV/angstrom^3."""
TRAIN = """Train a potential on configurations with energies, forces or stresses and write it. With --charges the energy
of these charges over all distances is added, and the network learns the rest. The same seed gives the same potential;
--checkpoint and --resume continue a training that was stopped. Under mpirun the ranks share every batch."""
EVALUATE = """Compute energies, forces and stresses of configurations by a potential, and write them beside their
labels; the errors are told. Under mpirun the ranks share the configurations, or the atoms of each where there are
fewer configurations than ranks."""


def charge_of(text: str) -> tuple[str, float]:
    """Return the species and the charge of a word like "Na=1".

    Raises
    ------
    argparse.ArgumentTypeError
    """
    name, equals, value = text.partition("=")
    if text in ("given", "learned"):
        return text, 0.0
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not name or not equals or not abs(number) <= 100:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a species and its charge in e, like Na=1, given or learned"
        )
    return name, number


def add_atoms(parser: Any) -> None:
    """Add the actions of `sci atoms`."""
    parser.describe(ATOMS, "sci atoms train data.extxyz -o model.h5 --epochs 100")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_train(parser.add_action(actions, "train", "train a potential on configurations"))
    _add_evaluate(parser.add_action(actions, "evaluate", "compute energies, forces and stresses of configurations"))


def _add_train(parser: Any) -> None:
    parser.describe(TRAIN, "sci atoms train data.extxyz -o model.h5 --test more.extxyz --charges Na=1 Cl=-1")
    parser.add_argument("input", type=file_name, metavar="DATA.extxyz", help="configurations with labels")
    add_output(parser, "MODEL.h5", "the potential to write")
    parser.add_argument(
        "--test",
        type=file_name,
        metavar="DATA.extxyz",
        help="tell the errors on these configurations after every epoch",
    )
    _add_labels(parser)
    _add_model(parser)
    _add_training(parser)
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.atoms.train").run(a))


def _add_labels(parser: Any) -> None:
    labels = parser.add_argument_group("labels", "names in the comment line and the properties of extended XYZ")
    labels.add_argument("--energy-name", default="energy", metavar="NAME", help="of the energy, eV (energy)")
    labels.add_argument("--forces-name", default="forces", metavar="NAME", help="of the forces, eV/angstrom (forces)")
    labels.add_argument("--stress-name", default="stress", metavar="NAME", help="of the stress, eV/angstrom^3 (stress)")


def _add_model(parser: Any) -> None:
    model = parser.add_argument_group("potential")
    model.add_argument(
        "--charges",
        type=charge_of,
        nargs="+",
        metavar="SPECIES=Q",
        help="charges in e whose Coulomb energy over all distances is added; `given`: those of the file; `learned`: by "
        "the network, from the charges of species beside it or from 0 (none)",
    )
    model.add_argument("--cutoff", type=CUTOFF, default=5.0, metavar="R", help="reach of a layer, angstrom (5)")
    model.add_argument("--layers", type=LAYERS, default=2, metavar="L", help="layers of messages (2)")
    model.add_argument("--channels", type=WIDTH, default=16, metavar="C", help="features of an atom (16)")
    model.add_argument("--degree", type=DEGREE, default=2, metavar="L", help="largest degree of harmonics (2)")
    model.add_argument(
        "--message-degree", type=DEGREE, metavar="L", help="largest degree of messages (1, at most --degree)"
    )
    model.add_argument(
        "--correlation", type=FACTORS, default=3, metavar="N", help="factors of products of densities (3)"
    )
    model.add_argument("--radial", type=RADIAL, default=8, metavar="N", help="radial functions (8)")
    model.add_argument("--tol", type=TOL, default=1e-6, metavar="TOL", help="relative error of Coulomb's forces (1e-6)")
    model.add_argument("--precision", choices=("single", "double"), default="double", help="of the network (double)")


def _add_training(parser: Any) -> None:
    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=COUNT, default=100, metavar="N", help="passes over the configurations (100)")
    training.add_argument("--batch", type=CHANNELS, default=4, metavar="N", help="configurations of a step (4)")
    training.add_argument("--learning-rate", type=SHARE, default=1e-2, metavar="LR", help="at the start (0.01)")
    training.add_argument("--energy-weight", type=WEIGHT, default=1.0, metavar="W", help="in the loss (1)")
    training.add_argument("--force-weight", type=WEIGHT, default=10.0, metavar="W", help="in the loss (10)")
    training.add_argument("--stress-weight", type=WEIGHT, default=1.0, metavar="W", help="in the loss (1)")
    training.add_argument(
        "--horizon", type=POSITIVE, metavar="E", help="epochs after which the learning rate reaches 0 (--epochs)"
    )
    training.add_argument(
        "--average", type=DECAY, metavar="D", help="write the exponential average of the parameters, like 0.99"
    )
    training.add_argument(
        "--patience", type=COUNT, metavar="N", help="stop after N epochs without smaller errors of forces on --test"
    )
    training.add_argument("--seed", type=SEED, default=0, metavar="S", help="of parameters and order (0)")
    add_checkpoints(training)


def _add_evaluate(parser: Any) -> None:
    parser.describe(EVALUATE, "sci atoms evaluate model.h5 data.extxyz -o predictions.h5")
    parser.add_argument("model", type=file_name, metavar="MODEL.h5", help="a potential of `sci atoms train`")
    parser.add_argument("input", type=file_name, metavar="DATA.extxyz", help="configurations")
    add_output(parser, "OUT.h5", "the predictions to write")
    _add_labels(parser)
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.atoms.evaluate").run(a))
