"""What differs between two versions, and what a reader must be told of it."""

from datetime import UTC, datetime

import polars as pl
import pytest

from flows.cli import main
from negset.errors import ContractError
from negset.publishing.diff import diff_sets, query_churn, row_diff, schema_changes
from negset.publishing.publish import publish_set
from negset.publishing.reading import read_set


@pytest.fixture
def versions(tmp_path, tiny_set, monkeypatch):
    """Give a function that publishes the tiny set with other candidates or facts, and opens what it made."""
    made = []

    def publish(candidates=None, **facts):
        with monkeypatch.context() as patch:
            if candidates is not None:
                patch.setattr(tiny_set, "CANDIDATES", candidates)
            folder = tmp_path / f"staged{len(made)}"
            draft = tiny_set.draft_of(tiny_set.stage(folder), **facts)
            made.append(publish_set(draft, tmp_path / "sets", by="ada", at=datetime(2026, 1, 2, tzinfo=UTC)))
        return read_set(tmp_path / "sets" / facts.get("dataset", "tiny") / "versions" / made[-1].fingerprint)

    return publish


def swapped(rows):
    """Let q2 have d06 in the place of d07, and d05 with another score."""
    other = [row for row in rows if row[0] != "q2"]
    mine = [
        ("q2", "d05", "dense", 1, 0.81, 0.95, False, None, None, None, 1),
        ("q2", "d06", "dense", 2, 0.5, 0.95, False, None, None, None, 2),
    ]
    return sorted(other + mine)


def test_a_version_does_not_differ_from_itself(versions):
    one = versions()
    found = diff_sets(one, one)
    assert (found.verdict, found.settings, found.schema_changes) == ("none", (), ())
    assert all((table.added, table.removed, table.changed) == (0, 0, 0) for table in found.tables)
    assert (found.churn.queries, found.churn.changed, found.churn.mean) == (4, 0, 0.0)


def test_what_is_said_of_the_same_rows_is_a_patch(versions):
    found = diff_sets(versions(), versions(licence="cc0-1.0"))
    assert found.verdict == "patch"
    assert [(one.name, one.before, one.after) for one in found.settings] == [("licence", "cc-by-4.0", "cc0-1.0")]


def test_rows_that_left_or_changed_are_counted_by_table_and_column(versions, tiny_set):
    """A diff by rank would call d06 a change of d07; here one came and one left."""
    found = diff_sets(versions(), versions(swapped(tiny_set.CANDIDATES)))
    tables = {table.table: table for table in found.tables}
    negatives = tables["negatives"]
    assert (negatives.added, negatives.removed, negatives.changed) == (1, 1, 1)
    assert negatives.changed_columns == {"score": 1, "scores": 1}
    assert found.verdict == "major"
    assert "negatives (1 removed, 1 changed)" in found.because
    churn = found.churn
    assert (churn.queries, churn.changed) == (4, 1)
    assert churn.mean == pytest.approx(0.5 / 4)
    assert [one.model_dump() for one in churn.most] == [{"query_id": "q2", "added": 1, "removed": 1, "kept": 1}]
    figures = {one.name: one for one in found.figures}
    assert figures["mean score of negatives"].before < figures["mean score of negatives"].after
    assert figures["queries kept"].before == figures["queries kept"].after == 3


def test_rows_that_only_came_are_a_minor_change():
    """Counting by position, as a line diff of two files would, finds every later row changed."""
    before = pl.DataFrame({"query_id": ["b", "c"], "text": ["x", "y"], "split": ["train"] * 2, "metadata": [None, "m"]})
    more = pl.DataFrame({"query_id": ["a"], "text": ["w"], "split": ["test"], "metadata": [None]}, schema=before.schema)
    after = pl.concat([more, before])
    assert row_diff("queries", before, after).model_dump(exclude={"table"}) == {
        "before": 2, "after": 3, "added": 1, "removed": 0, "changed": 0, "changed_columns": {}
    }  # fmt: skip
    nothing = before.with_columns(metadata=pl.lit(None, dtype=pl.String))
    assert row_diff("queries", before, nothing).changed_columns == {"metadata": 1}


def test_noise_below_the_sixth_digit_is_no_change():
    rows = pl.DataFrame({"query_id": ["q"], "doc_id": ["d"], "score": [0.5], "rank": [1]})
    noisy = rows.with_columns(score=pl.col("score") + 1e-8)
    assert row_diff("negatives", rows, noisy).changed == 0
    assert row_diff("negatives", rows, rows.with_columns(score=pl.col("score") + 1e-5)).changed == 1


def test_rows_without_a_key_are_counted_as_often_as_they_stand_there():
    """A set of rows would see no difference between two copies and one."""
    row = {"query": ["q"], "positive": ["p"], "negative_1": ["n"]}
    twice, once = pl.DataFrame({name: value * 2 for name, value in row.items()}), pl.DataFrame(row)
    assert (row_diff("ntuples", twice, once).removed, row_diff("ntuples", twice, once).added) == (1, 0)


@pytest.mark.parametrize(
    ("after", "change", "breaks"),
    [
        ({"negatives": {"doc_id": "string"}}, ("score", "removed"), True),
        ({"negatives": {"doc_id": "string", "score": "double"}}, ("score", "retyped"), True),
        ({"negatives": {"doc_id": "string", "score": "float not null"}}, ("score", "retyped"), True),
        ({"negatives": {"doc_id": "string", "score": "float", "why": "string"}}, ("why", "added"), False),
    ],
)
def test_a_lost_or_other_column_breaks_readers_and_a_new_one_does_not(after, change, breaks):
    found = schema_changes({"negatives": {"doc_id": "string", "score": "float"}}, after)
    assert [(one.column, one.change, one.breaks) for one in found] == [(*change, breaks)]


def test_queries_of_one_version_alone_are_no_churn():
    before = pl.DataFrame({"query_id": ["a", "b"], "doc_id": ["1", "1"]})
    after = pl.DataFrame({"query_id": ["b", "c"], "doc_id": ["2", "1"]})
    found = query_churn(before, after)
    assert (found.queries, found.changed, found.mean) == (1, 1, 1.0)


def test_two_datasets_are_not_compared(versions):
    with pytest.raises(ContractError, match="not comparable"):
        diff_sets(versions(), versions(dataset="other"))


def test_the_command_prints_and_writes_what_differs(versions, tiny_set, tmp_path, capsys):
    old, new = versions(), versions(swapped(tiny_set.CANDIDATES))
    said = tmp_path / "diff.json"
    assert main(["diff", str(old.folder), str(new.folder), "--json", str(said)]) == 0
    shown = capsys.readouterr().out
    assert "major  rows that were there are gone or changed" in shown
    assert "1 of 4 queries" in shown
    assert '"verdict": "major"' in said.read_text()
