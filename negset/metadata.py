"""What other columns of a source say: they are kept with each document and query as one JSON object."""

import json

import polars as pl

from negset.errors import ConfigError, hint, listed


def metadata_values(metadata: pl.Series, columns: tuple[str, ...]) -> dict[str, list[object]]:
    """Give the value of each of `columns` in each row of `metadata`, None where the row has none."""
    rows = [_record(text) for text in metadata]
    return {column: [row.get(column) for row in rows] for column in columns}


def require_columns(metadata: pl.Series, columns: tuple[str, ...], option: str, table: str) -> None:
    """Raise ConfigError naming the first of `columns`, which `option` names, that no row of the `table` has."""
    known = sorted({name for text in metadata for name in _record(text)})
    for column in columns:
        if column not in known:
            message = (
                f"{option} names the column {column!r}, which none of the {table} has{hint(column, known)}; "
                f"there are: {listed(known, 12) or 'none'}"
            )
            raise ConfigError(message)


def _record(text: str | None) -> dict[str, object]:
    found: dict[str, object] = json.loads(text) if text else {}
    return found
