import polars as pl
import pytest

from negset.publishing.hardness import LetThrough, false_negative_note, hardness_table, let_through
from schemas.expectations import ScoreLimit

POSITIVES = pl.DataFrame(
    [
        ("q1", 0.9),  # the other is at 0.5: 0.9 is above every ceiling
        ("q1", 0.5),  # the other is at 0.9
        ("q2", 0.9),  # one positive tests nothing
        ("q3", 0.8),
        ("q3", 0.79),  # too near to the other for a margin of 0.05
        ("q3", None),  # was not mined, so it cannot become a negative
    ],
    schema={"query_id": pl.String, "score": pl.Float32},
    orient="row",
)


@pytest.mark.parametrize(
    ("limits", "passed"),
    [
        ([], 4),
        ([("margin", 0.05)], 1),
        ([("percent_of_positive", 0.95)], 1),
        ([("max_score", 0.79)], 2),
        ([("max_score", 0.6), ("margin", 0.5)], 0),
    ],
)
def test_a_positive_is_tested_against_the_lowest_of_the_others(limits, passed):
    made = [ScoreLimit.model_validate({"kind": kind, "value": value}) for kind, value in limits]
    assert let_through(POSITIVES, made) == LetThrough(5, passed)
    assert let_through(POSITIVES.reverse(), made) == LetThrough(5, passed)


def test_a_share_of_a_negative_score_lies_below_it():
    """Scores of a cross-encoder: 0.9 of -10 is -11, not -9."""
    frame = pl.DataFrame({"query_id": ["q", "q"], "score": [-9.5, -10.0]})
    assert let_through(frame, [ScoreLimit(kind="percent_of_positive", value=0.9)]).passed == 0


def test_the_table_gives_gaps_and_ranks_by_miner():
    rows = [("a", 4, 0.5, 0.9), ("a", 2, 0.9, 0.9), ("b", None, None, 0.9)]
    schema = {"miner": pl.String, "miner_rank": pl.Int32, "score": pl.Float32, "positive_score": pl.Float32}
    drawn = hardness_table(pl.DataFrame(rows, schema=schema, orient="row"))
    cells = [part.split("<")[0] for part in drawn.split('<th scope="row">a</th>')[1].split('class="number">')[1:8]]
    assert cells == ["2", "0.0200", "0.2000", "0.3800", "50.0%", "50.0%", "3"]


def test_the_note_says_what_the_labels_can_tell():
    limits = [ScoreLimit(kind="margin", value=0.05)]
    assert "1 of 4 known positives through (25.0%)" in false_negative_note(LetThrough(4, 1), limits, 7)
    assert "7 pairs" in false_negative_note(LetThrough(4, 1), limits, 7)
    assert "No query has two positives" in false_negative_note(LetThrough(0, 0), limits, 0)
    assert "sets no threshold" in false_negative_note(LetThrough(4, 4), [], 0)
