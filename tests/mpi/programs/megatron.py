"""Check tensor-parallel layers, pipelines and whole grids of ranks against one rank, in float64.

mpirun -n 4 python tests/mpi/programs/megatron.py
"""

from __future__ import annotations

import numpy as np
from mpi4py import MPI
from sabotage import private_communicator

from sci.distributed import abort_on_error, allgather_rows, allreduce_max, allreduce_sum, reset_traffic, split, traffic
from sci.errors import SciError
from sci.nn import Tape
from sci.sequence import (
    ParallelTransformer,
    PipelineStep,
    column_linear,
    parallel_attention,
    parallel_mlp,
    pipeline_bytes,
    pipeline_schedule,
    rank_grid,
    row_linear,
    run_pipeline,
    tensor_parallel_bytes,
    vocabulary_cross_entropy,
    vocabulary_embedding,
)

RNG = np.random.default_rng(5)


def near(found: np.ndarray, expected: np.ndarray, what: object, tolerance: float = 1e-12) -> float:
    """Return the error relative to the largest entry, after asserting that it is small."""
    assert found.shape == expected.shape, (what, found.shape, expected.shape)
    error = float(np.abs(found - expected).max(initial=0.0) / max(1e-3, np.abs(expected).max(initial=0.0)))
    assert error < tolerance, (what, error)
    return error


