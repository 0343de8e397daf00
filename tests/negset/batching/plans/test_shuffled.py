import pytest

from negset.batching.planner import PlanSettings, find_plan, plan_params


def test_pairs_of_a_topic_share_a_batch_as_often_as_chance_has_it(plan_inputs, topics, pair_share):
    """World of topics: 64 x 32."""
    _, topic = topics(64, 32, 0.1)
    found = find_plan("shuffled")
    visit = found.open(plan_inputs(2048), PlanSettings(1, 128, 2), plan_params(found, {}))
    assert pair_share(visit(0), topic) == pytest.approx(31 / 2047, abs=0.002)
    assert sorted(visit(0).query_V.tolist()) == list(range(2048))
    assert visit(0).query_V.tolist() != visit(1).query_V.tolist()
