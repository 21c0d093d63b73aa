"""Arguments of `sci segment train|predict`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sci.cli.common import add_checkpoints, add_common, add_output
from sci.cli.values import AXIS, CHANNELS, COUNT, SEED, SHARE, Number, file_name

__all__ = ["NORMS", "add_segment"]

OVERLAP = Number(float, 0.01, 0.9, "a number from 0.01 to 0.9: boxes that only touch leave seams")
CLASSES = Number(int, 2, 2**16, f"an integer from 2 to {2**16}")
TAPS = Number(int, 1, 2**10, "an odd number of cells")
NORMS = ("instance", "group", "evonorm_s0", "evonorm_b0")

SEGMENT = """U-Nets that give a class to every cell of a volume. Volumes are a dataset x of an HDF5 file, labels a
dataset y beside it."""
TRAIN = """Train a U-Net on volumes with labels and write the model with the scale of its inputs. The samples are
datasets x, (n, *grid) or (n, channel, *grid), and y, (n, *grid) whole numbers from 0 on, in an HDF5 file. The same seed
gives the same model; --checkpoint and --resume continue a training that was stopped."""
PREDICT = """Give a class to every cell of a volume by a trained model. The volume is a grid or potential of sci, a file
of samples, or an HDF5 file with a dataset x: (*grid), (channel, *grid) or (sample, channel, *grid); of labels y beside
it the Dice scores are told. It goes through the network in overlapping boxes, whose outputs are averaged. Under mpirun
the ranks share the boxes, with the same result. With the suffix .vtkhdf ParaView opens the labels."""


def add_segment(parser: Any) -> None:
    """Add the actions of `sci segment`."""
    parser.describe(SEGMENT, "sci segment predict volume.h5 -o labels.h5 --model model.h5")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_train(parser.add_action(actions, "train", "train a model on volumes with labels"))
    _add_predict(parser.add_action(actions, "predict", "label a volume by a model"))


def _add_train(parser: Any) -> None:
    parser.describe(TRAIN, "sci segment train samples.h5 -o model.h5 --channels 8 16 32 --epochs 40")
    parser.add_argument("input", type=file_name, metavar="SAMPLES.h5", help="datasets x and y")
    add_output(parser, "MODEL.h5", "the model to write")
    parser.add_argument(
        *("--test",), type=file_name, action="append", default=[], metavar="SAMPLES.h5", help="tell the Dice on these"
    )
    model = parser.add_argument_group("model")
    line = "of every stage, the finest first; each stage halves the grid (16 32 64)"
    model.add_argument("--channels", type=CHANNELS, nargs="+", default=[16, 32, 64], metavar="C", help=line)
    model.add_argument("--blocks", type=CHANNELS, default=1, metavar="N", help="residual blocks of a stage (1)")
    model.add_argument("--kernel", type=TAPS, default=3, metavar="N", help="taps along each axis, an odd number (3)")
    model.add_argument("--norm", choices=NORMS, default="instance", help="normalization in the blocks (instance)")
    groups = model.add_argument(
        *("--groups",), type=CHANNELS, default=1, metavar="N", help="a divisor of all channels (1)"
    )
    parser.only_for("norm", ["group", "evonorm_s0"], groups)
    model.add_argument("--classes", type=CLASSES, metavar="K", help="more than the largest label (one more)")
    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=COUNT, default=20, metavar="N", help="passes over the samples (20)")
    training.add_argument("--batch", type=COUNT, default=2, metavar="N", help="samples of a step (2)")
    training.add_argument("--learning-rate", type=SHARE, default=3e-3, metavar="LR", help="at the start (0.003)")
    training.add_argument("--seed", type=SEED, default=0, metavar="S", help="of parameters and order of samples (0)")
    add_checkpoints(training)
    parser.add_argument("--plot", type=file_name, metavar="FILE.png", help="picture of the loss")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.segment").train(a))


def _add_predict(parser: Any) -> None:
    parser.describe(PREDICT, "sci segment predict volume.h5 -o labels.h5 --model model.h5")
    parser.add_argument("input", type=file_name, metavar="VOLUME.h5", help="the volume")
    add_output(parser, "LABELS.h5", "the labels to write")
    parser.add_argument("--model", type=file_name, required=True, metavar="MODEL.h5", help="of `sci segment train`")
    parser.add_argument(
        "--box", type=AXIS, nargs="+", default=[64], metavar="N", help="cells of a box along each axis (64)"
    )
    parser.add_argument(
        "--overlap", type=OVERLAP, default=0.5, metavar="PART", help="least overlap of boxes over their length (0.5)"
    )
    parser.add_argument("--sample", type=SEED, metavar="K", help="of a file with several samples, from 0")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.segment").predict(a))
