"""Drift from the previous version: each kind is planted in a version that is otherwise the same."""

from dataclasses import replace

import polars as pl
import pytest

from negset.gates import drift as gate
from negset.gates.drift import (
    Version,
    churn,
    drift_checks,
    first_version,
    new_topics,
    rejected_changes,
    row_changes,
    score_shift,
    settings_of,
)
from schemas.gates import DriftConfig
from schemas.manifest import CandidateFunnel, QueryFunnel, SetCounts

CONFIG = DriftConfig()
HALVED = {"documents": 500, "queries": 100, "qrels": 120}


def counts(**changes):
    values = {
        "negatives_wanted": 2,
        "rows": {"queries": 100, "documents": 300, "positives": 120, "negatives": 200},
        "rows_by_split": {},
        "queries": QueryFunnel(total=100, kept=100, short=0, dropped={}),
        "candidates": CandidateFunnel(mined=1000, positives=100, rejected={"margin": 200}, not_sampled=500, chosen=200),
        "queries_without_tuple": 0,
    }
    return SetCounts(**{**values, **changes})


@pytest.fixture
def versions(tmp_path, monkeypatch):
    """Give two equal versions; `write(folder, negatives, queries)` changes what one of them holds."""
    monkeypatch.setattr(
        gate, "read_parts", lambda folder, table, columns: pl.read_parquet(folder / f"{table}.parquet", columns=columns)
    )

    def write(name, negatives=None, queries=None):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (negatives if negatives is not None else usual_negatives()).write_parquet(folder / "negatives.parquet")
        (queries if queries is not None else usual_queries()).write_parquet(folder / "queries.parquet")
        return Version(
            folder,
            counts(),
            {"documents": 1000, "queries": 100, "qrels": 120},
            {"encoder": {"backend": "lsa"}, "mine": {"depth": 100}, "recipe": {"name": "top"}, "seed": 13},
        )

    return write


def usual_negatives():
    rows = [(f"q{q:03}", f"d{q:03}-{rank}", 0.5 + 0.001 * q - 0.1 * rank) for q in range(100) for rank in range(2)]
    return pl.DataFrame(rows, schema=["query_id", "doc_id", "score"], orient="row")


def usual_queries(new=0, topic="bond"):
    rows = [(f"q{q:03}", f"what about subject{q % 30} here") for q in range(100)]
    rows += [(f"new{q:03}", f"what about {topic} number{q}") for q in range(new)]
    return pl.DataFrame(rows, schema=["query_id", "text"], orient="row")


def failed(now, before, config=CONFIG):
    return [check.name for check in drift_checks(now, before, "abc", config) if not check.passed]


def test_the_same_version_has_no_drift(versions):
    checks = drift_checks(versions("now"), versions("before"), "abc", CONFIG)
    assert [check.name for check in checks] == [
        "drift_source",
        "drift_topic",
        "drift_rows",
        "drift_full",
        "drift_scores",
        "drift_rejected",
        "drift_churn",
    ]
    assert all(check.passed and check.scope == "against version abc" for check in checks)


def test_a_halved_corpus_fails(versions):
    now = replace(versions("now"), source=HALVED)
    checks = drift_checks(now, versions("before"), "abc", CONFIG)
    assert [(check.name, check.severity) for check in checks if not check.passed] == [("drift_source", "critical")]
    assert checks[0].rows == ({"table": "documents", "before": 1000, "now": 500, "change": -0.5},)
    assert (checks[0].value, checks[0].threshold) == (0.5, 0.7)
    assert "gates.drift.policy=warn" in checks[0].advice


@pytest.mark.parametrize(
    ("now", "found"), [(700, []), (699, ["negatives"]), (10_000, []), (10_001, ["negatives"]), (0, ["negatives"])]
)
def test_the_edges_of_shrinking_and_growing(now, found):
    assert row_changes({"negatives": now}, {"negatives": 1000}, CONFIG)["table"].to_list() == found
    assert row_changes({"negatives": now}, {"negatives": 0}, CONFIG).height == 0


def test_a_table_of_the_set_that_lost_rows_fails(versions):
    rows = {"queries": 60, "documents": 300, "positives": 120, "negatives": 200}
    now = replace(versions("now"), counts=counts(rows=rows))
    (broken,) = [check for check in drift_checks(now, versions("before"), "abc", CONFIG) if not check.passed]
    assert (broken.name, [row["table"] for row in broken.rows], broken.value) == ("drift_rows", ["queries"], 0.6)


def test_fewer_negatives_for_a_query_fail(versions):
    """As many rows, but twice as many wanted: the rows alone would not show it."""
    now = replace(versions("now"), counts=counts(negatives_wanted=4))
    assert failed(now, versions("before")) == ["drift_full"]


def test_a_shift_of_the_scores_fails(versions):
    fallen = usual_negatives().with_columns(pl.col("score") - 0.1)
    assert failed(versions("now", fallen), versions("before")) == ["drift_scores"]
    moved = usual_negatives().with_columns(pl.col("score") + 0.1)
    assert failed(versions("now", moved), versions("before")) == ["drift_scores"]
    assert failed(versions("now", usual_negatives().with_columns(pl.col("score") + 0.001)), versions("before")) == []


