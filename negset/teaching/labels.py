"""Agreement of labels among neighbours: leave-one-out nearest neighbours of documents (after LOOK).

The label of a document is the query that it is a positive of. With N(d) the k labelled documents nearest to d, itself
never among them, the share of the query q is

    p(q, d) = sum over j in N(d), j a positive of q, of exp(cos(d, j) / t)  /  the same sum over all j in N(d)

The paper gives the idea, that most and not all of the neighbours need to agree, and no formula that we could read: the
weights are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from negset.arrays import Floats, Matrix, Rows
from negset.search import Backend, ranks, search_exact
from negset.teaching.row_vectors import blocks
from negset.teaching.teacher import Pairs, pack


@dataclass(frozen=True)
class Neighbours:
    """The nearest labelled documents of each of the ascending `rows`, nearest first; -1 and NaN where there are fewer.

    `doc_UK` are rows of documents, `cosine_UK` their cosines, none of them the document itself.
    """

    rows: Rows
    doc_UK: Rows
    cosine_UK: Floats


def find_neighbours(
    rows: Rows, labelled: Rows, vectors: Callable[[Rows], Matrix], k: int, backend: Backend = "auto"
) -> Neighbours:
    """Find the `k` nearest of the ascending rows `labelled` for each of the ascending `rows`, itself left out.

    Exactly, by the canonical cosine; ties go to the smaller row.
    """
    doc_UK = np.full((len(rows), k), -1, dtype=np.int64)
    cosine_UK = np.full((len(rows), k), np.nan)
    if len(labelled):
        labelled_ND = vectors(labelled)
        for part in blocks(len(rows)):
            own = rows[part]
            hits = search_exact(vectors(own), labelled_ND, np.full(len(own), k + 1), backend)
            other = labelled[hits.doc] != own[hits.query]
            query, doc, score = hits.query[other], labelled[hits.doc[other]], hits.score[other]
            place = ranks(query) - 1
            kept = place < k
            spot = (query[kept] + part.start, place[kept])
            doc_UK[spot], cosine_UK[spot] = doc[kept], score[kept]
    return Neighbours(rows, doc_UK, cosine_UK)


def label_share(pairs: Pairs, found: Neighbours, labelled: Pairs, temperature: float) -> Floats:
    """Give the share p(query, doc) of each of `pairs`, whose documents are all among the rows of `found`.

    0 where the document has no neighbour. NaN for a labelled positive whose query has no other.
    """
    width = int(max(labelled.doc.max(initial=0), found.rows.max(initial=0))) + 1
    known = np.sort(pack(labelled, width))
    place = np.searchsorted(found.rows, pairs.doc)
    doc_PK, cosine_PK = found.doc_UK[place], found.cosine_UK[place]
    there_PK = doc_PK >= 0
    # The nearest has weight 1, so that no temperature overflows.
    weight_PK = np.where(
        there_PK, np.exp((np.nan_to_num(cosine_PK) - np.nan_to_num(cosine_PK[:, :1])) / temperature), 0
    )
    agrees_PK = there_PK & np.isin(pairs.query[:, None] * width + doc_PK, known)
    total_P = weight_PK.sum(axis=1)
    share_P: Floats = np.divide(
        (weight_PK * agrees_PK).sum(axis=1), total_P, out=np.zeros(len(pairs)), where=total_P > 0
    )
    asked, count = np.unique(labelled.query, return_counts=True)
    alone_P = np.isin(pairs.query, asked[count < 2]) & np.isin(pack(pairs, width), known)
    share_P[alone_P] = np.nan
    return share_P
