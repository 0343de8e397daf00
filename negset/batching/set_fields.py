"""What the metadata of a published set says of its queries: fields, and where they are."""

import numpy as np
import polars as pl

from negset.arrays import Floats
from negset.batching.view import SetView, query_rows
from negset.metadata import metadata_values, require_columns
from negset.mining.places import query_degrees
from schemas.config import GeoConfig


def query_column(view: SetView, name: str) -> pl.Series:
    """Give the field `name` of each planned query's metadata as text, null where it has none.

    Raises ConfigError where no query has it.
    """
    queries = query_rows(view).join(
        view.snapshot.queries().select("query_id", "metadata"), on="query_id", how="left", maintain_order="left"
    )
    metadata = queries.get_column("metadata")
    require_columns(metadata, (name,), "the plan", "queries")
    values = [None if value is None else str(value) for value in metadata_values(metadata, (name,))[name]]
    return pl.Series(name, values, dtype=pl.String)


def query_places(view: SetView, latitude: str, longitude: str) -> Floats:
    """Give latitude and longitude of each planned query in degrees, (Q, 2), NaN where it has none.

    Raises ConfigError for a column that no query has, InputError for what is no coordinate.
    """
    degrees = query_degrees(view.snapshot, GeoConfig(latitude=latitude, longitude=longitude))
    ids = view.snapshot.queries().get_column("query_id")
    rows = query_rows(view).join(
        pl.DataFrame({"query_id": ids}).with_row_index("row"), on="query_id", how="left", maintain_order="left"
    )
    return np.asarray(degrees[rows.get_column("row").to_numpy()], dtype=np.float64)
