"""What a report says of sets whose order is known."""

import pytest

from flows.commands.probe import explain
from negset.errors import ConfigError
from negset.probing.report import CONTROLS, plan_folds, probe_sets, report_sets


def _report(world, seeds=(1, 2)):
    folds, held_out = plan_folds(world.collection, "", len(seeds), 1)
    sets = list(world.sets.values())
    measured = probe_sets(world.probe, world.collection, sets, folds, seeds)
    return report_sets(measured, sets, "adapter", held_out, 1)


def test_rows_fall_and_controls_stand_among_them(clean_world):
    report = _report(clean_world)
    assert [row.name for row in report.rows] == ["hard", "aware", "random", "(random documents)", "(untrained)"] or [
        row.name for row in report.rows
    ] == ["hard", "aware", "(random documents)", "random", "(untrained)"]
    best = report.rows[0]
    assert best.below_best is None
    assert best.above_random.real
    assert best.above_random.difference.low > 0
    assert best.interval.low < best.measures["ndcg_at_10"] < best.interval.high
    assert report.rows[-1].trained == 0
    assert report.held_out == "split 'test'"
    assert "every set is better than random negatives" not in " ".join(explain(report))  # one of them is random


def test_sets_that_hurt_are_said_to_hurt(twin_world):
    report = _report(twin_world)
    said = " ".join(explain(report))
    assert "worse than random negatives: hard. False negatives" in said
    assert report.rows[0].name == "aware"


def test_a_control_is_never_the_best_set(twin_world):
    folds, held_out = plan_folds(twin_world.collection, "", 1, 1)
    hard = [twin_world.sets["hard"]]
    report = report_sets(
        probe_sets(twin_world.probe, twin_world.collection, hard, folds, [1]), hard, "adapter", held_out, 1
    )
    assert report.rows[-1].name == "hard"
    assert report.rows[-1].below_best is None
    assert {row.name for row in report.rows[:2]} == set(CONTROLS)
    assert report.numbers()["rows"][0]["spread"] is None


def test_without_a_test_split_each_run_holds_out_another_part(collection_of):
    collection = collection_of([[row % 7] for row in range(80)])
    folds, said = plan_folds(collection, "", 4, 1)
    assert len({tuple(fold.held_out.tolist()) for fold in folds}) == 4
    assert "one of 4 parts" in said
    with pytest.raises(ConfigError, match="--seeds 2"):
        plan_folds(collection, "", 1, 1)
