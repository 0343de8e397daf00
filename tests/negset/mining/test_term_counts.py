import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import ArtifactError
from negset.mining.term_counts import (
    count_texts,
    counts_fingerprint,
    find_counts,
    join_counts,
    open_counts,
    prepare_counts,
    term_places,
)
from schemas.config import Bm25Config

CONFIG = Bm25Config()
DOCUMENTS = {f"d{n:02d}": f"word{n % 7} word{n % 5} common" for n in range(30)}


def stored(store):
    return {path.name for path in store.folder("term_counts", "any").parent.glob("[!.]*")}


def as_lists(counts):
    return [column.to_list() if isinstance(column, pl.Series) else column.tolist() for column in vars(counts).values()]


def test_counts_are_those_of_each_text_in_the_order_of_the_terms():
    counts = count_texts(CONFIG, pl.Series(["tin can, tin cans", "", "the of", "zebra apple"]))
    assert counts.terms.to_list() == ["appl", "can", "tin", "zebra"]
    assert counts.ends.tolist() == [0, 2, 2, 2, 4]
    assert counts.term.tolist() == [1, 2, 0, 3]
    assert counts.count.tolist() == [2, 2, 1, 1]
    assert counts.lengths.tolist() == [4, 0, 0, 2]


@given(st.lists(st.text("aé bñ日", max_size=12), max_size=8), st.integers(1, 4))
def test_texts_are_counted_alike_in_chunks_and_at_once(texts, size):
    config = Bm25Config(stemmer="", stopwords="")
    parts = [count_texts(config, pl.Series(texts[at : at + size])) for at in range(0, len(texts), size)]
    assert as_lists(join_counts(parts)) == as_lists(count_texts(config, pl.Series(texts, dtype=pl.String)))


def test_a_term_that_is_not_there_has_no_place():
    among = pl.Series(["b", "d", "é"])
    assert term_places(pl.Series(["a", "b", "c", "é", "z", "日"]), among).tolist() == [-1, 0, -1, 2, -1, -1]
    assert term_places(pl.Series(["a"]), among.head(0)).tolist() == [-1]


def test_a_changed_partition_recounts_itself_alone(memory_snapshot, store):
    before = memory_snapshot(DOCUMENTS, {}, [], 3)
    prepare_counts(CONFIG, before, store)
    there = stored(store)
    assert len(there) == 3
    steps = []
    changed = memory_snapshot(DOCUMENTS | {"d07": "something else"}, {}, [], 3)
    refs = prepare_counts(CONFIG, changed, store, lambda *step: steps.append(step))
    assert len(stored(store) - there) == 1
    assert {ref.fingerprint for ref in refs.values()} < stored(store)
    (touched,) = [ref.rows for ref in refs.values() if ref.fingerprint not in there]
    assert steps == [("count terms", 30 - touched, 30), ("count terms", 30, 30)]
    steps.clear()
    other = prepare_counts(CONFIG.model_copy(update={"k1": 2.0, "b": 0.1}), changed, store, lambda *s: steps.append(s))
    assert (other, steps) == (refs, [])  # neither k1 nor b is counted
    prepare_counts(CONFIG.model_copy(update={"stemmer": ""}), changed, store, lambda *step: steps.append(step))
    assert steps[0] == ("count terms", 0, 30)


def test_an_interrupted_count_keeps_the_partitions_that_are_done(memory_snapshot, store, monkeypatch):
    snapshot = memory_snapshot(DOCUMENTS, {}, [], 3)
    read, names = snapshot.documents, []

    def fail_later(name=None):
        if name == "b0001of0003":
            raise KeyboardInterrupt
        names.append(name)
        return read(name)

    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "documents", fail_later)
        patch.setattr(snapshot, "document_columns", lambda *columns: read().select(columns))
        with pytest.raises(KeyboardInterrupt):
            prepare_counts(CONFIG, snapshot, store)
    first = stored(store)
    assert (names, first) == (
        ["b0000of0003"],
        {counts_fingerprint(CONFIG, snapshot.partition_contents["b0000of0003"])},
    )
    assert len(prepare_counts(CONFIG, snapshot, store)) == 3


def test_damaged_counts_are_named_and_counted_again(memory_snapshot, store):
    snapshot = memory_snapshot(DOCUMENTS, {}, [], 2)
    refs = prepare_counts(CONFIG, snapshot, store)
    key = refs["b0001of0002"].fingerprint
    before = store.manifest("term_counts", key)
    path = store.folder("term_counts", key) / "count.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert find_counts(store, key) is None
    with pytest.raises(ArtifactError, match=r"count\.npy has sha256"):
        open_counts(store, key)
    assert prepare_counts(CONFIG, snapshot, store) == refs
    assert store.manifest("term_counts", key) == before
    assert open_counts(store, key).lengths.sum() == 3 * refs["b0001of0002"].rows


def test_an_empty_partition_has_no_terms(memory_snapshot, store):
    refs = prepare_counts(CONFIG, memory_snapshot({}, {}, []), store)
    counts = open_counts(store, refs["b0000of0001"].fingerprint)
    assert (counts.ends.tolist(), counts.doc_ids.to_list(), len(counts.term)) == ([0], [], 0)
