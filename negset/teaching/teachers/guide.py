"""Cosine of a second, better encoder (GISTEmbed, arXiv 2402.16829, in its offline form).

A rule that compares `score_guide` with `positive_score_guide` of the same query is the mask of GISTEmbed's loss over
the mined lists: `percent_of_positive`, `margin` or `max_score` with `by = "guide"`.
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from negset.arrays import Floats
from negset.errors import ContractError
from negset.teaching.teacher import OpenTeacher, Pairs, TeachingInputs
from schemas.config import MineConfig
from schemas.teach import TeachConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs

VERSION: Final = 1
PER_PAIR: Final = False
"""The vectors are what is kept; a dot product costs less than looking a pair up."""


def check(_config: TeachConfig, _mine: MineConfig) -> None:
    """Find nothing to refuse."""


def identity(_inputs: "MiningInputs", _config: TeachConfig) -> object:
    """Give nothing: the guide's encoder is named beside."""
    return None


def depth(config: TeachConfig) -> int:
    """Give how many first ranks are scored."""
    return config.guide.depth


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Score a pair by the dot product, in float64, of the guide's two vectors, which have length 1.

    Raises ContractError where the guide's vectors are not given.
    """
    queries, documents = inputs.guide_queries, inputs.guide_documents
    if queries is None or documents is None:
        message = "teacher 'guide' needs the vectors of its encoder; embed by teach.guide.encoder first"
        raise ContractError(message)

    def score(pairs: Pairs) -> Floats:
        query_rows, query_place = np.unique(pairs.query, return_inverse=True)
        doc_rows, doc_place = np.unique(pairs.doc, return_inverse=True)
        query_UD = queries.gather(inputs.query_texts(query_rows))
        doc_UD = documents.gather(inputs.document_texts(doc_rows))
        dots: Floats = np.einsum("pd,pd->p", query_UD[query_place], doc_UD[doc_place], dtype=np.float64)
        return dots

    return OpenTeacher(score, block=1 << 14)
