import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from negset.errors import ContractError
from negset.training import label_bias as module
from negset.training.examples import Examples, Groups
from negset.training.label_bias import label_bias, run_label_bias
from schemas.train import TrainConfig

QUERIES, LABELS = 200, 1000


def drawn_world() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Give logits in which few of a thousand labels hold most of the softmax; the positive is column 0."""
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(QUERIES, LABELS, generator=generator, dtype=torch.float64)
    logits[:, 0] = 5.0
    return logits, torch.zeros(QUERIES, dtype=torch.int64), torch.zeros(QUERIES, LABELS, dtype=torch.bool)


def first(count: int) -> torch.Tensor:
    return (torch.arange(LABELS) <= count).expand(QUERIES, -1)


def test_evenly_drawn_negatives_make_the_loss_small_and_the_correction_brings_it_closer():
    """With a correction of the wrong sign, or of log(k/M), it would be farther off."""
    logits, target, masked = drawn_world()
    found = [label_bias(logits, target, masked, first(count)) for count in (5, 50, 500)]
    for fewer, more in ((found[0], found[1]), (found[1], found[2])):
        assert fewer.sampled < more.sampled < more.corrected <= more.exact + 0.1
        assert fewer.corrected < more.corrected
        assert fewer.exact == more.exact
    for one in found:
        assert abs(one.corrected - one.exact) < abs(one.sampled - one.exact)
    assert found[0].numbers()["sampled_minus_exact"] < -4
    assert found[2].numbers()["corrected_minus_exact"] == pytest.approx(0, abs=0.15)


def test_where_all_labels_score_the_same_the_correction_is_exact():
    logits, target, masked = drawn_world()
    even = torch.zeros_like(logits)
    found = label_bias(even, target, masked, first(5))
    assert found.exact == pytest.approx(math.log(LABELS))
    assert found.sampled == pytest.approx(math.log(6))
    assert found.corrected == pytest.approx(found.exact)


def test_with_every_label_there_is_no_bias():
    logits, target, masked = drawn_world()
    found = label_bias(logits, target, masked, first(LABELS))
    assert found.sampled == pytest.approx(found.exact)
    assert found.corrected == pytest.approx(found.exact)


def test_hard_negatives_make_the_corrected_loss_too_large():
    logits, target, masked = drawn_world()
    hardest = logits.masked_fill(torch.arange(LABELS) == 0, -99).argsort(dim=1, descending=True)[:, :5]
    found = label_bias(logits, target, masked, torch.zeros_like(masked).scatter(1, hardest, value=True))
    assert found.corrected > found.exact + 2
    assert found.sampled < found.exact


def test_what_is_masked_counts_in_neither():
    logits, target, masked = drawn_world()
    before = label_bias(logits, target, masked, first(5))
    masked[:, 3] = True
    logits[:, 3] = 90.0
    after = label_bias(logits, target, masked, first(5))
    assert after.exact < before.exact + 0.1
    assert after.sampled < before.sampled
    assert after.corrected - after.sampled == pytest.approx(math.log(998 / 4), abs=2)


def test_a_query_without_a_negative_is_refused():
    logits, target, masked = drawn_world()
    with pytest.raises(ContractError, match="200 of 200"):
        label_bias(logits, target, masked, first(0))


def groups(*rows: list[int]) -> Groups:
    return Groups(
        np.cumsum([0, *map(len, rows)]).astype(np.int64), np.array([one for row in rows for one in row], dtype=np.int64)
    )


class Fixed:
    """A model whose texts are the rows of its vectors."""

    def __init__(self, vectors):
        self.vectors = {role: np.array(rows, dtype=np.float32) for role, rows in vectors.items()}

    def encode(self, texts, role):
        return self.vectors[role][[int(text) for text in texts]]


def test_a_run_is_measured_by_its_own_negatives_and_known_positives():
    """Document 3 is known to be relevant to q0, so neither loss may hold it against q0; q1 has no negative."""
    examples = Examples(
        query_ids=["q0", "q1"],
        query_texts=["0", "1"],
        document_ids=["d0", "d1", "d2", "d3"],
        document_texts=["0", "1", "2", "3"],
        positives=groups([0], [1]),
        negatives=groups([2], []),
        negative_weights=np.ones(1, dtype=np.float32),
        known=groups([0, 3], [1]),
        left_out={},
    )
    vectors = {"query": [[1.0, 0.0], [0.0, 1.0]], "document": [[0.6, 0.8], [0.0, 1.0], [0.8, 0.6], [1.0, 0.0]]}
    found = run_label_bias(Fixed(vectors), examples, TrainConfig(temperature=0.5))
    of = {document: math.exp(score / 0.5) for document, score in enumerate([0.6, 0.0, 0.8])}
    assert (found.queries, found.documents) == (1, 4)
    assert found.exact == pytest.approx(math.log(sum(of.values()) / of[0]), abs=1e-6)
    assert found.sampled == pytest.approx(math.log((of[0] + of[2]) / of[0]), abs=1e-6)
    assert found.corrected == pytest.approx(math.log((of[0] + 2 * of[2]) / of[0]), abs=1e-6)


def plain_examples(queries):
    """Give examples whose query i has document i, and the next as its negative."""
    return Examples(
        query_ids=[f"q{row:03}" for row in range(queries)],
        query_texts=[str(row) for row in range(queries)],
        document_ids=[f"d{row:03}" for row in range(queries)],
        document_texts=[str(row) for row in range(queries)],
        positives=groups(*([row] for row in range(queries))),
        negatives=groups(*([(row + 1) % queries] for row in range(queries))),
        negative_weights=np.ones(queries, dtype=np.float32),
        known=groups(*([row] for row in range(queries))),
        left_out={},
    )


def test_a_few_queries_are_drawn_by_seed(monkeypatch):
    """The first so many would be the oldest of a collection that is sorted by id."""
    monkeypatch.setattr(module, "QUERIES", 9)
    examples = plain_examples(40)
    vectors = np.random.default_rng(1).normal(size=(2, 40, 8))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    model = Fixed(dict(zip(("query", "document"), vectors, strict=True)))
    found = [run_label_bias(model, examples, TrainConfig(seed=seed)) for seed in (1, 1, 2)]
    assert found[0] == found[1]
    assert found[0].queries == 9
    assert found[0].exact != found[2].exact
    firsts = module.measure_label_bias(
        *map(torch.from_numpy, (vectors[0][:9], vectors[1])), examples, 0.05, np.arange(9)
    )
    assert found[0].exact != pytest.approx(firsts.exact)


def test_a_run_with_many_documents_or_without_negatives_is_not_measured(monkeypatch):
    examples = plain_examples(6)
    model = Fixed({"query": np.eye(6), "document": np.eye(6)})
    monkeypatch.setattr(module, "DOCUMENTS", 6)
    assert run_label_bias(model, examples, TrainConfig()) is not None
    bare = replace(examples, negatives=groups(*([] for _ in range(6))), negative_weights=np.ones(0, dtype=np.float32))
    assert run_label_bias(model, bare, TrainConfig()) is None
    monkeypatch.setattr(module, "DOCUMENTS", 5)
    assert run_label_bias(model, examples, TrainConfig()) is None
