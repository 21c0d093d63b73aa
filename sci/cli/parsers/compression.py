"""Arguments of `sci compress` and `sci decompress`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sci.cli.common import add_common, add_output
from sci.cli.values import COUNT, POSITIVE, file_name

__all__ = ["OPTIONS", "add_compress", "add_decompress"]

COMPRESS = """Write a file again in few bytes. What the file holds decides how. Its fields on grids, like samples,
solutions, smoke and potentials on grids, are compressed within a bound on their error, and all else is copied exactly;
`load` and all commands read the new file as before. Also takes one array as .npy. --dry-run lists what is a field.
The weights of a model of `sci operator` become codes of few bits, learned from calibration samples; `sci operator
predict` takes the new file as it is."""
DECOMPRESS = """Write a file of `sci compress` again with plain datasets, which other programs read too: a file of the
kind that was compressed; for one array a .npy file; for a model of codes the model with dense weights."""

OPTIONS = {
    "fields": (
        *("tol", "bound", "absolute", "method", "chunk", "datasets"),
        *("codebook", "train_codebook", "patch", "stages", "rounds", "smoothing"),
    ),
    "models": ("bits", "calibrate", "groups"),
}
"""Options that go with what the input holds, and with nothing else: their destinations; None where they are not
given."""


def add_compress(parser: Any) -> None:
    """Add the arguments of `sci compress`."""
    parser.describe(COMPRESS, "sci compress flow.h5 -o small.h5 --tol 1e-3")
    parser.add_argument("input", type=file_name, metavar="FILE", help="a file of sci, or one array as .npy")
    add_output(parser, "SMALL.h5", "the new file")
    fields = parser.add_argument_group("of files with fields")
    fields.add_argument("--tol", type=POSITIVE, metavar="E", help="largest error of each field; needed")
    fields.add_argument(
        "--bound", choices=("l2", "maximum"), help="E is in parts of the L2 norm, or of the range of the field (l2)"
    )
    fields.add_argument(
        "--absolute", action="store_const", const=True, help="E is in the units of the field, not in parts of it"
    )
    fields.add_argument(
        "--method",
        nargs="+",
        choices=("tucker", "transform", "wavelet", "interpolation"),
        help="codecs to try in each chunk, of which the smallest result is kept (all)",
    )
    fields.add_argument(
        "--chunk",
        nargs="+",
        type=COUNT,
        metavar="N",
        help="lengths of chunks along the first axes; a slab is read from its chunks alone (at most 2^21 numbers each)",
    )
    fields.add_argument(
        "--datasets", nargs="+", metavar="NAME", help="compress these arrays and no others; patterns like 'frame_*/u'"
    )
    fields.add_argument(
        "--codebook",
        type=file_name,
        metavar="BOOK.h5",
        help="write one array as codes of this MultiScaleVQ: a fixed rate in place of --tol, and blocks that are read "
        "alone; decompressing needs it again",
    )
    training = parser.add_argument_group("to train a codebook on fields (n, *grid) or (n, channels, *grid)")
    training.add_argument(
        "--train-codebook",
        type=COUNT,
        metavar="V",
        help="write a codebook of V codes for each stage, for --codebook; ranks share the fields",
    )
    training.add_argument("--patch", nargs="+", type=COUNT, metavar="N", help="cells of a patch along each axis (4)")
    training.add_argument("--stages", type=COUNT, metavar="K", help="codes of a patch, each for what is left (2)")
    training.add_argument("--rounds", type=COUNT, metavar="R", help="rounds of the training at most (20)")
    training.add_argument(
        "--smoothing", type=COUNT, metavar="N", help="train N convolutions over neighboring patches too (none)"
    )
    models = parser.add_argument_group("of models of sci operator")
    models.add_argument("--bits", type=COUNT, choices=(1, 2, 3, 4, 8), help="bits of a code; needed")
    models.add_argument(
        "--calibrate", type=file_name, metavar="SAMPLES.h5", help="with a dataset x: inputs like those to come; needed"
    )
    models.add_argument("--groups", type=COUNT, metavar="G", help="codebooks of a weight at most (4)")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.files.compress").run(a))


def add_decompress(parser: Any) -> None:
    """Add the arguments of `sci decompress`."""
    parser.describe(DECOMPRESS, "sci decompress small.h5 -o flow.h5")
    parser.add_argument("input", type=file_name, metavar="SMALL.h5", help="a file of sci compress")
    add_output(parser, "FILE", "the new file: .h5, or .npy for one array", hdf5=False)
    parser.add_argument(
        "--codebook", type=file_name, metavar="BOOK.h5", help="of a file that was compressed by one; writes a .npy file"
    )
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.files.decompress").run(a))
