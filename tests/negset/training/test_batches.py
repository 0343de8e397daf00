from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.training.batches import Planned, collate_batch, shuffled_plan
from negset.training.examples import Examples, Groups


def groups(*lists: list[int]) -> Groups:
    sizes = [len(rows) for rows in lists]
    return Groups(
        np.r_[0, np.cumsum(sizes)].astype(np.int64), np.array([r for rows in lists for r in rows], dtype=np.int64)
    )


def examples(positives: list[list[int]], negatives: list[list[int]], known: list[list[int]] | None = None) -> Examples:
    names = [f"q{place}" for place in range(len(positives))]
    documents = 1 + max((row for rows in [*positives, *negatives, *(known or [])] for row in rows), default=0)
    docs = [f"d{row:02}" for row in range(documents)]
    return Examples(
        query_ids=names,
        query_texts=names,
        document_ids=docs,
        document_texts=docs,
        positives=groups(*positives),
        negatives=groups(*negatives),
        negative_weights=np.ones(sum(map(len, negatives)), dtype=np.float32),
        known=groups(*(known or positives)),
        left_out={},
    )


def cells(world: Examples, batch) -> dict[tuple[str, str], bool]:
    """Say of each (query, document) of a batch whether it counts."""
    return {
        (world.query_ids[query], world.document_ids[doc]): not batch.masked_BC[row, column]
        for row, query in enumerate(batch.queries_B.tolist())
        for column, doc in enumerate(batch.candidates_C.tolist())
    }


def test_another_querys_hard_negative_that_is_a_known_positive_is_masked():
    """The world of STAR: q0 is relevant to 10 and 11, and 11 is the hard negative of q1."""
    world = examples([[10, 11], [1]], [[5], [11]])
    batch = collate_batch(world, Planned(np.array([0, 1]), in_batch=True), seed=1, epoch=0)
    own = world.document_ids[batch.candidates_C[batch.target_B[0]]]
    other = {"d10": "d11", "d11": "d10"}[own]
    counted = cells(world, batch)
    assert counted[("q0", own)]
    assert not counted.get(("q0", other), False)
    assert counted[("q1", "d11")]
    assert counted[("q0", "d05")]
    assert counted[("q1", "d05")]
    assert counted[("q0", "d01")]


def test_the_mask_matrix_of_star():
    world = examples([[10, 11], [1]], [[5], [11]])
    planned = Planned(np.array([0, 1]), in_batch=True, positives_B=np.array([10, 1]))
    batch = collate_batch(world, planned, seed=1, epoch=0)
    assert batch.candidates_C.tolist() == [1, 5, 10, 11]
    assert batch.masked_BC.tolist() == [[False, False, False, True], [False, False, False, False]]


def test_a_document_that_two_queries_bring_is_one_candidate():
    world = examples([[3], [3], [4]], [[5], [5, 4], [3]])
    batch = collate_batch(world, Planned(np.array([0, 1, 2]), in_batch=True), seed=1, epoch=0)
    assert batch.candidates_C.tolist() == [3, 4, 5]
    assert batch.target_B.tolist() == [0, 0, 1]


def test_without_in_batch_only_own_negatives_count():
    world = examples([[1], [2]], [[5, 6], [7]])
    batch = collate_batch(world, Planned(np.array([0, 1]), in_batch=False), seed=1, epoch=0)
    assert {pair for pair, counts in cells(world, batch).items() if counts} == {
        ("q0", "d01"),
        ("q0", "d05"),
        ("q0", "d06"),
        ("q1", "d02"),
        ("q1", "d07"),
    }


def test_without_in_batch_a_known_positive_among_the_own_negatives_is_masked_still():
    world = examples([[1]], [[5, 6]], [[1, 6]])
    batch = collate_batch(world, Planned(np.array([0]), in_batch=False), seed=1, epoch=0)
    assert [pair for pair, counts in cells(world, batch).items() if counts] == [("q0", "d01"), ("q0", "d05")]


def test_short_lists_are_not_padded():
    world = examples([[1], [2], [3]], [[], [5], [6, 7]])
    batch = collate_batch(world, Planned(np.array([0, 1, 2]), in_batch=True), seed=1, epoch=0)
    assert batch.candidates_C.tolist() == [1, 2, 3, 5, 6, 7]
    lonely = collate_batch(world, Planned(np.array([0]), in_batch=True), seed=1, epoch=0)
    assert lonely.candidates_C.tolist() == [1]


def test_several_positives_take_turns():
    world = examples([[1, 2, 3]], [[5]])
    seen = []
    for epoch in range(6):
        batch = collate_batch(world, Planned(np.array([0]), in_batch=True), seed=1, epoch=epoch)
        seen.append(int(batch.candidates_C[batch.target_B[0]]))
    assert sorted(seen[:3]) == [1, 2, 3]
    assert seen[3:] == seen[:3]


def test_permuting_the_queries_permutes_the_rows_of_the_mask():
    world = examples([[1], [2], [3]], [[2, 7], [1], [8]], [[1, 8], [2], [3, 7]])
    there = collate_batch(world, Planned(np.array([0, 1, 2]), in_batch=True), seed=1, epoch=0)
    back = collate_batch(world, Planned(np.array([2, 0, 1]), in_batch=True), seed=1, epoch=0)
    assert there.candidates_C.tolist() == back.candidates_C.tolist()
    assert there.masked_BC[[2, 0, 1]].tolist() == back.masked_BC.tolist()
    assert there.target_B[[2, 0, 1]].tolist() == back.target_B.tolist()


