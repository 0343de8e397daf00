"""What teachers are given, without a build."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from negset.mining.miner import MiningInputs
from negset.teaching.teacher import Pairs, TeachingInputs
from negset.text import document_texts
from schemas.config import MineConfig
from schemas.teach import TeachConfig

Given = Callable[..., TeachingInputs]
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


@pytest.fixture(scope="session")
def given(memory_snapshot) -> Given:
    """Give a function from texts, labels and candidates, all by id, to the inputs of a teacher.

    `scores` holds what each miner gives, by miner and pair of ids; `blocks` is how many queries come at a time.
    """

    def make(
        documents: Mapping[str, str],
        queries: Mapping[str, str],
        labels: Sequence[tuple[str, str]],
        candidates: Sequence[tuple[str, str]],
        scores: Mapping[str, Mapping[tuple[str, str], float]] | None = None,
        blocks: int = 2,
        seed: int = 1,
        secrets: Mapping[str, str] | None = None,
        **sections: Mapping[str, object],
    ) -> TeachingInputs:
        snapshot = memory_snapshot(documents, queries, [(*label, 1) for label in labels])
        query_ids, doc_ids = snapshot.queries()["query_id"].to_list(), snapshot.documents()["doc_id"].to_list()
        texts = document_texts(snapshot.documents())

        def rows(pairs: Sequence[tuple[str, str]]) -> Pairs:
            found = sorted((query_ids.index(query), doc_ids.index(doc)) for query, doc in pairs)
            return Pairs(*(np.array([pair[side] for pair in found], dtype=np.int64) for side in (0, 1)))

        def miner_scores(miner: str, pairs: Pairs) -> np.ndarray:
            known = (scores or {})[miner]
            ids = zip(pairs.query.tolist(), pairs.doc.tolist(), strict=True)
            return np.array([known.get((query_ids[query], doc_ids[doc]), np.nan) for query, doc in ids])

        def in_blocks():
            proposed = rows(candidates)
            for first in range(0, len(query_ids), blocks):
                inside = (proposed.query >= first) & (proposed.query < first + blocks)
                yield Pairs(proposed.query[inside], proposed.doc[inside])

        return TeachingInputs(
            mining=MiningInputs(snapshot, MineConfig(miners=tuple(scores or {"random": None})), seed),
            config=TeachConfig.model_validate(sections),
            query_texts=lambda some: snapshot.queries()["text"].gather(some).to_list(),
            document_texts=lambda some: texts.gather(some).to_list(),
            miner_scores=miner_scores,
            candidates=in_blocks,
            labelled=rows(labels),
            secrets=secrets or {},
        )

    return make
