"""How long the page of a version takes to open: `report.html` with 10,000 shown negatives, in headless Chromium.

    python -m benchmarks.report_page [--negatives 10000] [--repeats 5] [--page FILE]

Without a page it makes one: queries with five negatives each and texts of about 400 characters. The time is from the
request until the page has loaded, its script has filled the browser of examples, and a frame was painted. The last
line is JSON; `seconds` is the median, and the target is under 2.
"""

import argparse
import hashlib
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from benchmarks.browser import Tab, chromium
from negset.publishing.browser import browser_script, browser_section
from negset.publishing.html import document, tag
from negset.publishing.page import page_styles
from negset.publishing.shown import Shown
from schemas.manifest import (
    Builder,
    CandidateFunnel,
    QueryFunnel,
    RecipeIdentity,
    SetCounts,
    SetManifest,
    SourceIdentity,
    ValidationOutcome,
)

A_QUERY = 5
SEARCH = """(() => {
  const field = document.getElementById("search");
  const start = performance.now();
  field.value = "a1 b"; field.dispatchEvent(new Event("input"));
  return performance.now() - start;
})()"""
STEP = """(() => {
  const start = performance.now();
  for (let turn = 0; turn < 100; turn++) document.getElementById("next").click();
  return (performance.now() - start) / 100;
})()"""


def words(name: str, long: int) -> str:
    """Give a text of `long` characters that no other name has."""
    return " ".join(hashlib.sha256(f"{name}:{part}".encode()).hexdigest()[:8] for part in range(long // 9))


def synthetic(negatives: int) -> Shown:
    """Make as many `negatives`, five of a query, each with a text of its own."""
    queries = [f"q{number:05}" for number in range(negatives // A_QUERY)]
    rows = [(query, f"{query}-n{rank}", rank) for query in queries for rank in range(1, A_QUERY + 1)]
    chosen = pl.DataFrame(rows, schema=["query_id", "doc_id", "rank"], orient="row").with_columns(
        miner=pl.lit("dense"),
        miner_rank=pl.col("rank") * 3,
        score=0.9 - pl.col("rank") / 20,
        positive_score=pl.lit(0.9),
        sample_prob=pl.lit(None, dtype=pl.Float64),
        source=pl.lit("mined"),
        drawn=pl.when(pl.col("rank") == 1).then(pl.int_range(pl.len())),
        scores=pl.concat_list(pl.struct(name=pl.lit("dense"), value=0.9 - pl.col("rank") / 20)),
    )
    asked = pl.DataFrame({"query_id": queries, "text": [words(query, 60) for query in queries]})
    facts = asked.with_columns(
        split=pl.lit("train"), fate=pl.lit("kept"), reason=pl.lit(None), wanted=pl.lit(A_QUERY), got=pl.lit(A_QUERY)
    )
    positives = asked.select(
        "query_id", doc_id=pl.col("query_id") + "-p", relevance=1, score=pl.lit(0.9), source=pl.lit("labelled")
    )
    rejected = asked.select(
        "query_id",
        doc_id=pl.col("query_id") + "-r",
        rejected_by=pl.lit("margin"),
        miner=pl.lit("dense"),
        rank=pl.lit(1),
        score=pl.lit(0.95),
        rejected_value=pl.lit(0.95),
        rejected_threshold=pl.lit(0.85),
    )
    ends = asked.select("query_id", rejected_by=pl.lit("margin"), count=pl.lit(1))
    ids = [doc_id for frame in (chosen, positives, rejected) for doc_id in frame.get_column("doc_id").to_list()]
    return Shown(facts, positives, chosen, rejected, ends, {doc_id: words(doc_id, 400) for doc_id in ids}, 0.05)


def manifest_of(shown: Shown) -> SetManifest:
    """Give the least manifest that the browser needs: a set ten times as large as what is shown."""
    counts = SetCounts(
        negatives_wanted=A_QUERY,
        rows={"negatives": 10 * shown.negatives.height},
        rows_by_split={},
        queries=QueryFunnel(total=10 * shown.queries.height, kept=0, short=0, dropped={}),
        candidates=CandidateFunnel(mined=0, positives=0, rejected={}, not_sampled=0, chosen=0),
        queries_without_tuple=0,
    )
    return SetManifest(
        dataset="synthetic",
        licence="",
        description="",
        builder=Builder(package="negset", version="0"),
        config={},
        source=SourceIdentity(format="jsonl", content="0" * 64, counts={}),
        encoder=None,
        miners={},
        recipe=RecipeIdentity(name="top", fingerprint="0" * 64, by="", seed=0, rules=()),
        schema_version="1",
        counts=counts,
        files=(),
        validation=ValidationOutcome(expected=0, evaluated=0, checks=()),
    )


def write_page(place: Path, negatives: int) -> tuple[Path, float]:
    """Write a page with as many `negatives` into `place` and give the seconds that its browser took to write."""
    shown = synthetic(negatives)
    start = time.perf_counter()
    body = tag("main", browser_section(shown, manifest_of(shown), "0" * 16))
    page = document("synthetic", page_styles(), body, browser_script())
    written = time.perf_counter() - start
    path = place / "report.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    return path, written


def measure(tab: Tab, path: Path, repeats: int) -> dict[str, object]:
    """Open the page as often as said and give the medians, and what a search and a step take."""
    loads = [tab.open(f"file://{path}") for _ in range(repeats)]
    held = tab.run("queries.reduce((sum, query) => sum + query.negatives.length, 0)")
    step = float(tab.run(STEP))
    return {
        "shown_negatives": held,
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "seconds": round(statistics.median(loads), 3),
        "slowest": round(max(loads), 3),
        "search_ms": round(float(tab.run(SEARCH)), 1),
        "step_ms": round(step, 2),
        "console": tab.said,
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--negatives", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--page", type=Path, help="a page to open in place of a made one")
    options = parser.parse_args()
    with TemporaryDirectory() as place, chromium() as tab:
        path, written = (options.page.resolve(), None) if options.page else write_page(Path(place), options.negatives)
        found = measure(tab, path, options.repeats)
    print(json.dumps(found | ({} if written is None else {"written_seconds": round(written, 3)})))


if __name__ == "__main__":
    main()
