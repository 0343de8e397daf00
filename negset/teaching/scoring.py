"""Score the candidates and the labelled positives of a ledger by a teacher, and set the scores beside candidates."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import polars as pl

from negset.arrays import Floats, Rows
from negset.errors import ConfigError, ContractError
from negset.fingerprint import fingerprint
from negset.mining.ledger import Ledger, block_frame, computed_scores, open_ledger
from negset.mining.miner import MiningInputs
from negset.mining.positives import labelled_positives
from negset.progress import Progress, no_progress
from negset.snapshot import Snapshot
from negset.store import Store
from negset.teaching.pair_cache import cached_scores, pair_keys
from negset.teaching.teacher import NO_SECRETS, OpenTeacher, Pairs, TeachingInputs, find_teacher, pack
from negset.vectors import Vectors
from schemas.config import BuildConfig
from schemas.refs import CellsRef, ScoresRef

VERSION: Final = 2
"""Raised when the pairs that are scored, the rounding of scores, or the facts beside them are others."""
PAIRS: Final = "pairs.npy"
SCORES: Final = "scores.npy"
DIGITS: Final = 6


@dataclass(frozen=True)
class Scores:
    """What one teacher gave: ascending packed `pairs` (`teacher.pack`) and their `score`, NaN for none."""

    pairs: Rows
    score: Floats

    def of(self, pairs: Rows) -> Floats:
        """Give the score of each of the packed `pairs`; NaN where the teacher did not look or has none."""
        if not len(self.pairs):
            return np.full(len(pairs), np.nan)
        place = np.minimum(np.searchsorted(self.pairs, pairs), len(self.pairs) - 1)
        return np.where(self.pairs[place] == pairs, self.score[place], np.nan)


def scores_fingerprint(
    config: BuildConfig, inputs: MiningInputs, cells: Mapping[str, CellsRef], teacher: str, guide: str = ""
) -> str:
    """Name the scores that `teacher` gives what was mined; `guide` is the content of the guide's encoder."""
    module = find_teacher(teacher)
    return fingerprint(
        "scores",
        VERSION,
        teacher,
        module.VERSION,
        module.identity(inputs, config.teach),
        module.depth(config.teach),
        inputs.snapshot.content,
        {miner: ref.content for miner, ref in cells.items()},
        guide,
    )


def teach(
    config: BuildConfig,
    inputs: MiningInputs,
    cells: Mapping[str, CellsRef],
    teacher: str,
    store: Store,
    guide: tuple[Vectors, Vectors] | None = None,
    guide_content: str = "",
    progress: Progress = no_progress,
    secrets: Mapping[str, str] = NO_SECRETS,
) -> ScoresRef:
    """Let `teacher` score what the miners proposed, down to its depth, and the labelled positives; commit that.

    Raises ConfigError where it would score more pairs than it may, ContractError for a score that is infinite.
    """
    key = scores_fingerprint(config, inputs, cells, teacher, guide_content)
    module = find_teacher(teacher)
    with store.staging() as folder:
        ledger = open_ledger(inputs, cells, store, folder, all_texts=True)
        given = _inputs(config, inputs, ledger, module.depth(config.teach), store, guide, secrets)
        width = len(ledger.documents)
        packed = np.unique(np.concatenate([pack(given.labelled, width), *(pack(p, width) for p in given.candidates())]))
        pairs = Pairs(*np.divmod(packed, width))
        opened = module.open_teacher(given)
        if module.PER_PAIR:
            name = fingerprint(teacher, module.VERSION, module.identity(inputs, config.teach))
            score = _through_cache(opened, given, pairs, name, store, partial(_told, progress, teacher, len(pairs)))
        else:
            score = _in_blocks(opened, pairs, teacher, progress)
    score = np.round(score, DIGITS)
    _refuse_infinite(teacher, pairs, score, inputs)
    with store.staging() as staged:
        np.save(staged / PAIRS, packed, allow_pickle=False)
        np.save(staged / SCORES, score, allow_pickle=False)
        content = hashlib.sha256(packed.tobytes() + score.tobytes()).hexdigest()
        facts: dict[str, object] = {"teacher": teacher, "unscored": int(np.isnan(score).sum())}
        return store.commit(ScoresRef, key, content, len(packed), staged, facts)


def open_scores(store: Store, ref: ScoresRef) -> Scores:
    """Open the scores of `ref` after checking every file."""
    folder = store.open(ScoresRef.kind, ref.fingerprint)
    return Scores(*(np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in (PAIRS, SCORES)))


def taught_blocks(
    frames: Iterator[pl.DataFrame], refs: Mapping[str, ScoresRef], snapshot: Snapshot, documents: int, store: Store
) -> Iterator[pl.DataFrame]:
    """Add to each of the candidate `frames` what the teachers of `refs` gave; `documents` counts the snapshot's."""
    if not refs:
        return frames
    scores = {teacher: open_scores(store, ref) for teacher, ref in refs.items()}
    return with_scores(frames, scores, labelled_positives(snapshot), (snapshot.queries().height, documents))


