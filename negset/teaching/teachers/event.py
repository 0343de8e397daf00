"""Whether a document is about the event that the query asks about, or about an older one (event-driven retrieval).

Two events have one key (a place, a product) where they are of one kind; the window of time tells them apart. A score
says what the document is to the query: 1 the same event, 0.5 a stale one, 0 anything else. After what "Event-driven
Real-time Retrieval in Web Search" (arXiv 2312.00372) says of intent; negatives from older events are ours.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from negset.arrays import Floats, Rows
from negset.errors import ConfigError
from negset.fingerprint import canonical_json
from negset.metadata import metadata_values, require_columns
from negset.mining.times import length_of
from negset.teaching.teacher import OpenTeacher, Pairs, TeachingInputs
from schemas.config import MineConfig
from schemas.teach import TeachConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs

VERSION: Final = 1
PER_PAIR: Final = False
"""Keys and times are in no text."""
SAME: Final = 1.0
STALE: Final = 0.5
OTHER: Final = 0.0
_UNDATED: Final = np.iinfo(np.int64).min


def check(config: TeachConfig, _mine: MineConfig) -> None:
    """Raise ConfigError where no column is named."""
    if not config.event.key:
        message = "teach.event.key is empty: name the column of corpus and queries that says what an event is about"
        raise ConfigError(message)


def identity(_inputs: "MiningInputs", config: TeachConfig) -> object:
    """Give the options; keys and times are part of the snapshot."""
    return config.event


def depth(_config: TeachConfig) -> int:
    """Give 0: all candidates are looked at, since it costs next to nothing."""
    return 0


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Read keys and times. A pair of one key scores 1 within the window, 0.5 where the document is older, else 0.

    A border counts as within. Where the time of one of both is not known, one key scores 1: it cannot be shown to be
    another event. What has no key shares it with nothing, and scores 0. A document that is newer than the window
    scores 0: the query could not ask about it. Raises ConfigError for a column that no query or no document has.
    """
    column, window = inputs.config.event.key, length_of(inputs.config.event.window)
    queries = inputs.mining.snapshot.queries()
    documents = inputs.mining.snapshot.document_columns("metadata", "created_at")
    codes: dict[str, int] = {}
    query_key = _keys(queries.get_column("metadata"), column, codes, "queries")
    doc_key = _keys(documents.get_column("metadata"), column, codes, "documents")
    asked, created = _moments(queries.get_column("asked_at")), _moments(documents.get_column("created_at"))

    def score(pairs: Pairs) -> Floats:
        same = (query_key[pairs.query] == doc_key[pairs.doc]) & (query_key[pairs.query] >= 0)
        then, now = created[pairs.doc], asked[pairs.query]
        dated = (then != _UNDATED) & (now != _UNDATED)
        age = np.where(dated, now - np.where(dated, then, 0), 0)
        known: Floats = np.select([same & (np.abs(age) <= window), same & (age > window)], [SAME, STALE], OTHER)
        return known

    return OpenTeacher(score)


def _keys(metadata: pl.Series, column: str, codes: dict[str, int], table: str) -> Rows:
    """Number the keys of each row by `codes`, which grow; -1 for none."""
    values = metadata_values(metadata, (column,))[column]
    if all(value is None for value in values):
        require_columns(metadata, (column,), "teach.event.key", table)
    texts = (value if isinstance(value, str) else None if value is None else canonical_json(value) for value in values)
    return np.array([-1 if text is None else codes.setdefault(text, len(codes)) for text in texts], dtype=np.int64)


def _moments(times: pl.Series) -> Rows:
    return times.dt.epoch("us").fill_null(_UNDATED).to_numpy().astype(np.int64)
