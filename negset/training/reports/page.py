"""The page of a run, report.html: one file that loads nothing, for people who want to see what training changed."""

from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from pydantic import BaseModel

from negset.publishing.examples import clipped
from negset.publishing.html import Html, document, joined, tag, text
from negset.publishing.tables import table
from negset.text import document_texts
from negset.training.reports.charts import epoch_chart, group_chart, loss_chart
from negset.training.reports.domain_gate import DomainVerdict, describe_falls
from negset.training.reports.examples import changed_card, flagged_card
from negset.training.reports.health import EXAMINED
from negset.training.reports.label_bias import LabelBiasFigures, describe_label_bias, explain_label_bias
from negset.training.reports.regressions import GroupChange, regressions
from negset.training.reports.report import RunReport
from negset.training.reports.taught import TaughtFigures, describe_taught
from negset.training.reports.weight_noise import DRAWS, SCALE
from schemas.train import TrainConfig

if TYPE_CHECKING:
    from negset.snapshot import Snapshot


class HealthFigures(BaseModel):
    """What metrics.json says of a model on the sample."""

    ndcg_at_10: float
    shaken: float
    label_free: dict[str, float]


class Healths(BaseModel):
    """The same before and after training, None where no sample could be drawn."""

    before: HealthFigures | None = None
    after: HealthFigures | None = None


LABELS: Final = {"ndcg_at_10": "nDCG@10", "mrr_at_10": "MRR@10", "recall_at_100": "recall@100"}
FLAGGED: Final = 8
"""Pairs shown of each flag."""


def render_run(report: RunReport, snapshot: "Snapshot", config: TrainConfig, title: str) -> str:
    """Write the page of `report` under `title`; `snapshot` has the texts that a run does not keep."""
    documents, queries = _texts(report, snapshot)
    body = joined(
        _header(report, title),
        _section("Before and after", _measures(report)),
        _section("Domains", *_domains(report)),
        _section("Lengths", *_lengths(report)),
        _section("Losses", *_losses(report)),
        _section("Beside the labels", *_health(report)),
        _section("Pairs that look bad", *_flagged(report, queries, documents)),
        _section(
            "Queries that gained most",
            *(changed_card(one, queries, documents) for one in report.gained),
            _none(report.gained, "No query gained."),
        ),
        _section(
            "Queries that lost most",
            *(changed_card(one, queries, documents) for one in report.lost),
            _none(report.lost, "No query lost."),
        ),
        _section("Trained by", _options(config)),
    )
    return document(f"{title} · training run", run_styles(), tag("main", body))


def run_styles() -> str:
    """Give the style sheet of the page."""
    look = (resources.files("negset.publishing") / "page.css").read_text(encoding="utf-8")
    own = (resources.files("negset.training.reports") / "run.css").read_text(encoding="utf-8")
    return look + own


def _section(title: str, *children: Html) -> Html:
    return tag("section", tag("h2", text(title)), *children)


def _none(items: Sequence[object], sentence: str) -> Html:
    return joined() if items else tag("p", text(sentence), class_="quiet")


def _texts(report: RunReport, snapshot: "Snapshot") -> tuple[dict[str, str], dict[str, str]]:
    """Give the texts of the documents and queries that the page shows, by id."""
    changed = [*report.gained, *report.lost]
    shown = {found.doc_id for one in changed for found in (*one.found_before, *one.found_after)}
    shown |= {doc_id for one in changed for doc_id in one.positives} | {pair.positive_id for pair in report.flagged}
    asked = {one.query_id for one in changed} | {pair.query_id for pair in report.flagged}
    documents = _only(snapshot.documents(), "doc_id", shown)
    queries = _only(snapshot.queries(), "query_id", asked)
    by_id = dict(zip(documents.get_column("doc_id").to_list(), document_texts(documents).to_list(), strict=True))
    return by_id, dict(queries.select("query_id", "text").iter_rows())


def _only(table: pl.DataFrame, key: str, ids: set[str]) -> pl.DataFrame:
    return table.join(pl.DataFrame({key: sorted(ids)}, schema={key: pl.String}), on=key, how="semi")


