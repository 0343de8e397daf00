"""Texts by row, from disk, however the corpus is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.mining.ledger_documents import open_documents
from negset.mining.miner import MiningInputs
from schemas.config import MineConfig

CORPUS = {f"d{at:02d}": f"text {at}" * (at % 3 + 1) for at in range(20)}


def opened(snapshot, folder, miners, labelled=()):
    inputs = MiningInputs(snapshot, MineConfig(miners=miners), 13)
    return open_documents(inputs, np.array(labelled, dtype=np.int64), folder)


@settings(max_examples=15, deadline=None)
@given(partitions=st.integers(1, 5), rows=st.sets(st.integers(0, 19)))
def test_each_row_has_its_own_text(memory_snapshot, tmp_path_factory, partitions, rows):
    snapshot = memory_snapshot(CORPUS, {"q0": "query"}, [("q0", "d03", 1)], partitions)
    documents = opened(snapshot, tmp_path_factory.mktemp("texts"), ("dense", "bm25"))
    taken = documents.take(np.array(sorted(rows), dtype=np.int64))
    assert taken.doc_id.to_list() == [f"d{row:02d}" for row in sorted(rows)]
    assert taken.text.to_list() == [CORPUS[doc_id] for doc_id in taken.doc_id]
    assert taken.rows.tolist() == sorted(rows)
    for name in snapshot.partitions():
        assert documents.ids.gather(documents.rows[name]).equals(snapshot.documents(name)["doc_id"])


@pytest.mark.parametrize(
    ("miners", "expected"),
    [
        (("dense",), ["text 3", ""]),  # alone it scored all that it proposed; a positive it may have missed
        (("dense", "random"), ["text 3", "text 4text 4"]),
        (("bm25",), ["", ""]),  # scores by its statistics
    ],
)
def test_only_texts_that_scoring_may_ask_for_are_kept(memory_snapshot, tmp_path, miners, expected):
    snapshot = memory_snapshot(CORPUS, {"q0": "query"}, [("q0", "d03", 1)], 2)
    taken = opened(snapshot, tmp_path, miners, labelled=[3]).take(np.array([3, 4]))
    assert taken.text.to_list() == expected
