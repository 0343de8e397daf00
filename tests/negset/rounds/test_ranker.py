import numpy as np
import polars as pl
import pytest

from negset.rounds.ranker import fooled_share, log_odds, ranker_scores
from negset.teaching.scoring import Scores
from negset.training.examples import SetTables, build_examples
from negset.training.signals import TeacherScores


@pytest.fixture
def tables(six):
    """Give a set on the small collection; d3 and d4 of it have equal texts in the set."""
    documents = pl.DataFrame(
        [(f"d{row}", None, "twin" if row in (3, 4) else f"text {row}") for row in range(6)],
        schema={"doc_id": pl.String, "title": pl.String, "text": pl.String},
        orient="row",
    )
    pairs = [("q0", "d0"), ("q1", "d1"), ("q2", "d2")]
    negatives = [("q0", "d1", 1), ("q0", "d4", 2), ("q1", "d2", 1), ("q2", "d0", 1)]
    return SetTables(
        six.queries,
        documents,
        pl.DataFrame(pairs, schema=["query_id", "doc_id"], orient="row"),
        pl.DataFrame(negatives, schema=["query_id", "doc_id", "rank"], orient="row"),
    )


@pytest.fixture
def examples(tables):
    known = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
    return build_examples(tables, known, pl.Series([], dtype=pl.String), split="train")


def probabilities(**given):
    """Give scores of pairs of rows of the collection, named like `q0d1`."""
    packed = sorted((int(name[1]) * 6 + int(name[3]), value) for name, value in given.items())
    return Scores(np.array([key for key, _ in packed]), np.array([value for _, value in packed]))


def of(scores, examples, query, document):
    row, place = examples.query_ids.index(query), examples.document_ids.index(document)
    return float(scores.of(np.array([row]), np.array([place]))[0, 0])


def test_probabilities_become_log_odds_of_the_rows_that_are_trained_on(six, tables, examples):
    found = ranker_scores(probabilities(q0d0=0.9, q0d1=0.5, q1d2=0.25), six, tables, examples)
    assert of(found, examples, "q0", "d0") == pytest.approx(np.log(9), abs=1e-5)
    assert of(found, examples, "q0", "d1") == 0
    assert of(found, examples, "q1", "d2") == pytest.approx(-np.log(3), abs=1e-5)
    assert np.isnan(of(found, examples, "q2", "d2"))
    assert found.keys.tolist() == sorted(found.keys.tolist())


def test_a_twin_has_the_score_of_the_document_it_stands_for(six, tables, examples):
    found = ranker_scores(probabilities(q0d4=0.75), six, tables, examples)
    assert "d4" not in examples.document_ids
    assert of(found, examples, "q0", "d3") == pytest.approx(np.log(3), abs=1e-5)


def test_odds_of_certainty_are_finite_and_of_nothing_unknown():
    found = log_odds(np.array([0.0, 1.0, np.nan]))
    assert np.isfinite(found[:2]).all()
    assert found[0] == pytest.approx(-found[1])
    assert np.isnan(found[2])


def test_the_ranker_is_fooled_by_a_negative_as_high_as_the_positive(examples):
    scores = {("q0", "d0"): 1.0, ("q0", "d1"): 1.0, ("q0", "d3"): 0.5, ("q1", "d2"): 9.0, ("q2", "d2"): 0.0}
    keyed = sorted(
        (examples.query_ids.index(query) * len(examples.document_ids) + examples.document_ids.index(doc), value)
        for (query, doc), value in scores.items()
    )
    given = TeacherScores(len(examples.document_ids), np.array([k for k, _ in keyed]), np.array([v for _, v in keyed]))
    assert fooled_share(given, examples) == 0.5
    empty = TeacherScores(len(examples.document_ids), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
    assert fooled_share(empty, examples) is None