def _header(report: RunReport, title: str) -> Html:
    main = report.measures[0]
    fell = regressions(report.groups)
    gain = main.change.difference
    tiles = [
        (f"{main.before.mean:.4f} → {main.after.mean:.4f}", f"{LABELS[main.measure]}, before and after"),
        (f"{gain.mean:+.4f}", f"95 %: {gain.low:+.4f} to {gain.high:+.4f}"),
        (f"{report.records.per_query.height:,}", "held-out queries"),
        (f"{report.records.trained.height:,}", "queries trained on"),
        (f"{report.records.history.height:,}", "steps"),
        (f"{len(fell)} / {len(report.groups)}", "groups that fell"),
    ]
    return tag(
        "header",
        tag("p", text("training run"), class_="eyebrow"),
        tag("h1", text(title)),
        tag("div", *(_tile(value, label) for value, label in tiles), class_="tiles"),
    )


def _tile(value: str, label: str) -> Html:
    return tag("div", tag("b", text(value)), tag("span", text(label)), class_="tile")


def _measures(report: RunReport) -> Html:
    rows = [
        [
            LABELS[one.measure],
            f"{one.before.mean:.4f}",
            f"{one.before.low:.4f} to {one.before.high:.4f}",
            f"{one.after.mean:.4f}",
            f"{one.after.low:.4f} to {one.after.high:.4f}",
            f"{one.change.difference.mean:+.4f}{'*' if one.change.real else ''}",
            f"{one.change.difference.low:+.4f} to {one.change.difference.high:+.4f}",
        ]
        for one in report.measures
    ]
    head = ("measure", "before", "95 %", "after", "95 %", "change", "95 %, paired")
    note = (
        "Before is the model that training started from. Intervals resample queries; the change is paired by query. "
        "* holds for other queries too: p < .05 after Holm's correction for all rows of the table."
    )
    return joined(table("Measures before and after training", head, rows), tag("p", text(note), class_="quiet"))


GROUP_HEAD: Final = ("group", "queries", "before", "after", "change", "95 %, paired", "verdict")


def group_row(one: GroupChange) -> list[str]:
    """Give the cells of a group under GROUP_HEAD."""
    found = one.change.difference
    return [
        one.name,
        f"{one.queries:,}",
        f"{one.before.mean:.4f}",
        f"{one.after.mean:.4f}",
        f"{found.mean:+.4f}{'*' if one.change.real else ''}",
        f"{found.low:+.4f} to {found.high:+.4f}",
        "fell" if one.fell else "",
    ]


def _domains(report: RunReport) -> list[Html]:
    if report.verdict is None:
        return [
            tag("p", text("No domain was checked: set report.domain_field to a field of the queries."), class_="quiet")
        ]
    shown = [one for one in report.groups if one.kind == "domain"]
    return [
        _verdict(report.verdict),
        tag("div", group_chart("Change in nDCG@10 by domain, with its 95 % interval", shown), class_="charts"),
        table("Domains before and after training", GROUP_HEAD, [group_row(one) for one in shown]),
        _imbalance(report),
    ]


def _verdict(verdict: DomainVerdict) -> Html:
    macro = f"Mean over domains {verdict.macro_before:.4f} → {verdict.macro_after:.4f}, which decides nothing."
    waived = [fall.name for fall in verdict.falls if fall.waived]
    lines = [f"Passed: no domain fell by more than it may. {macro}"]
    if not verdict.passed:
        lines = [f"Failed: {describe_falls(verdict)}. {macro}"]
    if waived:
        lines.append(f"Waived: {', '.join(waived)}.")
    kind = "verdict" if verdict.passed else "verdict failed"
    return tag("div", *(tag("p", text(line)) for line in lines), class_=kind)


def _imbalance(report: RunReport) -> Html:
    rows = [
        [
            one.domain,
            f"{one.queries:,}",
            f"{one.rows:,}",
            f"{one.negatives:,}",
            f"{one.words:,}",
            f"{one.share:.1%}",
            f"{one.sampled:.1%}",
        ]
        for one in report.shares
    ]
    head = ("trained on", "queries", "pairs", "negatives", "words", "share of queries", "share drawn")
    return table("What was trained on, by domain", head, rows)