def mlp_case(n: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(n)
    shapes = {"up": (11, 6), "up_bias": (11,), "down": (6, 11), "down_bias": (6,)}
    return rng.normal(size=(2, n, 6)), rng.normal(size=(2, n, 6)), {k: rng.normal(size=s) for k, s in shapes.items()}


def cut(name: str, array: np.ndarray, part: slice) -> np.ndarray:
    """This rank's part of a weight of the MLP, or of its gradient."""
    return array if name == "down_bias" else array[:, part] if name == "down" else array[part]


def check_mlp(comm: MPI.Intracomm) -> None:
    """Whole activations, and runs of tokens, of lengths that do not divide and are shorter than the ranks."""
    for n in (1, 7):
        x, dout, weights = mlp_case(n)
        variables, start = Tape().watch((weights, x))
        out = parallel_mlp(variables, start)
        out.backward(dout)
        for sequence in (False, True):
            part, tokens = split(11, comm), split(n, comm) if sequence else slice(0, n)
            cuts = {k: np.ascontiguousarray(cut(k, w, part)) for k, w in weights.items()}
            own, mine = Tape().watch((cuts, np.ascontiguousarray(x[:, tokens])))
            reset_traffic(comm)
            found = parallel_mlp(own, mine, comm=comm, sequence=sequence)
            near(found.value, out.value[:, tokens], ("mlp", n, sequence))
            found.backward(np.ascontiguousarray(dout[:, tokens]))
            near(mine.gradient, start.gradient[:, tokens], ("dx", n, sequence, comm.rank))
            for k, v in own.items():
                near(v.gradient, cut(k, variables[k].gradient, part), (k, n, sequence, comm.rank))
            if not sequence and comm.size > 1:
                # Two all-reduces of b s h numbers; small ones go to everyone at once, P - 1 times their size.
                assert traffic(comm)["allreduce_sum"].bytes == 2 * (comm.size - 1) * x.nbytes


def check_linear_traffic(comm: MPI.Intracomm) -> None:
    """Large all-reduces send 2 (t - 1) / t of the activations: f backward and g forward, nothing else."""
    x = np.ones((1, 512, 64))
    weight = np.ones((4 * comm.size, 64))[split(4 * comm.size, comm)]
    mine, columns, rows = Tape().watch([x, weight, np.ones((64, 4))])
    reset_traffic(comm)
    hidden = column_linear(mine, columns, comm=comm)
    assert "allreduce_sum" not in traffic(comm)
    out = row_linear(hidden, rows, comm=comm)
    out.backward(x)
    if comm.size > 1:
        sent = traffic(comm)["allreduce_sum"].bytes
        assert sent == 2 * 2 * (comm.size - 1) * x.nbytes // comm.size or x.size % comm.size, sent


def check_layer_bytes(comm: MPI.Intracomm) -> None:
    """A layer of attention and MLP sends 8 b s h (t - 1) / t numbers, in all-reduces or in gathers and scatters."""
    b, s, heads, d = 1, 256 * comm.size, comm.size, 16
    h, rng = heads * d, np.random.default_rng(0)
    shapes = {"q": (d, h), "k": (d, h), "v": (d, h), "o": (h, d), "o_bias": (h,)}
    shapes |= {"up": (2 * d, h), "up_bias": (2 * d,), "down": (h, 2 * d), "down_bias": (h,)}
    arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    for sequence in (False, True):
        n = s // comm.size if sequence else s
        weights, x = Tape().watch((arrays, rng.normal(size=(b, n, h))))
        reset_traffic(comm)
        y = parallel_attention(weights, x, lambda q, k, v: v, d, comm=comm, sequence=sequence)
        y = parallel_mlp(weights, y, comm=comm, sequence=sequence)
        y.backward(np.ones(y.shape))
        names = ("allgather_rows", "reduce_scatter_rows") if sequence else ("allreduce_sum",)
        sent = sum(t.bytes for name, t in traffic(comm).items() if name in names)
        expected = tensor_parallel_bytes(b, s, h, comm.size, itemsize=8)
        # The sequence form also tells lengths (8 bytes) and adds up the gradients of its two biases.
        assert expected <= sent <= expected + 1000 * comm.size, (sequence, sent, expected)


def check_vocabulary(comm: MPI.Intracomm) -> None:
    vocabulary, n, width = 13, 9, 5
    table, weight = RNG.normal(size=(vocabulary, width)), 30.0 * RNG.normal(size=(vocabulary, width))
    tokens, labels = RNG.integers(0, vocabulary, (2, n)), RNG.integers(0, vocabulary, (2, n))

    def run(comm: MPI.Intracomm | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        part = split(vocabulary, comm)
        own, head = Tape().watch([table[part].copy(), weight[part].copy()])
        x = vocabulary_embedding(own, tokens, vocabulary=vocabulary, comm=comm)
        logits = column_linear(x, head, comm=comm)
        settings = {"vocabulary": vocabulary, "total": 2 * n, "comm": comm}
        loss = vocabulary_cross_entropy(logits, labels, **settings)
        loss.backward()
        return loss.value, own.gradient, head.gradient

    loss, dtable, dweight = run(None)
    logits = (table @ weight.T)[tokens]
    logits -= logits.max(axis=-1, keepdims=True)
    plain = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    near(loss, plain.mean(), "cross-entropy")
    found, part = run(comm), split(vocabulary, comm)
    near(found[0], loss, "loss")
    near(found[1], dtable[part], ("table", comm.rank))
    near(found[2], dweight[part], ("head", comm.rank))


def check_pipeline(comm: MPI.Intracomm) -> None:
    """Stages multiply by matrices: products and gradients through every schedule, with messages of 0.8 MB."""
    p, shape = comm.size, (320, 320)
    cases = [("gpipe", 5, 1), ("1f1b", 5, 1), ("1f1b", 1, 1), ("interleaved", 2 * p, 2), ("interleaved", p, 3)]
    cases += [("zb-h1", 5, 1), ("zb-h1", 1, 1), ("zb-h2", 7, 1)]
    for kind, m, v in cases:
        weights = [np.random.default_rng(s).normal(size=shape[1]) for s in range(p * v)]
        inputs = [np.random.default_rng(90 + i).normal(size=shape) for i in range(m)]
        gradients, outs, order = np.zeros((v, shape[1])), {}, []

        def forward(
            chunk: int, i: int, x: np.ndarray | None, order=order, weights=weights, inputs=inputs, outs=outs, v=v
        ):
            order.append(PipelineStep("forward", chunk, i))
            x = inputs[i] if x is None else x
            y = x * weights[chunk * p + comm.rank]
            if chunk * p + comm.rank == p * v - 1:
                outs[i] = y
            return y, x

        def backward(
            chunk: int, i: int, dy: np.ndarray | None, x: np.ndarray, order=order, weights=weights, g=gradients, k=kind
        ):
            split = k.startswith("zb")
            order.append(PipelineStep("input" if split else "backward", chunk, i))
            dy = np.full(shape, i + 1.0) if dy is None else dy
            if split:
                return dy * weights[chunk * p + comm.rank], (dy, x)
            g[chunk] += (dy * x).sum(axis=0)
            return dy * weights[chunk * p + comm.rank]

        def weight(chunk: int, i: int, kept: tuple[np.ndarray, np.ndarray], order=order, g=gradients) -> None:
            order.append(PipelineStep("weight", chunk, i))
            g[chunk] += (kept[0] * kept[1]).sum(axis=0)

        reset_traffic(comm)
        plan = pipeline_schedule(kind, p, m, v)
        run_pipeline(plan, forward, backward, weight, shape=shape, dtype=np.float64, comm=comm)
        assert tuple(order) == plan[comm.rank]
        total = np.prod(weights, axis=0)
        for i, out in outs.items():
            near(out, inputs[i] * total, (kind, i))
        for chunk in range(v):
            rest = total / weights[chunk * p + comm.rank]
            expected = sum((i + 1.0) * x.sum(axis=0) for i, x in enumerate(inputs)) * rest
            near(gradients[chunk], expected, (kind, chunk, comm.rank), 1e-10)
        boundaries = v * 2 - (comm.rank == 0) - (comm.rank == p - 1)
        sent = traffic(comm).get("pipeline")
        crossed = pipeline_bytes(m, 1, *shape, itemsize=8) if p > 1 else 0
        assert (sent.bytes if sent else 0) == boundaries * crossed, kind


def check_bad_schedules(comm: MPI.Intracomm) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a pass of a bad schedule ran")

    hanging = tuple((PipelineStep("backward", 0, 0), PipelineStep("forward", 0, 0)) for _ in range(comm.size))
    halved = pipeline_schedule("zb-h1", comm.size, 2)  # there is nothing for the second half of its backward passes
    for plan in (pipeline_schedule("1f1b", comm.size + 1, 2), hanging, halved):
        try:
            run_pipeline(plan, never, never, shape=(1,), dtype=np.float64, comm=comm)
        except SciError:
            continue
        raise AssertionError("a bad schedule was taken")


GRIDS = {
    1: [{}],
    2: [{"tensor": 2}, {"pipeline": 2}, {"sequence": 2}, {"data": 2}],
    3: [{"tensor": 3}, {"pipeline": 3}, {"sequence": 3}],
    4: [{"tensor": 2, "pipeline": 2}, {"sequence": 2, "data": 2}, {"sequence": 2, "tensor": 2}, {"pipeline": 4}],
    8: [{"data": 2, "sequence": 2, "tensor": 2}, {"pipeline": 2, "sequence": 2, "tensor": 2}],
}


def check_grid(comm: MPI.Intracomm) -> float:
    """The loss and every gradient on every rank, for all kinds of attention, cuts and schedules."""
    worst = 0.0
    batch = np.random.default_rng(1).integers(0, 19, (4, 10))
    size = {"width": 12, "heads": 3, "layers": 4, "hidden": 10, "vocabulary": 19}
    alone = rank_grid(None)
    for attention in ("softmax", "lightning"):
        serial = ParallelTransformer(**size, attention=attention, grid=alone)
        whole = serial.whole(7, dtype=np.float64)
        expected, gradients = serial.loss_and_gradients(whole, batch)
        for axes in GRIDS[comm.size]:
            grid = rank_grid(comm, **axes)
            p = axes.get("pipeline", 1)
            kinds = [("1f1b", 2, 1, False), ("gpipe", 2, 1, axes.get("tensor", 1) > 1)]
            kinds += [("zb-h1", 2, 1, axes.get("tensor", 1) > 1), ("zb-h2", 2, 1, False)] if p > 1 else []
            kinds += [("interleaved", 2, 2, True)] if p == 2 else []
            # What a schedule does is the same for both kinds of attention.
            kinds = kinds if attention == "softmax" else kinds[-1:]
            for kind, m, chunks, cut_tokens in kinds:
                model = ParallelTransformer(
                    **size, attention=attention, grid=grid, chunks=chunks, cut_tokens=cut_tokens
                )
                loss, found = model.loss_and_gradients(model.own(whole), batch, microbatches=m, schedule=kind)
                what = (attention, axes, kind, cut_tokens, comm.rank)
                worst = max(worst, near(np.array(loss), np.array(expected), what))
                own = model.own(gradients)
                assert list(found) == list(own)
                for name, gradient in found.items():
                    worst = max(worst, near(gradient, own[name], (*what, name)))
            grid.free()
    return worst


def check_generation(comm: MPI.Intracomm) -> None:
    """Every grid writes what one rank writes, from prompts of one token and of more, greedily and by draws."""
    size, rng = {"width": 12, "heads": 3, "layers": 4, "hidden": 10, "vocabulary": 19}, np.random.default_rng(4)
    for attention in ("softmax", "lightning"):
        serial = ParallelTransformer(**size, attention=attention, grid=rank_grid(None))
        whole = serial.whole(7, dtype=np.float64)
        for axes in GRIDS[comm.size]:
            grid = rank_grid(comm, **axes)
            for length, chunks, rule in ((7, 1, {"temperature": 0.0}), (1, 2, {"top_k": 5, "top_p": 0.9, "seed": 3})):
                if axes.get("pipeline", 1) * chunks > size["layers"]:
                    continue
                prompt = rng.integers(0, 19, (3, length))
                expected = serial.generate(whole, prompt, 6, **rule)
                model = ParallelTransformer(**size, attention=attention, grid=grid, chunks=chunks)
                found = model.generate(model.own(whole), prompt, 6, **rule)
                assert (found == expected).all(), (attention, axes, length, comm.rank, found, expected)
            grid.free()


def check_recomputation(comm: MPI.Intracomm) -> None:
    """Messages of a block that is computed again meet those of the other ranks: the bits are those without."""
    batch = np.random.default_rng(1).integers(0, 19, (4, 10))
    for axes in GRIDS[comm.size][:3]:
        grid = rank_grid(comm, **axes)
        model = ParallelTransformer(12, 3, 4, 10, 19, grid, cut_tokens=True)
        own = model.own(model.whole(7))
        loss, expected = model.loss_and_gradients(own, batch, microbatches=2, schedule="zb-h1")
        wide = ParallelTransformer(12, 3, 4, 10, 19, rank_grid(None))
        exact = wide.own(wide.loss_and_gradients(wide.whole(7), batch)[1])
        _, halves = model.loss_and_gradients(own, batch, microbatches=2, schedule="zb-h1", activations="bfloat16")
        for name, gradient in model.own(exact).items():
            assert halves[name].dtype == np.float32
            off = np.linalg.norm(halves[name] - gradient) / np.linalg.norm(gradient)
            assert off < 0.05, (axes, name, off)
        for recompute in ("block", ("attention", "feedforward", "none", "block")):
            options = {"microbatches": 2, "schedule": "zb-h1", "recompute": recompute}
            again, found = model.loss_and_gradients(own, batch, **options)
            assert again == loss
            for name, gradient in expected.items():
                assert (found[name] == gradient).all(), (axes, recompute, name)
        grid.free()


def check_halved_passes_bit_by_bit(comm: MPI.Intracomm) -> None:
    """Gradients of weights that come later are those of one rank to the last bit, where no sum runs over ranks."""
    size = {"width": 12, "heads": 3, "layers": comm.size, "hidden": 10, "vocabulary": 19}
    batch = np.random.default_rng(1).integers(0, 19, (8, 10))
    serial, grid = ParallelTransformer(**size, grid=rank_grid(None)), rank_grid(comm, pipeline=comm.size)
    whole = serial.whole(7)
    expected, gradients = serial.loss_and_gradients(whole, batch, microbatches=8)
    model = ParallelTransformer(**size, grid=grid)
    for kind in ("1f1b", "zb-h1", "zb-h2"):
        loss, found = model.loss_and_gradients(model.own(whole), batch, microbatches=8, schedule=kind)
        assert loss == expected, kind
        for name, gradient in model.own(gradients).items():
            assert (found[name] == gradient).all(), (kind, name)
    grid.free()


def check_every_layer_is_somewhere(comm: MPI.Intracomm) -> None:
    """5 layers on the stages of 2 or 4 ranks: none is lost, none is double."""
    grid = rank_grid(comm, pipeline=comm.size)
    model = ParallelTransformer(8, 2, max(5, comm.size), 8, 11, grid)
    whole = model.whole(0)
    mine = np.array([n in model.own(whole) for n in whole], dtype=float)
    assert (allreduce_sum(mine, comm) == 1).all()
    grid.free()


def main() -> None:
    comm = private_communicator()
    with abort_on_error(comm):
        if comm.size <= 4:
            check_mlp(comm)
            check_linear_traffic(comm)
            check_layer_bytes(comm)
            check_vocabulary(comm)
            check_pipeline(comm)
            check_bad_schedules(comm)
            check_halved_passes_bit_by_bit(comm)
            check_recomputation(comm)
            check_every_layer_is_somewhere(comm)
        check_generation(comm)
        worst = float(allreduce_max(np.array([check_grid(comm)]), comm)[0])
        allgather_rows(np.zeros(1), comm)
    if comm.rank == 0:
        print(f"PASS largest difference from serial {worst:.1e}")


if __name__ == "__main__":
    main()
