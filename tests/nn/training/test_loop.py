"""The training loop: convergence, resume to the bit, schedules, NaN stops, datasets, dtypes of a whole model."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

import sci.nn as P
from sci.errors import ConvergenceError, InvalidValueError, SciError, ShapeError
from sci.io import load, save
from sci.nn import SGDP, Adam, AdamP, AdamW, Checkpoint, Op, Tape, train, value_and_gradients

RNG = np.random.default_rng(8)
X = RNG.normal(size=(53, 2, 6, 5)).astype("f4")
Y = np.tanh(X.sum(axis=1, keepdims=True)) + 0.1


def start(dtype: str = "f4", width: int = 8) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    shapes = {"lift.w": (width, 2), "lift.b": (width,), "gate": (width,), "out.w": (1, width), "out.b": (1,)}
    parameters = {name: P.initial_uniform(rng, shape, 2, dtype=dtype) for name, shape in shapes.items()}
    return {**parameters, "norm.w": np.ones(width, dtype), "norm.b": np.zeros(width, dtype)}


def model(v: dict, x: np.ndarray):
    h = P.pointwise_conv(x, v["lift.w"], v["lift.b"])
    h = P.gelu(h)
    h = P.group_norm(h, v["norm.w"], v["norm.b"], groups=2)
    gated = P.channel_scale(h, v["gate"])
    h = P.add(P.silu(h), gated)
    width = ((0, 0), (0, 0), (0, 0), (1, 1))
    h = P.crop(P.pad(h, width), width)
    return P.pointwise_conv(h, v["out.w"], v["out.b"])


def loss(v: dict, batch: tuple) -> P.Variable:
    return P.relative_h1(model(v, batch[0]), target=batch[1])


def run(parameters=None, optimizer=None, epochs: int = 3, **options) -> Checkpoint:
    options = {"batch_size": 10, "seed": 4, **options}
    return train(loss, parameters or start(), (X, Y), optimizer=optimizer or AdamW(1e-2), epochs=epochs, **options)


def bits(c: Checkpoint) -> list:
    arrays = [*c.parameters.items(), *((n, a) for part in c.optimizer.values() for n, a in part.items())]
    return [
        c.step,
        c.losses.tobytes(),
        *((k, v.tobytes()) for k, v in c.metrics.items()),
        *((n, a.tobytes()) for n, a in arrays),
    ]


def test_buffers_that_the_loss_changes_are_in_checkpoints(tmp_path):
    def fit(epochs: int, **options) -> tuple[np.ndarray, Checkpoint]:
        seen = {"mean": np.zeros((2, 1, 1), "f4"), "count": np.zeros(1)}

        def counted(v: dict, batch: tuple) -> P.Variable:
            seen["count"] += 1
            seen["mean"] += 0.1 * (batch[0].mean(axis=(0, 2, 3))[:, None, None] - seen["mean"])
            return loss(v, batch)

        options = {"optimizer": AdamW(1e-2), "batch_size": 10, **options}
        return seen, train(counted, start(), (X, Y), buffers=seen, epochs=epochs, **options)

    path = tmp_path / "run.h5"
    seen, whole = fit(2)
    assert whole.optimizer["buffers"]["mean"] is seen["mean"]
    assert seen["count"] == 12
    fit(1, save=lambda c: save(path, c, overwrite=True), save_every=4)
    again, resumed = fit(2, resume=load(path))
    assert bits(resumed) == bits(whole)
    assert again["mean"].tobytes() == seen["mean"].tobytes()
    with pytest.raises(InvalidValueError, match=r"has the buffers \['count', 'mean'\], the training \[\]"):
        run(epochs=3, seed=0, resume=load(path))


def test_a_loss_that_sends_messages_is_called_on_every_rank():
    """The last batch of 53 samples by 52 has one, on one of two ranks."""
    counts = []

    def body(comm: ThreadComm) -> int:
        own = []

        def collective(v: dict, batch: tuple) -> P.Variable:
            own.append(len(batch[0]))
            return loss(v, batch) if len(batch[0]) else P.sum(v["gate"]) * 0.0

        collective.collective = True
        train(collective, start(), (X, Y), optimizer=AdamW(1e-2), epochs=1, batch_size=52, shuffle=False, comm=comm)
        counts.append(own)
        return len(own)

    assert on_ranks(2, body) == [2, 2]
    assert sorted(counts) == [[26, 0], [26, 1]]


def test_training_lowers_the_loss_and_leaves_its_input_alone():
    parameters = start()
    before = {n: p.copy() for n, p in parameters.items()}
    done = run(parameters, epochs=30)
    assert done.losses[-6:].mean() < 0.4 * done.losses[:6].mean()
    assert done.step == 30 * 6 == len(done.losses)
    for name, p in parameters.items():
        np.testing.assert_array_equal(p, before[name])
        assert done.parameters[name].dtype == p.dtype


@pytest.mark.parametrize("optimizer", [Adam(1e-2), AdamW(1e-2), AdamP(1e-2), SGDP(1e-2)])
@pytest.mark.parametrize("stop", [6, 8])  # after an epoch, and in the middle of one
def test_a_resumed_training_has_the_bits_of_one_that_never_stopped(tmp_path, optimizer, stop):
    options = {
        "optimizer": optimizer,
        "schedule": P.warm_up(1, P.cosine(3)),
        "schedule_each": "step",
        "clip": 0.5,
        "evaluate": lambda p: {"size": sum(float(abs(a).sum()) for a in p.values())},
    }
    whole = run(**options)
    path = tmp_path / "run.h5"

    class Stopped(Exception):
        pass

    def save_and_stop(checkpoint: Checkpoint) -> None:
        save(path, checkpoint, overwrite=True)
        if checkpoint.step >= stop:
            raise Stopped

    with pytest.raises(Stopped):
        run(**options, save=save_and_stop, save_every=stop)
    found = load(path)
    assert found.step == stop
    again = run(**options, resume=found)
    assert bits(again) == bits(whole)
    assert len(whole.metrics["size"]) == 3


def test_more_epochs_go_on_from_a_finished_training():
    assert bits(run(epochs=3, resume=run(epochs=2))) == bits(run(epochs=3))


def test_the_seed_decides_the_order():
    same, other = run(seed=4), run(seed=5)
    assert bits(run(seed=4)) == bits(same)
    assert bits(other) != bits(same)
    assert bits(run(shuffle=False, seed=1))[1] == bits(run(shuffle=False, seed=2))[1]


def test_samples_left_over_count_by_their_number():
    """Of 53 samples in batches of 10 the last 3 move the parameters 0.3 times as far; the loss told is theirs."""
    ends, losses = [], []
    for equal in (False, True):
        kept: list[np.ndarray] = []
        options = {
            "optimizer": SGDP(1e-2, momentum=0.0, delta=0.0),
            "epochs": 1,
            "equal_samples": equal,
            "save_every": 1,
        }
        done = run(**options, save=lambda c, kept=kept: kept.append(c.parameters["out.w"].astype("f8")))
        ends.append(kept[-1] - kept[-2])
        losses.append(done.losses[-1])
    np.testing.assert_allclose(ends[1], 0.3 * ends[0], rtol=0, atol=1e-7)
    assert losses[0] == losses[1]


@pytest.mark.parametrize(("each", "expected"), [("epoch", [0, 0, 1, 1]), ("step", [0.5, 1, 1.5, 2])])
def test_when_the_schedule_is_asked(each, expected):
    times = []

    def schedule(t: float) -> float:
        times.append(t)
        return 1.0

    run(epochs=2, batch_size=30, schedule=schedule, schedule_each=each)
    assert times == expected


def test_clipping_limits_the_step():
    plain, clipped = (run(optimizer=SGDP(0.1, momentum=0.0), epochs=1, batch_size=53, clip=c) for c in (None, 1e-3))
    moved = [np.sqrt(sum(((r.parameters[n] - p) ** 2).sum() for n, p in start().items())) for r in (plain, clipped)]
    assert moved[1] < 1.1e-4 < moved[0]


def test_saves_at_every_epoch_or_step_and_at_the_end():
    seen: list[int] = []
    run(save=lambda c: seen.append(c.step))
    assert seen == [6, 12, 18]
    seen.clear()
    run(save=lambda c: seen.append(c.step), save_every=7)
    assert seen == [7, 14, 18]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("loss", r"the loss is nan in step 8; the last checkpoint"),
        ("gradient", r"the gradient 'out.w' has 1 of 8 entries NaN or infinite in step 8"),
    ],
)
def test_nan_stops_with_the_step_named_and_the_last_checkpoint_kept(tmp_path, spoil, message):
    path, calls = tmp_path / "run.h5", [0]

    def bad_vjp(dout, residuals):
        dx, dw, db = P.pointwise_conv.vjp(dout, residuals)
        if calls[0] == 8:
            dw[0, 3] = np.inf
        return dx, dw, db

    def spoiled(v: dict, batch: tuple):
        calls[0] += 1
        h = P.pointwise_conv(batch[0], v["lift.w"], v["lift.b"])
        last = Op(P.pointwise_conv.forward, bad_vjp) if spoil == "gradient" else P.pointwise_conv
        y = last(h, v["out.w"], v["out.b"])
        target = np.full_like(batch[1], np.nan) if spoil == "loss" and calls[0] == 8 else batch[1]
        return P.mean_squared_error(y, target)

    with pytest.raises(ConvergenceError, match=message):
        train(
            *(spoiled, start(), (X, Y)),
            optimizer=Adam(),
            epochs=3,
            batch_size=10,
            save=lambda c: save(path, c, overwrite=True),
        )
    kept = load(path)
    assert kept.step == 6
    assert all(np.isfinite(p).all() for p in kept.parameters.values())


def test_parameters_that_overflow_are_not_saved():
    seen: list[int] = []
    with (
        pytest.raises(ConvergenceError, match=r"the parameter '.*' has .* in step 1; .* a learning rate below 3e\+38"),
        np.errstate(all="ignore"),
    ):
        run(optimizer=SGDP(learning_rate=3e38), save=lambda c: seen.append(c.step), save_every=1)
    assert seen == []


def test_a_dataset_is_asked_for_its_batches():
    asked: list[np.ndarray] = []

    class Lazy:
        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, indices: np.ndarray) -> tuple:
            asked.append(indices)
            return X[indices], Y[indices]

    found = train(loss, start(), Lazy(), optimizer=AdamW(1e-2), epochs=3, batch_size=10, seed=4)
    assert bits(found) == bits(run())
    for epoch in range(3):
        assert sorted(np.concatenate(asked[6 * epoch : 6 * epoch + 6])) == list(range(53))


def test_bad_settings():
    good = run(epochs=1)
    cases: list[tuple[Callable, type, str]] = [
        (lambda: run(epochs=0), InvalidValueError, "epochs is 0"),
        (lambda: run(batch_size=2.5), InvalidValueError, r"batch_size is 2\.5"),
        (lambda: run(clip=-1.0), InvalidValueError, "clip is -1.0"),
        (lambda: run(schedule_each="day"), InvalidValueError, "'day'"),
        (lambda: run(seed=-1), InvalidValueError, "seed is -1"),
        (lambda: run(save_every=-2), InvalidValueError, "save_every is -2"),
        (lambda: run({"a": np.array([np.nan])}), ConvergenceError, "parameter 'a' has 1 of 1"),
        (lambda: run(settings={"average": 0.5}), InvalidValueError, "'average', which train keeps itself"),
        (lambda: run(settings={"seed": 1}), InvalidValueError, "'seed', which train keeps itself"),
        (lambda: run(resume=good, seed=9), InvalidValueError, "another training .seed: 4 then, 9 now"),
        (lambda: run(resume=good, optimizer=Adam()), InvalidValueError, "optimizer: 'AdamW' then, 'Adam' now"),
        (lambda: run(start(width=4), resume=good), InvalidValueError, "other names, shapes or dtypes"),
        (
            lambda: train(loss, start(), (X, Y[:-1]), optimizer=Adam(), epochs=1, batch_size=4),
            ShapeError,
            r"lengths \[53, 52\]",
        ),
        (lambda: train(loss, {}, (X, Y), optimizer=Adam(), epochs=1, batch_size=4), InvalidValueError, "no parameters"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()


class _Spy:
    """Record the dtype of every array that goes in and out of every op."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: set[str] = set()
        call, record = Op.__call__, Tape.record

        def noted_call(op, *args, **options):
            out = call(op, *args, **options)
            self.note([P.value_of(a) for a in args], P.value_of(out), list(options.values()))
            return out

        def noted_record(tape, op, out, cells, residuals):
            def vjp(dout, kept):
                gradients = op.vjp(dout, kept)
                self.note(dout, kept, gradients)
                return gradients

            return record(tape, Op(op.forward, vjp), out, cells, residuals)

        monkeypatch.setattr(Op, "__call__", noted_call)
        monkeypatch.setattr(Tape, "record", noted_record)

    def note(self, *things) -> None:
        for thing in things:
            if isinstance(thing, (list, tuple)):
                self.note(*thing)
            elif isinstance(thing, dict):
                self.note(*thing.values())
            elif isinstance(thing, (np.ndarray, np.generic)):
                self.seen.add(str(thing.dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_other_precision_enters_a_whole_model(monkeypatch, dtype):
    spy = _Spy(monkeypatch)
    x, y = X.astype(dtype), Y.astype(dtype)
    _, gradients = value_and_gradients(lambda v: loss(v, (x, y)), start(dtype))
    spy.note(gradients)
    done = train(
        *(loss, start(dtype), (x, y)),
        optimizer=AdamP(1e-2),
        epochs=1,
        batch_size=10,
        clip=1e-3,
    )
    spy.note(done.parameters, done.optimizer)
    assert spy.seen == {dtype}


def test_integers_of_numpy_are_integers(tmp_path):
    done = run(batch_size=np.int64(10), seed=np.int64(4), epochs=np.int64(2), save_every=np.int64(5))
    assert bits(done) == bits(run(epochs=2))
    save(tmp_path / "run.h5", done)
    assert bits(load(tmp_path / "run.h5")) == bits(done)


@pytest.mark.parametrize("accumulate", [2, 7, 10])
def test_parts_of_a_batch_make_the_step_of_the_whole_to_rounding(accumulate):
    options = {"parameters": start("f8"), "optimizer": SGDP(1e-2, momentum=0.9), "clip": 1.0}
    whole, parts = run(**options), run(**options, accumulate=accumulate)
    np.testing.assert_allclose(parts.losses, whole.losses, rtol=1e-6)
    for name, p in whole.parameters.items():
        np.testing.assert_allclose(parts.parameters[name], p, rtol=1e-6, atol=1e-8)
    for done in on_ranks(2, lambda comm: run(**options, accumulate=accumulate, comm=comm)):
        for name, p in whole.parameters.items():
            np.testing.assert_allclose(done.parameters[name], p, rtol=1e-6, atol=1e-8)


def test_averages_are_those_of_the_parameters_after_each_step():
    seen, measured = [], []
    done = run(
        average=0.8,
        save=lambda c: seen.append({n: p.copy() for n, p in c.parameters.items()}),
        save_every=1,
        evaluate=lambda p: measured.append(p["gate"].copy()) or {},
    )
    weights = 0.8 ** np.arange(len(seen) - 1, -1, -1)
    for name in done.parameters:
        expected = sum(w * p[name].astype("f8") for w, p in zip(weights, seen)) / weights.sum()
        np.testing.assert_allclose(done.averaged[name], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(measured[-1], done.averaged["gate"])
    assert np.abs(measured[-1] - done.parameters["gate"]).max() > 1e-4


VALIDATION = [5.0, 3.0, 4.0, 2.0, 2.5, 2.0, 9.0, 1.0]


def validated(comm=None, values=VALIDATION, epochs: int = 8, **options) -> tuple[Checkpoint, list[dict]]:
    """A training whose validation losses are given, and the parameters that were measured."""
    measured: list[dict] = []
    done = options.get("resume")
    before = len(done.metrics["loss"]) if done else 0

    def evaluate(p: dict) -> dict:
        measured.append({n: a.copy() for n, a in p.items()})
        return {"loss": values[before + len(measured) - 1], "other": 0.0}

    options = {"monitor": "loss", "patience": 3, "average": 0.9, **options}
    return run(epochs=epochs, evaluate=evaluate, comm=comm, **options), measured


def test_a_training_stops_after_its_patience_and_keeps_the_best():
    saved: list[int] = []
    done, measured = validated(save=lambda c: saved.append(c.step), save_every=100)
    assert done.metrics["loss"].tolist() == VALIDATION[:7]  # the best of epoch 4 is 3 epochs old
    assert done.step == 7 * 6
    assert saved == [42]
    for name, array in done.best.items():
        np.testing.assert_array_equal(array, measured[3][name])
    longer, _ = validated(patience=4)
    assert longer.metrics["loss"].tolist() == VALIDATION


@pytest.mark.parametrize("stop", [3, 6])
def test_a_stop_is_that_of_a_training_that_never_stopped(tmp_path, stop):
    options = {"storage": "bfloat16", "accumulate": 2, "prefetch": 2}
    whole, _ = validated(**options)
    path = tmp_path / "run.h5"
    validated(epochs=stop, save=lambda c: save(path, c, overwrite=True), **options)
    again, _ = validated(resume=load(path), **options)
    assert bits(again) == bits(whole)
    finished, measured = validated(resume=again, **options)
    assert measured == []
    assert bits(finished) == bits(whole)


def test_ranks_stop_together_and_refuse_validation_losses_that_differ():
    serial, _ = validated()
    for done, _ in on_ranks(2, lambda comm: validated(comm)):
        assert done.step == serial.step
        np.testing.assert_allclose(done.best["gate"], serial.best["gate"], rtol=1e-4)

    def differ(comm: ThreadComm) -> str:
        with pytest.raises(InvalidValueError, match="loss differs between ranks") as error:
            validated(comm, values=[1.0 + comm.Get_rank()] * 8)
        return str(error.value)

    assert len(set(on_ranks(2, differ))) == 1


def test_checkpoints_without_an_average_or_a_best_say_so():
    done = run(epochs=1)
    with pytest.raises(InvalidValueError, match="has no average; expected one of train"):
        _ = done.averaged
    with pytest.raises(InvalidValueError, match="has no best parameters"):
        _ = done.best
    with pytest.raises(InvalidValueError, match="monitor is 'h1', and evaluate returned loss, other"):
        validated(monitor="h1")
    with pytest.raises(ConvergenceError, match="metric 'loss' is NaN in epoch 2"):
        validated(values=[1.0, np.nan])


class Failing:
    """Samples that cannot be read on one rank."""

    def __init__(self, bad: bool) -> None:
        self.bad = bad

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, indices: np.ndarray) -> tuple:
        if self.bad and 17 in indices:
            raise OSError("sample 17 cannot be read")
        return X[indices], Y[indices]


@pytest.mark.parametrize("prefetch", [0, 2])
def test_samples_that_one_rank_cannot_read_are_an_error_on_all(prefetch):
    def body(comm: ThreadComm) -> str:
        data = Failing(comm.Get_rank() == 1)
        with pytest.raises((OSError, SciError)) as error:
            train(loss, start(), data, optimizer=Adam(), epochs=2, batch_size=10, comm=comm, prefetch=prefetch)
        return str(error.value)

    messages = on_ranks(2, body)
    assert all("sample 17 cannot be read" in message for message in messages)
    assert not [t for t in threading.enumerate() if t.name == "sci read ahead"]


def test_batches_read_ahead_are_those_of_each_step():
    assert bits(run(prefetch=3)) == bits(run())
    found = train(loss, start(), Failing(False), optimizer=AdamW(1e-2), epochs=3, batch_size=10, seed=4, prefetch=2)
    assert bits(found) == bits(run())
