import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import ArtifactError
from negset.mining import statistics
from negset.mining.statistics import find_statistics, open_statistics, prepare_statistics, sum_terms
from negset.pins import pin_path, read_pin
from negset.tables import read_table
from schemas.config import Bm25Config

DOCUMENTS = {"d0": "tin can", "d1": "tin tin mug", "d2": "", "d3": "mug of tea"}
GROWN = DOCUMENTS | {"d4": "tin kettle", "d5": "kettle kettle"}
PINNED = Bm25Config(pin="2024")


def opened(snapshot, store, config=PINNED, dataset="shop"):
    return open_statistics(store, prepare_statistics(config, snapshot, store, dataset=dataset))


def table(found):
    return dict(read_table(found.folder / "terms.parquet").iter_rows())


def test_sums_are_over_all_partitions(memory_snapshot, store):
    found = opened(memory_snapshot(DOCUMENTS, {}, [], 3), store, Bm25Config())
    assert (found.documents, found.tokens) == (4, 7)
    assert table(found) == {"can": 1, "mug": 2, "tea": 1, "tin": 2}
    part, row = found.places
    ids = [found.open_part(p).counts.doc_ids[r] for p, r in zip(part.tolist(), row.tolist(), strict=True)]
    assert ids == ["d0", "d1", "d2", "d3"]
    for part in range(len(found.parts)):
        names = found.terms.gather(found.open_part(part).numbers).to_list()
        assert names == sorted(names)


def test_many_parts_need_few_open_files(memory_snapshot, store, monkeypatch):
    monkeypatch.setattr(statistics, "OPEN", 2)
    checks = []
    check = store.open
    monkeypatch.setattr(store, "open", lambda kind, key: checks.append(kind) or check(kind, key))
    found = opened(memory_snapshot({f"d{n}": f"word{n}" for n in range(30)}, {}, [], 6), store, Bm25Config())
    checks.clear()
    for number in [*range(6), *range(6), 5]:
        part = found.open_part(number)
        assert found.terms.gather(part.numbers).str.starts_with("word").all()
        assert len(found._opened) <= 2
    assert checks == ["term_counts"] * 6
    assert found.open_part(5) is found.open_part(5)


@given(st.lists(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 9)), max_size=9))
def test_documents_of_a_term_are_added_whatever_the_order(parts):
    frames = [pl.DataFrame({"term": list(p), "documents": list(p.values())}, schema=statistics.SUMS) for p in parts]
    expected = {term: sum(part.get(term, 0) for part in parts) for term in sorted({term for p in parts for term in p})}
    assert list(sum_terms(iter(frames)).iter_rows()) == list(expected.items())
    assert list(sum_terms(iter(frames[::-1])).iter_rows()) == list(expected.items())


def test_a_changed_document_changes_the_sums_and_the_counts_of_its_partition(memory_snapshot, store):
    first = opened(memory_snapshot(DOCUMENTS, {}, [], 3), store, Bm25Config())
    second = opened(memory_snapshot(GROWN, {}, [], 3), store, Bm25Config())
    assert second.content != first.content
    assert 0 < len(set(second.parts) & set(first.parts)) < 3


def test_pinned_statistics_outlive_the_corpus(memory_snapshot, store):
    first = opened(memory_snapshot(DOCUMENTS, {}, []), store)
    second = opened(memory_snapshot(GROWN, {}, [], 2), store)
    assert second.content == first.content
    assert second.parts != first.parts
    assert (second.documents, second.tokens) == (4, 7)
    assert table(second) == table(first) | {"kettl": 0}
    shrunk = opened(memory_snapshot({"d0": "tin can"}, {}, []), store)
    assert (shrunk.content, table(shrunk)) == (first.content, table(first))
    assert find_statistics(PINNED, memory_snapshot(GROWN, {}, [], 2), store, "shop") == second.ref


