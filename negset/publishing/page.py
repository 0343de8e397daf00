"""The page of a version, report.html: one file that loads nothing, for people who want to see their negatives."""

from importlib import resources
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.mining.diagnostics import TEMPERATURE
from negset.publishing.charts import Series, histogram
from negset.publishing.examples import example_card
from negset.publishing.html import Html, document, joined, tag, text
from negset.publishing.parts import read_parts, scan_parts
from negset.publishing.sample import choose_examples
from negset.snapshot import Snapshot
from schemas.expectations import CheckResult, GateReport
from schemas.manifest import CandidateFunnel, QueryFunnel, RoundIdentity, SetManifest


def render_page(
    manifest: SetManifest, identity: str, folder: Path, selection: Path, snapshot: Snapshot, report: GateReport
) -> str:
    """Write the page of the version `identity`, whose tables are staged in `folder`.

    `selection` is the folder with the candidates, `snapshot` has the texts that a set does not publish.
    """
    body = joined(
        _header(manifest, identity, report),
        _section("What became of the candidates", _candidate_bars(manifest.counts.candidates)),
        _section("What became of the queries", _query_bars(manifest.counts.queries)),
        _section("Scores", _score_charts(folder, selection)),
        _section("Query by query", _statistics(folder)),
        _section(
            "Queries",
            tag("p", text("Chosen by the hash of their ids, so that nobody picked the good ones."), class_="quiet"),
            *(example_card(example, manifest) for example in choose_examples(folder, selection, snapshot)),
        ),
        _section("Gates", _gates(report)),
        _section("Made from", _provenance(manifest)),
    )
    css = (resources.files("negset.publishing") / "page.css").read_text(encoding="utf-8")
    return document(f"{manifest.dataset} · {identity}", css, tag("main", body))


def _section(title: str, *children: Html) -> Html:
    return tag("section", tag("h2", text(title)), *children)


def _header(manifest: SetManifest, identity: str, report: GateReport) -> Html:
    counts = manifest.counts
    full = counts.queries.kept / counts.queries.total if counts.queries.total else 0.0
    passed = sum(check.passed for check in report.everything)
    warned = f", {len(report.warnings)} warned" if report.warnings else ""
    tiles = [
        (f"{counts.rows['negatives']:,}", "negatives"),
        (f"{counts.rows['queries']:,}", "queries"),
        (f"{full:.1%}", f"got all {counts.negatives_wanted}"),
        (f"{counts.rows['documents']:,}", "documents"),
        (f"{passed} / {report.expected + len(report.drift)}", f"checks passed{warned}"),
    ]
    summary = (
        f"Version {identity}. The recipe {manifest.recipe.name} chose {counts.candidates.chosen:,} "
        f"of {counts.candidates.mined:,} candidates."
    )
    return tag(
        "header",
        tag("p", text("negative set"), class_="eyebrow"),
        tag("h1", text(manifest.dataset)),
        tag("p", text(manifest.description)) if manifest.description else joined(),
        tag("p", text(summary), class_="quiet"),
        tag("div", *(_tile(value, label) for value, label in tiles), class_="tiles"),
    )


def _tile(value: str, label: str) -> Html:
    return tag("div", tag("b", text(value)), tag("span", text(label)), class_="tile")


def _candidate_bars(funnel: CandidateFunnel) -> Html:
    steps = [
        ("known positives", funnel.positives, "positive"),
        *((f"rejected by {rule}", count, "rejected") for rule, count in sorted(funnel.rejected.items(), key=_largest)),
        ("survived, not sampled", funnel.not_sampled, "quiet"),
        ("chosen", funnel.chosen, "negative"),
    ]
    return _bars(steps, funnel.mined, "mined")


def _query_bars(funnel: QueryFunnel) -> Html:
    steps = [
        ("kept", funnel.kept, "negative"),
        ("short", funnel.short, "rejected"),
        *((f"dropped: {why}", count, "quiet") for why, count in sorted(funnel.dropped.items(), key=_largest)),
    ]
    return _bars(steps, funnel.total, "queries read")


