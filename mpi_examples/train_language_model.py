"""Train a TransNormer language model of bytes, every window of text spread over the ranks, and let it write.

mpirun -n 2 python mpi_examples/train_language_model.py corpus.txt -o model.h5 [--epochs 3] [--prompt "The "]
mpirun -n 2 python mpi_examples/train_language_model.py corpus.txt -o model.h5 --checkpoint run.h5 --resume

Without a corpus: a few steps on the manual that Python ships. With --resume a training that was ended, whatever ended
it, goes on from its last checkpoint; on as many ranks as before it ends with the same bits as one that ran through.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
from mpi4py import MPI

import sci
from sci.distributed import agreed, broadcast_object, job, launched
from sci.errors import FileFormatError, SciError
from sci.io import load, reserve, save
from sci.nn import AdamW, Checkpoint, cosine, count_parameters, train, warm_up
from sci.sequence import TextWindows, TransNormer

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("corpus", type=Path, nargs="?", help="any text file")
parser.add_argument("-o", "--output", type=Path, help="file of the trained model")
parser.add_argument("--checkpoint", type=Path, metavar="FILE.h5", help="keep the state of the training here")
parser.add_argument("--every", type=int, default=100, metavar="STEPS", help="steps between checkpoints (100)")
parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, if there is one")
parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--length", type=int, default=256, help="bytes of a window")
parser.add_argument("--batch", type=int, default=8, help="windows of a step")
parser.add_argument("--width", type=int, default=128)
parser.add_argument("--layers", type=int, default=4)
parser.add_argument("--learning-rate", type=float, default=3e-3)
parser.add_argument("--method", choices=("gather", "ring"), default="gather")
parser.add_argument("--prompt", default="The ")
options = parser.parse_args()
comm = launched(MPI.COMM_WORLD)


def _corpus() -> bytes:
    if options.corpus is None:
        from pydoc_data.topics import topics

        options.epochs, demo = 1, 12 * options.batch * options.length + 1
        return "\n\n".join(topics.values()).encode()[:demo]
    try:
        return options.corpus.read_bytes()
    except OSError as found:
        raise FileFormatError(f"cannot read {options.corpus}: {found.strerror}") from found


def read() -> bytes:
    """Return the text on every rank; where one fails, all end with exit code 2 and one line."""
    try:
        with agreed(comm, "the corpus") as agreement:
            text = _corpus()
            agreement.same(text=text)
            return TextWindows(text, options.length).text
    except SciError as found:
        refuse(found)


def refuse(error: SciError) -> NoReturn:
    """End on all ranks, which share the error, with exit code 2 and one line."""
    if comm.rank == 0:
        print(f"train_language_model: error: {error}".replace("overwrite=True", "--overwrite"), file=sys.stderr)
    raise SystemExit(2)


def main(text: bytes) -> None:
    """Compare the first loss with that of one rank, train, save, and continue the prompt."""
    windows = TextWindows(text, options.length)
    model = TransNormer.create(seed=0, width=options.width, layers=options.layers, hidden=2 * options.width)
    if comm.rank == 0:
        print(f"{len(text):,} bytes, {count_parameters(model.parameters):,} parameters, {comm.size} ranks", flush=True)
    batch = windows[np.arange(min(options.batch, len(windows)))]
    spread = float(model.loss(model.parameters, batch, comm=comm, method=options.method))
    alone = float(model.loss(model.parameters, batch))
    error = abs(spread - alone) / alone
    assert error < 1e-5, error
    resume = None
    if options.resume and options.checkpoint.exists():
        resume = broadcast_object(load(options.checkpoint) if comm.rank == 0 else None, comm)
        if comm.rank == 0:
            print(f"going on after step {resume.step}", flush=True)

    def keep(checkpoint: Checkpoint) -> None:
        save(options.checkpoint, checkpoint, command=" ".join(sys.argv), comm=comm)

    done = train(
        lambda variables, batch: model.loss(variables, batch, comm=comm, method=options.method),
        model.parameters,
        windows,
        optimizer=AdamW(options.learning_rate, weight_decay=0.01),
        epochs=options.epochs,
        batch_size=options.batch,
        schedule=warm_up(0.05 * options.epochs, cosine(options.epochs, 0.05)),
        schedule_each="step",
        clip=1.0,
        save=keep if options.checkpoint else None,
        save_every=options.every,
        resume=resume,
        settings={"text": hashlib.sha256(text).hexdigest(), "rate": options.learning_rate, "length": options.length},
    )
    tail = max(1, len(done.losses) // 10)
    first, last = float(done.losses[0]), float(done.losses[-tail:].mean())
    assert last < first, (first, last)
    trained = model.with_parameters(done.parameters)
    if options.output is not None:
        save(options.output, trained, command=" ".join(sys.argv), comm=comm)
    if comm.rank == 0:
        written = trained.generate(options.prompt.encode(), 200, temperature=0.7)
        print(options.prompt + written.decode(errors="replace"))
        print(
            f"PASS {len(done.losses)} steps, {first / np.log(2):.2f} to {last / np.log(2):.2f} bits a byte, "
            f"first loss {error:.1e} from that of one rank"
        )


def outputs() -> contextlib.ExitStack:
    """Hold the names of the outputs before the work; files that exist stay, but with --overwrite or --resume."""
    stack = contextlib.ExitStack()
    try:
        if options.output is not None:
            stack.enter_context(reserve(options.output, overwrite=options.overwrite, comm=comm))
        if options.checkpoint is not None:
            replace = options.overwrite or options.resume
            stack.enter_context(reserve(options.checkpoint, overwrite=replace, comm=comm))
    except SciError as found:
        refuse(found)
    return stack


if options.resume and options.checkpoint is None:
    parser.error("--resume goes on from --checkpoint FILE.h5: give both")
corpus = read()
with job(comm), outputs(), sci.options(progress="on" if comm.rank == 0 else "off"):
    main(corpus)
