import json

import polars as pl
import pytest

from negset.errors import ConfigError
from negset.evaluation import evaluate_encoder
from negset.training.examples import SetTables
from negset.training.reports.run_files import read_records
from negset.training.run import novel_queries, run_training
from schemas.run_report import RunReportConfig
from schemas.train import TrainConfig


def config(**changes) -> TrainConfig:
    return TrainConfig(**{"batch_size": 12, "epochs": 20, "learning_rate": 0.03, "device": "cpu", **changes})


def test_training_helps_where_it_must(planted, tmp_path):
    world = type(planted)(whole_topics=True)
    report = run_training(world.tables(), world, config(), tmp_path, world.start())
    assert report.held_out.before.ndcg_at_10 < 0.4
    assert report.held_out.after.ndcg_at_10 > 0.9
    assert report.held_out.before.queries == 12
    assert report.novel is None


def test_the_files_of_a_run_say_what_the_report_says(planted, tmp_path):
    report = run_training(planted.tables(), planted, config(epochs=2), tmp_path, planted.start())
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written == json.loads(json.dumps(report.numbers()))
    assert written["held_out"]["before"]["queries"] == 12
    assert written["queries_trained"] == 24
    steps = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [(step["step"], step["epoch"]) for step in steps] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    queries = [json.loads(line) for line in (tmp_path / "queries.jsonl").read_text().splitlines()]
    mean = sum(query["ndcg_at_10_after"] for query in queries) / len(queries)
    assert mean == pytest.approx(written["held_out"]["after"]["ndcg_at_10"], abs=1e-6)
    assert report.model_folder == tmp_path / "model"


def test_the_held_out_split_never_trains(planted, tmp_path):
    """Labels of held-out queries may be anything: the model that comes out is the same."""
    first = run_training(planted.tables(), planted, config(epochs=2), tmp_path / "a", planted.start())
    tables = planted.tables()
    upside_down = tables.positives.with_columns(
        doc_id=pl.when(pl.col("query_id").str.ends_with("x0") | pl.col("query_id").str.ends_with("x3"))
        .then(pl.lit("d0x1"))
        .otherwise(pl.col("doc_id"))
    ).unique()
    changed = SetTables(tables.queries, tables.documents, upside_down, tables.negatives)
    second = run_training(changed, planted, config(epochs=2), tmp_path / "b", planted.start())
    assert second.trained == first.trained == 24
    assert second.training.losses == first.training.losses


def test_a_training_query_with_a_held_out_text_is_left_out_and_counted(planted, tmp_path):
    text = planted._queries.filter(pl.col("query_id") == "q0x0").item(0, "text")
    planted._queries = planted._queries.with_columns(
        text=pl.when(pl.col("query_id") == "q0x1").then(pl.lit(f" {text.upper()}")).otherwise(pl.col("text"))
    )
    report = run_training(planted.tables(), planted, config(epochs=1), tmp_path, planted.start())
    assert report.left_out == {"held_out_text": 1}
    assert report.trained == 23


def test_splits_must_differ(planted, tmp_path):
    with pytest.raises(ConfigError, match="both 'test'"):
        run_training(planted.tables(), planted, config(split="test"), tmp_path, planted.start())


def test_a_static_model_needs_a_start(planted, tmp_path):
    with pytest.raises(ConfigError, match="fit the lsa encoder"):
        run_training(planted.tables(), planted, config(), tmp_path)


def test_novel_queries_share_no_positive_with_a_trained_one():
    known = pl.DataFrame(
        [("t1", "a"), ("t2", "b"), ("h1", "a"), ("h1", "z"), ("h2", "z"), ("h3", "c")],
        schema=["query_id", "doc_id"],
        orient="row",
    )
    assert novel_queries(known, ["t1", "t2"], ["h1", "h2", "h3"]) == ["h2", "h3"]


def test_a_query_that_is_novel_is_reported_apart(planted, tmp_path):
    report = run_training(planted.tables(), planted, config(epochs=1), tmp_path, planted.start())
    assert report.novel is not None
    assert report.novel.before.queries == 12
    shared = pl.DataFrame({"query_id": ["q0x0"], "doc_id": ["d5x1"], "relevance": [1]})
    planted._qrels = pl.concat([planted._qrels, shared], how="vertical_relaxed")
    again = run_training(planted.tables(), planted, config(epochs=1), tmp_path / "again", planted.start())
    assert again.novel.before.queries == 11


def test_what_is_saved_is_what_was_measured(planted, tmp_path):
    from sentence_transformers import SentenceTransformer

    report = run_training(planted.tables(), planted, config(epochs=3), tmp_path, planted.start())
    loaded = SentenceTransformer(str(report.model_folder), device="cpu", local_files_only=True)
    metrics = evaluate_encoder(loaded.encode_query, loaded.encode_document, planted, "test")
    assert metrics.numbers() == report.held_out.after.numbers()


def test_what_a_run_needs_to_be_reported_is_kept(planted, tmp_path):
    report = run_training(planted.tables(), planted, config(epochs=3), tmp_path, planted.start())
    records = read_records(tmp_path)
    assert records.trained.height == report.trained == 24
    first = records.rankings.filter(pl.col("rank") == 1).with_columns(pl.col("model").cast(pl.String))
    assert first.height == 2 * 12
    known = planted.qrels().filter(pl.col("relevance") >= 1)
    for model, metrics in (("before", report.held_out.before), ("after", report.held_out.after)):
        hit = first.filter(pl.col("model") == model).join(known, on=["query_id", "doc_id"], how="semi").height
        best = metrics.per_query.filter(pl.col("mrr_at_10") == 1).height
        assert hit == best
    assert set(records.metrics["health"]) == {"before", "after"}


def test_a_domain_field_that_no_query_has_is_refused_before_training(planted, tmp_path):
    planted._queries = planted._queries.with_columns(metadata=pl.lit('{"topic": "x"}'))
    asked = config(epochs=1, report=RunReportConfig(domain_field="topic_"))
    with pytest.raises(ConfigError, match="did you mean 'topic'"):
        run_training(planted.tables(), planted, asked, tmp_path, planted.start())
    assert not list(tmp_path.iterdir())
