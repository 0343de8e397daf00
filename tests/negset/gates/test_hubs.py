"""A document at the mean of all queries is found and named; the hubs that every corpus has are let through."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.gates import hubs as gate
from negset.gates.hubs import count_lists, hub_checks, hub_limit, hubs, top_lists
from schemas.gates import HubsConfig

CONFIG = HubsConfig()


def world(seed, queries=800, documents=4000, dimensions=128):
    """Queries and documents in one cone of many dimensions, where every corpus has hubs."""
    draw = np.random.default_rng(seed)
    return tuple(0.2 + draw.standard_normal((rows, dimensions)) for rows in (queries, documents))


def counted(queries, documents, *, unit=True):
    """Count the ten nearest documents of each query by inner product, of vectors of `unit` length or not."""
    if unit:
        queries, documents = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (queries, documents))
    best = np.argpartition(-(queries @ documents.T), 10, axis=1)[:, :10]
    names = pl.Series([f"d{row}" for row in best.ravel()])
    return count_lists(pl.DataFrame({"query_id": np.repeat(np.arange(len(queries)), 10), "doc_id": names}))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("unit", [True, False], ids=["cosine", "inner product"])
def test_the_mean_of_the_queries_is_the_one_hub_and_a_clean_world_has_none(seed, unit):
    queries, documents = world(seed)
    assert hubs(counted(queries, documents, unit=unit), len(queries), CONFIG).height == 0
    poison = queries.mean(axis=0, keepdims=True) * (1 if unit else 12)
    poisoned = counted(queries, np.vstack([documents, poison]), unit=unit)
    found = hubs(poisoned, len(queries), CONFIG)
    assert found["doc_id"].to_list() == ["d4000"]
    assert found.item(0, "share") > 0.113  # the share that was measured of one such document


def test_a_global_average_would_call_clean_hubs_poison():
    """The rule of thumb `three deviations above the mean`, which this is instead of."""
    queries, documents = world(0)
    counts = counted(queries, documents)["lists"]
    every = np.concatenate([counts.to_numpy(), np.zeros(4000 - len(counts))])
    assert (every > every.mean() + 3 * every.std()).sum() > 20


def test_nine_poisoned_documents_do_not_hide_each_other():
    counts = pl.DataFrame({"doc_id": [f"p{n}" for n in range(9)] + [f"d{n:03}" for n in range(500)],
                           "lists": [200] * 9 + [12] * 500})  # fmt: skip
    assert hubs(counts, 1000, CONFIG)["doc_id"].to_list() == [f"p{n}" for n in range(9)]
    largest = counts.item(0, "lists")
    assert hub_limit(counts, 1000, CONFIG) < largest < CONFIG.max_lift * largest


def test_the_limit_is_the_largest_of_three():
    counts = pl.DataFrame({"doc_id": [f"d{n:05}" for n in range(20_000)], "lists": [50] * 10 + [1] * 19_990})
    assert hub_limit(counts, 1000, CONFIG) == 300  # six times the tenth, whatever the corpus
    assert hub_limit(counts.tail(19_999), 1000, CONFIG) == 20  # two per cent of the lists
    assert hub_limit(counts.head(9), 40, CONFIG) == 10  # fewer lists make no hub


@given(st.permutations(range(40)))
def test_the_order_of_rows_decides_nothing(order):
    rows = pl.DataFrame({"query_id": [f"q{n % 8}" for n in range(40)], "doc_id": [f"d{n % 5}" for n in range(40)]})
    assert count_lists(rows[list(order)]).equals(count_lists(rows))


def candidate(query, doc, positive=False, **scores):
    named = [{"name": name, "value": value} for name, value in scores.items()]
    return {"query_id": query, "doc_id": doc, "is_positive": positive, "scores": named}


def test_lists_are_by_score_and_without_positives():
    """A positive of many queries is popular, not poison; equal scores go by id."""
    rows = [
        candidate("q1", "d9", dense=0.5, bm25=1.0),
        candidate("q1", "d2", dense=0.5),
        candidate("q1", "d3", bm25=7.0, dense=0.1),
        candidate("q1", "d1", positive=True, dense=0.9, bm25=9.0),
        candidate("q2", "d3", dense=0.4),
        candidate("q2", "d4"),
    ]
    schema = {"scores": pl.List(pl.Struct({"name": pl.String, "value": pl.Float32}))}
    tops = top_lists(pl.DataFrame(rows, schema_overrides=schema), 1).sort("name", "query_id").rows()
    assert tops == [("bm25", "q1", "d3"), ("dense", "q1", "d2"), ("dense", "q2", "d3")]


def write_lists(folder, queries, hub_of):
    """Write candidates and negatives of so many `queries`: documents of their own, and `hub` for the first `hub_of`."""
    rows = []
    for number in range(queries):
        near = [f"d{number}-{place}" for place in range(3)] + (["hub"] if number < hub_of else [])
        rows += [(f"q{number:04}", doc, 0.9 - 0.1 * place) for place, doc in enumerate(sorted(near, reverse=True))]
    frame = pl.DataFrame(rows, schema=["query_id", "doc_id", "score"], orient="row")
    named = frame.with_columns(
        is_positive=pl.lit(value=False),
        scores=pl.concat_list(pl.struct(name=pl.lit("dense"), value=pl.col("score").cast(pl.Float32))),
    )
    named.sort("query_id", "doc_id").write_parquet(folder / "candidates.parquet", row_group_size=200)
    negatives = frame.filter(pl.col("doc_id") != "hub")
    negatives.select("query_id", "doc_id").write_parquet(folder / "negatives.parquet")


@pytest.mark.parametrize("most", [2_000_000, 700])
def test_a_hub_is_named_from_the_files_also_where_only_some_row_groups_are_read(tmp_path, monkeypatch, most):
    monkeypatch.setattr(gate, "MOST_ROWS", most)
    monkeypatch.setattr(gate, "read_parts", lambda folder, table, columns: pl.read_parquet(folder / f"{table}.parquet"))
    write_lists(tmp_path, 400, hub_of=120)
    dense, negatives = hub_checks(tmp_path, tmp_path, CONFIG)
    assert (dense.name, dense.passed, dense.severity) == ("candidates_hub_dense", False, "critical")
    assert dense.rows[0]["doc_id"] == "hub"
    assert dense.value > dense.threshold
    assert "poison" in dense.advice
    assert negatives.passed
    assert negatives.advice == ""


def test_a_clean_file_passes_and_off_means_not_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "read_parts", lambda folder, table, columns: pl.read_parquet(folder / f"{table}.parquet"))
    write_lists(tmp_path, 400, hub_of=7)
    assert all(check.passed for check in hub_checks(tmp_path, tmp_path, CONFIG))
    assert hub_checks(tmp_path, tmp_path, HubsConfig(policy="off")) == ()
    write_lists(tmp_path, 400, hub_of=120)
    warned = hub_checks(tmp_path, tmp_path, HubsConfig(policy="warn"))[0]
    assert (warned.passed, warned.severity) == (False, "warning")