def _largest(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _bars(steps: list[tuple[str, int, str]], total: int, label: str) -> Html:
    """Draw `steps` that add up to `total` as a table with a bar in each row."""
    rows = [
        _bar_row(label, total, total, "total"),
        *(_bar_row(name, count, total, kind) for name, count, kind in steps),
    ]
    return tag("table", *rows, class_="bars-table")


def _bar_row(name: str, count: int, total: int, kind: str) -> Html:
    share = count / total if total else 0.0
    bar = tag("i", class_=f"bar {kind}", style=f"width:{100 * share:.2f}%")
    return tag(
        "tr",
        tag("th", text(name), scope="row"),
        tag("td", text(f"{count:,}"), class_="number"),
        tag("td", text(f"{share:.1%}"), class_="number quiet"),
        tag("td", tag("div", bar, class_="track"), class_="wide"),
    )


def _score_charts(folder: Path, selection: Path) -> Html:
    """Draw how negatives score beside positives and rejected candidates, and how far below their positive."""
    negatives = read_parts(folder, "negatives", ["score", "positive_score"])
    positives = read_parts(folder, "diagnostics", ["positive"])
    rejected = (
        scan_parts(selection, "candidates")
        .filter(pl.col("rejected_by").is_not_null() & ~pl.col("is_positive"))
        .select("score")
        .collect(engine="streaming")
    )
    gaps = negatives.select(pl.col("positive_score") - pl.col("score")).to_series()
    return tag(
        "div",
        histogram(
            "Score",
            [
                Series("rejected candidates", "rejected", _values(rejected.get_column("score"))),
                Series("negatives", "negative", _values(negatives.get_column("score"))),
                Series("lowest positive of a query", "positive", _values(positives.get_column("positive"))),
            ],
        ),
        histogram("How far a negative scores below its positive", [Series("negatives", "negative", _values(gaps))]),
        class_="charts",
    )


def _statistics(folder: Path) -> Html:
    """Draw the five statistics of the queries, and give their means for each split."""
    found = read_parts(folder, "diagnostics").filter(pl.col("negatives") > 0)
    margin = found.select(pl.col("positive_log_exp") - pl.col("negative_log_mean_exp")).to_series()
    spread = found.select(pl.col("negative_variance").sqrt()).to_series()
    return tag(
        "div",
        _statistics_table(found),
        tag(
            "div",
            histogram(
                "Each query: mean score of its negatives, score of its positive",
                [
                    Series("mean of the negatives", "negative", _values(found.get_column("negative_mean"))),
                    Series("lowest positive", "positive", _values(found.get_column("positive"))),
                ],
            ),
            histogram(
                "Each query: standard deviation of its negatives", [Series("queries", "negative", _values(spread))]
            ),
            histogram(
                f"Each query as a loss at temperature {TEMPERATURE:g} sees it: positive less negatives",
                [Series("queries", "negative", _values(margin))],
            ),
            class_="charts",
        ),
    )


def _statistics_table(found: pl.DataFrame) -> Html:
    names = ("positive", "negative_mean", "negative_variance", "negative_log_mean_exp", "positive_log_exp")
    means = found.group_by("split").agg(pl.len().alias("queries"), pl.col(names).mean()).sort("split")
    head = tag("tr", *(tag("th", text(name.replace("_", " "))) for name in ("split", "queries", *names)))
    rows = [
        tag(
            "tr",
            tag("td", text(split)),
            tag("td", text(f"{queries:,}"), class_="number"),
            *(tag("td", text("" if mean is None else f"{mean:.4f}"), class_="number") for mean in values),
        )
        for split, queries, *values in means.iter_rows()
    ]
    return tag("table", head, *rows)


def _values(scores: pl.Series) -> NDArray[np.float64]:
    return scores.drop_nulls().cast(pl.Float64).to_numpy()


def _gates(report: GateReport) -> Html:
    worst_first = sorted(report.everything, key=lambda check: (check.passed, check.table, check.name))
    return tag("table", *(_gate_row(check) for check in worst_first), class_="gates")


def _gate_row(check: CheckResult) -> Html:
    mark, kind = ("✓", "pass") if check.passed else ("!", "warn") if check.severity == "warning" else ("✗", "fail")
    shown = ["  ".join(f"{key}={value}" for key, value in row.items()) for row in check.rows]
    rows = tag("pre", text("\n".join(shown))) if shown else joined()
    about = tag("div", text(about_check(check)), class_="quiet") if check.scope else joined()
    advice = tag("div", text(check.advice)) if check.advice else joined()
    return tag(
        "tr",
        tag("td", text(mark), class_=f"mark {kind}"),
        tag("td", tag("code", text(check.name))),
        tag("td", text(check.description), about, advice, rows),
        tag("td", text(f"{check.unexpected:,}" if check.unexpected else ""), class_="number"),
    )


def about_check(check: CheckResult) -> str:
    """Say in a line what `check` looked at and measured."""
    if check.value is None:
        return check.scope
    limit = "" if check.threshold is None else f", limit {check.threshold:.4g}"
    return f"{check.scope}: {check.value:.4g}{limit}"


def _provenance(manifest: SetManifest) -> Html:
    source, encoder = manifest.source, manifest.encoder
    rules = [
        f"{number}. {step.rule} v{step.version}  " + "  ".join(f"{key}={value}" for key, value in step.options.items())
        for number, step in enumerate(manifest.recipe.rules, start=1)
    ]
    counts = "\n".join(f"{name}: {count:,}" for name, count in source.counts.items())
    facts = [
        ("source", f"{source.format}\ncontent {source.content}\n{counts}"),
        ("encoder", f"{encoder.backend}\nfingerprint {encoder.fingerprint}" if encoder else "none"),
        ("miners", "\n".join(f"{name}  {_options(options)}" for name, options in manifest.miners.items())),
        ("recipe", f"{manifest.recipe.name}, by {manifest.recipe.by or 'rank'}\n" + "\n".join(rules)),
        *([("round", _round(manifest.round))] if manifest.round else []),
        ("built by", f"{manifest.builder.package} {manifest.builder.version}"),
        ("licence", manifest.licence or "not given"),
    ]
    return tag("dl", *(joined(tag("dt", text(name)), tag("dd", tag("pre", text(value)))) for name, value in facts))


def _round(made: RoundIdentity) -> str:
    by = f"the model of the round before, {made.checkpoint[:16]}" if made.checkpoint else "the configured encoder"
    return f"{made.round} of {made.strategy}, loop {made.loop[:16]}\nmined by {by}\nafter {made.parent or 'none'}"


def _options(options: dict[str, str | int | float | bool | None]) -> str:
    return "  ".join(f"{key}={value}" for key, value in options.items())
