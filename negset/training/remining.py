"""Dynamic negatives: at the start of an epoch the model itself looks for what it finds hard now.

Static negatives go stale: once they are solved their loss is zero, whatever else ranks above a positive (ADORE, arXiv
2104.08051; ANCE, arXiv 2007.00808). Here the documents of the set are ranked anew for each training query.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Matrix
from negset.errors import ArtifactError
from negset.search import Hits, pair_scores, search_exact
from negset.store import write_durably
from negset.training.batches import Planned
from negset.training.checkpoint import Position
from negset.training.examples import Examples, Groups, Rows
from negset.training.model import Trainable
from schemas.train import TrainConfig

EPSILON: Final = 1e-6
"""Canonical scores have 6 digits: what differs by less is the same."""


@dataclass(frozen=True)
class Remining:
    """How negatives are found again: the first `count` of a query's `depth` best documents that are left.

    With a `share` above 0, a document above that share of the query's lowest positive's score is left out, as the rule
    `percent_of_positive` does: p - |p| (1 - share).
    """

    depth: int
    count: int
    share: float = 0.0


def remining_of(config: TrainConfig, examples: Examples) -> Remining:
    """Give what `config` says; a query gets as many negatives as it says, or as any query of the set has."""
    most = int(examples.negatives.sizes().max(initial=0))
    return Remining(config.remine_depth, config.negatives or most, config.remine_share)


def mine_again(queries_QD: Matrix, documents_ND: Matrix, examples: Examples, options: Remining) -> Groups:
    """Give each training query its hardest documents by the vectors of now, hardest first.

    Rows are those of `examples`, ties go to the smaller document row, and no known positive (nor what `examples` was
    told to mask) is among them. A query with too few documents left gets fewer: nothing is filled up.
    """
    hits = search_exact(queries_QD, documents_ND, ranks_wanted(examples.known, len(documents_ND), options), "cpu")
    if options.share:
        ceiling_Q = _ceilings(queries_QD, documents_ND, examples.positives, options.share)
        return keep_hard(hits, examples.known, options, ceiling_Q)
    return keep_hard(hits, examples.known, options)


def ranks_wanted(known: Groups, documents: int, options: Remining) -> Rows:
    """Say how many documents to look at for each query: its known positives may take up ranks, so as many more."""
    return np.minimum(options.depth + known.sizes(), documents)


def keep_hard(hits: Hits, known: Groups, options: Remining, ceiling_Q: Floats | None = None) -> Groups:
    """Give the documents of `hits` that may be negatives: not `known`, within the depth, not above `ceiling_Q`.

    The depth is counted among those that are not known.
    """
    queries = len(known.offsets) - 1
    width = int(max(hits.doc.max(initial=0), known.rows.max(initial=0))) + 1
    owner, positive = known.take(np.arange(queries))
    kept = ~np.isin(hits.query.astype(np.int64) * width + hits.doc, owner * width + positive)
    kept &= _places(hits.query, kept) <= options.depth
    if ceiling_Q is not None:
        kept &= hits.score <= ceiling_Q[hits.query] + EPSILON
    kept &= _places(hits.query, kept) <= options.count
    sizes = np.bincount(hits.query[kept], minlength=queries)
    return Groups(np.r_[0, np.cumsum(sizes)].astype(np.int64), hits.doc[kept].astype(np.int64))


@dataclass(frozen=True)
class Supply:
    """Where the negatives of a batch come from, in place of the set: asked with the epoch, right before the batch.

    `identity` is part of the run's fingerprint. What `examples` gives may differ in its negatives alone.
    """

    identity: str
    examples: Callable[[int, Planned], Examples]


def epoch_supply(
    model: Trainable, examples: Examples, config: TrainConfig, folder: Path, run: str
) -> Callable[[int, Planned], Examples]:
    """Give the supply that finds all negatives anew at the start of each epoch, by the `model` as it is then."""
    options = remining_of(config, examples)

    def mine() -> Groups:
        queries_QD = model.encode(examples.query_texts, "query")
        return mine_again(queries_QD, model.encode(examples.document_texts, "document"), examples, options)

    @lru_cache(1)
    def of_epoch(epoch: int) -> Examples:
        return with_negatives(examples, kept_negatives(folder, run, epoch, mine))

    return lambda epoch, _planned: of_epoch(epoch)


def with_negatives(examples: Examples, negatives: Groups) -> Examples:
    """Give `examples` with other `negatives`, each of weight 1: the set's weights were for its own."""
    return replace(examples, negatives=negatives, negative_weights=np.ones(len(negatives.rows), dtype=np.float32))


def kept_negatives(folder: Path, run: str, epoch: int, mine: Callable[[], Groups]) -> Groups:
    """Give the negatives of this `epoch` of a `run`: those in its `folder`, or what `mine` finds, which is kept there.

    A run that was killed within an epoch has not the model any more that they were found with, so it must read them.
    Raises ArtifactError naming a file that is damaged.
    """
    path = _file(folder, run, epoch)
    if path.exists():
        return _read(path)
    found = mine()
    buffer = io.BytesIO()
    np.savez(buffer, offsets=found.offsets, rows=found.rows)
    write_durably(path, buffer.getvalue())
    return found


def check_negatives(config: TrainConfig, folder: Path, run: str, position: Position) -> None:
    """Raise ArtifactError where a run cannot go on from `position`, as the negatives of that epoch are gone."""
    path = _file(folder, run, position.epoch)
    if config.remine == "epoch" and position.batches and not path.exists():
        message = f"{path} is gone, with the negatives that the epoch began with"
        raise ArtifactError(message)


def clear_negatives(folder: Path) -> None:
    """Remove what was kept in the `folder` of a run that is at its end."""
    for path in folder.glob("remined-*.npz"):
        path.unlink(missing_ok=True)


def _file(folder: Path, run: str, epoch: int) -> Path:
    return folder / f"remined-{run[:16]}-{epoch}.npz"


def _read(path: Path) -> Groups:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Groups(stored["offsets"].astype(np.int64), stored["rows"].astype(np.int64))
    except (OSError, ValueError, KeyError) as error:
        message = f"cannot resume from {path}: {error}. Delete the folder of the run to train from the start"
        raise ArtifactError(message) from error


def _ceilings(queries_QD: Matrix, documents_ND: Matrix, positives: Groups, share: float) -> Floats:
    """Give the highest score that a negative of each query may have; infinity for one without a positive."""
    row, doc = positives.take(np.arange(len(queries_QD)))
    lowest_Q = np.full(len(queries_QD), np.inf)
    np.minimum.at(lowest_Q, row, pair_scores(queries_QD, documents_ND, row, doc))
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(lowest_Q), np.inf, lowest_Q - np.abs(lowest_Q) * (1 - share))


def _places(query: Rows, kept: NDArray[np.bool_]) -> Rows:
    """Count for each hit how many of its query are kept up to it; `query` is sorted."""
    running = np.cumsum(kept)
    first = np.searchsorted(query, query, side="left")
    before = np.r_[0, running][first]
    return np.asarray(running - before, dtype=np.int64)
