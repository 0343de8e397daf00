"""Compare two versions of a set: schema, rows, negatives of each query, figures, settings, and a verdict.

The verdict follows the versioning rules of Croissant 1.1 and TFDS: major where what a reader had is gone, changed or
of another type; minor where everything is still there and something came; patch where the rows are the same.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from negset.errors import ArtifactError, ContractError
from negset.publishing.reading import PublishedSet
from schemas.frames import KEYS
from schemas.manifest import Record, SetFacts, SetManifest

Change = Literal["added", "removed", "retyped"]
Verdict = Literal["none", "patch", "minor", "major"]
DIGITS: Final = 6
"""Digits by which numbers are compared, as in the digests of rows: what differs less is the same number."""
_KEYS: Final = {**KEYS, "negatives": ("query_id", "doc_id")}
"""A negative that moved by a rank has changed; it is not another one."""
_MOST_CHANGED: Final = 10


class TableDiff(Record):
    """How the rows of a table differ: what came, left, or stayed with other values, and in which columns."""

    table: str
    before: int
    after: int
    added: int
    removed: int
    changed: int
    changed_columns: dict[str, int]


class SchemaChange(Record):
    """One change of a column; of a table where `column` is empty."""

    table: str
    column: str
    change: Change
    before: str = ""
    after: str = ""

    @property
    def breaks(self) -> bool:
        """Say whether a reader of the old version can stumble over it."""
        return self.change != "added"


class QueryChurn(Record):
    """How the negatives of one query differ."""

    query_id: str
    added: int
    removed: int
    kept: int


class Churn(Record):
    """How the negatives of the queries of both versions differ; `mean` is the share of the new ones that are new."""

    queries: int
    changed: int
    mean: float
    most: tuple[QueryChurn, ...]


class Figure(Record):
    """A number of both versions; None where a version does not have it."""

    name: str
    before: float | None
    after: float | None


class Setting(Record):
    """An option, rule or input that is another."""

    name: str
    before: str
    after: str


class SetDiff(Record):
    """All that differs between the versions `old` and `new`."""

    dataset: str
    old: str
    new: str
    schema_before: str
    schema_after: str
    schema_changes: tuple[SchemaChange, ...]
    tables: tuple[TableDiff, ...]
    churn: Churn
    figures: tuple[Figure, ...]
    settings: tuple[Setting, ...]
    verdict: Verdict
    because: str


def diff_sets(old: PublishedSet, new: PublishedSet) -> SetDiff:
    """Compare the version `old` with `new`. Raises ContractError where they are of two datasets."""
    before, after = old.manifest, new.manifest
    if before.dataset != after.dataset:
        message = f"{old.folder} is a version of {before.dataset!r}, {new.folder} of {after.dataset!r}: not comparable"
        raise ContractError(message)
    schema = schema_changes(table_columns(old), table_columns(new))
    shared = sorted(_tables(before) & _tables(after))
    tables = tuple(_table_diff(old, new, table) for table in shared)
    verdict, because = _judge(schema, tables, same=before == after)
    return SetDiff(
        dataset=after.dataset,
        old=old.folder.name,
        new=new.folder.name,
        schema_before=before.schema_version,
        schema_after=after.schema_version,
        schema_changes=schema,
        tables=tables,
        churn=query_churn(old.table("negatives"), new.table("negatives")),
        figures=_figures(old, new),
        settings=changed_settings(before, after),
        verdict=verdict,
        because=because,
    )


def table_columns(published: PublishedSet) -> dict[str, dict[str, str]]:
    """Give the columns and types of each table as its first file has them, whatever negset writes today.

    Raises ArtifactError where a file cannot be read.
    """
    found: dict[str, dict[str, str]] = {}
    for file in published.manifest.files:
        if file.table not in found:
            try:
                schema = pq.read_schema(published.folder / file.path)
            except (OSError, pa.ArrowException) as error:
                message = f"{published.folder / file.path} cannot be read: {error}. Run negset verify"
                raise ArtifactError(message) from error
            found[file.table] = {one.name: f"{one.type}{'' if one.nullable else ' not null'}" for one in schema}
    return found


def schema_changes(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> tuple[SchemaChange, ...]:
    """Give what tables and columns came, left, or have another type or other nulls; see `table_columns`."""
    found: list[SchemaChange] = []
    for table in sorted({*before, *after}):
        if table not in after:
            found.append(SchemaChange(table=table, column="", change="removed"))
        elif table not in before:
            found.append(SchemaChange(table=table, column="", change="added"))
        else:
            found += _column_changes(table, before[table], after[table])
    return tuple(found)


def _column_changes(table: str, was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[SchemaChange]:
    for column in sorted({*was, *now}):
        if was.get(column) == now.get(column):
            continue
        change: Change = "added" if column not in was else "removed" if column not in now else "retyped"
        yield SchemaChange(
            table=table, column=column, change=change, before=was.get(column, ""), after=now.get(column, "")
        )


def query_churn(before: pl.DataFrame, after: pl.DataFrame) -> Churn:
    """Compare the negatives (query_id, doc_id) of the queries that have some in both versions."""
    pairs = ["query_id", "doc_id"]
    was = before.select(pairs).unique().with_columns(was=pl.lit(value=True))
    now = after.select(pairs).unique().with_columns(now=pl.lit(value=True))
    both = was.select("query_id").unique().join(now.select("query_id").unique(), on="query_id", how="semi")
    counted = (
        was.join(now, on=pairs, how="full", coalesce=True)
        .join(both, on="query_id", how="semi")
        .group_by("query_id")
        .agg(
            added=pl.col("was").is_null().sum().cast(pl.Int64),
            removed=pl.col("now").is_null().sum().cast(pl.Int64),
            kept=(pl.col("was") & pl.col("now")).fill_null(value=False).sum().cast(pl.Int64),
        )
        .with_columns(share=pl.col("added") / (pl.col("added") + pl.col("kept")))
        .sort([-pl.col("share"), -pl.col("removed"), "query_id"])
    )
    touched = counted.filter((pl.col("added") + pl.col("removed")) > 0)
    most = touched.head(_MOST_CHANGED).drop("share").iter_rows(named=True)
    return Churn(
        queries=counted.height,
        changed=touched.height,
        mean=float(counted["share"].to_numpy().mean()) if counted.height else 0.0,
        most=tuple(QueryChurn.model_validate(row) for row in most),
    )


def row_diff(table: str, before: pl.DataFrame, after: pl.DataFrame) -> TableDiff:
    """Compare the rows of `table` by its key and by the columns of both; rows without a key are counted as such."""
    key = list(_KEYS[table])
    columns = [name for name in before.columns if name in after.columns]
    was, now = (_comparable(frame.select(columns)) for frame in (before, after))
    if not key:
        return _unkeyed_diff(table, was, now)
    rest = [name for name in columns if name not in key]
    joined = was.join(now, on=key, how="inner", suffix="_new", nulls_equal=True)
    other = {name: pl.col(name).ne_missing(pl.col(f"{name}_new")) for name in rest}
    counts = joined.select(**{name: found.sum() for name, found in other.items()})
    changed = joined.filter(pl.any_horizontal(*other.values())).height if other else 0
    return TableDiff(
        table=table,
        before=was.height,
        after=now.height,
        added=now.height - joined.height,
        removed=was.height - joined.height,
        changed=changed,
        changed_columns={name: int(counts.item(0, name)) for name in rest if counts.item(0, name)},
    )


def _table_diff(old: PublishedSet, new: PublishedSet, table: str) -> TableDiff:
    before, after = old.manifest, new.manifest
    if _digests(before, table) == _digests(after, table):
        rows = sum(file.rows for file in before.files if file.table == table)
        return TableDiff(table=table, before=rows, after=rows, added=0, removed=0, changed=0, changed_columns={})
    return row_diff(table, old.table(table), new.table(table))


def _unkeyed_diff(table: str, was: pl.DataFrame, now: pl.DataFrame) -> TableDiff:
    """Count rows as often as they stand there; a row without a key cannot change, only come and leave."""
    columns = was.columns
    counted = (
        was.group_by(columns)
        .len("was")
        .join(now.group_by(columns).len("now"), on=columns, how="full", coalesce=True, nulls_equal=True)
        .select(pl.col("was", "now").cast(pl.Int64).fill_null(0))
    )
    kept = int(counted.select(pl.min_horizontal("was", "now").sum()).item() or 0)
    return TableDiff(
        table=table,
        before=was.height,
        after=now.height,
        added=now.height - kept,
        removed=was.height - kept,
        changed=0,
        changed_columns={},
    )


def _comparable(frame: pl.DataFrame) -> pl.DataFrame:
    """Give `frame` with rounded numbers, and lists of named scores as texts."""
    named = pl.element().struct.field("name") + "=" + pl.element().struct.field("value").round(DIGITS).cast(pl.String)
    return frame.with_columns(pl.col(pl.Float32, pl.Float64).cast(pl.Float64).round(DIGITS)).with_columns(
        pl.col(name).list.eval(named).list.join(";")
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct)
    )


def _judge(schema: tuple[SchemaChange, ...], tables: tuple[TableDiff, ...], *, same: bool) -> tuple[Verdict, str]:
    broken = [f"{one.table}{f'.{one.column}' if one.column else ''} {one.change}" for one in schema if one.breaks]
    if broken:
        return "major", f"the schema breaks: {', '.join(broken)}"
    lost = [
        f"{one.table} ({one.removed:,} removed, {one.changed:,} changed)"
        for one in tables
        if one.removed or one.changed
    ]
    if lost:
        return "major", f"rows that were there are gone or changed: {', '.join(lost)}"
    came = [f"{one.table} ({one.added:,} added)" for one in tables if one.added]
    came += [f"{one.table}{f'.{one.column}' if one.column else ''}" for one in schema]
    if came:
        return "minor", f"everything is still there, and something came: {', '.join(came)}"
    return ("none", "the same version") if same else ("patch", "the rows are the same; what is said of them changed")


def _figures(old: PublishedSet, new: PublishedSet) -> tuple[Figure, ...]:
    before, after = _measured(old), _measured(new)
    return tuple(
        Figure(name=name, before=before.get(name), after=after.get(name)) for name in dict.fromkeys([*before, *after])
    )


def _measured(published: PublishedSet) -> dict[str, float | None]:
    """Give the figures that people watch: counts, shares of the funnel, scores."""
    counts, funnel = published.manifest.counts, published.manifest.counts.candidates
    negatives = published.table("negatives")
    mined = max(funnel.mined, 1)
    near = negatives.select((pl.col("positive_score") - pl.col("score")).cast(pl.Float64).mean()).item()
    return {
        **{f"rows of {table}": float(rows) for table, rows in sorted(counts.rows.items())},
        "queries kept": float(counts.queries.kept),
        "queries short": float(counts.queries.short),
        "queries dropped": float(sum(counts.queries.dropped.values())),
        **{f"share rejected by {rule}": count / mined for rule, count in sorted(funnel.rejected.items())},
        "share chosen": funnel.chosen / mined,
        "mean score of negatives": _mean(negatives, "score"),
        "mean score of their positives": _mean(negatives, "positive_score"),
        "mean distance to the positive": None if near is None else float(near),
        "gates that warn": float(sum(not check.passed for check in published.manifest.validation.checks)),
    }


def _mean(frame: pl.DataFrame, column: str) -> float | None:
    value = frame.get_column(column).cast(pl.Float64).mean()
    return value if isinstance(value, float) else None


def changed_settings(before: SetFacts, after: SetFacts) -> tuple[Setting, ...]:
    """Give every option, rule and input in which `after` differs from `before`."""
    was, now = _flat(_said(before)), _flat(_said(after))
    return tuple(
        Setting(name=name, before=was.get(name, "-"), after=now.get(name, "-"))
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name)
    )


def _said(manifest: SetFacts) -> dict[str, object]:
    return {
        **manifest.config,
        "licence": manifest.licence,
        "description": manifest.description,
        "builder": manifest.builder.model_dump(),
        "input": manifest.source.content[:16],
        "weights": manifest.encoder.fingerprint[:16] if manifest.encoder else "",
        "rules": {
            f"{place}. {step.rule}": {"version": step.version, **step.options}
            for place, step in enumerate(manifest.recipe.rules, start=1)
        },
        "teachers": manifest.teachers,
    }


def _flat(said: Mapping[str, object], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in said.items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": str(value)}
    return found


def _tables(manifest: SetManifest) -> set[str]:
    return {file.table for file in manifest.files}


def _digests(manifest: SetManifest, table: str) -> list[tuple[str | None, str]]:
    return [(file.split, file.rows_sha256) for file in manifest.files if file.table == table]
