"""Arguments of `sci operator train|sweep|adapt|merge|generate|predict|import`."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from sci.cli.common import add_checkpoints, add_common, add_output
from sci.cli.values import (
    AXIS,
    CHANNELS,
    COUNT,
    DECAY,
    NONNEGATIVE,
    POSITIVE,
    REAL,
    SEED,
    SHARE,
    csv_name,
    file_name,
)

__all__ = ["FACTORIZATIONS", "add_operator"]

FACTORIZATIONS = ("dense", "tucker", "cp", "tt")
MODELS = ("fno", "uno", "sfno")
CIRCLES = ("equiangular", "gauss-legendre")
LOSSES = ("h1", "l2", "lp", "sobolev")
RULES = ("loss-gap", "gradient")

OPERATOR = """Neural operators. Samples are datasets x and y in an HDF5 file, (n, *grid) or
(n, channel, *grid); a model is an HDF5 file with its standardizers, and takes fields on any grid."""
TRAIN = """Train a neural operator on samples and write the model with its standardizers. The same seed gives
the same model; --checkpoint and --resume continue a training that was stopped."""
SWEEP = """Train a model for every combination of the widths, rates, numbers of samples and seeds that are given, and
write a table with one line a run: its options, its parameters, and its relative L2 error on the samples of --test. Each
run is that of `sci operator train` with the same options. The table is what `sci scaling fit` reads; where there are
several rates, the one with the least mean error is told for each width."""
GENERATE = """Training data: inputs x and outputs y. `darcy` solves -div(a grad u) = 1 with a random coefficient of
two values, x = a and y = u; `navier-stokes` follows a random vorticity on a torus, x = its start and y = its end.
Sample i depends on the seed and on i alone; under mpirun the ranks share them, with the same result."""
PREDICT = """Apply a model to inputs on any grid, and write inputs and predictions. If the file has outputs y as well,
tell the relative errors of the predictions."""
ADAPT = """Train a trained operator on new samples by a few numbers a matrix (LoLDU maps), and write these alone: a
delta, a small file beside the model. A file holds any number of deltas of one model; on another they are refused."""
MERGE = """Write the operator that a model and one of its deltas make: a model like any other."""
IMPORT = """Turn a state dict of the neuraloperator library, saved as .npz, into a model of `sci operator predict`. The
options of the model are read from the file, or said here."""


def add_operator(parser: Any) -> None:
    """Add the actions of `sci operator`."""
    parser.describe(OPERATOR, "sci operator train samples.h5 -o model.h5 --modes 12 --epochs 40")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_train(parser.add_action(actions, "train", "train a model on samples"))
    _add_sweep(parser.add_action(actions, "sweep", "train models of several widths and rates, and write their errors"))
    _add_adapt(parser.add_action(actions, "adapt", "train a small delta of a model on new samples"))
    _add_merge(parser.add_action(actions, "merge", "write the model that a delta makes of its model"))
    _add_generate(parser.add_action(actions, "generate", "make training data"))
    _add_predict(parser.add_action(actions, "predict", "apply a model to inputs"))
    line = "turn a state dict of the neuraloperator library into a model"
    _add_import(parser.add_action(actions, "import", line))


def _add_train(parser: Any) -> None:
    parser.describe(TRAIN, "sci operator train samples.h5 -o model.h5 --modes 12 --epochs 40 --test more.h5")
    parser.add_argument("input", type=file_name, metavar="SAMPLES.h5", help="datasets x and y")
    add_output(parser, "MODEL.h5", "the model to write")
    parser.add_argument(
        "--test",
        type=file_name,
        action="append",
        default=[],
        metavar="SAMPLES.h5",
        help="print the errors on these samples",
    )
    _add_model(parser)
    _add_one_run(_add_training(parser))
    _add_layout(parser)
    parser.add_argument("--plot", type=file_name, metavar="FILE.png", help="picture of the loss")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.operators.operator").train(a))


def _add_model(parser: Any, *, several: bool = False) -> None:
    model = parser.add_argument_group("model")
    line = "fno; uno: blocks of their own grids and channels; sfno: fields on the circles of a sphere (fno)"
    model.add_argument("--model", choices=MODELS, default="fno", help=line)
    model.add_argument(
        "--modes",
        type=AXIS,
        nargs="+",
        metavar="M",
        help="wavenumbers kept along each grid axis, at most its points; one number holds for every axis (16)",
    )
    if several:
        line = "channels of the blocks, one or more (32)"
        model.add_argument("--hidden", type=CHANNELS, nargs="+", default=[32], metavar="C", help=line)
    else:
        model.add_argument("--hidden", type=CHANNELS, default=32, metavar="C", help="channels of the blocks (32)")
    model.add_argument("--layers", type=CHANNELS, metavar="L", help="blocks (4)")
    model.add_argument(
        "--factorization", choices=FACTORIZATIONS, help="of the spectral weights (dense; tucker with --rank-fraction)"
    )
    model.add_argument("--rank-fraction", type=SHARE, metavar="R", help="fraction of the dense spectral parameters")
    model.add_argument("--separable", action="store_true", help="spectral weights that do not mix channels")
    joint = model.add_argument("--joint", action="store_true", help="one factorized tensor for all layers")
    model.add_argument("--norm", choices=("instance", "group"), help="normalization between the blocks (none)")
    padding = model.add_argument(
        "--padding", type=NONNEGATIVE, default=0.0, metavar="P", help="zeros at both ends, over the length (0)"
    )
    model.add_argument(
        "--parametrization",
        choices=("standard", "mup"),
        default="standard",
        help="mup: initial values and rates by the maximal update rule, right at --base-width and at all widths",
    )
    model.add_argument("--base-width", type=CHANNELS, metavar="C", help="channels for which the rate was chosen (mup)")
    base = model.add_argument(
        "--base-modes", type=AXIS, nargs="+", metavar="M", help="wavenumbers for which it was (mup; those of --modes)"
    )
    circles = model.add_argument(
        "--circles", choices=CIRCLES, default="equiangular", help="latitudes of the samples (sfno; equiangular)"
    )
    blocks = (
        model.add_argument(
            "--block-channels", type=CHANNELS, nargs="+", metavar="C", help="of each block (uno; twice --hidden inside)"
        ),
        model.add_argument(
            "--block-modes", type=AXIS, nargs="+", metavar="M", help="along each axis (uno; half of --modes inside)"
        ),
        model.add_argument(
            "--block-scalings",
            type=POSITIVE,
            nargs="+",
            metavar="S",
            help="points of output over input (uno; 0.5 ... 2)",
        ),
    )
    parser.only_for("model", ["fno", "sfno"], joint, base)
    parser.only_for("model", ["fno", "uno"], padding)
    parser.only_for("model", ["sfno"], circles)
    parser.only_for("model", ["uno"], *blocks)


def _add_layout(parser: Any) -> None:
    data = parser.add_argument_group("samples", "what the file of samples does not record")
    data.add_argument("--dim", type=COUNT, choices=(1, 2, 3), help="grid axes of the samples")
    data.add_argument(
        "--periodic", action=argparse.BooleanOptionalAction, help="the fields are periodic, or not, along every axis"
    )


def _add_training(parser: Any) -> Any:
    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=COUNT, default=20, metavar="N", help="passes over the samples (20)")
    training.add_argument("--batch", type=COUNT, default=32, metavar="N", help="samples of a step (32)")
    training.add_argument("--weight-decay", type=NONNEGATIVE, default=1e-4, metavar="W", help="of AdamW (0.0001)")
    training.add_argument("--loss", choices=LOSSES, default="h1", help="relative error that is minimized (h1)")
    order = training.add_argument(
        "--order", type=REAL, metavar="P", default=1.0, help="power of lp, or derivatives of sobolev (1)"
    )
    parser.only_for("loss", ["lp", "sobolev"], order)
    training.add_argument(
        "--incremental",
        choices=RULES,
        help="start with few wavenumbers; add some when the loss stands, or by gradients",
    )
    parser.only_for(
        *("incremental", RULES),
        training.add_argument(
            "--start-modes", type=AXIS, default=2, metavar="M", help="wavenumbers at first, along each axis (2)"
        ),
        training.add_argument(
            "--threshold",
            type=NONNEGATIVE,
            default=1e-3,
            metavar="T",
            help="see sci.operators.IncrementalModes (0.001)",
        ),
    )
    training.add_argument("--transpose", action="store_true", help="train on the samples with axes swapped as well")
    training.add_argument("--square", action="store_true", help="draw one of the square's eight symmetries a sample")
    training.add_argument("--standardize-inputs", action="store_true", help="by mean and deviation of each channel")
    training.add_argument(
        "--horizon", type=POSITIVE, metavar="E", help="epochs after which the learning rate reaches 0 (--epochs)"
    )
    return training


def _add_one_run(training: Any) -> None:
    training.add_argument("--learning-rate", type=POSITIVE, default=8e-3, metavar="LR", help="at the start (0.008)")
    training.add_argument("--seed", type=SEED, default=0, metavar="S", help="of parameters and order of samples (0)")
    training.add_argument(
        "--patience", type=COUNT, metavar="N", help="stop after N epochs without a smaller error on the first --test"
    )
    training.add_argument(
        "--accumulate", type=COUNT, default=1, metavar="K", help="compute each batch in K parts, for memory (1)"
    )
    training.add_argument(
        "--average", type=DECAY, metavar="D", help="write the exponential average of the parameters, like 0.999"
    )
    add_checkpoints(training)


def _add_sweep(parser: Any) -> None:
    parser.describe(
        SWEEP,
        "sci operator sweep samples.h5 -o runs.csv --test more.h5 --hidden 8 --modes 4 --learning-rate 0.01 0.02 0.04",
    )
    parser.add_argument("input", type=file_name, metavar="SAMPLES.h5", help="datasets x and y")
    line = "the table to write; a line is added after every run"
    parser.add_argument("-o", "--output", type=csv_name, required=True, metavar="RUNS.csv", help=line)
    parser.add_argument("--test", type=file_name, required=True, metavar="SAMPLES.h5", help="samples of the errors")
    runs = parser.add_argument_group("runs", "every combination is trained")
    rates = "at the start, one or more (0.008)"
    runs.add_argument("--learning-rate", type=POSITIVE, nargs="+", default=[8e-3], metavar="LR", help=rates)
    runs.add_argument(
        "--samples", type=COUNT, nargs="+", metavar="N", help="train on the first N samples, one or more numbers (all)"
    )
    runs.add_argument("--seeds", type=CHANNELS, default=1, metavar="N", help="runs from the seeds 0 to N - 1 (1)")
    _add_model(parser, several=True)
    _add_training(parser)
    _add_layout(parser)
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.operators.sweep").run(a))


def _add_adapt(parser: Any) -> None:
    parser.describe(ADAPT, "sci operator adapt model.h5 new.h5 -o delta.h5 --method loldu --rank 16")
    parser.add_argument("model", type=file_name, metavar="MODEL.h5", help="a model of `sci operator`")
    parser.add_argument("input", type=file_name, metavar="SAMPLES.h5", help="datasets x and y")
    add_output(parser, "DELTA.h5", "the delta to write")
    parser.add_argument(
        "--test",
        type=file_name,
        action="append",
        default=[],
        metavar="SAMPLES.h5",
        help="print the errors on these samples, before and after",
    )
    parser.add_argument("--name", type=name_of_delta, metavar="NAME", help="of the delta (that of the samples)")
    parser.add_argument(
        "--add-to", type=file_name, metavar="DELTAS.h5", help="keep the deltas of this file beside the new one"
    )
    maps = parser.add_argument_group("maps")
    maps.add_argument("--method", choices=("loldu",), default="loldu", help="map of a matrix (loldu)")
    maps.add_argument("--rank", type=CHANNELS, default=16, metavar="R", help="pivots of a matrix that are trained (16)")
    maps.add_argument(
        "--head",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="train the projection, the last layers, as it is, or by maps like the others",
    )
    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=COUNT, default=50, metavar="N", help="passes over the samples (50)")
    training.add_argument("--batch", type=COUNT, default=16, metavar="N", help="samples of a step (16)")
    training.add_argument("--learning-rate", type=POSITIVE, default=1e-2, metavar="LR", help="at the start (0.01)")
    training.add_argument("--loss", choices=("h1", "l2"), default="h1", help="relative error that is minimized (h1)")
    training.add_argument("--seed", type=SEED, default=0, metavar="S", help="of the order of the samples (0)")
    training.add_argument(
        "--periodic", action=argparse.BooleanOptionalAction, help="the fields are periodic, or not, along every axis"
    )
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.operators.operator").adapt(a))


def _add_merge(parser: Any) -> None:
    parser.describe(MERGE, "sci operator merge model.h5 delta.h5 -o merged.h5")
    parser.add_argument("model", type=file_name, metavar="MODEL.h5", help="a model of `sci operator`")
    parser.add_argument("adapter", type=file_name, metavar="DELTA.h5", help="of `sci operator adapt`")
    add_output(parser, "MERGED.h5", "the model to write")
    _add_adapter_name(parser)
    add_common(parser, writes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.operators.operator").merge(a))


def _add_adapter_name(parser: Any) -> None:
    parser.add_argument("--adapter-name", type=name_of_delta, metavar="NAME", help="of a delta, in a file of several")


def name_of_delta(text: str) -> str:
    """Return the name of a delta.

    Raises
    ------
    argparse.ArgumentTypeError
    """
    if not text.strip(".") or "/" in text or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r}: expected printable text without '/'")
    return text


def _add_generate(parser: Any) -> None:
    parser.describe(GENERATE, "sci operator generate darcy -o samples.h5 --samples 200 --grid 64")
    parser.add_argument("equation", choices=("darcy", "navier-stokes"))
    add_output(parser, "OUT.h5", "the samples to write")
    parser.add_argument("--samples", type=COUNT, default=100, metavar="N", help="(100)")
    parser.add_argument("--grid", type=AXIS, default=64, metavar="N", help="points along each axis of the solver (64)")
    parser.add_argument("--subsample", type=COUNT, default=1, metavar="K", help="keep every K-th point (1)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="(0)")
    darcy = parser.add_argument_group("darcy")
    parser.only_for(
        *("equation", ["darcy"]),
        darcy.add_argument("--low", type=POSITIVE, default=3.0, metavar="A", help="smaller coefficient (3)"),
        darcy.add_argument("--high", type=POSITIVE, default=12.0, metavar="A", help="larger coefficient (12)"),
    )
    flow = parser.add_argument_group("navier-stokes")
    parser.only_for(
        *("equation", ["navier-stokes"]),
        flow.add_argument("--viscosity", type=POSITIVE, default=1e-3, metavar="NU", help="(0.001)"),
        flow.add_argument("--time", type=POSITIVE, default=10.0, metavar="T", help="time of y (10)"),
        flow.add_argument("--time-step", type=POSITIVE, default=1e-3, metavar="DT", help="longest step (0.001)"),
    )
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.operators.generate").run(a))


def _add_predict(parser: Any) -> None:
    parser.describe(PREDICT, "sci operator predict model.h5 inputs.h5 -o predictions.h5")
    parser.add_argument("model", type=file_name, metavar="MODEL.h5", help="a model of `sci operator`")
    parser.add_argument(
        "input", type=file_name, metavar="INPUT.h5", help="with a dataset x; errors are printed if it has y"
    )
    add_output(parser, "OUT.h5", "x and the prediction as y")
    parser.add_argument("--adapter", type=file_name, metavar="DELTA.h5", help="a delta of the model, from `adapt`")
    _add_adapter_name(parser)
    parser.add_argument("--batch", type=COUNT, default=32, metavar="N", help="samples at a time (32)")
    parser.add_argument(
        "--plot", type=file_name, metavar="FILE.png", help="picture of the first three predictions beside truth"
    )
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.operators.operator").predict(a))


def _add_import(parser: Any) -> None:
    parser.describe(IMPORT, "sci operator import state.npz -o model.h5")
    parser.add_argument(
        "input",
        type=file_name,
        metavar="STATE.npz",
        help="numpy.savez(path, **sci.operators.neuraloperator_state(model))",
    )
    add_output(parser, "MODEL.h5", "the model to write")
    said = parser.add_argument_group("options of the model", "for a file without _metadata")
    said.add_argument(
        "--assume-defaults", action="store_true", help="all options but those given here are the library's defaults"
    )
    said.add_argument("--no-grid", action="store_true", help="positional_embedding=None")
    said.add_argument("--norm", choices=("instance",), help="the model normalizes instances")
    said.add_argument("--preactivation", action="store_true", help="preactivation=True")
    said.add_argument("--stabilizer", choices=("tanh",), help="fno_block_stabilizer")
    said.add_argument("--padding", type=NONNEGATIVE, nargs="+", metavar="P", help="domain_padding")
    said.add_argument("--fno-skip", choices=("identity",), help="if the skip has no weights")
    said.add_argument("--mlp-skip", choices=("identity",), help="if the skip has no weights")
    add_common(parser, writes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.operators.operator").import_state(a))
