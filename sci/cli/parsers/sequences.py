"""Arguments of `sci sequence bench` and `sci sequence import`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sci.cli.common import add_common, add_output
from sci.cli.values import CHANNELS, COUNT, SEED, file_name

__all__ = ["add_sequence"]

SEQUENCE = (
    """Attention over sequences: what it costs on this machine and on many ranks, and models of other programs."""
)
BENCH = """Time softmax attention and lightning attention, forward and with gradients, on this process and its
threads, or under mpirun in each way of spreading them over the ranks; and say what each way of spreading softmax
attention sends and holds on a rank."""

IMPORT = """Write the model of a TransNormerLLM checkpoint in the safetensors format, which `sci.io.load` reads and
trains on. Nothing is unpickled; a tensor that is missing, unknown or of another shape is named. Needs the extra
`checkpoints`."""


def add_sequence(parser: Any) -> None:
    """Add the actions of `sci sequence`."""
    parser.describe(SEQUENCE, "sci sequence bench --length 4096 --ranks 8")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    bench = parser.add_action(actions, "bench", "time attention here, and predict its cost on ranks")
    bench.describe(BENCH, "sci sequence bench --length 4096 --heads 8 --head-dim 64 --ranks 8")
    bench.add_argument("--length", type=COUNT, default=4096, metavar="N", help="tokens (4096)")
    bench.add_argument("--heads", type=CHANNELS, default=8, metavar="H", help="heads (8)")
    bench.add_argument("--head-dim", type=CHANNELS, default=64, metavar="D", help="numbers per head and token (64)")
    bench.add_argument("--dtype", choices=("float16", "float32", "float64"), default="float32", help="(float32)")
    bench.add_argument("--full", action="store_true", help="every token sees all; otherwise those before it and itself")
    bench.add_argument("--ranks", type=COUNT, metavar="P", help="ranks to predict for (those of the launcher, or 4)")
    bench.add_argument("--repeats", type=COUNT, default=3, metavar="N", help="runs; the fastest counts (3)")
    bench.add_argument("--seed", type=SEED, default=0, metavar="S", help="seed of the random arrays (0)")
    add_common(bench, computes=True)
    bench.set_defaults(run=lambda a: import_module("sci.cli.commands.sequences.bench").run(a))
    _add_import(parser.add_action(actions, "import", "write the model of a checkpoint of TransNormerLLM"))


def _add_import(parser: Any) -> None:
    parser.describe(IMPORT, "sci sequence import transnormer/ -o model.h5")
    line = "a safetensors file beside its config.json, or a folder of them"
    parser.add_argument("input", type=file_name, metavar="CHECKPOINT", help=line)
    add_output(parser, "MODEL.h5", "the model to write")
    line = "decays, which checkpoints do not hold, as the published code or equation 3 of the paper has them (code)"
    parser.add_argument("--decays", choices=("code", "paper"), default="code", help=line)
    add_common(parser, writes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.sequences.checkpoints").run(a))
