"""Corpus-wide term statistics of BM25, summed over the counts of the partitions, and the weights made from them.

The weights are those of Lucene's BM25 (Kamphuis et al. 2020): `idf * tf / (tf + k1 * (1 - b + b * length / mean))`
with `idf = log(1 + (N - df + 0.5) / (df + 0.5))`, in float64, computed when documents are opened. The artifact
holds nothing per document: the terms, how many documents hold each, and which counts it was made from.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.errors import ArtifactError
from negset.fingerprint import fingerprint, rows_digest
from negset.mining.term_counts import (
    TERMS,
    StoredCounts,
    counts_fingerprint,
    find_counts,
    open_counts,
    prepare_counts,
    term_places,
)
from negset.pins import read_pin, set_pin
from negset.progress import Progress, no_progress
from negset.store import Store
from negset.tables import read_table, write_table
from schemas.config import Bm25Config
from schemas.refs import StatisticsRef, TermCountsRef

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

VERSION: Final = 2
OPEN: Final = 32
"""Parts that stay open: each takes five of the files that a process may have open."""
SUMS: Final = {"term": pl.String, "documents": pl.Int64}
_NUMBERS: Final = "numbers"  # folder: the numbers of each partition's terms

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]


@dataclass(frozen=True)
class CountedPart:
    """The counts of one partition; `numbers` says which of all terms each of its own is, ascending."""

    counts: StoredCounts
    numbers: NDArray[np.int32]


@dataclass(frozen=True)
class Statistics:
    """What weighs a term: `documents` and `tokens` of the corpus that was counted, and how many documents hold it.

    The content of `ref` covers the settings and these numbers, not the documents: those are in the content of their
    partitions. Terms are numbered in their order. `parts` names the counts of the partitions, which are opened when
    they are used.
    """

    config: Bm25Config
    ref: StatisticsRef
    documents: int
    tokens: int
    parts: tuple[str, ...]
    store: Store
    folder: Path
    _checked: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    _opened: dict[int, CountedPart] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def content(self) -> str:
        """Hash of all that decides a weight."""
        return self.ref.content

    @cached_property
    def terms(self) -> pl.Series:
        """All terms of the documents, and of those that were counted where these are pinned, sorted."""
        return read_table(self.folder / TERMS, ["term"]).get_column("term")

    @cached_property
    def idf(self) -> Floats:
        """The weight of each term for its rarity; one that was not known when the statistics were pinned has df 0."""
        frequency_T = read_table(self.folder / TERMS, ["documents"]).get_column("documents").to_numpy()
        # One logarithm per distinct frequency, by the C library: vector units of other machines differ in the last bit.
        distinct, place_T = np.unique(frequency_T, return_inverse=True)
        idf = [math.log(1 + (self.documents - df + 0.5) / (df + 0.5)) for df in distinct.tolist()]
        return np.array(idf, dtype=np.float64)[place_T]

    @cached_property
    def places(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The part that each document lies in and its row there, in the order of the rows of all documents."""
        ids = [self.open_part(number).counts.doc_ids for number in range(len(self.parts))]
        part = np.repeat(np.arange(len(ids), dtype=np.int32), [len(one) for one in ids])
        row = np.concatenate([np.empty(0, dtype=np.int32), *(np.arange(len(one), dtype=np.int32) for one in ids)])
        order = pl.concat([pl.Series(dtype=pl.String), *ids]).arg_sort().to_numpy()
        return part[order], row[order]

    def open_part(self, number: int) -> CountedPart:
        """Map the counts of a part into memory, checked the first time; the last few that were used stay open."""
        part = self._opened.pop(number, None) or self._map_part(self.parts[number])
        self._opened[number] = part  # at the end: the one used last
        if len(self._opened) > OPEN:
            del self._opened[next(iter(self._opened))]
        return part

    def _map_part(self, key: str) -> CountedPart:
        numbers = np.load(self.folder / _NUMBERS / f"{key}.npy", mmap_mode="r")
        part = CountedPart(open_counts(self.store, key, check=key not in self._checked), numbers)
        self._checked.add(key)
        return part

    def weigh(self, number: Integers, count: Integers, length: Integers) -> Floats:
        """Give the weight of each term `number` that stands `count` times in a document of `length` tokens."""
        mean = self.tokens / self.documents if self.tokens else 1.0
        damping = self.config.k1 * (1 - self.config.b + self.config.b * length / mean)
        weights: Floats = self.idf[number] * count / (count + damping)
        return weights


def statistics_fingerprint(config: Bm25Config, snapshot: "Snapshot", store: Store, dataset: str = "") -> str:
    """Name the statistics: settings, documents and, under a label, what was pinned for `dataset`; not the queries."""
    own = _own_fingerprint(config, snapshot)
    pinned = read_pin(config, store, dataset)
    return own if pinned in ("", own) else fingerprint(own, pinned)


def find_statistics(config: Bm25Config, snapshot: "Snapshot", store: Store, dataset: str = "") -> StatisticsRef | None:
    """Give the statistics where they, the counts they are made from and their pin are there and whole, else None."""
    if config.pin and not read_pin(config, store, dataset):
        return None
    ref = store.ref(StatisticsRef, statistics_fingerprint(config, snapshot, store, dataset))
    whole = ref is not None and _is_whole(store, ref) and not missing_counts(config, snapshot, store)
    return ref if whole else None


def missing_counts(config: Bm25Config, snapshot: "Snapshot", store: Store) -> list[str]:
    """Name the partitions that are not counted yet, or whose counts are damaged."""
    contents = snapshot.partition_contents
    return [name for name in sorted(contents) if not find_counts(store, counts_fingerprint(config, contents[name]))]


