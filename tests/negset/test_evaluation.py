from dataclasses import dataclass
from math import log2

import numpy as np
import polars as pl
import pytest

from negset.errors import ConfigError, ContractError
from negset.evaluation import evaluate_encoder, evaluate_run, rank_corpus, restrict_metrics


def qrels(*rows: tuple[str, str, int]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=["query_id", "doc_id", "relevance"], orient="row")


def run(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(
        list(rows), schema={"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64}, orient="row"
    )


@dataclass
class World:
    """Documents and queries whose text is their vector."""

    docs: dict[str, str]
    questions: dict[str, tuple[str, str]]
    labels: pl.DataFrame
    parts: int = 1

    def partitions(self) -> list[str]:
        return [str(part) for part in range(self.parts)]

    def documents(self, partition: str | None = None) -> pl.DataFrame:
        rows = [
            (key, None, text)
            for place, (key, text) in enumerate(sorted(self.docs.items()))
            if partition is None or place % self.parts == int(partition)
        ]
        return pl.DataFrame(rows, schema={"doc_id": pl.String, "title": pl.String, "text": pl.String}, orient="row")

    def queries(self) -> pl.DataFrame:
        rows = [(key, text, split) for key, (text, split) in sorted(self.questions.items())]
        return pl.DataFrame(rows, schema=["query_id", "text", "split"], orient="row")

    def qrels(self) -> pl.DataFrame:
        return self.labels


def encode(texts):
    return np.array([[float(number) for number in text.split()] for text in texts], dtype=np.float32)


def test_measures_equal_the_formulas():
    metrics = evaluate_run(
        qrels(("q", "a", 2), ("q", "b", 1), ("q", "z", 1)), run(("q", "x", 0.9), ("q", "b", 0.8), ("q", "a", 0.7))
    )
    ideal = 2 + 1 / log2(3) + 1 / log2(4)
    assert metrics.ndcg_at_10 == pytest.approx((1 / log2(3) + 2 / log2(4)) / ideal)
    assert metrics.mrr_at_10 == 1 / 2
    assert metrics.recall_at_100 == pytest.approx(2 / 3)
    assert metrics.queries == 1


def test_ties_go_to_the_smaller_document_id():
    """Whose score is tied with the positive's stands before it or after it by id, not as trec_eval has it."""
    tied = run(("q", "a", 0.5), ("q", "b", 0.5), ("q", "c", 0.5))
    assert evaluate_run(qrels(("q", "a", 1)), tied).mrr_at_10 == 1
    assert evaluate_run(qrels(("q", "c", 1)), tied).mrr_at_10 == pytest.approx(1 / 3)


def test_a_query_that_the_run_lacks_counts_as_zero():
    metrics = evaluate_run(qrels(("q", "a", 1), ("r", "a", 1)), run(("q", "a", 1.0)))
    assert metrics.queries == 2
    assert metrics.ndcg_at_10 == 0.5
    assert metrics.per_query.rows() == [("q", 1.0, 1.0, 1.0), ("r", 0.0, 0.0, 0.0)]


def test_a_judged_negative_is_no_positive_and_its_query_is_counted():
    metrics = evaluate_run(qrels(("q", "a", 1), ("q", "b", 0), ("r", "b", -1)), run(("q", "b", 2.0), ("q", "a", 1.0)))
    assert (metrics.queries, metrics.without_positive) == (1, 1)
    assert metrics.mrr_at_10 == 0.5


def test_the_cut_of_mrr_is_ten_and_of_recall_a_hundred():
    ranking = run(*(("q", f"d{place:03}", -float(place)) for place in range(1, 121)))
    eleventh = evaluate_run(qrels(("q", "d011", 1)), ranking)
    assert (eleventh.ndcg_at_10, eleventh.mrr_at_10, eleventh.recall_at_100) == (0, 0, 1)
    assert evaluate_run(qrels(("q", "d101", 1)), ranking).recall_at_100 == 0


def test_a_score_that_is_not_finite_is_named():
    with pytest.raises(ContractError, match="q b"):
        evaluate_run(qrels(("q", "a", 1)), run(("q", "a", 1.0), ("q", "b", float("nan"))))


def test_no_positive_at_all_is_an_error():
    with pytest.raises(ConfigError, match="relevance 1"):
        evaluate_run(qrels(("q", "a", 0)), run(("q", "a", 1.0)))


@pytest.fixture
def world() -> World:
    return World(
        {"a": "1 0", "b": "1 0", "c": "0 1", "d": "-1 0"},
        {"q1": ("1 0", "test"), "q2": ("0 1", "test"), "q3": ("1 0", "test"), "q4": ("1 0", "train")},
        qrels(("q1", "b", 1), ("q2", "c", 1), ("q4", "d", 1), ("q3", "a", 0)),
    )


def test_an_encoder_is_measured_on_the_queries_of_its_split_that_have_a_positive(world):
    metrics = evaluate_encoder(encode, encode, world, "test")
    assert metrics.per_query.get_column("query_id").to_list() == ["q1", "q2"]
    assert metrics.without_positive == 1
    assert metrics.mrr_at_10 == (1 / 2 + 1) / 2


@pytest.mark.parametrize("parts", [1, 2, 4, 7])
def test_partitions_change_nothing(world, parts):
    cut = World(world.docs, world.questions, world.labels, parts)
    ranking = rank_corpus(encode, encode, cut, world.queries().head(1), 3)
    assert ranking.rows() == [("q1", "a", 1.0), ("q1", "b", 1.0), ("q1", "c", 0.0)]


def test_an_unknown_split_names_those_there_are(world):
    with pytest.raises(ConfigError, match="'dev'; the splits are test, train"):
        evaluate_encoder(encode, encode, world, "dev")


def test_a_subset_of_the_queries_has_means_of_its_own(world):
    metrics = evaluate_encoder(encode, encode, world, "test")
    assert restrict_metrics(metrics, ["q2", "q9"]).mrr_at_10 == 1
    assert restrict_metrics(metrics, ["q9"]) is None
