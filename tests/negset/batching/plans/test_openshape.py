import numpy as np
import pytest

from negset.batching.growing import Share, grow
from negset.batching.making import make_plan
from negset.batching.masks import pairs_in_groups
from negset.batching.neighbours import Neighbours
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.fingerprint import identity
from negset.lots import id_keys
from negset.tables import read_table


def opened(inputs, *, size=32, epochs=2, seed=1, **options):
    found = find_plan("openshape")
    return found.open(inputs, PlanSettings(seed, size, epochs), plan_params(found, options))


@pytest.fixture(scope="module")
def world(topics, plan_inputs):
    vectors, topic = topics(16, 32, 0.03)
    return plan_inputs(512, vectors=lambda: vectors, document_vectors=lambda rows: vectors[rows]), topic


def test_groups_are_a_seed_and_some_of_its_31_nearest(world, pair_share):
    inputs, topic = world
    visits = opened(inputs, group=8)(0)
    sizes = np.bincount(visits.group_V)
    assert np.bincount(visits.batch_V).max() <= 32
    assert (sizes[sizes > 0] == 8).mean() > 0.8
    assert sizes.max() == 8
    assert visits.rank_V.max() <= 31
    for seed in np.unique(visits.group_V).tolist():
        members = visits.query_V[visits.group_V == seed]
        assert members[0] == seed
        assert len(set(members.tolist())) == len(members)
        assert (topic[members] == topic[seed]).all()
    assert pair_share(visits, topic) > 4 * 31 / 511
    assert sorted(visits.query_V.tolist()) == list(range(512))


def test_filled_batches_are_all_full_and_cut_a_group_at_their_end(world):
    """Where whole groups are kept, batches of 32 lack up to seven."""
    inputs, _ = world
    sizes = {fill: np.bincount(opened(inputs, group=7, fill=fill)(0).batch_V) for fill in (True, False)}
    assert (sizes[True] == 32).all()
    assert (sizes[False] < 32).any()
    assert len(sizes[True]) == 16 < len(sizes[False])


def test_an_option_that_came_later_leaves_the_names_of_plans_as_they_were():
    found = find_plan("openshape")
    older = {"group": 8, "neighbours": 31, "gap": 0.1, "compare": "positive"}
    assert identity(plan_params(found, {})) == older
    assert identity(plan_params(found, {"fill": True})) == {**older, "fill": True}


def test_neighbours_are_drawn_and_not_always_the_nearest(world):
    ranks = [np.sort(opened(world[0], group=8)(epoch).rank_V[:8]).tolist() for epoch in (0, 1)]
    assert ranks[0] != list(range(8))
    assert ranks[0] != ranks[1]


def test_a_hub_is_taken_once_where_ignoring_it_would_repeat_it():
    """Everybody's nearest is row 0."""
    near = Neighbours(np.array([[5], *([[0]] * 5)], dtype=np.int32), np.zeros((6, 1), dtype=np.float32))
    grown = grow(np.array([3, 1, 2, 4, 5, 0]), near, (Share(0, 1, 1),), 6, id_keys("abcdef"))
    assert grown.query_V.tolist() == [3, 0, 1, 2, 4, 5]
    careless = [row for seed in (3, 1, 2, 4, 5, 0) for row in (seed, int(near.rows_QK[seed, 0]))]
    assert careless.count(0) == 6


def test_seeds_that_are_drawn_with_replacement_would_leave_a_third_out():
    drawn = np.random.default_rng(1).integers(0, 10_000, 10_000)
    assert 1 - len(np.unique(drawn)) / 10_000 == pytest.approx(1 / np.e, abs=0.01)


def planted(plan_inputs):
    """Two groups of two far from each other; query 0 is as similar to the other's positive as to its own."""
    queries = np.array([[1, 0, 0], [0.99, 0.141, 0], [0, 0, 1], [0, 0.141, 0.99]], dtype=np.float32)
    documents = np.array([[0.9, 0.436, 0], [0.9, -0.436, 0], [0, 0, 1], [0, 0.6, 0.8]], dtype=np.float32)
    return plan_inputs(4, vectors=lambda: queries, document_vectors=lambda rows: documents[rows])


def test_pairs_of_a_group_that_are_too_alike_are_masked_and_others_never(plan_inputs, tmp_path):
    inputs, found = planted(plan_inputs), find_plan("openshape")
    params = plan_params(found, {"group": 2, "neighbours": 1})
    make_plan(inputs, found, params, PlanSettings(1, 4, 1), tmp_path)
    masks = read_table(tmp_path / "batch_masks" / "epoch-00000.parquet")
    gap = dict(zip(masks.get_column("query_id"), masks.get_column("value"), strict=True))
    pairs = set(masks.select("query_id", "doc_id").rows())
    # query 0 is at .9 from both positives; query 1 at .952 and .83 (kept: a gap below 0); 2 at 1 and .8: a gap of .2.
    assert ("q000000", "d000001") in pairs
    assert ("q000001", "d000000") in pairs
    assert ("q000002", "d000003") not in pairs
    assert gap["q000000"] == pytest.approx(0.0, abs=1e-5)
    assert not any({query[-1], document[-1]} <= {"0", "2"} for query, document in pairs if query[-1] != document[-1])


def test_a_gap_of_a_tenth_is_the_border(plan_inputs):
    queries = np.array([[1, 0], [1, 0]], dtype=np.float32)
    for other, masked in ((0.95, True), (0.9, True), (0.8, False)):
        documents = np.array([[1, 0], [other, np.sqrt(1 - other**2)]], dtype=np.float32)
        inputs = plan_inputs(
            2, vectors=lambda: queries, document_vectors=lambda rows, documents=documents: documents[rows]
        )
        visits = opened(inputs, group=2)(0)
        of_first = [
            document
            for visit, document in zip(
                visits.suspects.visit_M.tolist(), visits.suspects.document_M.tolist(), strict=True
            )
            if visits.query_V[visit] == 0
        ]
        assert (1 in of_first) == masked


def test_a_masked_pair_has_no_share_where_a_factor_of_zero_leaves_most_of_it():
    """D8: logits .5, .9, -8, -9, the second masked: the loss of the first is .0003, with the factor .474."""
    import torch

    logits, masked = torch.tensor([0.5, 0.9, -8.0, -9.0]), torch.tensor([False, True, False, False])
    right = -torch.log_softmax(logits.masked_fill(masked, float("-inf")), 0)[0]
    wrong = -torch.log_softmax(logits * ~masked, 0)[0]
    assert float(right) == pytest.approx(0.0003, abs=1e-4)
    assert float(wrong) == pytest.approx(0.474, abs=1e-3)


def test_pairs_in_groups_are_all_ordered_pairs_of_different_members():
    left, right = pairs_in_groups(np.array([4, 4, 4, 7, 2, 2]))
    assert sorted(zip(left.tolist(), right.tolist(), strict=True)) == [
        *((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (4, 5), (5, 4))
    ]


def test_by_queries_alone_the_gap_is_to_the_query_itself(plan_inputs):
    vectors = np.array([[1, 0], [0.95, 0.312], [0.8, 0.6]], dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    visits = opened(plan_inputs(3, vectors=lambda: vectors), group=3, compare="query")(0)
    pairs = {
        (int(visits.query_V[visit]), document)
        for visit, document in zip(visits.suspects.visit_M.tolist(), visits.suspects.document_M.tolist(), strict=True)
    }
    assert pairs == {(0, 1), (1, 0), (1, 2), (2, 1)}
