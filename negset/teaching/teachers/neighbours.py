"""Whose label the neighbours of a document bear (LOOK, leave-one-out nearest neighbours; formula ours, see `labels`).

A high share of neighbours that are positives of the query says that an unlabelled document is one too; the filter
`labelled_neighbours` takes it out. A labelled positive with a low share may be labelled wrongly: where it was mined,
the set's `candidates` hold its share among the `scores`.
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from negset.arrays import Floats, Rows
from negset.teaching.labels import find_neighbours, label_share
from negset.teaching.row_vectors import document_rows, require_vectors
from negset.teaching.teacher import OpenTeacher, Pairs, TeachingInputs
from schemas.config import MineConfig
from schemas.teach import TeachConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs

VERSION: Final = 1
PER_PAIR: Final = False
"""A document's neighbours depend on which others are labelled."""


def check(_config: TeachConfig, mine: MineConfig) -> None:
    """Raise ConfigError where no miner has the documents' vectors made."""
    require_vectors("neighbours", mine)


def identity(inputs: "MiningInputs", config: TeachConfig) -> object:
    """Give the content of the encoder and the options."""
    return {"encoder": inputs.encoder_content, "options": config.neighbours}


def depth(config: TeachConfig) -> int:
    """Give how many first ranks are scored."""
    return config.neighbours.depth


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Find the labelled neighbours of every candidate; a pair scores their share that are positives of the query.

    A labelled positive scores NaN where its query has no other: there is nothing that could agree with it. Raises
    ConfigError where nothing was embedded.
    """
    options = inputs.config.neighbours
    labelled_rows = np.unique(inputs.labelled.doc)
    asked_rows = _distinct([labelled_rows, *(pairs.doc for pairs in inputs.candidates())])
    found = find_neighbours(
        asked_rows,
        labelled_rows,
        lambda rows: document_rows(inputs, "neighbours", rows),
        options.k,
        inputs.mining.config.dense.backend,
    )

    def score(pairs: Pairs) -> Floats:
        return label_share(pairs, found, inputs.labelled, options.temperature)

    return OpenTeacher(score, block=1 << 14)


def _distinct(parts: list[Rows]) -> Rows:
    distinct = np.empty(0, dtype=np.int64)
    for part in parts:
        distinct = np.union1d(distinct, part)
    return distinct
