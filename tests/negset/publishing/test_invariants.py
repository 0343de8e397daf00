"""What must hold between the rows of a version, one broken promise at a time."""

import polars as pl
import pytest

from negset.publishing.invariants import broken_rows
from negset.publishing.manifest import describe_file, read_manifest
from negset.publishing.parts import as_strings, read_parts
from negset.publishing.verify import inspect_version, verify_set
from negset.tables import write_table


def rewrite(published, table, change):
    """Give the manifest of the version after `change` of the rows of its `table`, as a forger would write it."""
    manifest = read_manifest(published)
    path = published / "data" / table / "part-00000.parquet"
    rows = change(as_strings(read_parts(published, table)))
    write_table(rows, table, path)
    files = tuple(
        describe_file(published, path, {}, {}) if published / file.path == path else file for file in manifest.files
    )
    counts = manifest.counts.model_copy(update={"rows": {**manifest.counts.rows, table: rows.height}})
    return manifest.model_copy(update={"files": files, "counts": counts})


def problems(published, table, change):
    return {(one.table, one.problem) for one in broken_rows(published, rewrite(published, table, change))}


def test_a_sound_version_breaks_nothing(published):
    assert list(broken_rows(published, read_manifest(published))) == []
    assert problems(published, "negatives", lambda rows: rows) == set()
    assert verify_set(published, rows=True).findings == ()


@pytest.mark.parametrize(
    ("table", "change", "broken", "problem"),
    [
        ("documents", lambda rows: rows.filter(pl.col("doc_id") != "d05"), "negatives",
         "1 doc_id are not in documents: d05"),
        ("queries", lambda rows: rows.filter(pl.col("query_id") != "q3"), "negatives",
         "1 query_id are not in queries: q3"),
        ("negatives", lambda rows: rows.with_columns(doc_id=pl.col("doc_id").replace("d06", "d01")), "negatives",
         "1 are positives of their query: (q1, d01)"),
        ("negatives", lambda rows: rows.with_columns(doc_id=pl.lit("d05")), "negatives",
         "a document is twice a negative of one query"),
        ("negatives", lambda rows: rows.filter((pl.col("query_id") != "q2") | (pl.col("rank") > 1)), "negatives",
         "ranks do not count from 1: q2"),
        ("negatives", lambda rows: rows.filter((pl.col("query_id") != "q2") | (pl.col("rank") < 2)), "fates",
         "does not count the negatives that are there: q2"),
        ("negatives", lambda rows: rows.with_columns(weight=pl.lit(-1.0)), "negatives",
         "weights below 0 or not finite: q1, q2, q3"),
        ("negatives", lambda rows: rows.with_columns(weight=pl.lit(float("nan"))), "negatives",
         "weights below 0 or not finite: q1, q2, q3"),
        ("negatives", lambda rows: rows.with_columns(split=pl.lit("train")), "negatives",
         "another split than the query's: q3"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_named(published, table, change, broken, problem):
    assert (broken, problem) in problems(published, table, change)


def test_rows_that_are_not_those_of_the_manifest_are_named(published):
    """A digest of rows that nobody compares would be worth nothing."""
    manifest = read_manifest(published)
    files = tuple(file.model_copy(update={"rows_sha256": "0" * 64}) for file in manifest.files[:1])
    changed = manifest.model_copy(update={"files": (*files, *manifest.files[1:])})
    assert [one.problem for one in broken_rows(published, changed)] == [
        f"the rows of {files[0].path} are not those of the manifest"
    ]


def test_counts_that_are_not_those_of_the_manifest_are_named(published):
    manifest = read_manifest(published)
    rows = {**manifest.counts.rows, "negatives": 3}
    changed = manifest.model_copy(update={"counts": manifest.counts.model_copy(update={"rows": rows})})
    assert [one.problem for one in broken_rows(published, changed)] == ["has 7 rows, the manifest counts 3"]


def test_rows_are_read_only_where_the_files_are_whole(published):
    path = published / "data" / "negatives" / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    assert [finding.path for finding in inspect_version(published, rows=True).findings] == [
        "data/negatives/part-00000.parquet"
    ]
