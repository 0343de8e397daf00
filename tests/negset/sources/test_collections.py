"""The real collections read to the counts that are published with them."""

from datetime import date, datetime

import polars as pl
import pytest

from negset.snapshot import build_snapshot, open_snapshot
from negset.sources.reading import read_source
from negset.sources.recognise import recognise_source
from schemas.config import ColumnsConfig, SourceConfig

pytestmark = pytest.mark.data

COUNTS = {
    "scifact": (5183, 1409, 1258),
    "cranfield": (1400, 225, 1837),
    "cacm": (3204, 64, 796),
    "npl": (11429, 93, 2083),
    "cosqa": (6267, 1604, 1604),
    "ottqa": (187666, 4650, 11632),
    "oewn": (107525, 50024, 50024),
    "tldr": (7425, 56085, 56085),
    "se_quantum": (1672, 612, 1071),
    "xquad": (2880, 14280, 14280),
    "esco_occ": (3007, 32206, 33091),
    "esco_skills": (13896, 1255, 1956),
    "geonames": (32847, 43678, 44118),
    "er_products": (10601, 6480, 42800),
    "wtq": (2108, 18496, 18496),
}
NATIVE = {
    "scifact_beir": ("scifact", (5183, 1109, 1258)),
    "cranfield_smart": ("cranfield", (1400, 225, 1837)),
    "cacm_trec": ("cacm", (3204, 64, 796)),
    "se_xml": ("se_quantum", (1672, 612, 1071)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parquet_sets_read_to_their_counts(shared_data, name):
    source = recognise_source(str(shared_data / name))
    tables = read_source(source)
    assert source.format == "parquet"
    assert (tables.corpus.height, tables.queries.height, tables.qrels.height) == COUNTS[name]
    assert tables.quarantine.is_empty()


@pytest.mark.parametrize("name", NATIVE)
def test_native_sets_give_the_judgements_of_their_parquet_form(shared_data, name):
    twin, counts = NATIVE[name]
    tables = read_source(recognise_source(str(shared_data / "native" / name)))
    assert (tables.corpus.height, tables.queries.height, tables.qrels.height) == counts
    expected = {
        part: pl.read_parquet(shared_data / twin / f"{part}.parquet") for part in ("corpus", "queries", "qrels")
    }
    key = ["query_id", "doc_id", "relevance"]
    assert sorted(tables.qrels.select(key).rows()) == sorted(expected["qrels"].select(key).rows())
    assert set(tables.corpus.get_column("doc_id")) == set(expected["corpus"].get_column("doc_id"))
    texts = dict(expected["queries"].select("query_id", "text").rows())
    assert all(texts[query] == text for query, text in tables.queries.select("query_id", "text").rows())


def test_cranfield_keeps_its_empty_documents_out_of_the_corpus(shared_data, store):
    source = SourceConfig(format="smart", path=str(shared_data / "native" / "cranfield_smart"))
    snapshot = open_snapshot(store, build_snapshot(source, store))
    assert (snapshot.facts.documents_read, snapshot.facts.documents, snapshot.facts.documents_empty) == (1400, 1398, 2)
    assert (snapshot.facts.qrels, snapshot.facts.qrels_of_empty_documents) == (1836, 1)
    assert not set(snapshot.documents().get_column("doc_id")) & {"471", "995"}


def test_native_cacm_without_padding_stops_and_names_the_remedy(shared_data, store):
    source = SourceConfig(format="trec", path=str(shared_data / "native" / "cacm_trec"))
    with pytest.raises(Exception, match=r"55 of 4064 rows.*55 judgements name documents.*source\.id_width"):
        build_snapshot(source, store)


def test_scifact_splits_are_those_of_its_judgements(shared_data):
    tables = read_source(recognise_source(str(shared_data / "native" / "scifact_beir")))
    assert dict(tables.queries.get_column("split").value_counts().rows()) == {"train": 809, "test": 300}


@pytest.mark.parametrize("year", [2023, 2024, 2025, 2026])
def test_every_yearly_state_of_tldr_can_be_built(shared_data, store, year):
    """A dump is the whole corpus of its day: pages changed since have their old text, removed ones are there."""
    day = date(year, 1, 1)
    source = SourceConfig(
        format="parquet",
        path=str(shared_data / "tldr"),
        corpus="corpus_snapshots.parquet",
        columns=ColumnsConfig(version_at="as_of", asked_at="created_at"),
        as_of=datetime(year, 1, 1),  # the moment of the dump, not the end of its day
        partition_by="created_at",
        partition_every="year",
    )
    snapshot = open_snapshot(store, build_snapshot(source, store))
    rows = pl.read_parquet(shared_data / "tldr" / "corpus_snapshots.parquet")
    dump = rows.filter(pl.col("as_of") == day).sort("doc_id")
    assert snapshot.documents().select("doc_id", "title", "text").equals(dump.select("doc_id", "title", "text"))
    facts = snapshot.facts
    assert (facts.documents_later, facts.documents_superseded) == (
        rows.filter(pl.col("as_of") > day).height,
        rows.filter(pl.col("as_of") < day).height,
    )
    assert (facts.documents_undated, facts.quarantined, facts.documents_read) == (0, 0, rows.height)
    # A page that no dump had until then is new in this one.
    assert snapshot.partitions() == [f"d{past}" for past in range(2023, year + 1)]
    assert snapshot.partition_facts["d2023"].label == "2023"
    asked = pl.read_parquet(shared_data / "tldr" / "queries.parquet").filter(
        pl.col("created_at") <= datetime(year, 1, 1)
    )
    assert (facts.queries, facts.queries_later) == (asked.height, 56085 - asked.height)
    judged = pl.read_parquet(shared_data / "tldr" / "qrels.parquet").join(asked, on="query_id", how="semi")
    assert facts.qrels == judged.join(dump, on="doc_id", how="semi").height
    assert facts.qrels + facts.qrels_left_out + facts.qrels_missing_document == 56085
