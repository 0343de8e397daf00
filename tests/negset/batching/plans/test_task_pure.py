import numpy as np
import polars as pl
import pytest

from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.batching.plans.task_pure import expected_repeats
from negset.errors import ConfigError


def opened(inputs, *, size=64, epochs=3, in_batch=True, **options):
    found = find_plan("task-pure")
    return found.open(inputs, PlanSettings(1, size, epochs, in_batch), plan_params(found, options))


def world(plan_inputs, classes=2, queries=4000):
    """Half of the queries search, each its own document; half have one of some classes, whose texts are positives."""
    task = ["search" if row % 2 else "sort" for row in range(queries)]
    positives = [[row] if row % 2 else [row // 2 % classes] for row in range(queries)]
    return plan_inputs(queries, positives=positives, column=lambda _name: pl.Series(task)), np.array(task)


@pytest.mark.parametrize(("classes", "others", "allowed"), [(2, 31.5, False), (10, 6.3, False), (77, 0.8, True)])
def test_in_batch_is_off_where_a_batch_would_repeat_classes(plan_inputs, classes, others, allowed):
    class_Q = np.arange(77_000) % classes
    repeats = expected_repeats(np.zeros(77_000, dtype=np.int64), class_Q, 1, 64)
    assert repeats[0] == pytest.approx(others, abs=0.05)
    inputs, task = world(plan_inputs, classes, 15_400)
    visits = opened(inputs)(0)
    first = task[visits.query_V[np.flatnonzero(np.r_[True, np.diff(visits.batch_V) != 0])]]
    assert set(visits.in_batch_B[first == "sort"].tolist()) == {allowed}
    assert set(visits.in_batch_B[first == "search"].tolist()) == {True}


def test_a_batch_has_one_task_and_every_query_is_visited(plan_inputs):
    inputs, task = world(plan_inputs)
    visits = opened(inputs)(0)
    for rows in np.split(visits.query_V, np.flatnonzero(np.diff(visits.batch_V)) + 1):
        assert len(set(task[rows].tolist())) == 1
    assert sorted(visits.query_V.tolist()) == list(range(4000))
    order = [task[rows[0]] for rows in np.split(visits.query_V, np.flatnonzero(np.diff(visits.batch_V)) + 1)]
    assert len({"".join(name[1] for name in order[:half]) for half in (10, 20)}) == 2
    assert len(set(order[:10])) == 2  # tasks are mixed over time


def test_a_plan_that_would_repeat_classes_is_refused_if_so_asked(plan_inputs):
    inputs, _ = world(plan_inputs)
    with pytest.raises(ConfigError, match=r"in 1 tasks: sort \(31\.5\) others expected in a batch, allowed are 1"):
        opened(inputs, on_repeats="refuse")
    opened(inputs, on_repeats="refuse", most_repeats=32)


def test_queries_of_one_class_do_not_hold_their_positives_against_each_other(plan_inputs):
    """A class that is named by a field: its few pairs that share a batch are masked, in both directions."""
    inputs = plan_inputs(6, column=lambda name: pl.Series(["t"] * 6 if name == "task" else [*"aabbcd"]))
    visits = opened(inputs, classes="class", size=6)(0)
    pairs = {
        (int(visits.query_V[visit]), document)
        for visit, document in zip(visits.suspects.visit_M.tolist(), visits.suspects.document_M.tolist(), strict=True)
    }
    assert pairs == {(0, 1), (1, 0), (2, 3), (3, 2)}


def test_a_hard_negative_that_is_a_positive_of_the_querys_class_is_masked(plan_inputs):
    inputs = plan_inputs(
        4,
        negatives=[[1, 2], [], [3], []],
        column=lambda name: pl.Series(["t"] * 4 if name == "task" else [*"aabc"]),
    )
    visits = opened(inputs, classes="class", size=4, in_batch=False)(0)
    pairs = zip(visits.suspects.visit_M.tolist(), visits.suspects.document_M.tolist(), strict=True)
    assert [(int(visits.query_V[visit]), document) for visit, document in pairs] == [(0, 1)]


def test_the_first_stage_has_only_retrieval_and_the_second_all_with_in_batch_off(plan_inputs):
    inputs, task = world(plan_inputs)
    visit = opened(inputs, retrieval="search", first_epochs=1)
    assert set(task[visit(0).query_V].tolist()) == {"search"}
    assert visit(0).in_batch_B.all()
    assert sorted(visit(1).query_V.tolist()) == list(range(4000))
    assert not visit(1).in_batch_B.any()
    assert visit(1).notes == {"visits_with_no_negative_at_all": 4000}


def test_a_task_that_nobody_has_is_refused_and_queries_without_a_task_are_one_of_their_own(plan_inputs):
    inputs = plan_inputs(4, column=lambda _name: pl.Series(["a", None, "a", None]))
    with pytest.raises(ConfigError, match=r"no query has the task b; the tasks are \(no task\), a"):
        opened(inputs, retrieval="b", first_epochs=1)
    with pytest.raises(ConfigError, match="first_epochs needs the option retrieval"):
        opened(inputs, first_epochs=1)
    visits = opened(inputs, size=4)(0)
    assert len(visits.in_batch_B) == 2
    assert set(visits.group_names) == {"a", "(no task)"}
