"""Each test forges a version: rows that break one promise, under a manifest and digests that fit them."""

import shutil

import polars as pl
import pytest

from negset.errors import ArtifactError
from negset.publishing.invariants import check_rows, verify_version
from negset.publishing.manifest import describe_set, manifest_bytes
from negset.publishing.verify import VerifyReport
from negset.tables import read_table, write_table

_ORIGINAL = {}
"""The tiny set, staged once for all forgeries."""


@pytest.fixture
def forge(tiny_set, tmp_path, tmp_path_factory):
    """Give a function that writes the tiny set with one table changed and a manifest that fits, and checks its rows."""

    if "set" not in _ORIGINAL:
        _ORIGINAL["set"] = tiny_set.stage(tmp_path_factory.mktemp("original") / "staged")
    original = _ORIGINAL["set"]

    def check(table, change, facts=None):
        folder = tmp_path / "forged"
        shutil.copytree(original.folder, folder)
        path = folder / "data" / table / "part-00000.parquet"
        write_table(change(read_table(path)), table, path)
        counts = original.counts.model_copy(update=facts or {})
        manifest = describe_set(tiny_set.set_facts(), folder, counts, tiny_set.gate_report(folder))
        (folder / "manifest.json").write_bytes(manifest_bytes(manifest))
        found = check_rows(VerifyReport(folder, "", 0, 0, ())).findings
        return {(finding.path, finding.problem) for finding in found}

    return check


def put(column, value, **where):
    """Give a change that sets `column` to `value` in the rows `where` columns have values."""

    def change(rows):
        here = pl.all_horizontal(pl.lit(value=True), *(pl.col(name) == found for name, found in where.items()))
        kind = rows.schema[column]
        return rows.with_columns(pl.when(here).then(pl.lit(value).cast(kind)).otherwise(column).alias(column))

    return change


def test_a_sound_version_keeps_its_promises(published):
    assert verify_version(published).findings == ()
    assert verify_version(published.parents[1]).id == published.name


@pytest.mark.parametrize(
    ("table", "change", "path", "problem"),
    [
        ("negatives", put("doc_id", "d01", query_id="q1", rank=1), "negatives", "positives of their query: q1 d01"),
        # d02 is the positive of q2, whose text is that of q1 once normalised.
        ("negatives", put("doc_id", "d02", query_id="q1", rank=1), "negatives", "positives of their query: q1 d02"),
        ("negatives", put("doc_id", "d99", query_id="q1", rank=1), "negatives", "doc_id that documents lacks: d99"),
        ("negatives", put("query_id", "q9", query_id="q5"), "negatives", "query_id that queries lacks: q9"),
        ("negatives", put("doc_id", "d06", query_id="q1"), "negatives", "documents that are a query's negative twice"),
        ("negatives", put("rank", 3, query_id="q1", rank=2), "negatives", "ranks that do not run from 1"),
        ("negatives", put("score", 0.1, query_id="q1", rank=1), "negatives", "ranks that are not by falling score"),
        ("negatives", put("score", None, query_id="q1", rank=1), "negatives", "ranks that are not by falling score"),
        ("negatives", put("score", float("nan"), query_id="q1", rank=1), "negatives", "numbers that are not finite"),
        ("negatives", put("weight", -1.0, query_id="q1", rank=1), "negatives", "weights below zero: q1 1"),
        ("negatives", put("split", "test", query_id="q1", rank=1), "negatives", "splits that are not their query's"),
        ("documents", put("text", "What is RED", doc_id="d05"), "negatives", "texts of their own query: q1 d05"),
        ("positives", put("doc_id", "d99", query_id="q5"), "positives", "doc_id that documents lacks: d99"),
        ("positives", put("query_id", "q1", query_id="q5"), "queries", "no positive or negative names: q5"),
        ("false_negatives", put("doc_id", "d05"), "false_negatives", "negatives of the set: q1 d05"),
        ("fates", put("got", 1, query_id="q1"), "fates", "fates that their negatives do not give them: q1"),
        ("fates", put("fate", "dropped", query_id="q5"), "fates", "fates that their negatives do not give them: q5"),
        ("queries", lambda rows: rows.filter(pl.col("query_id") != "q5"), "fates", "queries and fates differ: q5"),
    ],
)  # fmt: skip
def test_rows_that_break_a_promise_are_found(forge, table, change, path, problem):
    found = forge(table, change)
    assert any(name == f"data/{path}" and problem in said for name, said in found), found


def test_a_twin_of_a_positive_is_found(forge):
    """A wrong version compares ids alone."""
    found = forge("documents", put("text", "The colour at the LONG end", doc_id="d05"))
    assert ("data/negatives", "positives of their query: q1 d05, q2 d05") in found


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"rows": {"negatives": 8}}, "counts 8 rows of negatives, there are 7"),
        ({"rows_by_split": {"negatives": {"train": 7}, "ntuples": {"train": 2, "test": 1}}}, "by split"),
        ({"rows_by_split": {"ntuples": {"train": 1, "test": 2}}}, "rows of ntuples by split"),
    ],
)
def test_counts_are_held_to_the_rows(forge, facts, problem):
    counts = _ORIGINAL["set"].counts
    merged = {name: {**getattr(counts, name), **value} for name, value in facts.items()}
    found = forge("fates", lambda rows: rows, merged)
    assert [path for path, _ in found] == ["manifest.json"]
    assert problem in next(iter(found))[1]


def test_counts_of_fates_and_candidates_are_held_to_the_rows(forge):
    counts = _ORIGINAL["set"].counts
    queries = counts.queries.model_copy(update={"kept": 4})
    candidates = counts.candidates.model_copy(update={"chosen": 6})
    found = forge("fates", lambda rows: rows, {"queries": queries, "candidates": candidates})
    assert {problem for _, problem in found} == {
        "counts of queries are not those of the fates",
        "counts of candidates are not those of the candidates",
    }


def test_damage_is_told_before_rows_are_looked_at(published):
    path = published / "data" / "negatives" / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"data/negatives/part-00000\.parquet: has"):
        verify_version(published)
