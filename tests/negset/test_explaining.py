"""Why a document is, or is not, a negative: the tables of a version, and its rooms asked again."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from flows.cli import main
from negset import building
from negset.configuration import load_build_config
from negset.errors import ConfigError
from negset.explaining import explain_built, explain_published
from negset.fingerprint import file_digest
from negset.mining.rules import TRACES, find_rule, traced
from negset.publishing.publish import Draft, publish_set
from negset.publishing.reading import read_set
from negset.snapshot import open_snapshot
from schemas.expectations import CheckResult, GateReport


class World:
    """A set of the small collection: its config, what it was made from, and its version."""

    def __init__(self, config, store, selected, published):
        self.config, self.store, self.selected, self.published = config, store, selected, published

    def explain(self, query, doc, config=None):
        return explain_built(config or self.config, self.selected.refs, self.store, self.published, query, doc)

    def table(self, name):
        return self.published.table(name)

    def first(self, rejected_by):
        """Give the first pair that the rule rejected."""
        return self.table("candidates").filter(pl.col("rejected_by") == rejected_by).row(0, named=True)


@pytest.fixture
def world(select, store, build_file, tmp_path):
    """Publish the small set with its candidates; a margin rejects some, and three are taken of what is left."""

    def make(*options):
        changes = ["mine.depth=12", "recipe.name=margin-pos", "recipe.options.margin.margin=0.2", *options]
        config = load_build_config(build_file, ["publish.keep_candidates=true", *changes])
        selected = select(config, store)
        gates = tmp_path / "gates"
        gates.mkdir()
        files = {path.relative_to(selected.folder).as_posix(): file_digest(path)
                 for path in (selected.folder / "data").rglob("*.parquet")}  # fmt: skip
        check = CheckResult(
            name="all", description="All", table="negatives", severity="critical", passed=True, unexpected=0
        )
        report = GateReport(expected=1, evaluated=1, checks=(check,), files=files)
        (gates / "validation.json").write_text(report.model_dump_json())
        draft = Draft(
            folder=selected.folder,
            gates=gates,
            facts=building.describe(config, selected.refs, store),
            counts=building.selection_counts(store, selected.ref),
            selection=building.selection_folder(selected.folder),
            snapshot=open_snapshot(store, selected.refs.mining.snapshot),
        )
        made = publish_set(draft, tmp_path / "sets", by="ada", at=datetime(2026, 1, 2, tzinfo=UTC))
        return World(config, store, selected, read_set(Path(made.path)))

    return make


def test_every_candidate_is_explained_as_it_was_decided(world):
    """Rules, numbers and places that are asked again are those that the version holds, for one pair of each kind."""
    made = world()
    table = made.table("candidates")
    kinds = table.with_columns(kind=pl.col("rejected_by").fill_null("none"), taken=pl.col("position").is_not_null())
    some = kinds.unique(["kind", "taken"], keep="first", maintain_order=True)
    assert set(some["kind"]) >= {"none", "margin", "known_positive"}
    for row in some.iter_rows(named=True):
        found = made.explain(row["query_id"], row["doc_id"])
        assert found.trace.proposed
        assert (found.trace.rejected_by, found.trace.position) == (row["rejected_by"], row["position"])
        assert {name: pytest.approx(score) for name, score in found.scores.items()} == {
            one["name"]: one["value"] for one in row["scores"]
        }
        assert next(one.rank for one in found.trace.miners if one.miner == "dense") == row["rank"]
        if row["rejected_by"] == "margin":
            assert found.verdict == "rejected"
            rule = next(one for one in found.rules if one.outcome == "rejected")
            assert (rule.rule, rule.options["margin"]) == ("margin", 0.2)
            assert rule.value == pytest.approx(row["rejected_value"])
            assert rule.threshold == pytest.approx(row["rejected_threshold"])
            assert rule.value > rule.threshold
        elif row["position"] is not None:
            assert (found.verdict, found.rules[-1].outcome) == ("negative", "chosen")
            margin = next(one for one in found.rules if one.rule == "margin")
            # A rule that let the pair pass shows its numbers too; the table of candidates does not have them.
            assert margin.outcome == "passed"
            assert margin.value <= margin.threshold
        elif row["rejected_by"] is None:
            assert found.verdict == "not chosen"
            assert f"it is number {found.trace.place} of {found.trace.survivors}" in found.because
            assert found.trace.place > 3


def test_a_document_that_nobody_proposed_is_scored_all_the_same(world):
    made = world()
    query = made.table("negatives")["query_id"][0]
    proposed = made.table("candidates").filter(pl.col("query_id") == query)["doc_id"].to_list()
    snapshot = open_snapshot(made.store, made.selected.refs.mining.snapshot)
    doc = next(name for name in snapshot.documents()["doc_id"] if name not in proposed)
    found = made.explain(query, doc)
    assert (found.verdict, found.trace.proposed) == ("not proposed", False)
    assert len(found.trace.miners) == 2
    for view in found.trace.miners:
        assert view.rank is None
        assert view.listed >= 12
        assert view.score <= view.last_score
        assert f"{view.miner} proposed {view.listed}, the last with" in found.because
    assert explain_published(made.published, query, doc).verdict == "not proposed"


def test_a_lone_miner_scores_what_it_did_not_propose(world):
    """A lone dense miner keeps the texts of labelled documents only: the asked one must be read too."""
    made = world('mine.miners=["dense"]')
    query = made.table("negatives")["query_id"][0]
    proposed = made.table("candidates").filter(pl.col("query_id") == query)["doc_id"].to_list()
    snapshot = open_snapshot(made.store, made.selected.refs.mining.snapshot)
    labelled = snapshot.qrels()["doc_id"].to_list()
    doc = next(name for name in snapshot.documents()["doc_id"] if name not in [*proposed, *labelled])
    view = made.explain(query, doc).trace.miners[0]
    assert view.score is not None
    assert view.score <= view.last_score


def test_a_build_file_of_another_set_and_unknown_ids_are_refused(world):
    made = world()
    query = made.table("negatives")["query_id"][0]
    other = made.config.model_copy(update={"seed": made.config.seed + 1})
    with pytest.raises(ConfigError, match=r"seed is \d+, the version has \d+"):
        made.explain(query, "d001", other)
    with pytest.raises(ConfigError, match="the source has no document 'd0011'"):
        made.explain(query, "d0011")
    with pytest.raises(ConfigError, match="query 'q999' is not in"):
        made.explain("q999", "d001")


def test_what_the_version_knows_without_a_build(world, tmp_path, capsys):
    made = world()
    row = made.first("margin")
    said = tmp_path / "why.json"
    assert main(["explain", str(made.published.folder), row["query_id"], row["doc_id"], "--json", str(said)]) == 0
    shown = capsys.readouterr().out
    assert "rejected  the rule margin rejected it: " in shown
    assert "margin=0.2" in shown
    written = json.loads(said.read_text())
    assert [one["outcome"] for one in written["rules"]][-1] == "not asked"
    positive = made.table("positives").row(0, named=True)
    assert explain_published(made.published, positive["query_id"], positive["doc_id"]).verdict == "positive"
    negative = made.table("negatives").row(0, named=True)
    assert explain_published(made.published, negative["query_id"], negative["doc_id"]).verdict == "negative"


def test_a_version_without_candidates_says_that_it_cannot_know(world):
    made = world("publish.keep_candidates=false")
    query = made.table("negatives")["query_id"][0]
    taken = made.table("negatives").filter(pl.col("query_id") == query)["doc_id"].to_list()
    known = [*taken, *made.table("positives")["doc_id"], *made.table("false_negatives")["doc_id"]]
    doc = next(f"d{place:03}" for place in range(60) if f"d{place:03}" not in known)
    found = explain_published(made.published, query, doc)
    assert (found.verdict, "--config" in found.because) == ("unknown", True)
    assert made.explain(query, doc).verdict in ("not proposed", "rejected", "not chosen")


def test_rules_are_traced_only_where_it_is_asked_for():
    frame = pl.LazyFrame({"score": [0.5, 0.9], "positive_score": [1.0, 1.0], "rejected_by": [None, "other"],
                          "rejected_value": [None, None], "rejected_threshold": [None, None]},
                         schema_overrides={"rejected_by": pl.String, "rejected_value": pl.Float64,
                                           "rejected_threshold": pl.Float64})  # fmt: skip
    margin = find_rule("margin")
    plain = margin.apply(frame, margin.params(margin=0.2)).collect()
    with traced():
        said = margin.apply(frame, margin.params(margin=0.2)).collect()
    assert not set(TRACES) & set(plain.columns)
    assert said.drop(TRACES).equals(plain)
    # What an earlier rule rejected is measured too, and not called a hit.
    assert said.select(TRACES).rows() == [(False, 0.5, 0.8), (False, 0.9, 0.8)]
