"""Whether a document shares the prototype of a positive of the query (ProtoCLIP, arXiv 2206.10996, its masks).

The documents are clustered by spherical k-means. What lies in the cluster of a positive may say the same as it, so the
filter `same_prototype` takes it out. As in the paper's code the clusters are many and small (a tenth of the documents).
Its back-translation, which moves centroids of one side into the space of the other, is `query = "translated"`.
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from negset.arrays import Floats, Matrix, Rows
from negset.lots import id_keys, mix
from negset.mining.positives import doc_ids
from negset.teaching.prototypes import fit_prototypes, means, nearest
from negset.teaching.row_vectors import blocks, document_rows, query_rows, require_vectors
from negset.teaching.teacher import OpenTeacher, Pairs, TeachingInputs, pack
from schemas.config import MineConfig
from schemas.teach import TeachConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs

VERSION: Final = 1
PER_PAIR: Final = False
"""A document's prototype depends on all documents."""
_SHARE: Final = 10
_MOST: Final = 4096


def check(_config: TeachConfig, mine: MineConfig) -> None:
    """Raise ConfigError where no miner has the documents' vectors made."""
    require_vectors("prototype", mine)


def identity(inputs: "MiningInputs", config: TeachConfig) -> object:
    """Give the content of the encoder, the seed and the options."""
    return {"encoder": inputs.encoder_content, "seed": inputs.seed, "options": config.prototype}


def depth(config: TeachConfig) -> int:
    """Give how many first ranks are scored."""
    return config.prototype.depth


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Cluster the documents; a pair scores 1 where the document is in the cluster of a positive of the query, else 0.

    With `query` the clusters of a query are those of its positives and the one of its own. Raises ConfigError where
    nothing was embedded.
    """
    options, backend = inputs.config.prototype, inputs.mining.config.dense.backend
    centroids_KD = _fitted(inputs)
    width = len(doc_ids(inputs.mining.snapshot))
    cluster_N = np.empty(width, dtype=np.int64)
    for part in blocks(width):
        vectors_BD = document_rows(inputs, "prototype", np.arange(width)[part])
        cluster_N[part] = nearest(vectors_BD, centroids_KD, backend)[0]
    of_positives = Pairs(inputs.labelled.query, cluster_N[inputs.labelled.doc])
    known = [pack(of_positives, len(centroids_KD))]
    if options.query != "positives":
        space = (centroids_KD, np.arange(len(centroids_KD)))
        if options.query == "translated":
            space = _translated(inputs, of_positives)
        known.append(pack(_own(inputs, space), len(centroids_KD)))
    masked = np.unique(np.concatenate(known))

    def score(pairs: Pairs) -> Floats:
        return np.isin(pack(Pairs(pairs.query, cluster_N[pairs.doc]), len(centroids_KD)), masked).astype(np.float64)

    return OpenTeacher(score)


def _fitted(inputs: TeachingInputs) -> Matrix:
    """Fit on all documents, or on `sample` of them with the lowest lots."""
    options, seed = inputs.config.prototype, inputs.mining.seed
    keys_N = id_keys(doc_ids(inputs.mining.snapshot))
    lots_N = mix(keys_N ^ id_keys([f"{seed}:prototype"]))
    rows = np.sort(np.argsort(lots_N, kind="stable")[: options.sample])
    clusters = options.clusters or min(max(len(keys_N) // _SHARE, 1), _MOST)
    vectors_ND = document_rows(inputs, "prototype", rows)
    backend = inputs.mining.config.dense.backend
    return fit_prototypes(vectors_ND, keys_N[rows], clusters, seed, options.attempts, options.rounds, backend)


def _translated(inputs: TeachingInputs, of_positives: Pairs) -> tuple[Matrix, Rows]:
    """Give centroids among the queries, each the mean of those with a positive in the cluster, and which clusters."""
    distinct, place = np.unique(of_positives.query, return_inverse=True)
    return means(query_rows(inputs, "prototype", distinct)[place], of_positives.doc)


def _own(inputs: TeachingInputs, space: tuple[Matrix, Rows]) -> Pairs:
    """Give the cluster of each query with a positive: the one whose centroid in `space` is nearest."""
    centroids_KD, clusters_K = space
    asked = np.unique(inputs.labelled.query)
    if not len(asked) or not len(centroids_KD):
        return Pairs(asked[:0], clusters_K[:0])
    found, _cosine = nearest(query_rows(inputs, "prototype", asked), centroids_KD, inputs.mining.config.dense.backend)
    return Pairs(asked, clusters_K[found])
