"""How often each term stands in each document of a partition: an artifact of its own, counted once.

Its fingerprint covers the documents of the partition and the settings of the tokeniser, neither k1 nor b, so
that a changed partition alone is counted again. Counting holds the entries of one partition, 8 bytes each
(doubled while they are put together), and the texts of that partition.
"""

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.errors import ArtifactError
from negset.fingerprint import fingerprint
from negset.progress import Progress, no_progress
from negset.store import Store
from negset.tables import read_table, write_table
from negset.text import document_texts
from schemas.config import Bm25Config
from schemas.refs import TermCountsRef

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

VERSION: Final = 1
TERMS: Final = "terms.parquet"
_DOCUMENTS: Final = "documents.parquet"
_ARRAYS: Final = ("ends", "term", "count", "lengths")
_CHUNK: Final = 1 << 14  # documents tokenised at once

Rows = NDArray[np.int64]
Numbers = NDArray[np.int32]


@dataclass(frozen=True)
class TermCounts:
    """Terms of some texts: those of text n are the entries from `ends[n]` to `ends[n + 1]`, in the order of `terms`.

    `terms` are sorted; `term` and `count` say of each entry which of them it is and how often it stands there.
    `lengths` counts the tokens of each text.
    """

    terms: pl.Series
    ends: Rows
    term: Numbers
    count: Numbers
    lengths: Rows


@dataclass(frozen=True)
class StoredCounts:
    """The counts of one partition, mapped into memory."""

    folder: Path
    ends: Rows
    term: Numbers
    count: Numbers
    lengths: Rows

    @cached_property
    def doc_ids(self) -> pl.Series:
        """The ids of the documents, sorted."""
        return read_table(self.folder / _DOCUMENTS).get_column("doc_id")


def counts_fingerprint(config: Bm25Config, partition_content: str) -> str:
    """Name the counts of the partition whose documents have this content."""
    return fingerprint("term_counts", VERSION, config.stemmer, config.stopwords, partition_content)


def prepare_counts(
    config: Bm25Config, snapshot: "Snapshot", store: Store, progress: Progress = no_progress
) -> dict[str, TermCountsRef]:
    """Count the terms of each partition that is not counted yet, or damaged, and commit it before the next."""
    names = {name: counts_fingerprint(config, content) for name, content in sorted(snapshot.partition_contents.items())}
    found = {name: ref for name, key in names.items() if (ref := find_counts(store, key)) is not None}
    if len(found) < len(names):
        total = snapshot.document_columns("doc_id").height
        done = sum(ref.rows for ref in found.values())
        progress("count terms", done, total)
        for name in sorted(names.keys() - found.keys()):
            found[name] = _count_partition(config, snapshot, name, names[name], store)
            done += found[name].rows
            progress("count terms", done, total)
    return found


def find_counts(store: Store, key: str) -> TermCountsRef | None:
    """Give the reference of the counts named `key` where every byte is as it was written, else None."""
    ref = store.ref(TermCountsRef, key)
    if ref is not None:
        try:
            store.open(ref.kind, key)
        except ArtifactError:
            return None
    return ref


def open_counts(store: Store, key: str, *, check: bool = True) -> StoredCounts:
    """Check the counts named `key`, unless that was done before, and map them into memory."""
    folder = store.open(TermCountsRef.kind, key) if check else store.held(TermCountsRef.kind, key)
    try:
        ends, term, count, lengths = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS)
    except (OSError, ValueError) as error:
        message = f"cannot read the term counts in {folder}: {error}. Delete the folder and build again"
        raise ArtifactError(message) from error
    return StoredCounts(folder, ends, term, count, lengths)


def count_texts(config: Bm25Config, texts: pl.Series) -> TermCounts:
    """Count the terms of each of `texts`."""
    # Imported when texts are counted: its libraries take time to load.
    tokenise = importlib.import_module("negset.mining.tokens").tokenise_texts
    terms, tokens, lengths = tokenise(config, texts)
    text = np.repeat(np.arange(len(texts)), lengths)
    key, count = np.unique((text << 32) | tokens, return_counts=True)
    starts = np.searchsorted(key, np.arange(len(texts) + 1) << 32)
    return TermCounts(terms, starts, (key & 0xFFFFFFFF).astype(np.int32), count.astype(np.int32), lengths)


def join_counts(parts: Sequence[TermCounts]) -> TermCounts:
    """Put the counts of `parts`, texts after texts, under one list of terms."""
    terms = pl.concat([pl.Series(dtype=pl.String), *(part.terms for part in parts)]).unique().sort()
    starts = np.cumsum([0, *(len(part.term) for part in parts)])
    no_terms = np.empty(0, dtype=np.int32)
    ends = [part.ends[1:] + start for part, start in zip(parts, starts, strict=False)]
    return TermCounts(
        terms,
        np.concatenate([np.zeros(1, dtype=np.int64), *ends]),
        np.concatenate([no_terms, *(term_places(part.terms, terms)[part.term].astype(np.int32) for part in parts)]),
        np.concatenate([no_terms, *(part.count for part in parts)]),
        np.concatenate([np.empty(0, dtype=np.int64), *(part.lengths for part in parts)]),
    )


def term_places(terms: pl.Series, among: pl.Series) -> Rows:
    """Give the place of each of `terms` in the sorted `among`, -1 where it does not stand there."""
    places = among.search_sorted(terms).to_numpy().astype(np.int64)
    if among.is_empty():
        return np.full(len(terms), -1, dtype=np.int64)
    same = among.gather(np.minimum(places, len(among) - 1)) == terms
    return np.where(same.to_numpy(), places, -1)


def _count_partition(config: Bm25Config, snapshot: "Snapshot", name: str, key: str, store: Store) -> TermCountsRef:
    documents = snapshot.documents(name)
    chunks = documents.iter_slices(_CHUNK)
    counts = join_counts([count_texts(config, document_texts(chunk)) for chunk in chunks])
    frequency_T = np.bincount(counts.term, minlength=len(counts.terms))
    with store.staging() as staged:
        for array in _ARRAYS:
            np.save(staged / f"{array}.npy", getattr(counts, array))
        write_table(documents.select("doc_id"), "counted_documents", staged / _DOCUMENTS)
        frame = pl.DataFrame({"term": counts.terms, "documents": frequency_T})
        write_table(frame, "terms", staged / TERMS, presorted=True)
        facts: dict[str, object] = {"tokens": int(counts.lengths.sum()), "terms": len(counts.terms)}
        return store.commit(TermCountsRef, key, _content(counts), documents.height, staged, facts)


def _content(counts: TermCounts) -> str:
    """Hash the entries; the terms' names are covered by the fingerprint."""
    digest = hashlib.sha256()
    for column in (counts.ends, counts.term, counts.count, counts.lengths):
        digest.update(column.astype("<i8").tobytes())
    return digest.hexdigest()
