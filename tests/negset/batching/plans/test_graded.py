import numpy as np
import pytest

from negset.batching.inputs import GradedPairs
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.batching.plans.graded import STAGES, GradedParams, is_positive, pair_levels, stage_of


def opened(inputs, *, in_batch=True, size=4, **options):
    found = find_plan("graded")
    return found.open(inputs, PlanSettings(1, size, 6, in_batch), plan_params(found, options))


@pytest.fixture
def inputs(plan_inputs, scored_pairs):
    """Six queries; the last has a positive of the lower grade only. Documents 10 to 12 are far, near and borderline."""
    margins = {10: 0.9, 11: 0.5, 12: 0.1}
    pairs = [(query, query, document, margin) for query in range(6) for document, margin in margins.items()]
    grades = [(query, query, 2 if query < 5 else 1) for query in range(6)] + [(0, 6, 1)]
    columns = [np.array(part) for part in zip(*sorted(grades), strict=True)]
    return plan_inputs(
        6,
        positives=[[0, 6], *([row] for row in range(1, 6))],
        negatives=[[12, 11, 10]] * 6,
        documents=13,
        pairs=lambda _by: scored_pairs(pairs),
        grades=lambda: GradedPairs(*columns),
    )


def test_levels_come_from_grades_and_margins(inputs):
    levels = pair_levels(inputs, "")
    found = dict(
        zip(zip(levels.query_P.tolist(), levels.document_P.tolist(), strict=True), levels.level_P.tolist(), strict=True)
    )
    assert {pair: level for pair, level in found.items() if pair[0] in (0, 5)} == {
        **{(0, 0): 5, (0, 6): 4, (0, 10): 1, (0, 11): 2, (0, 12): 3},
        **{(5, 5): 4, (5, 10): 1, (5, 11): 2, (5, 12): 3},
    }


def rows(visits):
    return {
        query: (document, sorted(visits.negatives.take(np.array([at]))[1].tolist()))
        for at, (query, document) in enumerate(zip(visits.query_V.tolist(), visits.positive_V.tolist(), strict=True))
    }


def test_extremes_come_first_and_the_borderline_last(inputs):
    visit = opened(inputs)
    assert rows(visit(0)) == {query: (query, [10]) for query in range(5)}
    for epoch in (1, 2):
        found = rows(visit(epoch))
        assert set(found) == set(range(6))
        assert all(negatives == [10, 11] for _, negatives in found.values())
    assert all(negatives == [10, 11, 12] for _, negatives in rows(visit(3)).values())
    assert {rows(visit(epoch))[0][0] for epoch in range(1, 6)} == {0, 6}


def test_batches_of_the_first_stage_are_twice_as_large(inputs):
    visit = opened(inputs)
    assert np.bincount(visit(0).batch_V).tolist() == [5]
    assert np.bincount(visit(1).batch_V).tolist() == [4, 2]
    assert visit(0).notes == {"queries_with_nothing_of_these_levels": 1}


def test_stages_of_the_first_epochs():
    assert [stage_of(epoch, GradedParams()) for epoch in range(5)] == [1, 2, 2, 3, 3]
    assert STAGES == ((1, 5), (1, 2, 4, 5), (1, 2, 3, 4, 5))


def test_what_is_a_match_in_which_stage():
    table = [[is_positive(level, stage) for level in (1, 2, 3, 4, 5)] for stage in (1, 2, 3)]
    assert table[0] == [False, False, False, False, True]
    assert table[1] == table[2] == [False, False, False, True, True]


def test_a_stage_that_admits_nothing_is_an_empty_epoch(plan_inputs, scored_pairs):
    grades = GradedPairs(np.array([0, 1]), np.array([0, 1]), np.array([1, 1]))
    inputs = plan_inputs(2, pairs=lambda _by: scored_pairs([]), grades=lambda: grades)
    assert len(opened(inputs, in_batch=False)(0).query_V) == 0
    assert len(opened(inputs)(0).query_V) == 2
