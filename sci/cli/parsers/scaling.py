"""Arguments of `sci scaling fit|predict|plan`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sci.cli.common import add_common, add_output
from sci.cli.values import AXIS, CHANNELS, COUNT, POSITIVE, SEED, Number, byte_size, file_name

__all__ = ["add_scaling"]

CONFIDENCE = Number(float, 0.01, 0.999, "a number from 0.01 to 0.999")
SAMPLES = Number(int, 20, 1_000_000, "an integer from 20 to 1000000")

SCALING = """Scaling laws: how a loss falls with size, data or operations, and what the next, larger run will reach."""
FIT = """Fit loss = limit + amplitude x^-exponent to the runs in a table, and write the law with its intervals. With two
columns of x the law has two terms, of model size and of samples."""
PREDICT = """Print what a fitted law says of one more run, with the interval that holds it; or the x at which it reaches
a loss; or size and samples of least loss for given operations, for a law of two terms."""

PLAN = """Print which sizes of a model can be trained within a memory and a budget of operations: width, depth, the
batch that fits, the steps that the budget pays for, and the time on this machine. With a law of two terms, of
parameters and of samples seen, the best size is that of least forecast loss; without one it is the largest that sees
the samples for all epochs. Counts and memory are those of the model's own code, run without numbers."""
ALPHA = Number(float, 0.05, 1.0, "a number from 0.05 to 1")


def add_scaling(parser: Any) -> None:
    """Add the actions of `sci scaling`."""
    parser.describe(SCALING, "sci scaling fit runs.csv -o law.h5 --x parameters --plot law.png")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_fit(parser.add_action(actions, "fit", "fit a power law to the losses of runs"))
    _add_predict(parser.add_action(actions, "predict", "print what a law says of a larger run"))
    _add_plan(parser.add_action(actions, "plan", "print what can be trained within memory and operations"))


def _add_fit(parser: Any) -> None:
    parser.describe(FIT, "sci scaling fit runs.csv -o law.h5 --x parameters --loss loss --plot law.png")
    parser.add_argument("input", type=file_name, metavar="RUNS", help="CSV with a line of names, or HDF5 with columns")
    add_output(parser, "LAW.h5", "the law to write")
    parser.add_argument("--x", nargs="+", metavar="NAME", help="columns of x, one or two (all but loss and run)")
    parser.add_argument("--loss", default="loss", metavar="NAME", help="column of the loss (loss)")
    parser.add_argument(
        "--run", dest="run_column", metavar="NAME", help="column of numbers that points of one training share"
    )
    parser.add_argument("--samples", type=SAMPLES, default=400, metavar="N", help="resampled fits for intervals (400)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="of the resampling (0)")
    parser.add_argument("--plot", type=file_name, metavar="PNG", help="draw runs, law and interval; also .pdf or .svg")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.scaling").fit(a))


def _add_predict(parser: Any) -> None:
    parser.describe(PREDICT, "sci scaling predict law.h5 --at 1e9")
    parser.add_argument("law", type=file_name, metavar="LAW.h5", help="a law of `sci scaling fit`")
    question = parser.add_mutually_exclusive_group(required=True)
    question.add_argument(
        "--at", type=POSITIVE, nargs="+", metavar="X", help="places; for a law of two terms size and samples of one"
    )
    question.add_argument("--to", type=POSITIVE, metavar="LOSS", help="the x at which the law reaches this loss")
    question.add_argument("--operations", type=POSITIVE, metavar="C", help="size and samples of least loss")
    parser.add_argument("--factor", type=POSITIVE, default=6.0, metavar="F", help="operations a parameter, sample (6)")
    parser.add_argument(
        "--confidence", type=CONFIDENCE, default=0.9, metavar="P", help="probability that the interval holds (0.9)"
    )
    add_common(parser)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.scaling").predict(a))


def _add_plan(parser: Any) -> None:
    parser.describe(PLAN, "sci scaling plan --model fno --budget-flops 1e15 --memory 16GB --grid 64 64")
    parser.add_argument("--model", choices=("fno", "tfno"), default="fno", help="family of models (fno)")
    parser.add_argument(
        "--budget-flops", type=POSITIVE, required=True, metavar="C", help="operations, two for each multiply-add"
    )
    parser.add_argument("--memory", type=byte_size, metavar="SIZE", help="like 16GB (what this machine has available)")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--grid", type=AXIS, nargs="+", default=[64, 64], metavar="N", help="points along each axis (64 64)"
    )
    data.add_argument("--in-channels", type=CHANNELS, default=1, metavar="N", help="(1)")
    data.add_argument("--out-channels", type=CHANNELS, default=1, metavar="N", help="(1)")
    data.add_argument("--samples", type=COUNT, default=1000, metavar="N", help="samples of the data (1000)")
    size = parser.add_argument_group("size")
    size.add_argument("--modes", type=AXIS, nargs="+", metavar="K", help="along each axis (16, or as many as points)")
    size.add_argument("--layers", type=COUNT, metavar="N", help="for all widths (4 at width 32, and by --alpha)")
    size.add_argument(
        "--alpha", type=ALPHA, default=0.8, metavar="A", help="part of the growth that goes into the width (0.8)"
    )
    training = parser.add_argument_group("training")
    training.add_argument("--batch", type=COUNT, default=16, metavar="N", help="samples of a step, at most (16)")
    training.add_argument("--epochs", type=COUNT, default=50, metavar="N", help="passes that are wanted (50)")
    training.add_argument("--law", type=file_name, metavar="LAW.h5", help="of parameters and samples, from `fit`")
    add_common(parser)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.scaling").plan(a))
