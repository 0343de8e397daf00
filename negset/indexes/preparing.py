"""Build the index of each partition, find how hard it must search, and measure what it finds.

An index is an artifact of its own, so that a partition that did not change keeps its index, and an interrupted
run goes on with those that are missing. Recall is measured over the whole corpus at the depth that is mined: the
configured one, and one for each positive of the query.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import polars as pl

from negset.fingerprint import fingerprint
from negset.indexes import choosing
from negset.indexes.files import is_sound, write_index
from negset.indexes.kind import AUTO, EXACT, Setting, fewest_documents, find_kind, fixed_setting, kind_version
from negset.indexes.opened import PARTITIONS, Entry, digest_ids, indexes_content, open_entry
from negset.indexes.recall import choose_setting, found_shares, sampled_queries
from negset.indexes.search import OpenIndex, mine_indexed, search_index
from negset.mining.cells import mined_queries, open_documents
from negset.mining.miner import Documents, MiningInputs, Queries
from negset.mining.positives import doc_ids
from negset.mining.times import LAST
from negset.progress import Progress, no_progress
from negset.search import Hits, Matrix, checked_norms, join_hits, search_exact, top_hits
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
    """Sampled queries with their vectors: those that choose a setting, those that judge it, those that are timed."""

    choosing: Queries
    choosing_QD: Matrix
    judging: Queries
    judging_QD: Matrix


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
    asking, ids = _ask(inputs), doc_ids(inputs.snapshot)
    names = inputs.snapshot.partitions()
    judged: dict[str, Judged] = {}
    for done, name in enumerate(names):
        progress(f"index {kind}", done, len(names))
        judged[name] = _prepare_partition(inputs, store, kind, name, open_documents(inputs, name, ids), asking)
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
    parts = [frame[rows] for rows in _sampled(frame, inputs.seed)]
    (first, first_QD), (second, second_QD) = [as_queries(inputs, part) for part in parts]
    return Asking(first, first_QD, second, second_QD)


def as_queries(inputs: MiningInputs, frame: pl.DataFrame) -> tuple[Queries, Matrix]:
    """Give queries of `mined_queries` at the depth they are mined to, without a limit of time, and their vectors."""
    vectors = choosing.needed(inputs.query_vectors)
    queries = Queries(
        rows=frame.get_column("query").to_numpy().astype(np.int64),
        query_id=frame.get_column("query_id"),
        text=frame.get_column("text"),
        depths=frame.get_column("positives").to_numpy().astype(np.int64) + inputs.config.depth,
        until=np.full(frame.height, LAST, dtype=np.int64),
    )
    return queries, vectors.gather(queries.text.to_list())


def _prepare_partition(
    inputs: MiningInputs, store: Store, kind: IndexKind, name: str, documents: Documents, asking: Asking
) -> Judged:
    documents_ND = choosing.needed(inputs.document_vectors).gather(documents.text.to_list())
    checked_norms(documents_ND, "document", documents.doc_id)
    exact = _exact(inputs, asking.judging, asking.judging_QD, documents, documents_ND)
    size, ids = len(documents.rows), digest_ids(documents.doc_id)
    reason = _why_exact(kind, size, inputs.config.depth)
    if reason:
        _log.info("partition %s: %s", name, reason)
        there = _among_all(exact, documents)
        return Judged(Entry(documents=size, doc_ids=ids, kind=EXACT, reason=reason), there, there)
    key = index_fingerprint(inputs.encoder_content, inputs.snapshot.partition_contents[name], kind, inputs.seed)
    if not is_sound(store, key):
        write_index(store, key, kind, documents_ND, inputs.seed)
    entry = Entry(documents=size, doc_ids=ids, kind=kind, key=key)
    tuned, found = _tune(inputs, store, entry, documents, documents_ND, asking)
    _log.info("partition %s: %s with %s", name, kind, tuned.setting)
    if inputs.config.dense.index == AUTO:
        share = float(found_shares(exact, found, len(asking.judging.rows)).mean())
        tuned = _hold(inputs, store, tuned, share, name, documents, documents_ND)
        found = found if tuned.kind != EXACT else exact
    return Judged(tuned, _among_all(exact, documents), _among_all(found, documents))


def _why_exact(kind: IndexKind, documents: int, depth: int) -> str:
    if kind == EXACT:
        return "exact search was measured to be the cheapest"
    fewest = fewest_documents(kind, depth)
    return f"{documents:,} documents are fewer than the {fewest:,} that {kind} needs" if documents < fewest else ""


def _tune(
    inputs: MiningInputs, store: Store, entry: Entry, documents: Documents, documents_ND: Matrix, asking: Asking
) -> tuple[Entry, Hits]:
    """Choose the setting of `entry` by some queries, and give what it finds for the others."""
    opened = open_entry(store, entry, documents_ND)
    depths = asking.choosing.depths

    def search(setting: Setting) -> Hits:
        # What the index leaves to exact search is not found by it: a setting that leaves all would look perfect.
        return search_index(OpenIndex(opened.propose, documents_ND, setting), asking.choosing_QD, depths)[0]

    setting = choose_setting(
        find_kind(entry.kind).settings(entry.documents, fixed_setting(inputs.config.dense)),
        _exact(inputs, asking.choosing, asking.choosing_QD, documents, documents_ND),
        len(depths),
        inputs.config.dense.target_recall,
        search,
    )
    tuned = OpenIndex(opened.propose, documents_ND, setting)
    exact = partial(_exact_again, inputs, documents, documents_ND)
    found = mine_indexed(tuned, asking.judging, asking.judging_QD, documents, exact)
    return entry.model_copy(update={"setting": setting}), found


def _hold(
    inputs: MiningInputs,
    store: Store,
    entry: Entry,
    share: float,
    name: str,
    documents: Documents,
    documents_ND: Matrix,
) -> Entry:
    """Give `entry` where its index keeps what `auto` promised, else one of exact search that says why."""
    reason = ""
    if share < inputs.config.dense.target_recall:
        reason = f"{entry.kind} found {share:.4f} of the exact candidates, less than the target"
    else:
        opened = open_entry(store, entry, documents_ND)
        queries, queries_QD = as_queries(inputs, choosing.timed_queries(inputs))
        exactly = partial(_exact_again, inputs, documents, documents_ND)
        begun = time.perf_counter()
        mine_indexed(opened, queries, queries_QD, documents, exactly)
        indexed = time.perf_counter()
        exactly(queries)
        if indexed - begun > time.perf_counter() - indexed:
            reason = f"{entry.kind} was slower than exact search"
    if not reason:
        return entry
    _log.warning("partition %s is searched exactly: %s", name, reason)
    return Entry(documents=entry.documents, doc_ids=entry.doc_ids, kind=EXACT, reason=reason)


def _exact_again(inputs: MiningInputs, documents: Documents, documents_ND: Matrix, queries: Queries) -> Hits:
    queries_QD = choosing.needed(inputs.query_vectors).gather(queries.text.to_list())
    return _exact(inputs, queries, queries_QD, documents, documents_ND)


def _exact(
    inputs: MiningInputs, queries: Queries, queries_QD: Matrix, documents: Documents, documents_ND: Matrix
) -> Hits:
    names = (queries.query_id, documents.doc_id)
    return search_exact(queries_QD, documents_ND, queries.depths, inputs.config.dense.backend, names)


def _among_all(hits: Hits, documents: Documents) -> Hits:
    """Count the documents of `hits` among those of the whole corpus."""
    return Hits(hits.query, documents.rows[hits.doc], hits.score)
