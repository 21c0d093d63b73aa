"""Plans of a training: what fits, batches that are halved, forecasts, and the choice."""

from __future__ import annotations

import pytest

from sci.errors import InvalidValueError
from sci.scaling import PowerLaw, TrainingMemory, TrainingPlan, best_plan, compute_optimum, plan_training

LAW = PowerLaw(0.1, (10.0, 20.0), (0.4, 0.5), (1.0, 1.0))


def step(options, batch: int) -> tuple[int, TrainingMemory]:
    n = options["width"] ** 2
    return n, TrainingMemory(4 * n, 8 * n, 400 * batch, 12 * n + 800 * batch, 3 * n * batch)


def widths(*numbers: int) -> list[dict[str, int]]:
    return [{"width": w} for w in numbers]


def test_steps_spend_the_budget_and_no_more() -> None:
    for plan in plan_training(widths(8, 16, 32), step, operations=1e8, memory=1e6):
        assert plan.operations <= 1e8 < plan.operations + 2 * plan.memory.flops
        assert plan.samples == plan.batch * plan.steps
        assert plan.factor == pytest.approx(6.0)


def test_the_batch_is_halved_until_the_step_fits() -> None:
    plans = plan_training(widths(8, 20), step, operations=1e9, memory=10_000, batch=16)
    assert [plan.batch for plan in plans] == [8, 4]
    assert all(plan.memory.peak <= 10_000 for plan in plans)


def test_the_first_size_that_does_not_fit_ends_the_list() -> None:
    asked = []

    def seen(options, batch):
        asked.append(options["width"])
        return step(options, batch)

    plans = plan_training(widths(8, 64, 512, 1024), seen, operations=1e9, memory=1e6)
    assert [plan.options["width"] for plan in plans] == [8, 64]
    assert 1024 not in asked
    assert plan_training(widths(8), step, operations=10.0, memory=1e6) == ()


def test_with_a_law_the_choice_is_its_optimum() -> None:
    """The sizes are those of 6 N D operations, so that the best of a fine list is the law's closed form."""
    sizes = widths(*range(4, 400))
    plans = plan_training(sizes, step, operations=1e9, memory=1e9, batch=1, law=LAW)
    best, optimum = best_plan(plans, 0), compute_optimum(LAW, 1e9)
    assert best.parameters == pytest.approx(optimum.size, rel=0.05)
    assert best.samples == pytest.approx(optimum.samples, rel=0.05)
    assert best.loss == pytest.approx(optimum.loss, rel=1e-3)


def test_without_a_law_the_largest_that_sees_enough_is_chosen() -> None:
    plans = plan_training(widths(8, 16, 32, 64), step, operations=1e8, memory=1e6)
    best = best_plan(plans, 20_000)
    assert best.samples >= 20_000
    assert all(plan.samples < 20_000 for plan in plans if plan.parameters > best.parameters)
    assert best_plan(plans, 1e12) is plans[0]


@pytest.mark.parametrize(
    "bad",
    [
        {"operations": 0.0},
        {"operations": float("inf")},
        {"memory": -1.0},
        {"batch": 0},
        {"law": PowerLaw(1, [1], [1], [1])},
    ],
)
def test_impossible_plans_are_refused(bad) -> None:
    with pytest.raises(InvalidValueError):
        plan_training(widths(8), step, **{"operations": 1e6, "memory": 1e6, **bad})


def test_no_plan_is_no_choice() -> None:
    with pytest.raises(InvalidValueError, match="no size fits"):
        best_plan([], 1)
    assert best_plan([TrainingPlan({}, 1, 1, 1, TrainingMemory(1, 1, 1, 1, 1))], 5).steps == 1
