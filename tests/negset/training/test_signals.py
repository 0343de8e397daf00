from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from negset.errors import ConfigError, ContractError
from negset.training.examples import build_examples
from negset.training.signals import (
    GUIDE,
    NO_SIGNALS,
    Guide,
    Signals,
    count_taught,
    guide_vectors,
    read_signals,
    teacher_scores,
)
from schemas.train import TrainConfig

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
SCORES = pl.List(pl.Struct({"name": pl.String, "value": pl.Float32}))


class Lengths:
    """An encoder that says how long a text is, and counts how often it is asked."""

    dimensions = 2

    def __init__(self, fingerprint="lengths"):
        self.fingerprint = fingerprint
        self.asked = 0

    def encode(self, texts, ids, role):
        self.asked += 1
        assert len(ids) == len(texts)
        return np.array([[len(text), role == "query"] for text in texts], dtype=np.float32)


@pytest.fixture
def examples(planted):
    return build_examples(planted.tables(), NO_KNOWN, pl.Series([], dtype=pl.String), split="train")


def test_a_guide_is_asked_once_for_each_text_and_kept(examples, tmp_path):
    encoder = Lengths()
    first = guide_vectors(encoder, examples, tmp_path)
    again = guide_vectors(encoder, examples, tmp_path)
    assert encoder.asked == 2
    assert torch.equal(first.queries_QG, again.queries_QG)
    assert torch.equal(first.documents_NG, again.documents_NG)
    assert again.documents_NG[:, 0].tolist() == [len(text) for text in examples.document_texts]
    assert again.queries_QG[:, 1].tolist() == [1.0] * len(examples.query_ids)


@pytest.mark.parametrize("what", ["another encoder", "another text", "damage"])
def test_a_kept_guide_of_something_else_is_not_used(examples, tmp_path, what):
    guide_vectors(Lengths(), examples, tmp_path)
    encoder = Lengths("others" if what == "another encoder" else "lengths")
    if what == "another text":
        examples = replace(examples, document_texts=["long " * 9, *examples.document_texts[1:]])
    if what == "damage":
        path = tmp_path / GUIDE
        path.write_bytes(path.read_bytes()[:50])
    found = guide_vectors(encoder, examples, tmp_path)
    assert encoder.asked == 2
    assert found.documents_NG[0, 0] == len(examples.document_texts[0])


def scored(tables, rows, candidates=()):
    """Give `tables` with scores: rows of query, document, scores by name."""

    def frame(given, **more):
        listed = [[{"name": name, "value": value} for name, value in scores.items()] for _, _, scores in given]
        ids = {"query_id": [row[0] for row in given], "doc_id": [row[1] for row in given]}
        return pl.DataFrame({**ids, **more, "scores": pl.Series(listed, dtype=SCORES)})

    return replace(tables, negatives=frame(rows, rank=list(range(1, len(rows) + 1))), candidates=frame(candidates))


def test_scores_of_negatives_and_positives_are_found_by_pair(planted):
    tables = scored(
        planted.tables(),
        [("q0x1", "d1x1", {"ce": 0.25, "dense": 0.9}), ("q1x1", "d0x1", {"dense": 0.8})],
        [("q0x1", "d0x1", {"ce": 4.0}), ("q0x0", "d0x0", {"ce": 7.0}), ("q0x1", "nowhere", {"ce": 9.0})],
    )
    examples = build_examples(tables, NO_KNOWN, pl.Series([], dtype=pl.String), split="train")
    scores = teacher_scores(tables, examples, "ce")
    query, other = examples.query_ids.index("q0x1"), examples.query_ids.index("q1x1")
    negative, positive = examples.document_ids.index("d1x1"), examples.document_ids.index("d0x1")
    found = scores.of(np.array([other, query]), np.array([negative, positive]))
    assert np.isnan(found[0]).all()
    assert found[1].tolist() == [0.25, 4.0]
    # What the run does not know, a held-out query and a document that is not in the set, is no pair of it.
    assert len(scores.keys) == 2


def test_of_twins_the_larger_score_counts(planted):
    tables = planted.tables()
    twin = tables.documents.filter(pl.col("doc_id") == "d1x1").with_columns(doc_id=pl.lit("a-twin"))
    tables = replace(tables, documents=pl.concat([tables.documents, twin]))
    tables = scored(tables, [("q0x1", "d1x1", {"ce": 0.25}), ("q0x1", "a-twin", {"ce": 0.75})])
    examples = build_examples(tables, NO_KNOWN, pl.Series([], dtype=pl.String), split="train")
    row = examples.document_ids.index("a-twin")
    assert teacher_scores(tables, examples, "ce").of(np.array([examples.query_ids.index("q0x1")]), np.array([row])) == [
        [0.75]
    ]


