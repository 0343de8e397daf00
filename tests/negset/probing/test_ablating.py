import numpy as np
import polars as pl

from negset.probing.ablating import rank_candidates


def test_candidates_hardest_first_without_what_is_relevant_or_has_no_score(collection_of):
    collection = collection_of([[0], [1], [2]], documents=8, known=[(0, 5)])
    rows = [
        ("q0000", "d0004", 0.5),
        ("q0000", "d0003", 0.5),  # a tie: by id
        ("q0000", "d0007", 0.9),
        ("q0000", "d0005", 1.0),  # known to be relevant
        ("q0000", "d0006", None),
        ("q0000", "d0007", 0.9),  # twice
        ("q0002", "d0001", 0.1),
    ]
    passing = pl.DataFrame(rows, schema=["query_id", "doc_id", "score"], orient="row")
    for frame in (passing, passing.reverse()):
        ranked = rank_candidates(collection, frame)
        assert ranked.sizes().tolist() == [3, 0, 1]
        assert ranked.take(np.array([0]))[1].tolist() == [7, 3, 4]
        assert ranked.take(np.array([2]))[1].tolist() == [1]
