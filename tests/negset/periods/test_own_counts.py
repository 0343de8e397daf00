"""Counts of a partition are those of its own rows."""

from negset.canonical import SnapshotFacts
from negset.periods.own_counts import OF_OTHERS, own_counts


def test_what_is_left_out_are_counts_that_there_are():
    assert set(OF_OTHERS) <= set(SnapshotFacts.model_fields)


def test_counts_of_kept_rows_stay():
    counts = {"documents": 3, "documents_superseded": 1, "rows_read": 9, "queries_later": 2, "qrels": 4}
    assert own_counts(counts) == {"documents": 3, "documents_superseded": 1, "qrels": 4}
