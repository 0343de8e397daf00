"""The page of a version, report.html: one file that loads nothing, for people who want to see their negatives."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.mining.diagnostics import TEMPERATURE
from negset.publishing.browser import browser_script, browser_section
from negset.publishing.charts import Series, histogram
from negset.publishing.distributions import score_charts
from negset.publishing.examples import example_card
from negset.publishing.funnel import candidate_bars, fate_table, miner_table, query_bars
from negset.publishing.gate_table import gate_table
from negset.publishing.hardness import NEAR, false_negative_note, hardness_table, let_through
from negset.publishing.html import Html, document, joined, tag, text
from negset.publishing.hub_table import SHOWN as SHOWN_HUBS
from negset.publishing.hub_table import document_uses, hub_section
from negset.publishing.lineage import lineage
from negset.publishing.manifest import score_limits
from negset.publishing.parts import read_parts, scan_parts
from negset.publishing.sample import choose_examples, document_texts_of
from negset.publishing.shown import choose_shown
from negset.publishing.tables import table
from negset.snapshot import Snapshot
from schemas.expectations import GateReport
from schemas.manifest import SetManifest

NEGATIVE_COLUMNS: Final = ["query_id", "doc_id", "rank", "split", "miner", "miner_rank", "score", "positive_score"]
"""What the sections read of all negatives; the lists of scores are read of those shown alone."""


def render_page(
    manifest: SetManifest, identity: str, folder: Path, selection: Path, snapshot: Snapshot, report: GateReport
) -> str:
    """Write the page of the version `identity`, whose tables are staged in `folder`.

    `selection` is the folder with the candidates, `snapshot` has the texts that a set does not publish. The page is
    the same for the same set: it names no time, no machine and no place.
    """
    candidates = scan_parts(selection, "candidates")
    negatives = read_parts(folder, "negatives", NEGATIVE_COLUMNS)
    fates = read_parts(folder, "fates")
    shown = choose_shown(folder, selection, snapshot, fates, negatives)
    sections = {
        "Candidates": _section(
            "What became of the candidates",
            candidate_bars(manifest.counts.candidates, manifest.recipe),
            miner_table(candidates),
        ),
        "Queries": _section("What became of the queries", query_bars(manifest.counts.queries), fate_table(fates)),
        "Scores": _section("Scores", score_charts(candidates)),
        "Hardness": _section("Hardness and false negatives", *_hardness(manifest, folder, negatives)),
        "Browse": _section(
            "Browse the negatives",
            browser_section(shown, manifest, identity),
            tag("noscript", *(example_card(one, manifest) for one in choose_examples(folder, selection, snapshot))),
        ),
        "Statistics": _section("Query by query", _statistics(folder)),
        "Hubs": _section("Hubs", _hubs(manifest, negatives, snapshot)),
        "Drift": _section("Against the version before", gate_table(report.drift, "Drift", fold=False)),
        "Gates": _section("Gates", gate_table(report.checks, "Gates")),
        "Lineage": _section("Made from", lineage(manifest)),
    }
    return document(
        f"{manifest.dataset} · {identity}",
        page_styles(),
        _landmarks(_header(manifest, identity, report), sections, identity),
        browser_script(),
    )


def page_styles() -> str:
    """Give the style sheet of the page."""
    names = ("page.css", "browser.css")
    return "".join((resources.files("negset.publishing") / name).read_text(encoding="utf-8") for name in names)


def _landmarks(header: Html, sections: Mapping[str, Html], identity: str) -> Html:
    """Put `sections` under `header`, with links to each for who reads by keyboard or on a phone."""
    links = [tag("a", text(name), href=f"#{name.lower()}") for name in sections]
    return joined(
        tag("a", text("Skip to the negatives"), href="#browse", class_="skip"),
        tag(
            "main",
            header,
            tag("nav", *links, class_="contents", aria_label="Sections"),
            *(tag("div", section, id=name.lower()) for name, section in sections.items()),
        ),
        tag("footer", tag("p", text(f"negset · version {identity} · this page loads nothing"), class_="quiet")),
    )


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


def _hardness(manifest: SetManifest, folder: Path, negatives: pl.DataFrame) -> tuple[Html, ...]:
    """Say how hard the `negatives` are and what is known of false ones."""
    limits = score_limits(manifest.recipe)
    found = let_through(read_parts(folder, "positives", ["query_id", "score"]), limits)
    gaps = negatives.select(pl.col("positive_score") - pl.col("score")).to_series()
    lowest = read_parts(folder, "diagnostics", ["positive"]).get_column("positive")
    charts = tag(
        "div",
        histogram("How far a negative scores below its positive", [Series("negatives", "negative", values_of(gaps))]),
        histogram("Lowest positive of each query", [Series("queries", "positive", values_of(lowest))]),
        class_="charts",
    )
    note = false_negative_note(found, limits, manifest.counts.rows.get("false_negatives", 0))
    about = (
        "Gap: the score of the query's lowest positive less that of the negative; the smaller, the harder. Near: a gap "
        f"of at most {NEAR:.0%} of the positive's score. At or above: the negative scores as high as the positive, "
        "or higher."
    )
    return charts, hardness_table(negatives), tag("p", text(about), class_="quiet"), note


def _hubs(manifest: SetManifest, negatives: pl.DataFrame, snapshot: Snapshot) -> Html:
    uses = document_uses(negatives)
    texts = document_texts_of(snapshot, [uses.head(SHOWN_HUBS)])
    rows = manifest.counts.rows
    return hub_section(uses, rows["queries"], rows["documents"], texts)


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
                    Series("mean of the negatives", "negative", values_of(found.get_column("negative_mean"))),
                    Series("lowest positive", "positive", values_of(found.get_column("positive"))),
                ],
            ),
            histogram(
                "Each query: standard deviation of its negatives", [Series("queries", "negative", values_of(spread))]
            ),
            histogram(
                f"Each query as a loss at temperature {TEMPERATURE:g} sees it: positive less negatives",
                [Series("queries", "negative", values_of(margin))],
            ),
            class_="charts",
        ),
    )


def _statistics_table(found: pl.DataFrame) -> Html:
    names = ("positive", "negative_mean", "negative_variance", "negative_log_mean_exp", "positive_log_exp")
    means = found.group_by("split").agg(pl.len().alias("queries"), pl.col(names).mean()).sort("split")
    rows = [
        [split, f"{queries:,}", *("" if mean is None else f"{mean:.4f}" for mean in values)]
        for split, queries, *values in means.iter_rows()
    ]
    head = ("split", "queries", *(name.replace("_", " ") for name in names))
    return table("Means over the queries of each split", head, rows)


def values_of(scores: pl.Series) -> NDArray[np.float64]:
    """Give the known ones of `scores`."""
    return scores.drop_nulls().cast(pl.Float64).to_numpy()
