"""Cosine after a linear map of the miner's own vectors, fitted on the labels of other queries.

An encoder that never saw a corpus ranks unlabelled positives high and cannot tell them from hard negatives. A map
fitted on the labels of the corpus can, better than it could. A query is scored by a map that saw neither it nor a query
that shares its text or a positive with it. The idea is RocketQA's and NV-Retriever's, that a better teacher makes
better negatives (arXiv 2010.08191, 2407.15831); that a linear map fitted in seconds does is ours (docs/teachers.md).
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from negset.arrays import Floats, Matrix, Rows
from negset.errors import ConfigError
from negset.linkage import deal_groups, linked_groups
from negset.lots import id_keys, mix
from negset.mining.positives import known_positives
from negset.teaching.linear_map import MapExamples, fit_map
from negset.teaching.row_vectors import blocks, document_rows, query_rows, require_vectors
from negset.teaching.teacher import OpenTeacher, Pairs, TeachingInputs, pack
from negset.teaching.training_pairs import document_count, pack_frame, query_keys
from schemas.config import MineConfig
from schemas.teach import TeachConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs

VERSION: Final = 1
PER_PAIR: Final = False
"""The labels and the candidates count too."""
NAME: Final = "adapter"


def check(_config: TeachConfig, mine: MineConfig) -> None:
    """Raise ConfigError where no miner has vectors made."""
    require_vectors(NAME, mine)


def identity(inputs: "MiningInputs", config: TeachConfig) -> object:
    """Give the content of the encoder, the options and the seed."""
    return {"encoder": inputs.encoder_content, "options": config.adapter, "seed": inputs.seed}


def depth(config: TeachConfig) -> int:
    """Give how many first ranks are scored."""
    return config.adapter.depth


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Fit a map for each fold.

    Holds the vectors of the labelled queries, their positives and the negatives learned from. Raises ConfigError where
    nothing was embedded, or fewer than two queries of different text are labelled.
    """
    options, seed = inputs.config.adapter, inputs.mining.seed
    fold_Q = _folds(inputs, options.folds, seed)
    examples, query_U = _examples(inputs)
    fold_E = fold_Q[query_U[examples.query_E]]
    maps_FDD = np.stack(
        [fit_map(examples, np.flatnonzero(fold_E != fold), options, seed) for fold in range(int(fold_Q.max()) + 1)]
    )

    def score(pairs: Pairs) -> Floats:
        found_P = np.empty(len(pairs))
        for fold, map_DD in enumerate(maps_FDD):
            own = np.flatnonzero(fold_Q[pairs.query] == fold)
            found_P[own] = _cosines(inputs, pairs[own], map_DD)
        return found_P

    return OpenTeacher(score, block=1 << 14)


def _folds(inputs: TeachingInputs, folds: int, seed: int) -> Rows:
    """Give each query of the snapshot its fold; not more folds than groups of labelled queries."""
    texts = [digest.hex() for digest in inputs.mining.snapshot.queries()["text_sha256"]]
    names, text_Q = np.unique(np.array(texts), return_inverse=True)
    lot_Q = mix(id_keys([f"{seed}:{NAME}:{name}" for name in names]))[text_Q]
    asked_U, query_P = np.unique(inputs.labelled.query, return_inverse=True)
    if len(np.unique(text_Q[asked_U])) < 2:
        message = (
            f"the teacher {NAME!r} is fitted on the labels of other queries and needs labelled positives of two "
            f"queries of different text; {len(asked_U)} queries are labelled. Use another teacher, or more queries "
            "(mine.splits)"
        )
        raise ConfigError(message)
    number_U = np.unique(text_Q[asked_U], return_inverse=True)[1].reshape(-1)
    group_U = linked_groups(number_U, query_P.reshape(-1), inputs.labelled.doc, len(asked_U) / folds)
    count = min(folds, int(group_U.max()) + 1)
    if count < 2:  # too few queries to keep what is linked together: equal texts must do
        group_U, count = number_U, 2
    fold_Q = (lot_Q % np.uint64(count)).astype(np.int64)
    fold_Q[asked_U] = deal_groups(group_U, lot_Q[asked_U], count)
    return fold_Q


