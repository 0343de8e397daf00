"""Corpus-wide term statistics of BM25, and the weight of every term in every document.

The weights are those of Lucene's BM25 (Kamphuis et al. 2020): `idf * tf / (tf + k1 * (1 - b + b * length / mean))`
with `idf = log(1 + (N - df + 0.5) / (df + 0.5))`, kept in float64 and read by memory map.
"""

import hashlib
import importlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from negset.errors import ArtifactError
from negset.fingerprint import fingerprint
from negset.progress import Progress, no_progress
from negset.store import Store
from negset.text import document_texts
from schemas.config import Bm25Config
from schemas.refs import StatisticsRef

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

VERSION: Final = 1
_CHUNK = 1 << 14  # documents tokenised at once
_FILES: Final = ("ends", "terms", "weights")


@dataclass(frozen=True)
class Statistics:
    """Weights by document: those of row n are `weights[ends[n]:ends[n + 1]]`, for the term numbers in `terms`.

    `vocabulary` gives the number of a term; numbers follow the order of the terms. `content` covers the settings
    and the corpus-wide numbers, not the documents: those are in the content of their partitions.
    """

    config: Bm25Config
    content: str
    vocabulary: dict[str, int]
    ends: NDArray[np.int64]
    terms: NDArray[np.int32]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class TermCounts:
    """How often each term stands in each document, sorted by document and term."""

    terms: list[str]
    doc: NDArray[np.int64]
    term: NDArray[np.int64]
    count: NDArray[np.int64]
    lengths: NDArray[np.int64]


def statistics_fingerprint(config: Bm25Config, snapshot: "Snapshot") -> str:
    """Give the cache key of `prepare_statistics`: the settings and the documents, not the queries."""
    return fingerprint("statistics", VERSION, config, sorted(snapshot.partition_contents.values()))


def prepare_statistics(
    config: Bm25Config, snapshot: "Snapshot", store: Store, progress: Progress = no_progress
) -> StatisticsRef:
    """Count the terms of all documents and store the weight of each; a whole artifact is taken as it is."""
    key = statistics_fingerprint(config, snapshot)
    found = store.ref(StatisticsRef, key)
    if found is not None:
        return found
    counts = count_terms(config, snapshot, progress)
    frequency_T = np.bincount(counts.term, minlength=len(counts.terms))
    arrays: dict[str, NDArray[np.int64] | NDArray[np.int32] | NDArray[np.float64]] = {
        "ends": np.searchsorted(counts.doc, np.arange(len(counts.lengths) + 1)),
        "terms": counts.term.astype(np.int32),
        "weights": weigh_terms(config, counts, frequency_T),
    }
    vocabulary = "\n".join(counts.terms).encode()
    content = fingerprint(
        VERSION,
        config,
        hashlib.sha256(vocabulary).hexdigest(),
        hashlib.sha256(frequency_T.astype("<i8").tobytes()).hexdigest(),
        len(counts.lengths),
        int(counts.lengths.sum()),
    )
    with store.staging() as staged:
        for name in _FILES:
            np.save(staged / f"{name}.npy", arrays[name])
        (staged / "vocabulary.txt").write_bytes(vocabulary)
        (staged / "config.json").write_text(config.model_dump_json())
        facts: dict[str, object] = {"terms": len(counts.terms), "documents": len(counts.lengths)}
        return store.commit(StatisticsRef, key, content, len(counts.lengths), staged, facts)


def open_statistics(store: Store, ref: StatisticsRef) -> Statistics:
    """Check the artifact and map its arrays into memory."""
    folder = store.open(ref.kind, ref.fingerprint)
    try:
        ends, terms, weights = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in _FILES)
        names = (folder / "vocabulary.txt").read_text(encoding="utf-8")
        config = Bm25Config.model_validate_json((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        message = f"cannot read the statistics in {folder}: {error}. Delete the folder and build again"
        raise ArtifactError(message) from error
    vocabulary = {term: number for number, term in enumerate(names.split("\n") if names else [])}
    return Statistics(config, ref.content, vocabulary, ends, terms, weights)


def count_terms(config: Bm25Config, snapshot: "Snapshot", progress: Progress = no_progress) -> TermCounts:
    """Count the terms of every document, in the order of the rows of all documents."""
    tokenise = importlib.import_module("negset.mining.tokens").tokenise_texts
    numbers: dict[str, int] = {}
    keys: list[NDArray[np.int64]] = []
    counts: list[NDArray[np.int64]] = []
    lengths: list[NDArray[np.int64]] = []
    ids: list[str] = []
    total = snapshot.document_columns("doc_id").height
    for chunk_ids, texts in _chunks(snapshot):
        terms, tokens, ends = tokenise(config, texts)
        known_T = np.array([numbers.setdefault(term, len(numbers)) for term in terms], dtype=np.int64)
        length = np.diff(ends, prepend=0)
        doc = np.repeat(np.arange(len(ids), len(ids) + len(texts)), length)
        key, count = np.unique((doc << 32) | known_T[tokens], return_counts=True)
        keys.append(key)
        counts.append(count)
        lengths.append(length)
        ids.extend(chunk_ids)
        progress("count terms", len(ids), total)
    return _in_order(numbers, ids, keys, counts, lengths)


def weigh_terms(config: Bm25Config, counts: TermCounts, frequency_T: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the BM25 weight of each entry of `counts`, where `frequency_T` documents hold the term."""
    documents = len(counts.lengths)
    # One logarithm per distinct frequency, by the C library: vector units of other machines differ in the last bit.
    distinct, place_T = np.unique(frequency_T, return_inverse=True)
    idf_T = np.array([math.log(1 + (documents - df + 0.5) / (df + 0.5)) for df in distinct.tolist()])[place_T]
    mean = counts.lengths.mean() if counts.lengths.any() else 1.0
    damping_N = config.k1 * (1 - config.b + config.b * counts.lengths / mean)
    weights: NDArray[np.float64] = idf_T[counts.term] * counts.count / (counts.count + damping_N[counts.doc])
    return weights


def _chunks(snapshot: "Snapshot") -> Iterator[tuple[list[str], list[str]]]:
    """Yield ids and texts of some documents at a time."""
    for name in snapshot.partitions():
        documents = snapshot.documents(name)
        for part in documents.iter_slices(_CHUNK):
            yield part.get_column("doc_id").to_list(), document_texts(part).to_list()


def _in_order(
    numbers: dict[str, int],
    ids: list[str],
    keys: list[NDArray[np.int64]],
    counts: list[NDArray[np.int64]],
    lengths: list[NDArray[np.int64]],
) -> TermCounts:
    """Renumber documents by id and terms by name, so that partitions and hash seeds leave no trace."""
    if not ids:
        empty = np.empty(0, dtype=np.int64)
        return TermCounts([], empty, empty, empty, empty)
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    row_N = np.empty(len(ids), dtype=np.int64)
    row_N[order] = np.arange(len(ids))
    terms = sorted(numbers)
    number_T = np.empty(len(terms), dtype=np.int64)
    number_T[[numbers[term] for term in terms]] = np.arange(len(terms))
    key = np.concatenate(keys)
    doc, term = row_N[key >> 32], number_T[key & 0xFFFFFFFF] if len(terms) else key
    place = np.lexsort((term, doc))
    return TermCounts(terms, doc[place], term[place], np.concatenate(counts)[place], np.concatenate(lengths)[order])
