"""The page and the numbers of a run, from its files alone."""

import json
import re
from html.parser import HTMLParser

import polars as pl
import pytest

from negset.training.reports.page import render_run
from negset.training.reports.report import report_run, write_report_numbers
from negset.training.run import run_training
from schemas.run_report import RunReportConfig
from schemas.train import TrainConfig

MARKUP = "<script>alert('x')</script>"


class Page(HTMLParser):
    """Collect tags, attributes and what is not closed."""

    def __init__(self):
        super().__init__()
        self.seen, self.open, self.addresses = [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]
        assert not [name for name, _ in attributes if name.startswith("on")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _topic(query_id):
    return json.dumps({"topic": "<b>t0</b>" if query_id[1] == "0" else query_id[1]})


def trained(planted, folder, **report):
    """Train in a world whose texts and one domain hold markup, and give the run's config."""
    planted._queries = planted._queries.with_columns(
        text=pl.col("text") + f" {MARKUP}",
        metadata=pl.col("query_id").map_elements(_topic, return_dtype=pl.String),
    )
    planted._documents = planted._documents.with_columns(text=pl.col("text") + f" {MARKUP}")
    config = TrainConfig(batch_size=12, epochs=6, learning_rate=0.03, device="cpu", report=RunReportConfig(**report))
    run_training(planted.tables(), planted, config, folder, planted.start())
    trained_ids = planted._queries.filter(split="train")["query_id"].to_list()
    losses = {name: 1.0 + (int(name[1]) * 7 + int(name[3])) % 5 / 10 for name in trained_ids} | {"q1x1": 50.0}
    stats = [(name, f"d{name[1:]}", epoch, loss) for name, loss in losses.items() for epoch in range(6)]
    pair_stats = pl.DataFrame(stats, schema=["query_id", "positive_id", "epoch", "loss"], orient="row")
    pair_stats.write_parquet(folder / "pair_stats.parquet")
    return config


@pytest.fixture
def run(planted, tmp_path):
    config = trained(planted, tmp_path, domain_field="topic", max_small_domain_drop=0.5)
    return planted, tmp_path, config


def test_the_page_is_whole_loads_nothing_and_runs_nothing(run):
    world, folder, config = run
    page = render_run(report_run(folder, world, config), world, config, f"set {MARKUP}")
    parsed = Page()
    parsed.feed(page)
    assert parsed.open == []
    assert parsed.addresses == []
    assert "script" not in parsed.seen
    assert "default-src &#x27;none&#x27;" in page
    assert not re.search(r"@import|url\(", page)
    assert "&lt;script&gt;alert(&#x27;x&#x27;)" in page
    assert "<b>t0</b>" not in page
    assert "&lt;b&gt;t0&lt;/b&gt;" in page


def test_the_page_shows_what_the_run_did(run):
    world, folder, config = run
    report = report_run(folder, world, config)
    page = render_run(report, world, config, "planted")
    metrics = json.loads((folder / "metrics.json").read_text())["held_out"]
    assert f"{metrics['before']['ndcg_at_10']:.4f} → {metrics['after']['ndcg_at_10']:.4f}" in page
    assert "Loss over 12 steps" in page
    assert "Loss of each pair by epoch" in page
    assert "1 faulty" in page
    assert "mean loss 50.0000 over 6 epochs" in page
    assert page.index("Queries that gained most") < page.index("before</h4>")
    assert " · positive<" in page
    assert [one.query_id for one in report.flagged] == ["q1x1"]
    assert [share.queries for share in report.shares] == [4] * 6
    assert {group.kind for group in report.groups} == {"domain", "query length", "positive length"}


def test_the_same_run_gives_the_same_page_and_numbers(run):
    world, folder, config = run
    pages = [render_run(report_run(folder, world, config), world, config, "planted") for _ in range(2)]
    assert pages[0] == pages[1]
    write_report_numbers(report_run(folder, world, config), folder)
    written = json.loads((folder / "report.json").read_text())
    assert written["measures"]["ndcg_at_10"]["after"]["mean"] == pytest.approx(
        json.loads((folder / "metrics.json").read_text())["held_out"]["after"]["ndcg_at_10"], abs=1e-6
    )
    assert written["domains"]["passed"]


def test_domains_are_reported_anew_without_training(run):
    """The section changes neither the model nor its files: other options give another verdict on the same run."""
    world, folder, config = run
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    plain = config.model_copy(update={"report": RunReportConfig()})
    report = report_run(folder, world, plain)
    assert report.verdict is None
    assert report.shares == ()
    assert "No domain was checked" in render_run(report, world, plain, "planted")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_loss_over_all_documents_is_shown_or_said_to_be_missing(run):
    world, folder, config = run
    metrics = json.loads((folder / "metrics.json").read_text())
    found = metrics["label_bias"]
    assert found["documents"] <= 36
    assert found["sampled"] < found["exact"]
    page = render_run(report_run(folder, world, config), world, config, "planted")
    assert f"Loss after training: {found['exact']:.4f} where" in page
    assert f"{found['sampled']:.4f} with the query" in page
    assert f"a loss of {found['corrected']:.4f} over all" in page
    (folder / "metrics.json").write_text(json.dumps(metrics | {"label_bias": None}))
    assert "over all documents was not measured" in render_run(report_run(folder, world, config), world, config, "p")


def test_queries_that_the_teacher_did_not_score_are_counted(run):
    world, folder, config = run
    assert "The teacher" not in render_run(report_run(folder, world, config), world, config, "planted")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["teacher"] is None
    taught = {"queries": 24, "taught": 20, "without_positive": 3, "without_negative": 1}
    (folder / "metrics.json").write_text(json.dumps(metrics | {"teacher": taught}))
    page = render_run(report_run(folder, world, config), world, config, "planted")
    assert "The teacher taught 20 of 24 queries" in page


def test_without_losses_of_pairs_the_page_says_so(run):
    world, folder, config = run
    (folder / "pair_stats.parquet").unlink()
    report = report_run(folder, world, config)
    page = render_run(report, world, config, "planted")
    assert "The trainer kept no losses of pairs" in page
    assert report.flagged == ()
    assert [share.sampled for share in report.shares] == [pytest.approx(1 / 6)] * 6


def test_a_domain_that_fell_fails_the_run_though_the_mean_rose(run):
    world, folder, config = run
    lines = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    for line in lines:
        topic = line["query_id"][1]
        line["ndcg_at_10_before"], line["ndcg_at_10_after"] = (0.6, 0.5) if topic == "3" else (0.4, 0.9)
    (folder / "queries.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    strict = config.model_copy(update={"report": RunReportConfig(domain_field="topic")})
    report = report_run(folder, world, strict)
    assert report.measures[0].change.difference.low > 0
    assert not report.verdict.passed
    page = render_run(report, world, strict, "planted")
    assert "Failed: 3 by 0.1000 (at most 0.02 is allowed, 2 queries)" in page
    assert ["3"] == [row["name"] for row in report.numbers()["regressions"] if row["kind"] == "domain"]


def test_what_was_seen_beside_the_labels_is_shown_or_said_to_be_missing(run):
    world, folder, config = run
    page = render_run(report_run(folder, world, config), world, config, "planted")
    health = json.loads((folder / "metrics.json").read_text())["health"]
    for when in ("before", "after"):
        assert f"{health[when]['shaken']:.4f}" in page
        assert f"{health[when]['label_free']['score']:.4f}" in page
    metrics = json.loads((folder / "metrics.json").read_text()) | {"health": {}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert "Too few held-out queries" in render_run(report_run(folder, world, config), world, config, "planted")
