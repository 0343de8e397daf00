from dataclasses import replace

import polars as pl
import pytest

from negset.publishing.browser import what_is_shown
from negset.publishing.manifest import read_manifest
from negset.publishing.parts import read_parts
from negset.publishing.shown import Bounds, choose_shown


@pytest.fixture
def shown_of(staged):
    """Give a function that chooses within bounds, from rows in any order."""

    def choose(*, backwards=False, **bounds):
        fates, negatives = (read_parts(staged.folder, name) for name in ("fates", "negatives"))
        if backwards:
            fates, negatives = fates.reverse(), negatives.reverse()
        return choose_shown(staged.folder, staged.selection, staged.snapshot, fates, negatives, Bounds(**bounds))

    return choose


def test_a_small_set_is_shown_whole(shown_of):
    shown = shown_of()
    assert shown.queries["query_id"].to_list() == ["q1", "q2", "q3", "q4", "q5"]
    assert shown.negatives.height == 7
    assert shown.negatives["drawn"].null_count() == 0
    assert shown.all_nearer_than is None
    assert shown.positives.filter(pl.col("query_id") == "q4")["doc_id"].to_list() == ["d04"]  # a dropped query
    assert shown.rejected.select("doc_id", "rejected_by").rows() == [("d07", "percent_of_positive")]
    assert shown.ends.rows() == [("q1", "percent_of_positive", 1), ("q1", None, 1)]


def test_the_choice_is_blind_to_the_order_of_rows(shown_of):
    one, other = shown_of(negatives=4, drawn=2), shown_of(negatives=4, drawn=2, backwards=True)
    assert one.negatives.equals(other.negatives)
    assert one.queries.equals(other.queries)
    assert one.texts == other.texts


def test_without_room_for_all_the_most_suspicious_are_there(shown_of):
    """Nothing drawn, no fates: q1's nearest is 0.1 below, q2's 0.15, the others 0.4."""
    shown = shown_of(negatives=4, drawn=1, fates=0, lots_from=0)
    assert shown.queries["query_id"].to_list() == ["q1", "q2"]
    assert shown.all_nearer_than == pytest.approx(0.4)
    assert shown.negatives["drawn"].to_list() == [None] * 4


def test_drawn_ones_come_first_and_keep_their_order(shown_of):
    shown = shown_of(negatives=4, drawn=1, fates=0)
    drawn = shown.negatives.filter(pl.col("drawn").is_not_null())
    assert sorted(drawn["drawn"].to_list()) == list(range(drawn.height))
    assert drawn.height >= 2  # two of a stratum that has as many


def test_long_texts_are_cut_and_their_sum_is_bounded(shown_of):
    cut = shown_of(text=10)
    assert max(len(text) for text in cut.texts.values()) == 10
    few = shown_of(characters=60, drawn=1, fates=0, lots_from=0)
    assert few.queries["query_id"].to_list() == ["q1"]
    assert shown_of(characters=0).queries.height == 1  # one at least


def test_each_rule_shows_its_highest(tiny_set, tmp_path):
    staged = tiny_set.stage(tmp_path / "more")
    fates, negatives = (read_parts(staged.folder, name) for name in ("fates", "negatives"))
    none = choose_shown(staged.folder, staged.selection, staged.snapshot, fates, negatives, Bounds(rejected=0))
    assert none.rejected.is_empty()
    assert none.ends.height == 2  # still counted


def test_the_page_promises_no_more_than_is_there(shown_of, published):
    """A negative 0.02277 below is left out: "less than 0.0228", the rounded limit, would be wrong."""
    shown = replace(shown_of(negatives=4, drawn=2, fates=0), all_nearer_than=0.02277)
    assert "scores less than 0.0227 below its positive" in what_is_shown(shown, read_manifest(published))