def _lengths(report: RunReport) -> list[Html]:
    kinds = {"query length": "Length of the query", "positive length": "Mean length of its positives"}
    found = {title: [one for one in report.groups if one.kind == kind] for kind, title in kinds.items()}
    charts = [group_chart(f"{title}: change in nDCG@10", shown) for title, shown in found.items()]
    tables = [
        joined(tag("h3", text(title)), table(title, GROUP_HEAD, list(map(group_row, shown))))
        for title, shown in found.items()
    ]
    return [tag("div", *charts, class_="charts"), *tables]


def _losses(report: RunReport) -> list[Html]:
    history = report.records.history
    losses = history.get_column("loss").cast(pl.Float64).to_numpy() if history.height else np.empty(0)
    counts = history.group_by("epoch", maintain_order=True).len().get_column("len").to_list() if history.height else []
    return [
        tag("div", loss_chart(losses, counts), epoch_chart(report.epochs), class_="charts"),
        *_label_bias(report),
        *_taught(report),
    ]


def _taught(report: RunReport) -> list[Html]:
    found = report.records.metrics.get("teacher")
    if found is None:
        return []
    return [tag("p", text(f"The teacher {describe_taught(TaughtFigures.model_validate(found))}."), class_="quiet")]


def _label_bias(report: RunReport) -> list[Html]:
    found = report.records.metrics.get("label_bias")
    if found is None:
        return [
            tag("p", text("The loss over all documents was not measured: too many, or no negatives."), class_="quiet")
        ]
    figures = LabelBiasFigures.model_validate(found)
    sentences = f"Loss after training: {describe_label_bias(figures)}.", explain_label_bias(figures)
    return [tag("p", text(one), class_="quiet") for one in sentences]


def _health(report: RunReport) -> list[Html]:
    found = Healths.model_validate(report.records.metrics["health"])
    rows = [
        [
            when,
            f"{one.ndcg_at_10:.4f}",
            f"{one.shaken:.4f}",
            f"{one.shaken - one.ndcg_at_10:+.4f}",
            *(f"{one.label_free[part]:.4f}" for part in ("score", "hopkins", "information", "angles")),
        ]
        for when, one in (("before", found.before), ("after", found.after))
        if one is not None
    ]
    if not rows:
        return [tag("p", text("Too few held-out queries to draw a sample of."), class_="quiet")]
    head = ("model", "nDCG@10", "weights shaken", "change", "score", "Hopkins", "information", "angles")
    note = (
        f"On a sample of at most {EXAMINED} held-out queries and, as documents, their first results before training "
        f"and their positives. Shaken: normal noise of {SCALE:.0%} of each parameter's root mean square, the mean of "
        f"{DRAWS} draws; a model that loses little lies in a flat place. The score needs no label: Hopkins statistic "
        "of the queries (.5 without structure, 1 clustered) + mutual information of queries and documents - squared "
        "deviation of the documents' angles from a simplex; higher is better, on the same sample alone."
    )
    return [table("Health of the model", head, rows), tag("p", text(note), class_="quiet")]


def _flagged(report: RunReport, queries: dict[str, str], documents: dict[str, str]) -> list[Html]:
    if not report.epochs:
        return [tag("p", text("Nothing to judge by: the trainer kept no losses of pairs."), class_="quiet")]
    found: list[Html] = []
    for flag, what in (("faulty", "losses stayed huge: the positive may be none"), ("noisy", "losses stayed tiny")):
        pairs = [pair for pair in report.flagged if pair.flag == flag]
        found.append(tag("p", text(f"{len(pairs):,} {flag}: {what}."), class_="quiet"))
        found += [flagged_card(pair, queries, documents) for pair in pairs[:FLAGGED]]
    return found


def _options(config: TrainConfig) -> Html:
    facts = config.model_dump(mode="json")
    report = facts.pop("report")
    lines = [
        f"{name} = {value}" for name, value in {**facts, **{f"report.{key}": report[key] for key in report}}.items()
    ]
    return tag("pre", text(clipped("\n".join(lines), 4000)))