def visited(world: Examples, epoch: int) -> list[int]:
    plan = shuffled_plan(world, 7, 16, in_batch=True)
    return np.concatenate([planned.queries_B for planned in plan(epoch)]).tolist()


def test_weights_and_own_negatives_stand_where_the_query_and_its_negatives_meet():
    world = replace(examples([[0], [1]], [[3, 2], [3]]), negative_weights=np.array([0.5, 2.0, 4.0], dtype=np.float32))
    batch = collate_batch(world, Planned(np.array([1, 0]), in_batch=True), seed=1, epoch=0)
    assert batch.candidates_C.tolist() == [0, 1, 2, 3]
    assert batch.cells.own_BC().tolist() == [[False, False, False, True], [False, False, True, True]]
    assert batch.cells.weight_BC().tolist() == [[1.0, 1.0, 1.0, 4.0], [1.0, 1.0, 2.0, 0.5]]


def test_a_plan_masks_pairs_and_chooses_positives_but_never_masks_a_positive():
    world = examples([[0, 1], [2]], [[4], [3]])
    planned = Planned(
        np.array([0, 1]), True, positives_B=np.array([1, 2]), masked=(np.array([0, 0, 1]), np.array([3, 1, 9]))
    )
    batch = collate_batch(world, planned, seed=1, epoch=0)
    assert batch.candidates_C[batch.target_B].tolist() == [1, 2]
    assert batch.masked_BC.tolist() == [[False, False, True, False], [False] * 4]


def test_an_epoch_has_every_query_once_in_an_order_of_its_own():
    world = examples([[0]] * 50, [[1]] * 50)
    plans = [visited(world, epoch) for epoch in (0, 1, 0)]
    assert sorted(plans[0]) == list(range(50))
    assert plans[0] != plans[1]
    assert plans[0] == plans[2]
    assert [len(planned.queries_B) for planned in shuffled_plan(world, 7, 16, in_batch=True)(0)] == [16, 16, 16, 2]


lists = st.lists(st.lists(st.integers(0, 8), max_size=4, unique=True), min_size=2, max_size=5)


@settings(max_examples=60, deadline=None)
@given(lists, lists, st.data(), st.booleans())
def test_the_mask_is_what_a_double_loop_says(negatives, known, data, in_batch):
    size = min(len(negatives), len(known))
    positives = [data.draw(st.integers(0, 8)) for _ in range(size)]
    held = [sorted({*known[place], positives[place]}) for place in range(size)]
    world = examples([[p] for p in positives], negatives[:size], held)
    batch = collate_batch(world, Planned(np.arange(size), in_batch=in_batch), seed=3, epoch=0)
    for row in range(size):
        for column, doc in enumerate(batch.candidates_C.tolist()):
            is_own = doc == positives[row]
            counts = is_own or (doc not in held[row] and (in_batch or doc in negatives[row]))
            assert batch.masked_BC[row, column] == (not counts)
        assert batch.candidates_C[batch.target_B[row]] == positives[row]


@pytest.mark.parametrize("places", [[], [1], [2, 0], [1, 1, 2]])
def test_groups_are_gathered_in_the_order_asked_for(places):
    rows_of = [[7, 8], [], [9]]
    three = groups(*rows_of)
    index, rows = three.take(np.array(places, dtype=np.int64))
    assert rows.tolist() == [r for place in places for r in rows_of[place]]
    assert index.tolist() == [at for at, place in enumerate(places) for _ in rows_of[place]]


def test_at_eighty_thousand_queries_what_collides_is_counted_and_no_matrix_is_made():
    """One query in ten thousand is relevant to the positive of another too. As a matrix, the mask would be 6.4 GB."""
    size = 80_000
    known = [[row, (row + 1) % size] if row % 10_000 == 0 else [row] for row in range(size)]
    world = examples([[row] for row in range(size)], [[]] * size, known)
    batch = collate_batch(world, Planned(np.arange(size), in_batch=True), seed=1, epoch=0)
    assert batch.cells.row_E.tolist() == list(range(0, size, 10_000))
    assert batch.cells.column_E.tolist() == list(range(1, size, 10_000))
    assert batch.cells.masked_block(slice(10_000, 10_002), slice(10_000, 10_003)).tolist() == [
        [False, True, False],
        [False, False, False],
    ]
    alone = collate_batch(world, Planned(np.arange(size), in_batch=False), seed=1, epoch=0)
    assert alone.cells.counted_B().tolist() == [1] * size


def test_a_plan_chooses_among_a_querys_negatives_and_brings_others():
    world = replace(examples([[0], [1]], [[3, 2], [4]]), negative_weights=np.array([0.5, 2.0, 4.0], dtype=np.float32))
    planned = Planned(np.array([1, 0]), False, negatives=groups([3], [2]))
    batch = collate_batch(world, planned, seed=1, epoch=0)
    assert batch.candidates_C.tolist() == [0, 1, 2, 3]
    counted = {pair for pair, counts in cells(world, batch).items() if counts}
    assert counted == {("q0", "d00"), ("q0", "d02"), ("q1", "d01"), ("q1", "d03")}
    assert batch.cells.own_weight_H.tolist() == [1.0, 2.0]  # of what is none of its own, and of its second one
