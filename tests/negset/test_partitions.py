"""Partitions by hash, by date and by column: names that are safe in a path, and every document in exactly one."""

import re
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import InputError
from negset.partitions import Partitioning, cut_corpus, partitioning
from negset.snapshot import build_snapshot, open_snapshot
from schemas.config import SourceConfig

SAFE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
TIME = pl.Datetime("us", "UTC")


def corpus(*rows):
    schema = {"doc_id": pl.String, "created_at": TIME, "metadata": pl.String}
    return pl.DataFrame([(f"d{number}", *row) for number, row in enumerate(rows)], schema=schema, orient="row")


def dated(*times):
    return corpus(*((time, None) for time in times))


def tagged(*texts):
    return corpus(*((None, text) for text in texts))


def cut(frame, by, every="month", partitions=1):
    how = partitioning(SourceConfig(format="parquet", partition_by=by, partition_every=every, partitions=partitions))
    return {part.name: part.documents.get_column("doc_id").to_list() for part in cut_corpus(frame, how)}


NIGHT = datetime(2024, 12, 30, 23, 59, 59, 999999, tzinfo=UTC)
MORNING = datetime(2024, 12, 31, 0, tzinfo=UTC)
NEXT = datetime(2025, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "names"),
    [
        ("year", {"d2024": ["d0", "d1"], "d2025": ["d2"]}),
        ("month", {"d2024-12": ["d0", "d1"], "d2025-01": ["d2"]}),
        ("week", {"d2025-w01": ["d0", "d1"], "d2025-w02": ["d2"]}),  # of the ISO year
        ("day", {"d2024-12-30": ["d0"], "d2024-12-31": ["d1"], "d2025-01-06": ["d2"]}),
        ("hour", {"d2024-12-30t23": ["d0"], "d2024-12-31t00": ["d1"], "d2025-01-06t00": ["d2"]}),
    ],
)
def test_a_period_holds_its_documents_and_undated_ones_have_their_own(every, names):
    found = cut(dated(NIGHT, MORNING, NEXT, None), "created_at", every)
    assert found == {**names, "undated": ["d3"]}
    assert list(found) == sorted(found)


def test_a_value_is_a_partition_and_none_is_one_too():
    found = cut(tagged('{"lang":"de"}', '{"lang":"fr"}', '{"lang":"de"}', '{"other":1}', None), "column:lang")
    assert sorted(found.values()) == [["d0", "d2"], ["d1"], ["d3", "d4"]]
    assert found["none"] == ["d3", "d4"]
    assert any(name.startswith("c-de-") for name in found)


HOSTILE = [
    "../x",
    "/etc/passwd",
    "a\\b",
    "CON",
    "none",
    "undated",
    "",
    " ",
    ".",
    "ß",
    "名前",
    "x" * 300,
    "a b",
    "a-b",
    "A-B",
]


def test_no_value_can_do_harm_in_a_path():
    rows = pl.DataFrame({"metadata": HOSTILE}).select(pl.struct(where="metadata").struct.json_encode()).to_series()
    found = cut(tagged(*rows), "column:where")
    assert len({name.lower() for name in found}) == len(HOSTILE)
    assert all(SAFE.fullmatch(name) for name in found)
    assert "none" not in found


def test_values_of_other_kinds_are_written_out():
    parts = cut_corpus(
        tagged('{"n":1}', '{"n":1.5}', '{"n":true}', '{"n":[1,2]}'), Partitioning(by="column:n", every=None)
    )
    assert sorted(part.facts.label for part in parts) == ["1", "1.5", "[1,2]", "true"]


def test_buckets_stay_when_they_are_empty():
    assert list(cut(dated(NIGHT), "hash", partitions=3)) == ["b0000of0003", "b0001of0003", "b0002of0003"]


def test_facts_say_what_a_partition_holds():
    (part,) = cut_corpus(dated(MORNING, None, NIGHT), Partitioning(by="hash", buckets=1))
    facts = part.facts
    assert (facts.documents, facts.undated, facts.first_created, facts.last_created) == (3, 1, NIGHT, MORNING)
    (empty,) = cut_corpus(dated(), Partitioning(by="hash", buckets=1))
    assert (empty.facts.documents, empty.facts.first_created) == (0, None)


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(InputError, match=r"the column 'lnag', which no document has \(did you mean 'lang'\?\)"):
        cut(tagged('{"lang":"de","size":2}'), "column:lnag")
    with pytest.raises(InputError, match="there are: none"):
        cut(tagged(None), "column:lang")


def test_too_many_partitions_are_refused():
    frame = tagged(*(f'{{"n":{number}}}' for number in range(10_000)))
    with pytest.raises(InputError, match=r"'column:n' cuts the corpus into 10000 partitions; at most 9999"):
        cut(frame, "column:n")


@given(
    st.lists(st.none() | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), max_size=12),
    st.sampled_from(["year", "month", "week", "day", "hour"]),
)
def test_every_document_is_in_one_partition_whose_facts_hold(times, every):
    frame = dated(*(time and time.replace(tzinfo=UTC) for time in times))
    parts = cut_corpus(frame, Partitioning(by="created_at", every=every))
    assert pl.concat([frame.clear(), *(part.documents for part in parts)]).sort("doc_id").equals(frame.sort("doc_id"))
    for part in parts:
        assert SAFE.fullmatch(part.name)
        assert part.facts.documents == part.documents.height > 0
        assert part.facts.undated in (0, part.facts.documents)


def test_a_snapshot_is_the_same_however_it_is_cut(tmp_path, store):
    folder = tmp_path / "source"
    folder.mkdir()
    days = [datetime(2024, 1 + number % 3, 1 + number, tzinfo=UTC) if number % 5 else None for number in range(20)]
    names = [f"d{number:02}" for number in range(20)]
    kinds = [f"../{number % 4}" for number in range(20)]
    pl.DataFrame({"doc_id": names, "text": names, "created_at": days, "kind": kinds}).write_parquet(
        folder / "corpus.parquet"
    )
    pl.DataFrame({"query_id": ["q"], "text": ["x"]}).write_parquet(folder / "queries.parquet")
    pl.DataFrame({"query_id": ["q"], "doc_id": ["d01"]}).write_parquet(folder / "qrels.parquet")
    plain = SourceConfig(format="parquet", path=str(folder))
    cuts = [{"partitions": 3}, {"partition_by": "created_at"}, {"partition_by": "column:kind"}]
    whole, *others = [
        open_snapshot(store, build_snapshot(plain.model_copy(update=update), store)) for update in ({}, *cuts)
    ]
    for other in others:
        assert other.content == whole.content
        assert other.documents().equals(whole.documents())
        assert set(other.partition_facts) == set(other.partition_contents) == set(other.partitions())
        assert sum(facts.documents for facts in other.partition_facts.values()) == 20
        assert not any(".." in name or "/" in name for name in other.partitions())
    assert [other.partitioning for other in others] == [
        Partitioning(by="hash", buckets=3),
        Partitioning(by="created_at", every="month"),
        Partitioning(by="column:kind"),
    ]
    assert others[1].partitions() == ["d2024-01", "d2024-02", "d2024-03", "undated"]
    assert {facts.label for facts in others[2].partition_facts.values()} == {"../0", "../1", "../2", "../3"}
