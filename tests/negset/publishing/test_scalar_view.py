import sqlite3
from contextlib import closing

import pytest

from negset.publishing.scalar_view import build_view


@pytest.fixture
def rows(staged, tmp_path):
    def ask(query):
        build_view(staged.folder, staged.selection, staged.snapshot, tmp_path / "view.sqlite")
        with closing(sqlite3.connect(tmp_path / "view.sqlite")) as connection:
            return connection.execute(query).fetchall()

    return ask


def test_negatives_carry_what_the_checks_ask(rows):
    found = rows(
        "SELECT query_id, doc_id, rank, round(previous_score, 3), after_unscored, finite FROM negatives LIMIT 2"
    )
    assert found == [("q1", "d05", 1, None, 0, 1), ("q1", "d06", 2, 0.8, 0, 1)]


def test_fates_stand_beside_the_sums_of_the_rows(rows):
    found = rows("SELECT query_id, fate, got, negatives, candidates, candidate_rows, full_share FROM fates ORDER BY 1")
    assert found == [
        ("q1", "kept", 2, 2, 6, 6, 0.75),
        ("q2", "kept", 2, 2, 2, 2, 0.75),
        ("q3", "kept", 2, 2, 2, 2, 0.75),
        ("q4", "dropped", 0, 0, 0, 0, 0.75),
        ("q5", "short", 1, 1, 1, 1, 0.75),
    ]


def test_no_text_enters_the_view(rows):
    names = [name for (name,) in rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert set(names) == {
        "candidates",
        "documents",
        "fates",
        "false_negatives",
        "negatives",
        "ntuples",
        "positives",
        "queries",
    }
    dump = repr([rows(f"SELECT * FROM {name}") for name in names])
    assert "swim" not in dump
    assert "colour" not in dump
