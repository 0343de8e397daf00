import math

import numpy as np
import pytest
import torch

from negset.errors import ContractError
from negset.training.examples import Examples, Groups
from negset.training.label_bias import label_bias, measure_label_bias

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


def test_a_run_is_measured_by_its_own_negatives_and_known_positives():
    """Document 3 is known to be relevant to q0, so neither loss may hold it against q0; q1 has no negative."""
    examples = Examples(
        query_ids=["q0", "q1"],
        query_texts=["", ""],
        document_ids=["d0", "d1", "d2", "d3"],
        document_texts=["", "", "", ""],
        positives=groups([0], [1]),
        negatives=groups([2], []),
        negative_weights=np.ones(1, dtype=np.float32),
        known=groups([0, 3], [1]),
        left_out={},
    )
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    documents = torch.tensor([[0.6, 0.8], [0.0, 1.0], [0.8, 0.6], [1.0, 0.0]])
    found = measure_label_bias(queries, documents, examples, 0.5, np.array([0, 1]))
    of = {document: math.exp(score / 0.5) for document, score in enumerate([0.6, 0.0, 0.8])}
    assert found.queries == 1
    assert found.exact == pytest.approx(math.log(sum(of.values()) / of[0]), abs=1e-6)
    assert found.sampled == pytest.approx(math.log((of[0] + of[2]) / of[0]), abs=1e-6)
    assert found.corrected == pytest.approx(math.log((of[0] + 2 * of[2]) / of[0]), abs=1e-6)
