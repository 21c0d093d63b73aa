"""Arguments of `sci segment`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sci.cli.common import add_common, add_output
from sci.cli.values import AXIS, SEED, Number, file_name

__all__ = ["add_segment"]

OVERLAP = Number(float, 0.01, 0.9, "a number from 0.01 to 0.9: boxes that only touch leave seams")

SEGMENT = """Give a class to every cell of a volume by a trained model of `sci.nn.train_segmenter`. The volume is a grid
or potential of sci, a file of samples, or an HDF5 file with a dataset x: (*grid), (channel, *grid) or (sample, channel,
*grid); of labels y beside it the Dice scores are told. It goes through the network in overlapping boxes, whose outputs
are averaged. Under mpirun the ranks share the boxes, with the same result. With the suffix .vtkhdf ParaView opens the
labels."""


def add_segment(parser: Any) -> None:
    """Add the arguments of `sci segment`."""
    parser.describe(SEGMENT, "sci segment volume.h5 -o labels.h5 --model model.h5")
    parser.add_argument("input", type=file_name, metavar="VOLUME.h5", help="the volume")
    add_output(parser, "LABELS.h5", "the labels to write")
    parser.add_argument("--model", type=file_name, required=True, metavar="MODEL.h5", help="a segmenter")
    parser.add_argument(
        "--box", type=AXIS, nargs="+", default=[64], metavar="N", help="cells of a box along each axis (64)"
    )
    parser.add_argument(
        "--overlap", type=OVERLAP, default=0.5, metavar="PART", help="least overlap of boxes over their length (0.5)"
    )
    parser.add_argument("--sample", type=SEED, metavar="K", help="of a file with several samples, from 0")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.segment").run(a))