def test_a_shift_is_in_deviations_of_the_previous_scores():
    before = pl.Series([0.0, 2.0, None], dtype=pl.Float32)
    assert score_shift(pl.Series([1.5, 1.5]), before) == pytest.approx(0.5)
    assert score_shift(pl.Series([], dtype=pl.Float32), before) == 0
    assert score_shift(pl.Series([1.0]), pl.Series([1.0, 1.0])) == 0
    assert score_shift(pl.Series([1.1]), pl.Series([1.0, 1.0])) == float("inf")


def test_a_rule_that_rejects_far_more_or_less_fails(versions):
    funnel = CandidateFunnel(mined=1000, positives=100, rejected={"margin": 450}, not_sampled=250, chosen=200)
    now, before = replace(versions("now"), counts=counts(candidates=funnel)), versions("before")
    assert failed(now, before) == ["drift_rejected"]
    assert failed(before, now) == ["drift_rejected"]
    gone = counts(candidates=funnel.model_copy(update={"rejected": {"other": 450}}))
    assert rejected_changes(gone, counts()) == {"margin": -0.2, "other": 0.45}


def test_churn_counts_queries_of_both_versions_alone(versions):
    before = usual_negatives()
    other = before.with_columns(doc_id=pl.lit("x") + pl.col("doc_id"))
    assert failed(versions("now", other), versions("before")) == ["drift_churn"]
    half = pl.concat(
        [before.filter(pl.col("doc_id").str.ends_with("0")), other.filter(pl.col("doc_id").str.ends_with("1"))]
    )
    assert churn(half, before) == 0.5
    new = other.with_columns(query_id=pl.lit("new") + pl.col("query_id"))
    assert churn(pl.concat([before, new]), before) == 0  # new queries are growth, not churn
    assert churn(new, before) == 0


def test_new_queries_of_one_topic_fail(versions):
    """Fifty new ones about one thing; spread over all topics, or on words that were common, they pass."""
    before = versions("before")
    now = versions("now", queries=usual_queries(new=50))
    checks = {check.name: check for check in drift_checks(now, before, "abc", CONFIG)}
    assert [row["word"] for row in checks["drift_topic"].rows] == ["bond"]
    assert not checks["drift_topic"].passed
    spread = pl.concat([usual_queries(), usual_queries().with_columns(query_id=pl.lit("n") + pl.col("query_id"))])
    assert new_topics(spread, usual_queries(), 0.5).height == 0
    assert new_topics(usual_queries(new=19), usual_queries(), 0.5).height == 0  # too few to say
    assert new_topics(usual_queries(new=20), usual_queries(), 0.5).height == 1


def test_what_other_settings_explain_is_not_compared(versions):
    """Another recipe has other negatives, and other numbers of them; the source is compared all the same."""
    other = usual_negatives().with_columns(doc_id=pl.lit("x") + pl.col("doc_id"), score=pl.col("score") + 1)
    now = replace(
        versions("now", other),
        settings={"recipe": {"name": "uniform"}, "encoder": {"backend": "lsa"}, "mine": {"depth": 100}, "seed": 13},
        source=HALVED,
    )
    checks = {check.name: check for check in drift_checks(now, versions("before"), "abc", CONFIG)}
    assert [name for name, check in checks.items() if not check.passed] == ["drift_source"]
    assert checks["drift_set"].scope == "against version abc: not compared, since recipe changed"


def test_another_source_is_not_compared(versions):
    """An earlier `as_of` has fewer rows, as it should."""
    now, before = replace(versions("now"), source=HALVED), versions("before")
    other = replace(now, settings={**now.settings, "source": {"as_of": "2020-01-01"}})
    assert failed(other, before) == []
    assert drift_checks(other, before, "abc", CONFIG)[0].scope.endswith("not compared, since source changed")


def test_a_policy_of_warning_warns(versions):
    now = replace(versions("now"), source=HALVED)
    checks = drift_checks(now, versions("before"), "abc", DriftConfig(policy="warn"))
    assert [(check.name, check.severity) for check in checks if not check.passed] == [("drift_source", "warning")]


def test_the_first_version_says_that_there_is_nothing_to_compare():
    (only,) = first_version()
    assert only.passed
    assert only.scope == "the first version: nothing to compare"


def test_a_recipe_that_keeps_other_queries_is_no_drift_of_the_source(versions):
    """Fifty queries of one topic that the recipe before had dropped: said, but not held against the source."""
    before = versions("before")
    now = versions("now", queries=usual_queries(new=50))
    other = replace(now, settings={**now.settings, "recipe": {"name": "naive"}})
    assert {check.severity for check in drift_checks(now, before, "abc", CONFIG) if not check.passed} == {"critical"}
    (said,) = [check for check in drift_checks(other, before, "abc", CONFIG) if not check.passed]
    assert (said.name, said.severity) == ("drift_topic", "warning")


def test_settings_are_told_apart_by_rules_and_by_what_gates_leave_out():
    """A recipe file that was edited has the same name; a gate's limit decides no row, what it drops does."""
    config = {"recipe": {"name": "mine"}, "gates": {"hubs": {"depth": 10}, "query_leaks": "drop"}}
    usual = settings_of(config, "rules")
    assert settings_of(config, "other rules")["rules"] != usual["rules"]
    looser = settings_of({**config, "gates": {"hubs": {"depth": 20}, "query_leaks": "drop"}}, "rules")
    assert looser["leaving out"] == usual["leaving out"]
    stricter = settings_of({**config, "gates": {"hubs": {"depth": 10}, "query_leaks": "fail"}}, "rules")
    assert stricter["leaving out"] != usual["leaving out"]