def with_scores(
    frames: Iterator[pl.DataFrame], scores: Mapping[str, Scores], labelled: pl.DataFrame, shape: tuple[int, int]
) -> Iterator[pl.DataFrame]:
    """Add `score_<teacher>` and `positive_score_<teacher>` to each of the candidate `frames`.

    The positive's score is the lowest among the pairs `labelled` (query, doc) of the query, null without any;
    `shape` counts the snapshot's queries and documents.
    """
    queries, documents = shape
    lowest = {name: _lowest_positive(found, labelled, queries, documents) for name, found in scores.items()}
    for frame in frames:
        packed = pack(Pairs(frame["query"].to_numpy(), frame["doc"].to_numpy()), documents)
        added = [
            column
            for name, found in scores.items()
            for column in (
                pl.Series(f"score_{name}", found.of(packed), nan_to_null=True),
                pl.Series(f"positive_score_{name}", lowest[name][frame["query"].to_numpy()], nan_to_null=True),
            )
        ]
        yield frame.with_columns(added)


def _lowest_positive(scores: Scores, labelled: pl.DataFrame, queries: int, documents: int) -> Floats:
    """Give the lowest score of each query's `labelled` documents, by row of the query; NaN where there is none."""
    query = labelled["query"].to_numpy().astype(np.int64)
    given = scores.of(pack(Pairs(query, labelled["doc"].to_numpy()), documents))
    lowest_Q = np.full(queries, np.nan)
    np.fmin.at(lowest_Q, query, given)
    return lowest_Q


def _inputs(
    config: BuildConfig,
    inputs: MiningInputs,
    ledger: Ledger,
    depth: int,
    store: Store,
    guide: tuple[Vectors, Vectors] | None,
    secrets: Mapping[str, str],
) -> TeachingInputs:
    texts = inputs.snapshot.queries()["text"]
    width = len(ledger.documents)

    def query_texts(rows: Rows) -> list[str]:
        return texts.gather(rows).to_list()

    def document_texts(rows: Rows) -> list[str]:
        distinct, place = np.unique(rows, return_inverse=True)
        return ledger.documents.take(distinct).text.gather(place).to_list()

    def candidates() -> Iterator[Pairs]:
        for number in range(len(ledger.blocks[ledger.miners[0]])):
            yield _within_depth(block_frame(ledger, number, store), ledger.miners, depth)

    return TeachingInputs(
        mining=inputs,
        config=config.teach,
        query_texts=query_texts,
        document_texts=document_texts,
        miner_scores=lambda miner, pairs: computed_scores(ledger, miner, pack(pairs, width)),
        candidates=candidates,
        labelled=Pairs(*np.divmod(_asked(ledger), width)),
        guide_queries=guide[0] if guide else None,
        guide_documents=guide[1] if guide else None,
        secrets=secrets,
    )


def _asked(ledger: Ledger) -> Rows:
    """Give the labelled pairs of the queries that are mined; a query of another split needs no score."""
    rows = np.concatenate([queries.rows for queries in ledger.blocks[ledger.miners[0]]])
    return ledger.labelled[np.isin(ledger.labelled // len(ledger.documents), rows)]


def _within_depth(frame: pl.DataFrame, miners: tuple[str, ...], depth: int) -> Pairs:
    """Give the pairs of `frame` that some miner ranks among its first `depth`; all for 0."""
    if depth:
        frame = frame.filter(pl.any_horizontal(pl.col(f"rank_{miner}") <= depth for miner in miners))
    return Pairs(*(frame[name].to_numpy().astype(np.int64) for name in ("query", "doc")))


def _through_cache(
    opened: OpenTeacher, given: TeachingInputs, pairs: Pairs, name: str, store: Store, told: partial[None]
) -> Floats:
    keys = pair_keys(given.query_texts(pairs.query), given.document_texts(pairs.doc))
    allow = partial(_allow, opened)
    return cached_scores(store, name, keys, lambda rows: opened.score(pairs[rows]), opened.block, told, allow)


def _allow(opened: OpenTeacher, missing: int) -> None:
    if opened.most and missing > opened.most:
        message = (
            f"{missing} pairs would be scored, and {opened.most_option} is {opened.most}; none was. Raise it, or lower "
            f"{opened.most_option.rpartition('.')[0]}.depth or take fewer queries (mine.splits)"
        )
        raise ConfigError(message)


def _in_blocks(opened: OpenTeacher, pairs: Pairs, teacher: str, progress: Progress) -> Floats:
    score = np.full(len(pairs), np.nan)
    for start in range(0, len(pairs), opened.block):
        part = slice(start, start + opened.block)
        score[part] = opened.score(pairs[part])
        progress(f"score by {teacher}", min(start + opened.block, len(pairs)), len(pairs))
    return score


def _told(progress: Progress, teacher: str, total: int, done: int) -> None:
    progress(f"score by {teacher}", done, total)


def _refuse_infinite(teacher: str, pairs: Pairs, score: Floats, inputs: MiningInputs) -> None:
    wrong = np.flatnonzero(np.isinf(score))
    if len(wrong):
        ids = inputs.snapshot.queries()["query_id"]
        named = ", ".join(f"({ids[int(pairs.query[row])]}, document {pairs.doc[row]})" for row in wrong[:5])
        message = f"teacher {teacher!r} gave {len(wrong)} scores that are infinite, first for {named}"
        raise ContractError(message)
