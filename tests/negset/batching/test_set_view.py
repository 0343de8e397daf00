"""What is read of a set: scores, losses, grades, fields and places, by the numbers of queries and documents."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from negset.batching.set_fields import query_column, query_places
from negset.batching.set_scores import graded_positives, query_losses, scored_pairs
from negset.batching.view import SetView
from negset.errors import ConfigError, ContractError, InputError
from negset.training.examples import SetTables, build_examples

DOCUMENTS = {"d1": "one", "d2": "two", "d2b": "Two", "d3": "three", "d4": "four"}
QUERIES = {"q1": "a", "q2": "b", "q3": "c"}


@pytest.fixture
def view(memory_snapshot):
    """Query q1 has two positives, one of them d2, of which d2b is a twin; q3 has no scored negative."""
    about = {
        "q1": {"task": "search", "latitude": 10, "longitude": 20},
        "q2": {"task": "sort"},
        "d2": {"latitude": 1, "longitude": 2},
        "d3": {"latitude": 50.5, "longitude": "8.25"},
    }
    labels = [("q1", "d1", 2), ("q1", "d2", 1), ("q2", "d3", 1), ("q3", "d4", 1)]
    snapshot = memory_snapshot(DOCUMENTS, QUERIES, labels, about=about)
    negatives = [
        ("q1", "d3", 1, 0.5, 0.6, [("other", 7.0)]),
        ("q1", "d4", 2, 0.1, 0.6, [("other", 5.0)]),
        ("q2", "d2b", 1, 0.3, 0.9, []),
        ("q3", "d1", 1, None, None, []),
    ]
    scores = pl.List(pl.Struct({"name": pl.String, "value": pl.Float32}))
    schema = {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32, "score": pl.Float32}
    table = pl.DataFrame(
        [(*row[:5], [{"name": name, "value": value} for name, value in row[5]]) for row in negatives],
        schema={**schema, "positive_score": pl.Float32, "scores": scores},
        orient="row",
    )
    positives = pl.DataFrame(
        [(*label, score) for label, score in zip(labels, [0.8, None, 0.9, 0.7], strict=True)],
        schema={"query_id": pl.String, "doc_id": pl.String, "relevance": pl.Int32, "score": pl.Float32},
        orient="row",
    )
    tables = SetTables(snapshot.queries(), snapshot.documents(), positives, table)
    nothing = pl.Series([], dtype=pl.String)
    examples = build_examples(tables, positives, nothing, split="train")
    rows = [("q1", "d1", True, 9.0), ("q1", "d3", False, 7.0), ("q1", "d4", False, 5.0)]
    candidates = pl.DataFrame(
        [(query, doc, own, [{"name": "other", "value": value}]) for query, doc, own, value in rows],
        schema={"query_id": pl.String, "doc_id": pl.String, "is_positive": pl.Boolean, "scores": scores},
        orient="row",
    )
    published = SimpleNamespace(table=lambda _name: candidates)
    return SetView(published, snapshot, None, tables, examples)


def named(view, pairs):
    ids, documents = view.examples.query_ids, view.examples.document_ids
    return {
        (ids[query], documents[positive], documents[negative]): round(margin, 4)
        for query, positive, negative, margin in zip(
            pairs.query_P, pairs.positive_P, pairs.negative_P, pairs.margin_P.tolist(), strict=True
        )
    }


def test_margins_are_of_every_positive_with_every_negative_and_twins_are_one_document(view):
    assert named(view, scored_pairs(view, "")) == {
        ("q1", "d1", "d3"): 0.3,
        ("q1", "d1", "d4"): 0.7,
        ("q1", "d2", "d3"): 0.1,  # its score is not known: it counts as the lowest
        ("q1", "d2", "d4"): 0.5,
        ("q2", "d3", "d2"): 0.6,
    }


def test_another_scorers_margins_come_from_the_candidates(view):
    assert named(view, scored_pairs(view, "other")) == {("q1", "d1", "d3"): 2.0, ("q1", "d1", "d4"): 4.0}
    with pytest.raises(ConfigError, match=r"no scores of 'othr' \(did you mean 'other'\?\)"):
        scored_pairs(view, "othr")


def test_a_score_that_is_no_number_is_refused_by_name(view):
    wrong = view.tables.negatives.with_columns(
        score=pl.when(pl.col("query_id") == "q2").then(float("nan")).otherwise("score").cast(pl.Float32)
    )
    tables = SetTables(view.tables.queries, view.tables.documents, view.tables.positives, wrong)
    with pytest.raises(ContractError, match="1 queries have scores that are no numbers: q2"):
        scored_pairs(SetView(view.published, view.snapshot, None, tables, view.examples), "")


def test_a_query_without_a_loss_has_the_median(view, tmp_path):
    pl.DataFrame({"query_id": ["q1", "q2"], "loss": [1.0, 3.0]}).write_parquet(tmp_path / "losses.parquet")
    assert query_losses(view, str(tmp_path / "losses.parquet")).tolist() == [1.0, 3.0, 2.0]
    by_scores = query_losses(view, "")
    assert by_scores[0] == pytest.approx(np.log(1 + np.exp(-2.0) + np.exp(-10.0)), rel=1e-4)
    assert by_scores[2] == pytest.approx((by_scores[0] + by_scores[1]) / 2)
    pl.DataFrame({"query_id": ["q1"], "loss": [-1.0]}).write_parquet(tmp_path / "losses.parquet")
    with pytest.raises(ContractError, match="losses that are negative or no numbers: q1"):
        query_losses(view, str(tmp_path / "losses.parquet"))


def test_grades_are_those_of_the_set(view):
    grades = graded_positives(view)
    assert list(zip(grades.query_P.tolist(), grades.document_P.tolist(), grades.grade_P.tolist(), strict=True)) == [
        *((0, 0, 2), (0, 1, 1), (1, 2, 1), (2, 3, 1))
    ]


def test_a_field_of_the_queries_and_one_that_nobody_has(view):
    assert query_column(view, "task").to_list() == ["search", "sort", None]
    with pytest.raises(ConfigError, match=r"the column 'tsk', which none of the queries has \(did you mean 'task'"):
        query_column(view, "tsk")


def test_a_query_without_a_place_is_where_its_positive_is(view):
    places = query_places(view, "latitude", "longitude")
    assert places[:2].tolist() == [[10.0, 20.0], [50.5, 8.25]]
    assert np.isnan(places[2]).all()
    with pytest.raises(ConfigError, match="neither queries nor documents have the metadata fields 'lat' and 'lon'"):
        query_places(view, "lat", "lon")


def test_what_is_no_coordinate_is_refused_by_name(view, memory_snapshot):
    about = {"q1": {"latitude": 95, "longitude": 20}}
    snapshot = memory_snapshot(DOCUMENTS, QUERIES, [], about=about)
    with pytest.raises(InputError, match="1 queries have coordinates that are none: q1"):
        query_places(SetView(view.published, snapshot, None, view.tables, view.examples), "latitude", "longitude")
