"""Where queries and documents are: coordinates in degrees read from their metadata, and distances on the globe.

Everything is float64. A great-circle distance comes from atan2 of cross and dot product of unit vectors: exact to
well below a millimetre for points that coincide, and for points on opposite sides of the globe, where the arc cosine
and the haversine formula lose digits.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from negset.arrays import Floats, Rows
from negset.errors import InputError, listed
from negset.metadata import metadata_values, require_columns
from schemas.config import GeoConfig

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

EARTH_KM: Final = 6371.0088
"""Mean radius of the Earth (IUGG)."""
_MOST: Final = (90.0, 180.0)
_LONGEST: Final = 40  # characters of a wrong value that a message shows


@dataclass(frozen=True)
class Places:
    """Unit vectors (n, 3) of queries and documents by their rows of the snapshot, NaN where they have no place.

    `degrees_Q` are the latitudes and longitudes of the queries, (n, 2).
    """

    query_Q3: Floats
    document_N3: Floats
    degrees_Q: Floats


def read_places(snapshot: "Snapshot", config: GeoConfig) -> Places:
    """Read the coordinates that `config` names.

    Raises ConfigError for a column that no query or no document has, and InputError naming the ids of coordinates
    that are no numbers, not finite, out of range, or half given.
    """
    degrees_Q, degrees_N = query_degrees(snapshot, config), document_degrees(snapshot, config)
    return Places(unit_vectors(degrees_Q), unit_vectors(degrees_N), degrees_Q)


def query_degrees(snapshot: "Snapshot", config: GeoConfig) -> Floats:
    """Give latitude and longitude of each query, (n, 2), NaN where it has none; raises as `read_places` does."""
    queries = snapshot.queries()
    return _degrees(queries.get_column("query_id"), queries.get_column("metadata"), config, "queries")


def document_degrees(snapshot: "Snapshot", config: GeoConfig) -> Floats:
    """Give latitude and longitude of each document, (n, 2), NaN where it has none; raises as `read_places` does."""
    documents = snapshot.document_columns("doc_id", "metadata")
    return _degrees(documents.get_column("doc_id"), documents.get_column("metadata"), config, "documents")


def unit_vectors(degrees_N2: Floats) -> Floats:
    """Give the unit vector (n, 3) of each latitude and longitude in degrees; NaN stays NaN."""
    latitude_N, longitude_N = np.radians(degrees_N2[:, 0]), np.radians(degrees_N2[:, 1])
    flat_N = np.cos(latitude_N)
    return np.stack([flat_N * np.cos(longitude_N), flat_N * np.sin(longitude_N), np.sin(latitude_N)], axis=1)


def distance_km(left_P3: Floats, right_P3: Floats) -> Floats:
    """Give the great-circle distance of each pair of unit vectors in km: the same bits whatever stands beside it."""
    (x, y, z), (u, v, w) = left_P3.T, right_P3.T
    across_P = np.sqrt((y * w - z * v) ** 2 + (z * u - x * w) ** 2 + (x * v - y * u) ** 2)
    distance_P: Floats = EARTH_KM * np.arctan2(across_P, x * u + y * v + z * w)
    return distance_P


def placed(vectors_N3: Floats) -> Rows:
    """Give the rows that have a place."""
    return np.flatnonzero(~np.isnan(vectors_N3[:, 0]))


def _degrees(ids: pl.Series, metadata: pl.Series, config: GeoConfig, table: str) -> Floats:
    names = (config.latitude, config.longitude)
    values = metadata_values(metadata, names)
    degrees_N2 = np.array([[_number(value) for value in values[name]] for name in names], dtype=np.float64).T
    given_N2 = np.array([[value is not None for value in values[name]] for name in names], dtype=bool).T
    if not len(ids):
        return np.empty((0, 2))
    if not given_N2.all(axis=1).any():
        require_columns(metadata, names, "mine.geo", table)
    fine_N2 = np.abs(degrees_N2) <= np.array(_MOST)
    bad = np.flatnonzero((given_N2.any(axis=1)) & ~(given_N2 & fine_N2).all(axis=1))
    if len(bad):
        shown = [f"{ids[row]} ({_shown(values, names, row)})" for row in bad[:12].tolist()]
        message = (
            f"{len(bad)} {table} have coordinates that are none: {listed(shown)}. {names[0]!r} must be a number of "
            f"degrees from -90 to 90 and {names[1]!r} one from -180 to 180; leave both out where there is no place"
        )
        raise InputError(message)
    return degrees_N2


def _shown(values: dict[str, list[object]], names: tuple[str, str], row: int) -> str:
    return ", ".join(repr(values[name][row])[:_LONGEST] for name in names)


def _number(value: object) -> float:
    """Read `value` as a number; NaN for none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
