"""Check what the rows of a published version promise, from the version alone.

The bytes may be what the manifest says and the rows be wrong all the same: somebody else's tool wrote them, or a
mistake of ours did. The gates looked before publication at the snapshot too; here is what a receiver can check.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import polars as pl
import polars.selectors as cs

from negset.errors import listed
from negset.publishing.assembly import candidate_funnel, counts, query_funnel
from negset.publishing.manifest import table_digest
from negset.publishing.parts import part_files, read_parts, scan_parts
from negset.publishing.reading import read_set, resolve_version
from negset.publishing.verify import Finding, VerifyReport, inspect_version, require_sound
from negset.tables import read_table
from negset.text import document_texts, text_digests
from schemas.frames import KEYS
from schemas.manifest import SetManifest

Tables = Mapping[str, pl.DataFrame]
_SHOWN = 5
_READ = ("queries", "documents", "positives", "negatives", "false_negatives", "fates")


def verify_version(path: Path) -> VerifyReport:
    """Check bytes and rows of the version at `path`, or of the latest one of the set at `path`.

    Raises ArtifactError naming the files that are wrong. Rows are only looked at where all bytes are right.
    """
    report = require_sound(inspect_version(resolve_version(path)))
    return require_sound(check_rows(report))


def check_rows(report: VerifyReport) -> VerifyReport:
    """Give `report` with what is wrong with the rows of its version, whose bytes are right."""
    manifest = read_set(report.folder).manifest
    present = {file.table for file in manifest.files}
    tables = {name: read_parts(report.folder, name) for name in _READ if name in present}
    # Sets of schema 1.0 and 1.1 have no pairs to mask.
    tables.setdefault("false_negatives", pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String}))
    lacking = [Finding(path=f"data/{name}", problem="the table is not there") for name in _READ if name not in tables]
    found = lacking or [
        Finding(path=f"data/{table}", problem=problem) for check in _CHECKS for table, problem in check(tables)
    ]
    found += [*_digest_findings(report.folder, manifest), *_count_findings(report.folder, manifest, tables)]
    ordered = tuple(sorted(set(found), key=lambda finding: (finding.path, finding.problem)))
    return VerifyReport(report.folder, report.id, report.files, report.bytes, ordered)


Problems = Iterator[tuple[str, str]]


def _keys(tables: Tables) -> Problems:
    """Every key is there once, over all files of its table."""
    for name, rows in tables.items():
        copies = rows.filter(rows.select(KEYS[name]).is_duplicated())
        if copies.height:
            yield name, f"keys that are there more than once: {_rows(copies, KEYS[name])}"
    repeated = tables["negatives"].filter(tables["negatives"].select("query_id", "doc_id").is_duplicated())
    if repeated.height:
        yield "negatives", f"documents that are a query's negative twice: {_rows(repeated, ('query_id', 'doc_id'))}"


def _ids(tables: Tables) -> Problems:
    """Every id resolves, and every document is referred to."""
    for name in ("positives", "negatives", "false_negatives"):
        for column, home in (("query_id", "queries"), ("doc_id", "documents")):
            lost = tables[name].join(tables[home], on=column, how="anti")
            if lost.height:
                yield name, f"{column} that {home} lacks: {_rows(lost, (column,))}"
    referred = pl.concat([tables[name].select("doc_id") for name in ("positives", "negatives")])
    for name, column, others in (("documents", "doc_id", referred), ("queries", "query_id", tables["positives"])):
        alone = tables[name].join(others, on=column, how="anti")
        if alone.height:
            yield name, f"no positive or negative names: {_rows(alone, (column,))}"


def _labels(tables: Tables) -> Problems:
    """No positive of a query, by id or by text, is a negative of it, nor of a query with its text."""
    digests = pl.DataFrame(
        {
            "doc_id": tables["documents"].get_column("doc_id"),
            "doc_text": text_digests(document_texts(tables["documents"])),
        },
        schema_overrides={"doc_text": pl.Binary},
    )
    asked = pl.DataFrame(
        {
            "query_id": tables["queries"].get_column("query_id"),
            "query_text": text_digests(tables["queries"].get_column("text")),
        },
        schema_overrides={"query_text": pl.Binary},
    )
    negatives, positives = (
        tables[name].select("query_id", "doc_id").join(asked, on="query_id").join(digests, on="doc_id")
        for name in ("negatives", "positives")
    )
    wrong = negatives.join(positives, on=["query_text", "doc_text"], how="semi")
    if wrong.height:
        yield "negatives", f"positives of their query: {_rows(wrong, ('query_id', 'doc_id'))}"
    own = negatives.filter(pl.col("query_text") == pl.col("doc_text"))
    if own.height:
        yield "negatives", f"texts of their own query: {_rows(own, ('query_id', 'doc_id'))}"
    masked = tables["false_negatives"].join(negatives, on=["query_id", "doc_id"], how="semi")
    if masked.height:
        yield "false_negatives", f"negatives of the set: {_rows(masked, ('query_id', 'doc_id'))}"


def _numbers(tables: Tables) -> Problems:
    """Scores are finite, weights not below zero, ranks run from 1 without holes by falling score."""
    for name, rows in tables.items():
        odd = rows.filter(pl.any_horizontal(pl.lit(value=False), ~cs.float().is_finite()))
        if odd.height:
            yield name, f"numbers that are not finite: {_rows(odd, KEYS[name])}"
    negatives = tables["negatives"].sort("query_id", "rank")
    light = negatives.filter(pl.col("weight") < 0)
    if light.height:
        yield "negatives", f"weights below zero: {_rows(light, KEYS['negatives'])}"
    holes = negatives.filter(pl.col("rank") != pl.int_range(1, pl.len() + 1).over("query_id"))
    if holes.height:
        yield "negatives", f"ranks that do not run from 1 without holes: {_rows(holes, KEYS['negatives'])}"
    before = pl.col("score").shift().over("query_id")
    unscored = before.is_null() & (pl.col("rank") > 1)
    risen = negatives.filter((pl.col("score") > before) | (unscored & pl.col("score").is_not_null()))
    if risen.height:
        yield "negatives", f"ranks that are not by falling score: {_rows(risen, KEYS['negatives'])}"


def _fates(tables: Tables) -> Problems:
    """Each published query has the fate that its negatives give it, in one split everywhere."""
    got = tables["negatives"].group_by("query_id").len("published")
    joined = tables["fates"].join(got, on="query_id", how="left").with_columns(pl.col("published").fill_null(0))
    kept = (pl.col("fate") == "kept") & (pl.col("got") == pl.col("wanted"))
    short = (pl.col("fate") == "short") & pl.col("got").is_between(1, pl.col("wanted") - 1)
    dropped = (pl.col("fate") == "dropped") & (pl.col("got") == 0) & pl.col("reason").is_not_null()
    wrong = joined.filter((pl.col("got") != pl.col("published")) | ~(kept | short | dropped))
    if wrong.height:
        yield "fates", f"fates that their negatives do not give them: {_rows(wrong, KEYS['fates'])}"
    alive = tables["fates"].filter(pl.col("fate") != "dropped")
    for name, one, other in (("queries", tables["queries"], alive), ("fates", alive, tables["queries"])):
        alone = one.join(other, on="query_id", how="anti")
        if alone.height:
            yield name, f"published queries and fates differ: {_rows(alone, ('query_id',))}"
    split = tables["queries"].select("query_id", own="split")
    moved = tables["negatives"].join(split, on="query_id").filter(pl.col("split") != pl.col("own"))
    if moved.height:
        yield "negatives", f"splits that are not their query's: {_rows(moved, KEYS['negatives'])}"


_CHECKS: tuple[Callable[[Tables], Problems], ...] = (_keys, _ids, _labels, _numbers, _fates)


def _digest_findings(folder: Path, manifest: SetManifest) -> Iterator[Finding]:
    for file in manifest.files:
        if table_digest(read_table(folder / file.path), file.table) != file.rows_sha256:
            yield Finding(path=file.path, problem="its rows are not those that the manifest gives the digest of")


def _count_findings(folder: Path, manifest: SetManifest, tables: Tables) -> Iterator[Finding]:
    """Hold what the manifest counts to the rows."""
    said, path = manifest.counts, "manifest.json"
    rows = {table: 0 for table in said.rows}
    for file in manifest.files:
        rows[file.table] = rows.get(file.table, 0) + file.rows
    for table in sorted({*rows, *said.rows}):
        if rows.get(table) != said.rows.get(table):
            yield Finding(path=path, problem=f"counts {said.rows.get(table)} rows of {table}, there are {rows[table]}")
    for table, splits in said.rows_by_split.items():
        found = counts(tables[table].get_column("split")) if table in tables else _tuples(manifest)
        if {split: count for split, count in splits.items() if count} != {s: c for s, c in found.items() if c}:
            yield Finding(path=path, problem=f"counts {splits} rows of {table} by split, there are {found}")
    if "fates" in tables and query_funnel(tables["fates"]) != said.queries:
        yield Finding(path=path, problem="counts of queries are not those of the fates")
    if part_files(folder, "candidates") and candidate_funnel(scan_parts(folder, "candidates")) != said.candidates:
        yield Finding(path=path, problem="counts of candidates are not those of the candidates")


def _tuples(manifest: SetManifest) -> dict[str, int]:
    found: dict[str, int] = {}
    for file in manifest.files:
        if file.split is not None:
            found[file.split] = found.get(file.split, 0) + file.rows
    return found


def _rows(frame: pl.DataFrame, columns: tuple[str, ...]) -> str:
    """Name the first rows of `frame` by `columns`."""
    named = [" ".join(str(value) for value in row) for row in frame.select(columns).unique(maintain_order=True).rows()]
    return listed(named, _SHOWN)
