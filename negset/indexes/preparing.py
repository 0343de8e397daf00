"""Build the index of each partition, find how hard it must search, and measure what it finds.

An index is an artifact of its own, so that a partition that did not change keeps its index, and an interrupted
run goes on with those that are missing. Recall is measured over the whole corpus at the depth that is mined: the
configured one, and one for each positive of the query.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import polars as pl

from negset.arrays import Matrix
from negset.fingerprint import fingerprint
from negset.indexes import choosing
from negset.indexes.files import is_sound, write_index
from negset.indexes.kind import AUTO, EXACT, Setting, fewest_documents, find_kind, fixed_setting, kind_version
from negset.indexes.opened import PARTITIONS, Entry, digest_ids, indexes_content, open_entry
from negset.indexes.recall import choose_setting, found_shares, sampled_queries
from negset.indexes.search import OpenIndex, mine_indexed, search_index
from negset.mining.cells import mined_queries
from negset.mining.filling import open_documents
from negset.mining.miner import Documents, MiningInputs, Queries
from negset.mining.times import LAST
from negset.progress import Progress, no_progress
from negset.search import Hits, checked_norms, join_hits, search_exact, top_hits
from negset.store import Store
from schemas.config import IndexKind
from schemas.refs import IndexesRef

VERSION: Final = 1
RECALL: Final = "recall"
SAMPLE: Final = "sample"
KIND: Final = "index"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asking:
    """Sampled queries: those that choose a setting, and those that judge it."""

    choosing: Queries
    judging: Queries


@dataclass(frozen=True)
class Part:
    """A partition with its vectors."""

    name: str
    documents: Documents
    documents_ND: Matrix


@dataclass(frozen=True)
class Judged:
    """The index of a partition, and what exact search and the index found for the judging queries there."""

    entry: Entry
    exact: Hits
    found: Hits


def indexes_fingerprint(inputs: MiningInputs) -> str:
    """Give the cache key of `prepare_indexes`: encoder, documents, the kinds and their options, the sampled queries."""
    config = inputs.config
    frame = mined_queries(inputs)
    sampled = [frame[rows].select("query_id", "text", "positives").rows() for rows in _sampled(frame, inputs.seed)]
    kinds = [config.dense.index] if config.dense.index != AUTO else list(choosing.CANDIDATES)
    return fingerprint(
        "indexes",
        VERSION,
        inputs.encoder_content,
        dict(inputs.snapshot.partition_contents),
        [config.dense, config.depth, inputs.seed, sampled],
        {kind: kind_version(kind) for kind in kinds},
        choosing.choice_fingerprint(inputs) if config.dense.index == AUTO else "",
    )


def prepare_indexes(inputs: MiningInputs, store: Store, progress: Progress = no_progress) -> IndexesRef:
    """Build what is missing, and give a reference to the indexes of all partitions.

    The facts of the artifact list them, with the kind that `auto` stood for, the recall that was measured and the
    number of queries that it was measured on.
    """
    kind = choosing.resolve_kind(inputs, store) if inputs.config.dense.index == AUTO else inputs.config.dense.index
    asking = _ask(inputs)
    names = inputs.snapshot.partitions()
    judged: dict[str, Judged] = {}
    for done, name in enumerate(names):
        progress(f"index {kind}", done, len(names))
        judged[name] = _prepare_partition(inputs, store, kind, _open_part(inputs, name), asking)
    progress(f"index {kind}", len(names), len(names))
    facts: dict[str, object] = {
        KIND: kind,
        RECALL: measured_recall(list(judged.values()), asking.judging),
        SAMPLE: len(asking.judging.rows),
        PARTITIONS: {name: one.entry.model_dump() for name, one in judged.items()},
    }
    entries = {name: one.entry for name, one in judged.items()}
    content = indexes_content(entries, inputs.seed)
    rows = sum(entry.documents for entry in entries.values() if entry.kind != EXACT)
    with store.staging() as staged:
        return store.commit(IndexesRef, indexes_fingerprint(inputs), content, rows, staged, facts)


def measured_recall(judged: Sequence[Judged], queries: Queries) -> float:
    """Give the mean share of the exact hits in the whole corpus that the indexes found, rounded to 6 digits."""
    exact = top_hits(join_hits([one.exact for one in judged]), queries.depths)
    found = top_hits(join_hits([one.found for one in judged]), queries.depths)
    share_Q = found_shares(exact, found, len(queries.rows))
    return round(float(share_Q.mean()), 6) if len(share_Q) else 1.0


def index_fingerprint(encoder_content: str, partition_content: str, kind: IndexKind, seed: int) -> str:
    """Name the index of a partition."""
    return fingerprint("index", kind, kind_version(kind), encoder_content, partition_content, seed)


def _sampled(frame: pl.DataFrame, seed: int) -> tuple["pl.Series", "pl.Series"]:
    first, second = sampled_queries(frame.get_column("query_id"), seed)
    return pl.Series(first, dtype=pl.UInt32), pl.Series(second, dtype=pl.UInt32)


def _ask(inputs: MiningInputs) -> Asking:
    frame = mined_queries(inputs)
    first, second = _sampled(frame, inputs.seed)
    return Asking(as_queries(inputs, frame[first]), as_queries(inputs, frame[second]))


def as_queries(inputs: MiningInputs, frame: pl.DataFrame) -> Queries:
    """Give queries of `mined_queries` at the depth they are mined to, without a limit of time."""
    return Queries(
        rows=frame.get_column("query").to_numpy().astype(np.int64),
        query_id=frame.get_column("query_id"),
        text=frame.get_column("text"),
        depths=frame.get_column("positives").to_numpy().astype(np.int64) + inputs.config.depth,
        until=np.full(frame.height, LAST, dtype=np.int64),
    )


def _open_part(inputs: MiningInputs, name: str) -> Part:
    documents = open_documents(inputs, name)
    return Part(name, documents, choosing.needed(inputs.document_vectors).gather(documents.text.to_list()))


def _prepare_partition(inputs: MiningInputs, store: Store, kind: IndexKind, part: Part, asking: Asking) -> Judged:
    checked_norms(part.documents_ND, "document", part.documents.doc_id)
    exact = _search_exactly(inputs, part, asking.judging)
    found, entry = exact, _exact_entry(part, _why_exact(kind, len(part.documents_ND), inputs.config.depth))
    if not entry.reason:
        entry, opened, found = _tune(inputs, _indexed(inputs, store, kind, part), part, asking)
        doubt = _broken_promise(inputs, part, opened, exact, found) if inputs.config.dense.index == AUTO else ""
        if doubt:
            found, entry = exact, _exact_entry(part, f"{kind} {doubt}")
    _log.info("partition %s: %s %s", part.name, entry.kind, entry.reason or entry.setting)
    return Judged(entry, _among_all(exact, part.documents), _among_all(found, part.documents))


def _exact_entry(part: Part, reason: str) -> Entry:
    return Entry(documents=len(part.documents_ND), doc_ids=digest_ids(part.documents.doc_id), kind=EXACT, reason=reason)


def _why_exact(kind: IndexKind, documents: int, depth: int) -> str:
    if kind == EXACT:
        return "exact search was measured to be the cheapest"
    fewest = fewest_documents(kind, depth)
    return f"{documents:,} documents are fewer than the {fewest:,} that {kind} needs" if documents < fewest else ""


def _indexed(inputs: MiningInputs, store: Store, kind: IndexKind, part: Part) -> tuple[Entry, OpenIndex]:
    """Build the index of `part` unless it is there, and open it."""
    content = inputs.snapshot.partition_contents[part.name]
    key = index_fingerprint(inputs.encoder_content, content, kind, inputs.seed)
    if not is_sound(store, key):
        write_index(store, key, kind, part.documents_ND, inputs.seed)
    entry = _exact_entry(part, "").model_copy(update={"kind": kind, "key": key})
    return entry, open_entry(store, entry, part.documents_ND)


def _tune(
    inputs: MiningInputs, indexed: tuple[Entry, OpenIndex], part: Part, asking: Asking
) -> tuple[Entry, OpenIndex, Hits]:
    """Choose the setting of an index by some queries, and give what it then finds for the judging ones."""
    entry, opened = indexed
    choosing_QD = _vectors(inputs, asking.choosing)

    def search(setting: Setting) -> Hits:
        # What the index leaves to exact search is not found by it: a setting that leaves all would look perfect.
        return search_index(replace(opened, setting=setting), choosing_QD, asking.choosing.depths)[0]

    setting = choose_setting(
        find_kind(entry.kind).settings(entry.documents, fixed_setting(inputs.config.dense)),
        _search_exactly(inputs, part, asking.choosing),
        len(asking.choosing.rows),
        inputs.config.dense.target_recall,
        search,
    )
    tuned = replace(opened, setting=setting)
    return entry.model_copy(update={"setting": setting}), tuned, _mine(inputs, part, tuned, asking.judging)


def _broken_promise(inputs: MiningInputs, part: Part, opened: OpenIndex, exact: Hits, found: Hits) -> str:
    """Say why `auto` gives the index up: it finds too little, or is slower than exact search; else nothing."""
    share_Q = found_shares(exact, found, int(exact.query.max(initial=-1)) + 1)
    if share_Q.mean() < inputs.config.dense.target_recall:
        return f"found {share_Q.mean():.4f} of the exact candidates, less than the target"
    queries = as_queries(inputs, choosing.timed_queries(inputs))
    begun = time.perf_counter()
    _mine(inputs, part, opened, queries)
    between = time.perf_counter()
    _search_exactly(inputs, part, queries)
    return "was slower than exact search" if between - begun > time.perf_counter() - between else ""


def _mine(inputs: MiningInputs, part: Part, opened: OpenIndex, queries: Queries) -> Hits:
    exactly = partial(_search_exactly, inputs, part)
    return mine_indexed(opened, queries, _vectors(inputs, queries), part.documents, exactly)


def _search_exactly(inputs: MiningInputs, part: Part, queries: Queries) -> Hits:
    names = (queries.query_id, part.documents.doc_id)
    backend = inputs.config.dense.backend
    return search_exact(_vectors(inputs, queries), part.documents_ND, queries.depths, backend, names)


def _vectors(inputs: MiningInputs, queries: Queries) -> Matrix:
    return choosing.needed(inputs.query_vectors).gather(queries.text.to_list())


def _among_all(hits: Hits, documents: Documents) -> Hits:
    """Count the documents of `hits` among those of the whole corpus."""
    return Hits(hits.query, documents.rows[hits.doc], hits.score)
