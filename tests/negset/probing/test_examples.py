"""A set in numbers, and what an epoch draws from it."""

import numpy as np
import polars as pl
import pytest

from negset.errors import ContractError, MissingColumnsError
from negset.probing.examples import NEGATIVES, draw_epoch, number_set, random_set


def _frame(pairs, **columns):
    frame = pl.DataFrame(pairs, schema={"query_id": pl.String, "doc_id": pl.String}, orient="row")
    return frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def test_order_and_repeats_of_rows_do_not_matter(collection_of):
    collection = collection_of([[0], [1]])
    pairs = [("q0001", "d0005"), ("q0000", "d0003"), ("q0000", "d0009"), ("q0000", "d0003")]
    one, other = number_set(collection, "a", _frame(pairs)), number_set(collection, "a", _frame(pairs[::-1]))
    assert one.negatives.rows.tolist() == other.negatives.rows.tolist() == [3, 9, 5]
    assert one.negatives.offsets.tolist() == [0, 2, 3]


def test_known_positives_among_the_negatives_are_kept_and_counted(collection_of):
    """A probe that left them out would hide what is wrong with a set."""
    collection = collection_of([[0, 4]], known=[(0, 7)])
    found = number_set(collection, "a", _frame([("q0000", "d0004"), ("q0000", "d0007"), ("q0000", "d0001")]))
    assert found.mistakes == 2
    assert found.negatives.rows.tolist() == [1, 4, 7]


def test_own_positives_of_a_set_are_trained_on(collection_of):
    collection = collection_of([[0]])
    found = number_set(collection, "a", _frame([("q0000", "d0001")]), _frame([("q0000", "d0000"), ("q0000", "d0008")]))
    assert found.positives.rows.tolist() == [0, 8]


def test_ids_that_are_not_in_the_collection_are_named(collection_of):
    with pytest.raises(ContractError, match=r"other: 1 values of doc_id .* collection it is compared on: zz"):
        number_set(collection_of([[0]]), "other", _frame([("q0000", "zz")]))
    with pytest.raises(MissingColumnsError, match="query_id"):
        number_set(collection_of([[0]]), "other", pl.DataFrame({"doc_id": ["d0001"]}))


@pytest.mark.parametrize("weight", [float("nan"), -1.0, float("inf")])
def test_a_weight_that_is_none_is_refused(collection_of, weight):
    with pytest.raises(ContractError, match="q0000 d0001"):
        number_set(collection_of([[0]]), "a", _frame([("q0000", "d0001")], weight=[weight]))


def test_an_epoch_follows_from_seed_epoch_and_ids_alone(collection_of):
    positives = [[row % 5, 5 + row % 5] for row in range(40)]
    negatives = _frame([(f"q{row:04}", f"d{10 + (row + shift) % 30:04}") for row in range(40) for shift in range(9)])
    collection = collection_of(positives, documents=40)
    chosen = number_set(collection, "a", negatives)
    one = draw_epoch(collection, chosen, np.arange(40), 1, 0)
    other = draw_epoch(collection, chosen, np.arange(40)[::-1].copy(), 1, 0)
    fewer = draw_epoch(collection, chosen, np.arange(20), 1, 0)
    for name in ("queries_T", "positives_T", "negatives_TK", "log_weights_TK"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    # What a query draws does not depend on the other queries.
    place = {row: at for at, row in enumerate(one.queries_T.tolist())}
    for at, row in enumerate(fewer.queries_T.tolist()):
        assert fewer.negatives_TK[at].tolist() == one.negatives_TK[place[row]].tolist()
    assert draw_epoch(collection, chosen, np.arange(40), 2, 0).queries_T.tolist() != one.queries_T.tolist()


def test_more_negatives_than_an_epoch_takes_come_in_other_epochs(collection_of):
    collection = collection_of([[0]], documents=40)
    chosen = number_set(collection, "a", _frame([("q0000", f"d{doc:04}") for doc in range(1, 13)]))
    epochs = [draw_epoch(collection, chosen, np.array([0]), 1, epoch) for epoch in range(30)]
    drawn = [set(epoch.negatives_TK[0].tolist()) for epoch in epochs]
    assert all(len(found) == NEGATIVES for found in drawn)
    assert set.union(*drawn) == set(range(1, 13))


def test_positives_take_turns(collection_of):
    collection = collection_of([[0, 3, 6]])
    chosen = number_set(collection, "a", _frame([("q0000", "d0001")]))
    taken = [int(draw_epoch(collection, chosen, np.array([0]), 1, epoch).positives_T[0]) for epoch in range(3)]
    assert sorted(taken) == [0, 3, 6]


def test_the_positive_of_the_turn_is_no_negative_and_gaps_do_not_count(collection_of):
    collection = collection_of([[3]])
    chosen = number_set(collection, "a", _frame([("q0000", "d0003"), ("q0000", "d0000")], weight=[1.0, 0.5]))
    epoch = draw_epoch(collection, chosen, np.array([0]), 1, 0)
    counted = {
        int(doc): float(weight)
        for doc, weight in zip(epoch.negatives_TK[0], epoch.log_weights_TK[0], strict=True)
        if np.isfinite(weight)
    }
    assert counted == {0: pytest.approx(np.log(0.5))}


def test_random_negatives_are_distinct_and_no_known_positives(collection_of):
    collection = collection_of([[0], [1]] * 20, documents=6, known=[(row, 2) for row in range(40)])
    found = random_set(collection, np.arange(40), 1, count=3)
    for row in range(40):
        docs = found.negatives.rows[found.negatives.offsets[row] : found.negatives.offsets[row + 1]].tolist()
        assert len(docs) == len(set(docs)) >= 1
        assert not {row % 2, 2} & set(docs)


def test_random_negatives_are_spread_over_the_corpus(collection_of):
    collection = collection_of([[0]] * 500, documents=50)
    counts = np.bincount(random_set(collection, np.arange(500), 1).negatives.rows, minlength=50)[1:]
    assert counts.min() > 15
    assert counts.max() < 75
