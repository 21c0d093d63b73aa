"""Arguments of `sci fields train|generate`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sci.cli.common import add_checkpoints, add_common, add_output
from sci.cli.values import AXIS, CHANNELS, COUNT, POSITIVE, SEED, SHARE, Number, file_name, hdf5_name

__all__ = ["add_fields"]

CODES = Number(int, 2, 2**16, f"an integer from 2 to {2**16}")
DROP = Number(float, 0.0, 0.99, "a number from 0 to 0.99")
GUIDANCE = Number(float, 0.0, 1e3, "a number from 0 to 1000")
LAYERS = Number(int, 1, 64, "an integer from 1 to 64")
MEMBERS = Number(int, 1, 10**6, "an integer from 1 to 1000000")

FIELDS = """Ensembles of fields y, given fields x on the same domain: a codebook turns y into codes from coarse to fine,
and a transformer draws them scale by scale. Samples are HDF5 files with datasets x and y."""
TRAIN = """Train a model on samples and write it, and the codebook, unless there is one. The same seed gives the same
model; --checkpoint and --resume continue a training that was stopped, with the codebook that it wrote. Under mpirun the
ranks share every batch."""
GENERATE = """Draw fields for each x of a file and write them as samples: x as often as there are draws for it, and y.
Under mpirun the ranks share the draws, with the same result."""


def add_fields(parser: Any) -> None:
    """Add the actions of `sci fields`."""
    parser.describe(FIELDS, "sci fields generate model.h5 coarse.h5 -o drawn.h5 --codebook book.h5 --members 16")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_train(parser.add_action(actions, "train", "train a codebook and a model of its codes"))
    _add_generate(parser.add_action(actions, "generate", "draw fields for each x"))


def _add_train(parser: Any) -> None:
    parser.describe(TRAIN, "sci fields train samples.h5 -o model.h5 --codebook book.h5 --epochs 20")
    parser.add_argument("input", type=file_name, metavar="SAMPLES.h5", help="datasets x and y")
    add_output(parser, "MODEL.h5", "the model to write")
    parser.add_argument(
        "--codebook", type=hdf5_name, required=True, metavar="BOOK.h5", help="taken if it exists, else trained"
    )
    parser.add_argument(
        *("--test",), type=file_name, action="append", default=[], metavar="SAMPLES.h5", help="tell nats on these"
    )
    book = parser.add_argument_group("codebook, where it is trained")
    book.add_argument("--codes", type=CODES, metavar="V", help="of each scale (128)")
    book.add_argument("--patch", type=AXIS, metavar="N", help="cells of a code along each axis (2)")
    book.add_argument(
        "--scales", type=AXIS, nargs="+", metavar="K", help="codes of each scale along an axis (1 2 4 ... all)"
    )
    book.add_argument("--rounds", type=COUNT, metavar="N", help="at most (15)")
    model = parser.add_argument_group("model")
    model.add_argument("--width", type=CHANNELS, default=64, metavar="C", help="of the transformer (64)")
    model.add_argument("--heads", type=CHANNELS, default=4, metavar="H", help="a divisor of the width (4)")
    model.add_argument("--layers", type=LAYERS, default=3, metavar="N", help="blocks of the transformer (3)")
    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=COUNT, default=20, metavar="N", help="passes over the fields (20)")
    training.add_argument("--batch", type=COUNT, default=32, metavar="N", help="fields of a step (32)")
    training.add_argument("--learning-rate", type=SHARE, default=3e-3, metavar="LR", help="at the start (0.003)")
    training.add_argument(
        *("--drop",), type=DROP, default=0.0, metavar="P", help="share of fields without x, which guidance needs (0)"
    )
    training.add_argument("--seed", type=SEED, default=0, metavar="S", help="of codebook, parameters and order (0)")
    add_checkpoints(training)
    parser.add_argument("--plot", type=file_name, metavar="FILE.png", help="picture of the loss")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.fields.train").run(a))


def _add_generate(parser: Any) -> None:
    parser.describe(GENERATE, "sci fields generate model.h5 samples.h5 -o drawn.h5 --codebook book.h5 --members 16")
    parser.add_argument("model", type=file_name, metavar="MODEL.h5", help="of `sci fields train`")
    parser.add_argument("input", type=file_name, metavar="SAMPLES.h5", help="dataset x")
    add_output(parser, "DRAWN.h5", "the samples to write")
    parser.add_argument("--codebook", type=file_name, required=True, metavar="BOOK.h5", help="of the training")
    parser.add_argument("--members", type=MEMBERS, default=1, metavar="M", help="draws for each x (1)")
    parser.add_argument(
        "--temperature",
        type=POSITIVE,
        nargs="+",
        metavar="T",
        help="one, or one for each scale; below 1 less noise (1)",
    )
    parser.add_argument(
        "--top-p", type=SHARE, nargs="+", metavar="P", help="likeliest codes of this probability, one or for each scale"
    )
    parser.add_argument("--guidance", type=GUIDANCE, default=0.0, metavar="S", help="strength of the given x (0)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="of the draws (0)")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.fields.generate").run(a))