def _examples(inputs: TeachingInputs) -> tuple[MapExamples, Rows]:
    """Give what maps are fitted on, and the rows of its queries."""
    snapshot, options = inputs.mining.snapshot, inputs.config.adapter
    width = document_count(snapshot)
    known = pack_frame(known_positives(snapshot), width)
    labelled = Pairs(*np.divmod(np.unique(pack(inputs.labelled, width)), max(width, 1)))
    query_U, query_E = np.unique(labelled.query, return_inverse=True)
    queries_UD = query_rows(inputs, NAME, query_U)
    cosine_E = _dots(inputs, queries_UD, query_E, labelled.doc)
    lowest_U = np.full(len(query_U), np.inf)
    np.minimum.at(lowest_U, query_E, cosine_E)
    negatives_UK = _hardest(inputs, query_U, queries_UD, lowest_U, known)
    document_V = np.unique(np.concatenate([labelled.doc, negatives_UK[negatives_UK >= 0]]))
    numbered_UK = np.where(negatives_UK >= 0, np.searchsorted(document_V, negatives_UK), -1)
    keys = query_keys(snapshot, query_U)[query_E] ^ mix(_document_keys(inputs, labelled.doc))
    examples = MapExamples(
        queries_QD=queries_UD,
        documents_ND=document_rows(inputs, NAME, document_V),
        query_E=query_E,
        positive_E=np.searchsorted(document_V, labelled.doc),
        negatives_EK=numbered_UK[query_E, : options.negatives],
        key_E=(keys >> np.uint64(1)).astype(np.int64),
        known=_renumber(known, width, query_U, document_V),
    )
    return examples, query_U


def _hardest(inputs: TeachingInputs, query_U: Rows, queries_UD: Matrix, lowest_U: Floats, known: Rows) -> Rows:
    """Give the hardest candidates of each query below its limit, (U, negatives), -1 where there are fewer.

    Ties go to the smaller document.
    """
    options, width = inputs.config.adapter, document_count(inputs.mining.snapshot)
    found = [pl.DataFrame(schema={"place": pl.Int64, "doc": pl.Int64, "rank": pl.Int64})]
    for block in inputs.candidates():  # holds whole queries
        asked = np.isin(block.query, query_U) & ~np.isin(pack(block, width), known)
        place, doc = np.searchsorted(query_U, block.query[asked]), block.doc[asked]
        rows = pl.DataFrame({"place": place, "doc": doc, "cosine": _dots(inputs, queries_UD, place, doc)})
        kept = rows.filter(pl.col("cosine") <= options.share * pl.Series(lowest_U[place]))
        ordered = kept.sort("place", "cosine", "doc", descending=[False, True, False])
        ranked = ordered.with_columns(rank=pl.int_range(pl.len()).over("place"))
        found.append(ranked.filter(pl.col("rank") < options.negatives).select("place", "doc", "rank"))
    negatives_UK = np.full((len(query_U), max(options.negatives, 1)), -1, dtype=np.int64)
    chosen = pl.concat(found)
    negatives_UK[chosen["place"].to_numpy(), chosen["rank"].to_numpy()] = chosen["doc"].to_numpy()
    return negatives_UK


def _renumber(known: Rows, width: int, query_U: Rows, document_V: Rows) -> Rows:
    """Give those `known` pairs whose query and document are among the rows given, packed by their places there."""
    query, doc = np.divmod(known, max(width, 1))
    there = np.isin(query, query_U) & np.isin(doc, document_V)
    place, column = np.searchsorted(query_U, query[there]), np.searchsorted(document_V, doc[there])
    packed: Rows = np.sort(place * len(document_V) + column)
    return packed


def _dots(inputs: TeachingInputs, queries_UD: Matrix, place_P: Rows, doc_P: Rows) -> Floats:
    """Give the cosine of each pair of a place in `queries_UD` and a document row."""
    dots_P = np.empty(len(place_P))
    for part in blocks(len(place_P)):
        doc_V, column = np.unique(doc_P[part], return_inverse=True)
        documents_VD = document_rows(inputs, NAME, doc_V)
        dots_P[part] = np.einsum("pd,pd->p", queries_UD[place_P[part]], documents_VD[column], dtype=np.float64)
    return dots_P


def _cosines(inputs: TeachingInputs, pairs: Pairs, map_DD: Matrix) -> Floats:
    """Give the cosine of each of `pairs` after the map, in float64, which no block size changes."""
    query_U, query_P = np.unique(pairs.query, return_inverse=True)
    doc_V, doc_P = np.unique(pairs.doc, return_inverse=True)
    queries_UD = _mapped(query_rows(inputs, NAME, query_U), map_DD)
    documents_VD = _mapped(document_rows(inputs, NAME, doc_V), map_DD)
    cosines_P: Floats = np.einsum("pd,pd->p", queries_UD[query_P], documents_VD[doc_P])
    return cosines_P


def _mapped(vectors_MD: Matrix, map_DD: Matrix) -> Floats:
    mapped_MD = vectors_MD.astype(np.float64) @ map_DD.astype(np.float64)
    length_M1 = np.linalg.norm(mapped_MD, axis=1, keepdims=True)
    mapped_MD /= np.where(length_M1 > 0, length_M1, 1.0)
    return mapped_MD


def _document_keys(inputs: TeachingInputs, rows: Rows) -> np.ndarray:
    return id_keys(inputs.mining.snapshot.document_columns("doc_id")["doc_id"].gather(rows))
