"""Leave out the documents of a source whose licence is none of those that were agreed to, before anything is mined.

They are counted with the other rows that are well formed and not wanted: neither bad nor missing. Their judgements go
with them, so a query may be left without a positive.
"""

import logging
from dataclasses import replace
from typing import Final

import polars as pl

from negset.errors import InputError
from negset.gates.licence import UNKNOWN, refused
from negset.metadata import metadata_values, require_columns
from negset.sources.tables import SourceTables
from schemas.config import SourceConfig

_SHOWN: Final = 5
_log = logging.getLogger(__name__)


def licensed_tables(tables: SourceTables, source: SourceConfig) -> SourceTables:
    """Give the rows of `tables` whose documents have one of `source.licences`; all, where none are named.

    Raises ConfigError where no document has the column `source.licence_column`, and InputError where none is left.
    """
    if not source.licences:
        return tables
    licences = _licences(tables.corpus, source)
    unwanted = refused(tables.corpus.with_columns(licence=licences), source.licences)
    gone = unwanted.get_column("doc_id").unique()
    if unwanted.height == tables.corpus.height:
        message = (
            f"none of {tables.corpus.height} documents has a licence of source.licences ({', '.join(source.licences)});"
            f" they have {_counted(unwanted)}"
        )
        raise InputError(message)
    outside = pl.col("doc_id").is_in(gone.implode())
    left_out = replace(
        tables.left_out,
        documents_unlicensed=tables.corpus.filter(outside).height,
        qrels_left_out=tables.left_out.qrels_left_out + tables.qrels.filter(outside).height,
    )
    _log.info("left out by licence: %d documents (%s)", left_out.documents_unlicensed, _counted(unwanted))
    return replace(
        tables, corpus=tables.corpus.filter(~outside), qrels=tables.qrels.filter(~outside), left_out=left_out
    )


def _licences(corpus: pl.DataFrame, source: SourceConfig) -> pl.Series:
    """Read the licence of each row of `corpus` from its metadata, null where it has none."""
    metadata, column = corpus.get_column("metadata"), source.licence_column
    require_columns(metadata, (column,), "source.licence_column", "documents")
    values = metadata_values(metadata, (column,))[column]
    return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)


def _counted(rows: pl.DataFrame) -> str:
    """Count the licences of `rows`, the most frequent first."""
    named = (
        rows.get_column("licence").fill_null(UNKNOWN).value_counts().sort("count", "licence", descending=[True, False])
    )
    shown = ", ".join(f"{count} {licence}" for licence, count in named.head(_SHOWN).iter_rows())
    return shown if named.height <= _SHOWN else f"{shown} and {named.height - _SHOWN} other licences"
