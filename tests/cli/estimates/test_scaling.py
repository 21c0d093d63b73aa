"""Needs of fits, and the rate of trainings."""

from __future__ import annotations

import time

import numpy as np
from dry_runs import compared

from sci.cli.estimates.networks.operators import step_memory, train_on
from sci.cli.estimates.scaling import fit_needs, training_rate
from sci.operators import FNO, TrainingConfig
from sci.scaling import fit_power_law


def test_a_dry_run_of_a_fit_tells_what_it_takes(tmp_path) -> None:
    x = np.geomspace(1e3, 1e6, 5)
    size, samples = np.repeat(x, 5), np.tile(x, 5)
    noise = 1 + 0.01 * np.random.default_rng(0).standard_normal(25)
    rows = zip(size, samples, (0.2 + 30 * size**-0.5 + 10 * samples**-0.4) * noise)
    (tmp_path / "runs.csv").write_text("size,samples,loss\n" + "\n".join(f"{a},{b},{c}" for a, b, c in rows))
    words = ("scaling", "fit", tmp_path / "runs.csv", "-o", tmp_path / "law.h5", "--samples", 2000)
    found = compared("sci.cli.commands.scaling", *words)
    assert found.misses == {}, found


def test_time_grows_with_the_resampled_fits() -> None:
    x = np.geomspace(1e3, 1e6, 9)
    loss = (0.2 + 30 * x**-0.5) * (1 + 0.01 * np.random.default_rng(0).standard_normal(9))
    few, many = (fit_needs(lambda n: fit_power_law(x, loss, samples=n), n, 9) for n in (200, 20_000))
    assert many.seconds["fit"] > 10 * few.seconds["fit"]


def test_the_rate_is_that_of_steps() -> None:
    model, config = FNO((8, 8), 1, 1, 16, 2), TrainingConfig(epochs=1, batch_size=8, periodic=True)
    rate = training_rate(model, config, (32, 32))
    x, y = np.random.default_rng(0).standard_normal((2, 8, 1, 32, 32), dtype=np.float32)
    train_on(model, x, y, config, 8)
    times = []
    for _ in range(5):  # one step may hold a collection of garbage
        start = time.process_time()
        train_on(model, x, y, config, 8)
        times.append(time.process_time() - start)
    assert 1 / 3 < step_memory(model, config, 8, (32, 32)).flops / rate / min(times) < 3
