"""Every check is shown a set with one planted fault, and must be the one that fails, naming the row."""

import importlib.util
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from negset.errors import ValidationFailed
from negset.publishing.publish import REPORT
from negset.publishing.scalar_view import build_view
from schemas.expectations import (
    KEYS,
    KNOWN_IN_TIME,
    CheckResult,
    Expectation,
    GateReport,
    ScoreLimit,
    TimeLimit,
    set_expectations,
)
from schemas.gates import GatesConfig
from tasks import gates

_path = Path(__file__).parents[1] / "negset" / "publishing" / "conftest.py"
_spec = importlib.util.spec_from_file_location("tiny_set", _path)
tiny = importlib.util.module_from_spec(_spec)
sys.modules["tiny_set"] = tiny
_spec.loader.exec_module(tiny)

STRICT = GatesConfig(document_leaks="fail")
LIMITS = (
    ScoreLimit(kind="max_score", value=0.85),
    ScoreLimit(kind="margin", value=0.05),
    ScoreLimit(kind="percent_of_positive", value=0.95),
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return tiny.stage(tmp_path_factory.mktemp("sound") / "staged")


@pytest.fixture
def copied(sound, tmp_path):
    """Give a copy of the sound set, to plant a fault in."""
    shutil.copytree(sound.folder, tmp_path / "staged")
    shutil.copytree(sound.selection, tmp_path / "selection")
    return replace(sound, folder=tmp_path / "staged", selection=tmp_path / "selection")


def verdict(staged, tmp_path, expectations, splits=()):
    view = tmp_path / "view.sqlite"
    timed = any(one.name == KNOWN_IN_TIME for one in expectations)
    build_view(staged.folder, staged.selection, staged.snapshot, view, splits, timed=timed)
    return gates.run_gates(view, expectations)


def broken_in_sqlite(view, expectations):
    """Name the SQL `expectations` that some row breaks, without Great Expectations, which is slow."""
    with closing(sqlite3.connect(view)) as connection:
        return [
            one.name
            for one in expectations
            if one.kind == "no_rows" and connection.execute(f"SELECT 1 FROM {one.table} WHERE {one.where}").fetchone()
        ]


def path_of(staged, table):
    if table == "candidates":
        return staged.selection / "candidates.parquet"
    return next((staged.folder / "data" / table).rglob("*.parquet"))


def edit(staged, table, change):
    """Write `table` again, changed, past everything that keeps negset from writing such a table."""
    path = path_of(staged, table)
    frame = pl.read_parquet(path).with_columns(pl.col(pl.Categorical).cast(pl.String))
    change(frame).write_parquet(path)


def setting(query_id, column, value, doc_id=None):
    """Give a change that sets `column` of one row, or of all of a query."""
    here = pl.col("query_id") == query_id
    if doc_id is not None:
        here &= pl.col("doc_id") == doc_id
    return lambda frame: frame.with_columns(pl.when(here).then(pl.lit(value)).otherwise(pl.col(column)).alias(column))


def adding(**row):
    """Give a change that adds a row: the first one with these values in it."""

    def change(frame):
        values = [pl.lit(value, dtype=frame.schema[name]).alias(name) for name, value in row.items()]
        return pl.concat([frame, frame.head(1).with_columns(values)])

    return change


def without(column, value):
    return lambda frame: frame.filter(pl.col(column) != value)


def repeated(column, value):
    return lambda frame: pl.concat([frame, frame.filter(pl.col(column) == value)])


def add_document(staged, doc_id):
    title, text = {row[0]: row[1:] for row in tiny.DOCUMENTS}[doc_id]
    edit(staged, "documents", adding(doc_id=doc_id, title=title, text=text))


def add_query_four(staged):
    edit(staged, "queries", adding(query_id="q4", text="nothing is near", split="train"))
    edit(staged, "positives", adding(query_id="q4", doc_id="d04", split="train"))
    add_document(staged, "d04")


def negative_becomes(query_id, old, new):
    def plant(staged):
        edit(staged, "negatives", setting(query_id, "doc_id", new, old))
        if new not in ("d01", "d05"):
            add_document(staged, new)

    return plant


def one(table, change):
    return lambda staged: edit(staged, table, change)


def empty_document(staged):
    rows = tuple((d, None, "") if d == "d05" else (d, title, text) for d, title, text in tiny.DOCUMENTS)
    blank = pl.when(pl.col("doc_id") == "d05")
    edit(staged, "documents", lambda f: f.with_columns(text=blank.then(pl.lit("")).otherwise("text")))
    return replace(staged, snapshot=replace(staged.snapshot, document_rows=rows))


def leaking_query(staged):
    rows = tuple((q, text, "test" if q == "q2" else split) for q, text, split in tiny.QUERIES)
    for table in ("queries", "positives", "negatives", "fates"):
        edit(staged, table, setting("q2", "split", "test"))
    return replace(staged, snapshot=replace(staged.snapshot, query_rows=rows))


def leaking_document(staged):
    edit(staged, "positives", adding(query_id="q5", doc_id="d09", split="train"))
    rows = (*tiny.QRELS, ("q5", "d09", 1, "train"))
    return replace(staged, snapshot=replace(staged.snapshot, qrel_rows=rows))


def unpublished_query(staged):
    edit(staged, "queries", without("query_id", "q5"))
    edit(staged, "positives", without("query_id", "q5"))


def disordered(staged):
    edit(staged, "negatives", setting("q1", "score", 0.7, "d05"))
    edit(staged, "negatives", setting("q1", "score", 0.8, "d06"))


def unscored_first(staged):
    edit(staged, "negatives", setting("q3", "rank", 3, "d06"))
    edit(staged, "negatives", setting("q3", "rank", 1, "d08"))
    edit(staged, "negatives", setting("q3", "rank", 2, "d06"))


def short_after_all(staged):
    edit(staged, "fates", setting("q1", "fate", "short"))
    edit(staged, "fates", setting("q1", "got", 1))


def one_score_is(value):
    scores = pl.lit([{"name": "dense", "value": value}])
    return lambda frame: frame.with_columns(
        pl.when(pl.col("query_id") == "q5").then(scores).otherwise(pl.col("scores")).alias("scores")
    )


NAN, INF = float("nan"), float("inf")
Q1, Q4, Q5 = {"query_id": "q1"}, {"query_id": "q4"}, {"query_id": "q5"}
Q1_D07 = {"query_id": "q1", "doc_id": "d07"}
Q5_D05 = {"query_id": "q5", "doc_id": "d05", "rank": 1}
Q5_D10 = {"query_id": "q5", "doc_id": "d10"}

# check, fault, keys of the rows that must be named
FAULTS = [
    ("queries_key_unique", one("queries", repeated("query_id", "q1")), [Q1, Q1]),
    ("queries_no_null", one("queries", setting("q1", "text", None)), [Q1]),
    ("queries_as_read", one("queries", setting("q1", "text", "What was red")), [Q1]),
    ("queries_have_fate", add_query_four, [Q4]),
    ("queries_have_positive", one("positives", without("query_id", "q5")), [Q5]),
    ("queries_no_split_leak", leaking_query, [Q1, {"query_id": "q2"}]),
    ("documents_key_unique", one("documents", repeated("doc_id", "d05")), [{"doc_id": "d05"}] * 2),
    (
        "documents_no_null",
        one(
            "documents",
            lambda f: f.with_columns(text=pl.when(pl.col("doc_id") != "d06").then(pl.col("text"))),
        ),
        [{"doc_id": "d06"}],
    ),
    ("documents_not_empty", empty_document, [{"doc_id": "d05"}]),
    (
        "documents_as_read",
        one("documents", lambda f: f.with_columns(text=pl.col("text").str.replace("of the sky", "of a sky"))),
        [{"doc_id": "d06"}],
    ),
    ("positives_key_unique", one("positives", repeated("query_id", "q5")), [Q5_D10] * 2),
    ("positives_no_null", one("positives", setting("q5", "relevance", None)), [Q5_D10]),
    (
        "positives_query_resolves",
        lambda s: (edit(s, "positives", adding(query_id="q4", doc_id="d04")), add_document(s, "d04")) and None,
        [{"query_id": "q4", "doc_id": "d04"}],
    ),
    ("positives_document_resolves", one("documents", without("doc_id", "d10")), [Q5_D10]),
    (
        "positives_judged",
        one("positives", adding(query_id="q5", doc_id="d06", split="train")),
        [{"query_id": "q5", "doc_id": "d06"}],
    ),
    ("positives_finite", one("positives", setting("q5", "score", NAN)), [Q5_D10]),
    (
        "positives_no_split_leak",
        leaking_document,
        [{"query_id": "q3", "doc_id": "d09"}, {"query_id": "q5", "doc_id": "d09"}],
    ),
    ("false_negatives_key_unique", one("false_negatives", repeated("query_id", "q1")), [Q1_D07] * 2),
    (
        "false_negatives_query_resolves",
        one("false_negatives", setting("q1", "query_id", "q4")),
        [{"query_id": "q4", "doc_id": "d07"}],
    ),
    (
        "false_negatives_document_resolves",
        one("false_negatives", setting("q1", "doc_id", "d04")),
        [{"query_id": "q1", "doc_id": "d04"}],
    ),
    (
        "false_negatives_no_negative",
        one("false_negatives", setting("q1", "doc_id", "d05")),
        [{"query_id": "q1", "doc_id": "d05"}],
    ),
    (
        "negatives_key_unique",
        one("negatives", setting("q1", "rank", 1, "d06")),
        [{"query_id": "q1", "doc_id": "d05", "rank": 1}, {"query_id": "q1", "doc_id": "d06", "rank": 1}],
    ),
    (
        "negatives_document_once",
        negative_becomes("q1", "d06", "d05"),
        [{"query_id": "q1", "doc_id": "d05", "rank": 1}, {"query_id": "q1", "doc_id": "d05", "rank": 2}],
    ),
    ("negatives_no_null", one("negatives", setting("q5", "miner", None)), [Q5_D05]),
    ("negatives_no_null", one("negatives", setting("q5", "weight", None)), [Q5_D05]),
    (
        "negatives_document_resolves",
        lambda s: [edit(s, table, without("doc_id", "d07")) for table in ("documents", "false_negatives")] and None,
        [{"query_id": "q2", "doc_id": "d07", "rank": 2}],
    ),
    ("negatives_finite", one("negatives", setting("q5", "score", NAN)), [Q5_D05]),
    ("negatives_finite", one("negatives", setting("q5", "positive_score", INF)), [Q5_D05]),
    ("negatives_finite", one("negatives", setting("q5", "weight", NAN)), [Q5_D05]),
    ("negatives_finite", one("negatives", one_score_is(-INF)), [Q5_D05]),
    ("negatives_weight", one("negatives", setting("q5", "weight", -1.0)), [Q5_D05]),
    (
        "negatives_no_known_positive",  # of q1, whose text q2 shares
        negative_becomes("q2", "d07", "d01"),
        [{"query_id": "q2", "doc_id": "d01", "rank": 2}],
    ),
    (
        "negatives_no_known_positive",
        one("positives", adding(query_id="q5", doc_id="d05", source="relabelled")),
        [Q5_D05],
    ),
    (
        "negatives_no_positive_text",  # d03 repeats d01
        negative_becomes("q1", "d06", "d03"),
        [{"query_id": "q1", "doc_id": "d03", "rank": 2}],
    ),
    (
        "negatives_not_the_query",
        negative_becomes("q1", "d06", "d11"),
        [{"query_id": "q1", "doc_id": "d11", "rank": 2}],
    ),
    ("negatives_ordered", disordered, [{"query_id": "q1", "doc_id": "d06", "rank": 2}]),
    ("negatives_ordered", unscored_first, [{"query_id": "q3", "doc_id": "d06", "rank": 2}]),
    ("negatives_split", one("negatives", setting("q5", "split", "test")), [Q5_D05]),
    ("negatives_source", one("negatives", setting("q5", "source", "guessed")), [Q5_D05]),
    ("fates_key_unique", one("fates", repeated("query_id", "q4")), [Q4, Q4]),
    (
        "fates_query_resolves",
        one("fates", adding(query_id="q9", fate="dropped", reason="lost", got=0, candidates=0)),
        [{"query_id": "q9"}],
    ),
    ("fates_complete", one("fates", without("query_id", "q4")), [Q4]),
    ("fates_consistent", one("fates", setting("q4", "reason", None)), [Q4]),
    ("fates_sum_negatives", short_after_all, [Q1]),
    ("fates_sum_candidates", one("fates", setting("q5", "candidates", 5)), [Q5]),
    ("fates_ranks", one("negatives", setting("q5", "rank", 2)), [Q5]),
    ("candidates_key_unique", one("candidates", setting("q1", "doc_id", "d07", "d08")), [Q1]),
    ("candidates_finite", one("candidates", setting("q1", "score", INF, "d08")), [Q1]),
    ("candidates_chosen_unfit", one("candidates", setting("q5", "rejected_by", "margin")), [Q5]),
    ("candidates_chosen_unfit", one("candidates", setting("q5", "is_positive", True)), [Q5]),
    ("candidates_chosen_published", one("candidates", setting("q1", "position", 3, "d08")), [Q1]),
    ("ntuples_complete", one("ntuples", lambda frame: frame.head(frame.height - 1)), [{"split": "all"}]),
]


def test_a_sound_set_passes_every_check(sound, tmp_path):
    report = verdict(sound, tmp_path, set_expectations(STRICT, ()))
    assert (report.passed, report.failed, report.warnings) == (True, (), ())
    assert report.evaluated == report.expected == len(set_expectations(STRICT, ()))


@pytest.mark.parametrize(("check", "plant", "rows"), FAULTS, ids=[f"{n}-{fault[0]}" for n, fault in enumerate(FAULTS)])
def test_one_fault_fails_one_check_and_names_its_rows(copied, tmp_path, check, plant, rows):
    staged = plant(copied) or copied
    expectations = set_expectations(STRICT, ())
    table = next(expectation.table for expectation in expectations if expectation.name == check)
    report = verdict(staged, tmp_path, [one for one in expectations if one.table == table])
    assert [failed.name for failed in report.failed] == [check]
    assert list(report.failed[0].rows) == rows
    elsewhere = [one for one in expectations if one.table != table]
    assert broken_in_sqlite(tmp_path / "view.sqlite", elsewhere) == []
    assert report.failed[0].unexpected == len(rows)
    assert report.evaluated == report.expected


def test_a_query_that_vanished_is_missed_by_its_fate_and_its_negatives(copied, tmp_path):
    unpublished_query(copied)
    report = verdict(copied, tmp_path, set_expectations(STRICT, ()))
    assert {check.name: list(check.rows) for check in report.failed} == {
        "fates_published": [Q5],
        "negatives_query_resolves": [Q5_D05],
    }


@pytest.mark.parametrize(
    ("check", "score"),
    [("negatives_max_score", 0.86), ("negatives_margin", 0.851), ("negatives_percent_of_positive", 0.856)],
)
def test_each_limit_of_the_recipe_is_held(copied, tmp_path, check, score):
    limit = next(limit for limit in LIMITS if check.endswith(limit.kind))
    edit(copied, "negatives", setting("q3", "score", 0.1, "d08"))
    expectations = set_expectations(STRICT, (limit,))
    assert verdict(copied, tmp_path, expectations).passed
    edit(copied, "negatives", setting("q1", "score", score, "d05"))
    failed = verdict(copied, tmp_path, expectations).failed
    assert [one.name for one in failed] == [check]
    assert list(failed[0].rows) == [{"query_id": "q1", "doc_id": "d05", "rank": 1}]


def test_percent_of_a_negative_positive_score_lies_below_it(copied, tmp_path):
    """95 % of -0.5 must be -0.525: the plain product -0.475 would let -0.49 pass."""
    edit(copied, "negatives", setting("q3", "score", 0.1, "d08"))
    edit(copied, "negatives", setting("q5", "positive_score", -0.5))
    edit(copied, "negatives", setting("q5", "score", -0.49))
    failed = verdict(copied, tmp_path, set_expectations(STRICT, LIMITS[2:])).failed
    assert [list(one.rows) for one in failed] == [[Q5_D05]]


def test_a_score_at_its_limit_passes_in_float32(copied, tmp_path):
    edit(copied, "negatives", setting("q3", "score", 0.1, "d08"))
    edit(
        copied, "negatives", lambda f: f.with_columns(score=pl.lit(23.456789 * 0.95), positive_score=pl.lit(23.456789))
    )
    edit(copied, "negatives", lambda f: f.with_columns(pl.col("score", "positive_score").cast(pl.Float32)))
    assert verdict(copied, tmp_path, set_expectations(STRICT, LIMITS[2:])).passed


def test_a_limit_fails_a_negative_without_a_score(copied, tmp_path):
    failed = verdict(copied, tmp_path, set_expectations(STRICT, LIMITS[:1])).failed
    assert [list(one.rows) for one in failed] == [[{"query_id": "q3", "doc_id": "d08", "rank": 2}]]


def test_the_quota_is_the_share_of_queries_with_candidates(copied, tmp_path):
    """Three of the four queries with candidates are full; the fifth had none and does not count."""
    assert verdict(copied, tmp_path, set_expectations(GatesConfig(min_full_share=0.75), ())).passed
    failed = verdict(copied, tmp_path, set_expectations(GatesConfig(min_full_share=0.76), ())).failed
    assert [(one.name, list(one.rows)) for one in failed] == [("fates_quota", [Q5])]


def test_leaking_documents_warn_where_they_are_allowed(copied, tmp_path):
    report = verdict(leaking_document(copied), tmp_path, set_expectations(GatesConfig(), ()))
    assert report.passed
    assert [(check.name, check.unexpected) for check in report.warnings] == [("positives_no_split_leak", 2)]


def test_only_queries_of_the_asked_splits_need_a_fate(copied, tmp_path):
    """A snapshot with a sixth query, in a split that nobody asked for."""
    rows = (*tiny.QUERIES, ("q6", "not asked for", "dev"))
    staged = replace(copied, snapshot=replace(copied.snapshot, query_rows=rows))
    expectations = set_expectations(STRICT, ())
    assert verdict(staged, tmp_path, expectations, ("train", "test")).passed
    failed = verdict(staged, tmp_path, expectations).failed
    assert [(one.name, list(one.rows)) for one in failed] == [("fates_complete", [{"query_id": "q6"}])]


@pytest.mark.parametrize("table", [table for table in KEYS if table != "false_negatives"])
def test_an_empty_table_fails(copied, tmp_path, table):
    if table == "ntuples":
        shutil.rmtree(copied.folder / "data" / "ntuples")
    else:
        edit(copied, table, lambda frame: frame.clear())
    report = verdict(copied, tmp_path, set_expectations(STRICT, ()))
    assert f"{table}_present" in [check.name for check in report.failed]
    assert report.evaluated == report.expected


ASKED = datetime(2026, 1, 1, tzinfo=UTC)


def timed(staged, seconds, asked=ASKED):
    """Give the set's snapshot times: `asked` for q5, and for d05, its one negative, `seconds` later; None for never."""
    created = None if seconds is None else ASKED + timedelta(seconds=seconds)
    return replace(staged, snapshot=replace(staged.snapshot, asked=(("q5", asked),), created=(("d05", created),)))


@pytest.mark.parametrize(
    ("seconds", "asked", "undated", "passes"),
    [
        (-1, ASKED, "drop", True),
        (3600, ASKED, "drop", True),  # exactly the grace
        (3600.000001, ASKED, "drop", False),
        (3601, ASKED, "keep", False),
        (3601, None, "drop", True),
        (None, ASKED, "keep", True),
        (None, ASKED, "drop", False),
        (None, None, "drop", True),
    ],
)
def test_no_negative_from_the_future_is_published(copied, tmp_path, seconds, asked, undated, passes):
    expectations = set_expectations(STRICT, (), TimeLimit(grace=3_600_000_000, undated=undated))
    view = tmp_path / "view.sqlite"
    staged = timed(copied, seconds, asked)
    build_view(staged.folder, staged.selection, staged.snapshot, view, timed=True)
    assert broken_in_sqlite(view, expectations) == ([] if passes else [KNOWN_IN_TIME])


def test_a_leak_from_the_future_fails_by_name(copied, tmp_path):
    expectations = set_expectations(STRICT, (), TimeLimit(grace=0, undated="keep"))
    negatives = [one for one in expectations if one.table == "negatives"]
    assert verdict(timed(copied, 0), tmp_path, negatives).passed
    report = verdict(timed(copied, 1), tmp_path, negatives)
    assert [(one.name, list(one.rows)) for one in report.failed] == [(KNOWN_IN_TIME, [Q5_D05])]
    assert report.evaluated == report.expected


def test_times_are_held_only_where_they_are_limited():
    assert KNOWN_IN_TIME not in {one.name for one in set_expectations(STRICT, ())}


def test_every_check_has_a_planted_fault():
    planted = {check for check, *_ in FAULTS} | {f"{table}_present" for table in KEYS if table != "false_negatives"}
    planted |= {"fates_published", "negatives_query_resolves", "fates_quota"}
    planted |= {f"negatives_{limit.kind}" for limit in LIMITS}
    assert planted == {expectation.name for expectation in set_expectations(STRICT, LIMITS)}


def test_a_check_that_cannot_run_is_no_pass(sound, tmp_path):
    broken = Expectation(name="typo", description="-", table="queries", kind="no_rows", where="no_such_column = 1")
    report = verdict(sound, tmp_path, (*set_expectations(STRICT, ())[:3], broken))
    assert (report.expected, report.evaluated, report.passed) == (4, 3, False)
    assert "no_such_column" in next(check.error for check in report.checks if check.name == "typo")
    with pytest.raises(ValidationFailed, match=r"3 of 4 checks were evaluated.*typo"):
        gates.require_passed(report)


def test_a_check_that_the_engine_left_out_is_no_pass():
    """Great Expectations drops what it does not know and calls the rest a success."""
    expectations = set_expectations(STRICT, ())[:2]
    known = {
        "success": True,
        "expectation_config": {"meta": {"name": expectations[0].name}},
        "result": {"observed_value": 3},
        "exception_info": {"raised_exception": False},
    }
    checks = gates.read_results(expectations, [known])
    assert [(check.passed, bool(check.error)) for check in checks] == [(True, False), (False, True)]


def test_check_set_writes_report_and_data_docs_and_raises(copied, tmp_path, capsys):
    edit(copied, "negatives", setting("q5", "weight", -1.0))
    with pytest.raises(
        ValidationFailed, match=r"nothing was published: negatives_weight.*query_id=q5, doc_id=d05, rank=1"
    ):
        gates.check_set(
            copied.folder, copied.selection, copied.snapshot, set_expectations(STRICT, ()), tmp_path / "out"
        )
    report = GateReport.model_validate_json((tmp_path / "out" / REPORT).read_bytes())
    assert [check.name for check in report.failed] == ["negatives_weight"]
    assert set(report.files) == {
        path.relative_to(copied.folder).as_posix() for path in copied.folder.rglob("*.parquet")
    }
    pages = list((tmp_path / "out" / gates.DOCS).rglob("*.html"))
    assert {"index.html", "negatives.html"} <= {page.name for page in pages}
    assert capsys.readouterr() == ("", "")


def found(name, **changes):
    """Give what a gate on content says of a broken promise."""
    said = {"description": "A promise", "table": "documents", "severity": "critical", "passed": False, "unexpected": 1}
    measured = {"scope": "all of it", "value": 0.5, "threshold": 0.25, "advice": "mend it", "rows": ({"doc_id": "d1"},)}
    return CheckResult(name=name, **{**said, **measured, **changes})


@pytest.mark.parametrize("place", ["content", "drift"])
def test_what_content_gates_found_stops_a_set_and_is_in_the_report(sound, tmp_path, place):
    some = set_expectations(STRICT, ())[:2]
    warned = found("soft", severity="warning")
    said = r"hub: A promise; not so \(all of it\); measured 0.5, limit 0.25 \(first: doc_id=d1\)\. mend it"
    with pytest.raises(ValidationFailed, match=rf"1 of \d checks failed.*{said}"):
        gates.check_set(
            sound.folder, sound.selection, sound.snapshot, some, tmp_path, **{place: (found("hub"), warned)}
        )
    report = GateReport.model_validate_json((tmp_path / REPORT).read_bytes())
    assert [check.name for check in report.failed] == ["hub"]
    assert [check.name for check in report.warnings] == ["soft"]
    assert (report.expected, report.evaluated) == ((4, 4) if place == "content" else (2, 2))
    assert not report.passed


def test_a_message_stays_short_whatever_fails(copied, tmp_path):
    long_id = "x" * 5000
    edit(
        copied, "negatives", lambda f: f.with_columns(weight=pl.lit(-1.0), query_id=pl.lit(long_id), source=pl.lit("?"))
    )
    report = verdict(copied, tmp_path, set_expectations(STRICT, ()))
    with pytest.raises(ValidationFailed) as raised:
        gates.require_passed(report)
    assert len(str(raised.value)) < 3000
    assert raised.value.exit_code == 3