def prepare_statistics(
    config: Bm25Config, snapshot: "Snapshot", store: Store, progress: Progress = no_progress, dataset: str = ""
) -> StatisticsRef:
    """Count what is not counted yet and store the sums; what is whole is taken as it is.

    Under a label (`config.pin`) the numbers are those that were first counted under it for `dataset`. Raises
    ArtifactError where the pinned statistics are gone, since others would change every score without a word.
    """
    counts = prepare_counts(config, snapshot, store, progress)
    key = statistics_fingerprint(config, snapshot, store, dataset)
    pinned = read_pin(config, store, dataset)
    found = store.ref(StatisticsRef, key)
    if found is None or not _is_whole(store, found):
        origin = pinned_origin(config, snapshot, store, dataset)
        found = _commit(config, key, sorted({ref.fingerprint for ref in counts.values()}), store, origin)
    if config.pin and not pinned and set_pin(config, store, dataset, key) != key:
        return prepare_statistics(config, snapshot, store, progress, dataset)  # somebody else was first
    return found


def pinned_origin(config: Bm25Config, snapshot: "Snapshot", store: Store, dataset: str) -> Statistics | None:
    """Open the statistics pinned for `dataset`; None where those of `snapshot` itself are wanted."""
    key = read_pin(config, store, dataset)
    if key in ("", _own_fingerprint(config, snapshot)):
        return None
    try:
        manifest = store.manifest(StatisticsRef.kind, key)
        ref = StatisticsRef(fingerprint=key, content=manifest.content, rows=manifest.rows)
        return open_statistics(store, ref)
    except ArtifactError as error:
        message = (
            f"the statistics pinned as {config.pin!r} for {dataset!r} cannot be read: {error}. Restore them, "
            "or give another label in mine.bm25.pin to count anew"
        )
        raise ArtifactError(message) from error


def open_statistics(store: Store, ref: StatisticsRef) -> Statistics:
    """Check the artifact; what it was counted from is opened when it is used."""
    folder = store.open(ref.kind, ref.fingerprint)
    facts = store.manifest(ref.kind, ref.fingerprint).facts
    try:
        config = Bm25Config.model_validate(facts["config"])
        documents, tokens = (int(cast("int", facts[name])) for name in ("documents", "tokens"))
        parts = tuple(str(key) for key in cast("list[str]", facts["counts"]))
    except (KeyError, TypeError, ValueError) as error:
        message = f"{folder} does not say what was counted: {error}. Delete the folder and build again"
        raise ArtifactError(message) from error
    return Statistics(config, ref, documents, tokens, parts, store, folder)


def sum_terms(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Add up the `documents` of each `term` over `parts`, sorted by term.

    Parts are added when together they are as long as the sum, so that many small ones cost no more than one pass
    for each doubling, and memory holds about twice the sum.
    """
    waiting = [pl.DataFrame(schema=SUMS)]
    for part in parts:
        waiting.append(part)
        if sum(frame.height for frame in waiting[1:]) > waiting[0].height:
            waiting = [_added(waiting)]
    return _added(waiting).sort("term")


def _added(frames: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames).group_by("term").agg(pl.col("documents").sum())


def _own_fingerprint(config: Bm25Config, snapshot: "Snapshot") -> str:
    counts = sorted(counts_fingerprint(config, content) for content in snapshot.partition_contents.values())
    return fingerprint("statistics", VERSION, config, counts)


def _is_whole(store: Store, ref: StatisticsRef) -> bool:
    try:
        store.open(ref.kind, ref.fingerprint)
    except ArtifactError:
        return False
    return True


def _commit(config: Bm25Config, key: str, counts: list[str], store: Store, origin: Statistics | None) -> StatisticsRef:
    """Sum the terms of `counts`, or take the sums of `origin` for them, and commit them under `key`."""
    frame = sum_terms(_read_terms(store, name) for name in counts)
    manifests = [store.manifest(TermCountsRef.kind, name) for name in counts]
    documents = sum(manifest.rows for manifest in manifests)
    tokens = sum(cast("int", manifest.facts["tokens"]) for manifest in manifests)
    if origin is not None:
        frame, documents, tokens = _pinned_terms(frame, origin), origin.documents, origin.tokens
    content = origin.content if origin else _content(config, frame, documents, tokens)
    facts: dict[str, object] = {
        "config": config.model_dump(),
        "counts": counts,
        "documents": documents,
        "tokens": tokens,
        "terms": frame.height,
    }
    with store.staging() as staged:
        write_table(frame, "terms", staged / TERMS, presorted=True)
        (staged / _NUMBERS).mkdir()
        for name in counts:
            places = term_places(_read_terms(store, name).get_column("term"), frame.get_column("term"))
            np.save(staged / _NUMBERS / f"{name}.npy", places.astype(np.int32))
        return store.commit(StatisticsRef, key, content, documents, staged, facts)


def _read_terms(store: Store, name: str) -> pl.DataFrame:
    return read_table(store.held(TermCountsRef.kind, name) / TERMS)


def _pinned_terms(frame: pl.DataFrame, origin: Statistics) -> pl.DataFrame:
    """Give the terms of `origin` as they are, and those of `frame` that it does not know with no document."""
    known = read_table(origin.folder / TERMS)
    unknown = frame.join(known, on="term", how="anti").with_columns(documents=pl.lit(0, dtype=pl.Int64))
    return pl.concat([known, unknown]).sort("term")


def _content(config: Bm25Config, frame: pl.DataFrame, documents: int, tokens: int) -> str:
    """Hash all that decides a weight. The label does not: the same numbers under another one give the same scores."""
    settings = config.model_copy(update={"pin": ""})
    return fingerprint("statistics", VERSION, settings, rows_digest(frame, ["term"]), documents, tokens)