def test_a_term_unknown_to_the_pinned_statistics_has_no_document(memory_snapshot, store):
    opened(memory_snapshot(DOCUMENTS, {}, []), store)
    found = opened(memory_snapshot(GROWN, {}, []), store)
    kettle = np.array([found.terms.to_list().index("kettl")])
    weight = found.weigh(kettle, np.array([2]), np.array([2]))
    # N = 4 documents of 7 tokens were counted, none with a kettle; it stands twice in a document of 2 tokens.
    by_hand = math.log(1 + (4 - 0 + 0.5) / (0 + 0.5)) * 2 / (2 + 0.9 * (1 - 0.4 + 0.4 * 2 / (7 / 4)))
    assert weight.tolist() == pytest.approx([by_hand], abs=1e-12)


def test_another_label_or_dataset_counts_anew(memory_snapshot, store):
    first = opened(memory_snapshot(DOCUMENTS, {}, []), store)
    grown = memory_snapshot(GROWN, {}, [])
    assert opened(grown, store, Bm25Config(pin="2025")).documents == 6
    assert opened(grown, store, dataset="other").documents == 6
    assert opened(grown, store).content == first.content


def test_numbers_count_and_not_their_label(memory_snapshot, store):
    snapshot = memory_snapshot(DOCUMENTS, {}, [])
    contents = {opened(snapshot, store, Bm25Config(pin=label)).content for label in ("", "2024", "2025")}
    assert len(contents) == 1
    assert opened(snapshot, store, Bm25Config(pin="2024", k1=1.2)).content not in contents


def test_statistics_are_found_only_with_their_counts_and_their_pin(memory_snapshot, store):
    snapshot = memory_snapshot(DOCUMENTS, {}, [])
    assert find_statistics(PINNED, snapshot, store, "shop") is None
    ref = prepare_statistics(PINNED, snapshot, store, dataset="shop")
    assert find_statistics(PINNED, snapshot, store, "shop") == ref
    pin_path(PINNED, store, "shop").unlink()
    assert find_statistics(PINNED, snapshot, store, "shop") is None
    assert prepare_statistics(PINNED, snapshot, store, dataset="shop") == ref
    assert read_pin(PINNED, store, "shop") == ref.fingerprint
    (counts,) = open_statistics(store, ref).parts
    (store.folder("term_counts", counts) / "term.npy").write_bytes(b"short")
    assert find_statistics(PINNED, snapshot, store, "shop") is None
    assert prepare_statistics(PINNED, snapshot, store, dataset="shop") == ref
    assert find_statistics(PINNED, snapshot, store, "shop") == ref


def test_damaged_statistics_are_summed_again_but_damaged_pinned_ones_are_named(memory_snapshot, store):
    snapshot = memory_snapshot(DOCUMENTS, {}, [])
    ref = prepare_statistics(PINNED, snapshot, store, dataset="shop")
    path = store.folder("statistics", ref.fingerprint) / "terms.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(
        ArtifactError, match=r"the statistics pinned as '2024' for 'shop' .*terms\.parquet.*another label"
    ):
        prepare_statistics(PINNED, memory_snapshot(GROWN, {}, []), store, dataset="shop")
    assert prepare_statistics(PINNED, snapshot, store, dataset="shop") == ref  # the same documents give the same sums
    assert opened(memory_snapshot(GROWN, {}, []), store).content == ref.content


def test_who_pins_second_takes_what_the_first_has_pinned(memory_snapshot, store, monkeypatch):
    first, grown = memory_snapshot(DOCUMENTS, {}, []), memory_snapshot(GROWN, {}, [])
    set_pin = statistics.set_pin

    def be_late(*arguments):
        monkeypatch.setattr(statistics, "set_pin", set_pin)
        prepare_statistics(PINNED, first, store, dataset="shop")
        return set_pin(*arguments)

    monkeypatch.setattr(statistics, "set_pin", be_late)
    assert opened(grown, store).documents == 4
