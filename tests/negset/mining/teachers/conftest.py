"""What teachers are given, without a build."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from negset.mining.teacher import Pairs, TeachingInputs
from schemas.teach import TeachConfig

NONE = Pairs(np.empty(0, np.int64), np.empty(0, np.int64))


@pytest.fixture
def teaching_inputs() -> Callable[..., TeachingInputs]:
    """Give a function from texts, labels and candidates to what a teacher reads."""

    def make(
        queries: Sequence[str] = ("q",),
        documents: Sequence[str] = ("d",),
        labelled: Pairs = NONE,
        candidates: Sequence[Pairs] = (),
        config: TeachConfig | None = None,
        **others: object,
    ) -> TeachingInputs:
        given = {
            "mining": None,
            "miner_scores": lambda _miner, pairs: np.full(len(pairs), np.nan),
            **others,
        }
        return TeachingInputs(
            config=config or TeachConfig(),
            query_texts=lambda rows: [queries[row] for row in rows],
            document_texts=lambda rows: [documents[row] for row in rows],
            candidates=lambda: iter(candidates),
            labelled=labelled,
            **given,
        )

    return make
