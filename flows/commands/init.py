"""`negset init --source PATH --out CONFIG`: recognise a corpus and write a starter config."""

import argparse
import re
from pathlib import Path

import polars as pl

from negset.errors import ConfigError
from negset.sources.reading import read_source
from negset.sources.recognise import recognise_source
from negset.sources.tables import SourceTables
from schemas.config import SourceConfig

_HELD_OUT = ("test", "dev", "validation", "valid", "qa-dev", "unlabelled")

_TEMPLATE = """\
# {summary}
# `negset plan {file}` says what a build would do, `negset build {file}` does it.
name = "{name}"
seed = 13

[source]
format = "{format}"
path = "{path}"{extra}

[encoder]
backend = "lsa"             # or sentence-transformers (model = "..."), precomputed, api, hashing
dimensions = 256

[mine]
miners = ["dense", "bm25"]  # also random, run, geo
depth = 100
splits = {splits}
{times}
[recipe]
name = "perc-pos"           # `negset rules --recipes` lists the shipped ones
negatives = 5

[recipe.options.percent_of_positive]
share = 0.95                # change it, build again: nothing before the selection runs

[gates]
min_full_share = 0.25       # publish only if this share of the queries gets all its negatives
"""


_DATED = """
# The corpus has dates. `negset build {file} --as-of 2024-06-30` builds from what was known that day.
# [mine.time]
# limit = true              # no document that was created after its query was asked
# grace = "0s"
"""


def run(options: argparse.Namespace) -> int:
    """Write a config for the corpus at `options.source` and say what was recognised."""
    out = Path(options.out)
    if out.exists():
        message = f"{out} exists already; give another --out"
        raise ConfigError(message)
    source = recognise_source(options.source)
    tables = read_source(source)
    summary = _summary(source, tables)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_starter(source, tables, summary, options.name or _slug(options.source), out), encoding="utf-8")
    print(f"{summary}\nwrote {out}; next: negset build {out}")
    return 0


def _starter(source: SourceConfig, tables: SourceTables, summary: str, name: str, out: Path) -> str:
    found = tables.qrels.filter(pl.col("relevance") > 0).get_column("split").unique().sort().to_list()
    training = [split for split in found if split not in _HELD_OUT]
    local = "://" not in source.path
    changed = source.model_dump(exclude_defaults=True, exclude={"format", "path", "columns"})
    columns = source.columns.model_dump(exclude_defaults=True)
    lines = [f"{key} = {_toml(value)}" for key, value in changed.items()]
    if columns:
        lines += ["", "[source.columns]", *(f"{key} = {_toml(value)}" for key, value in columns.items())]
    chosen = training if training and len(training) < len(found) else []
    note = "held-out splits get no negatives; they measure a trained encoder" if chosen else "empty: all of them"
    return _TEMPLATE.format(
        summary=summary,
        file=out.name,
        name=name,
        format=source.format,
        path=Path(source.path).resolve().as_posix() if local and source.path else source.path,
        extra="".join(f"\n{line}" for line in lines),
        times=_DATED.format(file=out.name) if tables.corpus.get_column("created_at").drop_nulls().len() else "",
        splits=f"{_toml(chosen):<19}# {note}; found: {', '.join(found)}",
    )


def _summary(source: SourceConfig, tables: SourceTables) -> str:
    positives = tables.qrels.filter(pl.col("relevance") > 0)
    return (
        f"{source.path or 'The installed packages'}, read as {source.format}: {tables.corpus.height:,} documents, "
        f"{tables.queries.height:,} queries, {positives.get_column('query_id').n_unique():,} of them with positives, "
        f"{tables.quarantine.height:,} rows that cannot be used"
    )


def _toml(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _slug(source: str) -> str:
    stem = Path(source.rstrip("/")).name.split(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:63] or "set"