def test_a_name_that_the_set_lacks_is_named_with_those_it_has(planted, examples):
    tables = scored(planted.tables(), [("q0x1", "d1x1", {"cross_encoder": 0.25, "dense": 0.9})])
    with pytest.raises(ConfigError, match=r"no score 'cross_encodr' \(did you mean 'cross_encoder'\?\).*dense"):
        teacher_scores(tables, examples, "cross_encodr")
    with pytest.raises(ConfigError, match="it has none"):
        teacher_scores(planted.tables(), examples, "ce")


def test_a_score_that_is_no_number_is_named(planted, examples):
    tables = scored(planted.tables(), [("q0x1", "d1x1", {"ce": float("nan")})])
    with pytest.raises(ContractError, match=r"ce.*\(q0x1, d1x1\)"):
        teacher_scores(tables, examples, "ce")


def taught(planted, rows, candidates=(), known=NO_KNOWN, **changes):
    tables = scored(planted.tables(), rows, candidates)
    examples = build_examples(tables, known, pl.Series([], dtype=pl.String), split="train")
    config = TrainConfig(loss="margin_mse", teacher="ce", **changes)
    return count_taught(teacher_scores(tables, examples, "ce"), examples, config).numbers()


def test_a_query_is_taught_where_a_positive_and_a_negative_have_scores(planted):
    """Counted by any score, q0x2 would be taught too: it has two of negatives and none of a positive."""
    ce = {"ce": 0.5}
    rows = [("q0x1", "d1x1", ce), ("q0x2", "d1x1", ce), ("q0x2", "d2x1", ce), ("q1x1", "d0x1", {"dense": 1.0})]
    positives = [("q0x1", "d0x1", ce), ("q1x1", "d1x1", ce)]
    assert taught(planted, rows, positives) == {
        "queries": 24,
        "taught": 1,
        "without_positive": 22,
        "without_negative": 1,
    }


def test_what_can_be_no_negative_in_this_run_does_not_teach(planted):
    """A scored candidate that is no own negative is met in a batch, and not without in-batch negatives."""
    ce = {"ce": 0.5}
    rows, mined = [("q0x1", "d1x1", {"dense": 1.0}), ("q1x1", "d2x1", {"dense": 1.0})], ("q0x1", "d2x1", ce)
    candidates = [("q0x1", "d0x1", ce), mined]
    assert taught(planted, rows, candidates)["taught"] == 1
    assert taught(planted, rows, candidates, in_batch=False)["taught"] == 0
    assert taught(planted, rows, candidates, in_batch=False, remine="epoch")["taught"] == 1
    known = pl.DataFrame({"query_id": ["q0x1"], "doc_id": ["d2x1"]})
    assert taught(planted, rows, candidates, known)["without_negative"] == 1


@pytest.mark.parametrize("loss", ["margin_mse", "dual_teacher", "ar2"])
def test_a_teacher_that_can_teach_nobody_is_refused_and_says_why(planted, tmp_path, loss):
    tables = scored(planted.tables(), [("q0x1", "d1x1", {"ce": 0.5}), ("q1x1", "d0x1", {"ce": 0.5})])
    examples = build_examples(tables, NO_KNOWN, pl.Series([], dtype=pl.String), split="train")
    config = TrainConfig(loss=loss, teacher="ce")
    with pytest.raises(
        ConfigError, match=rf"none of the 24 queries, so the loss '{loss}'.*of 24 it scored no positive"
    ):
        read_signals(tables, examples, config, None, tmp_path)
    tables = replace(tables, candidates=scored(tables, [], [("q0x1", "d0x1", {"ce": 0.5})]).candidates)
    assert read_signals(tables, examples, config, None, tmp_path).teacher is not None


def test_the_digest_is_of_what_is_said(planted, examples):
    tables = scored(planted.tables(), [("q0x1", "d1x1", {"ce": 0.25})])
    other = scored(planted.tables(), [("q0x1", "d1x1", {"ce": 0.5})])
    one, two = (Signals(teacher=teacher_scores(given, examples, "ce")) for given in (tables, other))
    guided = Signals(guide=Guide(torch.zeros(1, 1), torch.zeros(1, 1), "content"))
    assert len({one.digest(), two.digest(), guided.digest(), NO_SIGNALS.digest()}) == 4
