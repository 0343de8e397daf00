"""What the metadata of a published set says of its queries: fields, and where they are."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from negset.arrays import Floats
from negset.batching.view import SetView, query_rows
from negset.errors import ConfigError, InputError
from negset.metadata import metadata_values, require_columns
from negset.mining.places import document_degrees, query_degrees
from negset.snapshot import Snapshot
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

    A query without a place of its own is where its first positive is that has one.
    Raises ConfigError for columns that neither a query nor a document has, InputError for what is no coordinate.
    """
    config = GeoConfig(latitude=latitude, longitude=longitude)
    ids = view.snapshot.queries().get_column("query_id")
    own_Q2 = _known_degrees(query_degrees, view, config, ids, view.examples.query_ids)
    documents = view.snapshot.document_columns("doc_id").get_column("doc_id")
    theirs_N2 = _known_degrees(document_degrees, view, config, documents, view.examples.document_ids)
    if own_Q2 is None and theirs_N2 is None:
        message = (
            f"the plan needs places, and neither queries nor documents have the metadata fields {latitude!r} and "
            f"{longitude!r}: name others with --set latitude=... --set longitude=..., or do without: --set geo_epochs=0"
        )
        raise ConfigError(message)
    places_Q2 = np.full((len(view.examples.query_ids), 2), np.nan) if own_Q2 is None else own_Q2
    if theirs_N2 is not None:
        query_P, document_P = view.examples.positives.take(np.arange(len(places_Q2)))
        there = ~np.isnan(theirs_N2[document_P, 0])
        query, first = np.unique(query_P[there], return_index=True)
        bare = np.isnan(places_Q2[query, 0])
        places_Q2[query[bare]] = theirs_N2[document_P[there][first[bare]]]
    return places_Q2


def _known_degrees(
    read: Callable[[Snapshot, GeoConfig], Floats],
    view: SetView,
    config: GeoConfig,
    ids: pl.Series,
    wanted: Sequence[str],
) -> Floats | None:
    """Give the degrees of the `wanted` of `ids`, None where nobody has the columns."""
    try:
        degrees = read(view.snapshot, config)
    except InputError:
        raise
    except ConfigError:
        return None
    place = pl.DataFrame({"id": ids}).with_row_index("row")
    rows = pl.DataFrame({"id": list(wanted)}).join(place, on="id", how="left", maintain_order="left")
    return np.asarray(degrees[rows.get_column("row").to_numpy()], dtype=np.float64)
