import math
from functools import partial

import pytest
import torch

from negset.errors import ContractError
from negset.training.losses.info_nce import InfoNceParams, open_temperature
from negset.training.losses.info_nce import info_nce as compute


def vectors(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, 5, generator=generator, dtype=torch.float32))


@pytest.fixture
def info_nce(loss_inputs):
    def give(queries, candidates, target, masked, temperature):
        return compute(
            loss_inputs(queries, candidates, target=target, masked=masked, temperature=temperature), InfoNceParams()
        )

    return give


def test_the_loss_is_what_a_double_loop_says(info_nce):
    queries, documents = vectors(3, 1), vectors(6, 2)
    masked = torch.tensor([[0, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]], dtype=torch.bool)
    target = [0, 2, 5]
    losses = info_nce(queries, documents, torch.tensor(target), masked, 0.1)
    for row in range(3):
        total = 0.0
        for column in range(6):
            if not masked[row, column]:
                total += math.exp(float(queries[row] @ documents[column]) / 0.1)
        expected = -math.log(math.exp(float(queries[row] @ documents[target[row]]) / 0.1) / total)
        assert float(losses[row]) == pytest.approx(expected, abs=1e-5)


def test_a_masked_candidate_gets_no_gradient_and_has_no_weight(info_nce):
    """Masked by a factor, as OpenShape's loss has it, the first world's loss would be .474."""
    logits = torch.tensor([[0.5, 0.9, -8.0, -9.0]])
    loss = info_nce(torch.ones(1, 1), logits.T, torch.tensor([0]), torch.tensor([[False, True, False, False]]), 1.0)
    assert float(loss) == pytest.approx(0.0003, abs=5e-5)
    documents = vectors(4, 3).requires_grad_()
    masked = torch.tensor([[False, True, False, False]])
    info_nce(vectors(1, 4), documents, torch.tensor([0]), masked, 0.05).sum().backward()
    assert documents.grad[1].tolist() == [0.0] * 5
    assert documents.grad[2].abs().sum() > 0


def test_a_query_with_nothing_but_its_positive_has_no_loss(info_nce):
    losses = info_nce(vectors(1, 1), vectors(3, 2), torch.tensor([1]), torch.tensor([[True, False, True]]), 0.05)
    assert losses.tolist() == [0.0]


def test_permuting_the_batch_permutes_the_losses(info_nce):
    queries, documents, target = vectors(4, 1), vectors(7, 2), torch.tensor([0, 1, 2, 3])
    masked = torch.zeros(4, 7, dtype=torch.bool)
    masked[0, 4] = masked[3, 5] = True
    order = torch.tensor([2, 0, 3, 1])
    there = info_nce(queries, documents, target, masked, 0.05)
    back = info_nce(queries[order], documents, target[order], masked[order], 0.05)
    assert torch.allclose(there[order], back, atol=1e-6)


def test_d8_a_mask_that_multiplies_logits_is_another_loss(loss_inputs):
    """Defect D8: OpenShape's mask makes logits 0, which far from the positive is most of the sum (.474)."""
    logits = torch.tensor([[0.5, 0.9, -8.0, -9.0]])
    masked = torch.tensor([[False, True, False, False]])
    wrong = torch.nn.functional.cross_entropy(logits * ~masked, torch.tensor([0]))
    assert float(wrong) == pytest.approx(0.474, abs=1e-3)
    right = compute(loss_inputs(torch.ones(1, 1), logits.T, masked=masked), InfoNceParams())
    assert float(right) == pytest.approx(0.0003, abs=5e-5)


def doubles(rows: int, seed: int, width: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, width, generator=generator, dtype=torch.float64))


MASKED = torch.tensor([[0, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0]], dtype=torch.bool)


def test_both_directions_are_what_a_double_loop_says(loss_inputs):
    """Query 2 has the positive of query 0: it is no negative of it. Document 1 is known to be relevant to query 2."""
    queries, documents, target = doubles(3, 1), doubles(6, 2), [0, 1, 0]
    inputs = loss_inputs(queries, documents, target=torch.tensor(target), masked=MASKED, temperature=0.1)
    losses = compute(inputs, InfoNceParams(symmetric=True))
    logits = queries @ documents.T / 0.1
    there = [[0, 1, 3, 4], [0, 1, 2, 3, 4, 5], [0, 2, 4, 5]]
    back = [[0, 1], [0, 1], [1, 2]]
    for row in range(3):
        forward = torch.logsumexp(logits[row, there[row]], 0) - logits[row, target[row]]
        backward = torch.logsumexp(logits[back[row], target[row]], 0) - logits[row, target[row]]
        assert losses[row] == pytest.approx(float(forward + backward) / 2)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_where_nothing_is_masked_both_directions_are_the_loss_of_clip(loss_inputs, smoothing):
    """Smoothed in one direction only, it would not be Sample4Geo's."""
    queries, documents = doubles(5, 1), doubles(5, 2)
    logits, own = queries @ documents.T / 0.07, torch.arange(5)
    params = InfoNceParams(symmetric=True, label_smoothing=smoothing)
    losses = compute(loss_inputs(queries, documents, temperature=0.07), params)
    entropy = partial(torch.nn.functional.cross_entropy, target=own, label_smoothing=smoothing)
    both = entropy(logits) + entropy(logits.T)
    assert losses.mean() == pytest.approx(float(both) / 2)


def test_without_in_batch_negatives_the_other_direction_has_nothing_to_say(loss_inputs):
    masked = torch.ones(2, 4, dtype=torch.bool)
    masked[0, 0] = masked[1, 1] = masked[0, 2] = masked[1, 3] = False
    one = compute(loss_inputs(doubles(2, 1), doubles(4, 2), masked=masked), InfoNceParams())
    both = compute(loss_inputs(doubles(2, 1), doubles(4, 2), masked=masked), InfoNceParams(symmetric=True))
    assert torch.allclose(both, one / 2)


def test_smoothing_is_that_of_torch_where_nothing_is_masked(loss_inputs):
    queries, documents = doubles(3, 1), doubles(6, 2)
    losses = compute(loss_inputs(queries, documents, temperature=0.1), InfoNceParams(label_smoothing=0.1))
    logits, own = queries @ documents.T / 0.1, torch.arange(3)
    expected = torch.nn.functional.cross_entropy(logits, own, reduction="none", label_smoothing=0.1)
    assert torch.allclose(losses, expected)


@pytest.mark.parametrize("block", [None, 2])
def test_smoothing_spreads_over_what_counts_only(loss_inputs, block):
    """Spread over all columns, as torch does it, the share of a masked one times minus infinity is infinite."""
    queries, documents, target = doubles(3, 1), doubles(6, 2).requires_grad_(), torch.tensor([0, 1, 0])
    inputs = loss_inputs(queries, documents, target=target, masked=MASKED, temperature=0.1)
    losses = compute(inputs, InfoNceParams(label_smoothing=0.2, block=block))
    for row in range(3):
        counted = (~MASKED[row]).nonzero()[:, 0]
        logits = (queries[row] @ documents[counted].T / 0.1).detach()
        place = counted.tolist().index(target[row])
        expected = torch.nn.functional.cross_entropy(logits, torch.tensor(place), label_smoothing=0.2)
        assert losses[row].detach() == pytest.approx(float(expected))
    losses[0].backward()
    assert documents.grad[2].tolist() == [0.0] * 5
    assert documents.grad[3].abs().max() > 1e-3


OPTIONS = [{}, {"symmetric": True}, {"label_smoothing": 0.1}, {"symmetric": True, "label_smoothing": 0.1}]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("block", [1, 2, 4, 100])
def test_in_blocks_it_is_the_same_loss_with_the_same_gradients(loss_inputs, options, block):
    results = []
    for size in (None, block):
        queries, documents = doubles(3, 1).requires_grad_(), doubles(6, 2).requires_grad_()
        target = torch.tensor([0, 1, 0])
        inputs = loss_inputs(queries, documents, target=target, masked=MASKED, temperature=0.1)
        losses = compute(inputs, InfoNceParams(block=size, **options))
        (losses * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
        results.append((losses.detach(), queries.grad, documents.grad))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("block", [None, 2])
@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_are_those_of_finite_differences(loss_inputs, options, block):
    memory = open_temperature(None, InfoNceParams(learn_temperature=True)).double()
    params = InfoNceParams(learn_temperature=True, block=block, **options)

    def give(queries, documents, _):
        inputs = loss_inputs(
            queries, documents, target=torch.tensor([0, 1, 0]), masked=MASKED, temperature=0.5, memory=memory
        )
        return compute(inputs, params)

    queries, documents = doubles(3, 1).requires_grad_(), doubles(6, 2).requires_grad_()
    assert torch.autograd.gradcheck(give, (queries, documents, memory.log_factor))


def test_a_learned_temperature_begins_at_the_runs_and_stays_above_its_floor():
    temperature = open_temperature(None, InfoNceParams(learn_temperature=True))
    assert temperature(0.05).item() == pytest.approx(0.05)
    temperature.log_factor.data.fill_(-50.0)
    assert temperature(0.05).item() == pytest.approx(0.01)
    temperature.log_factor.data.fill_(-50.0)
    assert temperature(0.002).item() == pytest.approx(0.002)
    assert open_temperature(None, InfoNceParams()) is None


def test_a_learned_temperature_that_fell_to_its_floor_can_rise_again(loss_inputs):
    """Held by a clamp of the result, it would have no gradient there."""
    temperature = open_temperature(None, InfoNceParams(learn_temperature=True))
    temperature.log_factor.data.fill_(-50.0)
    inputs = loss_inputs(vectors(3, 1), vectors(3, 2), temperature=0.05, memory=temperature)
    compute(inputs, InfoNceParams(learn_temperature=True)).sum().backward()
    assert temperature.log_factor.grad.abs() > 0


def test_d14_the_positives_of_the_second_of_two_processes_stand_behind_those_of_the_first(loss_inputs):
    """Defect D14: after a gather, the diagonal of rank 1 begins at its batch size and not at 0."""
    queries, documents = doubles(6, 1), doubles(6, 2)
    whole = compute(loss_inputs(queries, documents, temperature=0.1), InfoNceParams())
    ranks = [
        compute(
            loss_inputs(queries[start : start + 3], documents, target=torch.arange(start, start + 3), temperature=0.1),
            InfoNceParams(),
        )
        for start in (0, 3)
    ]
    assert torch.allclose(torch.cat(ranks), whole)
    wrong = compute(loss_inputs(queries[3:], documents, temperature=0.1), InfoNceParams())
    assert not torch.allclose(wrong, whole[3:])


def test_parameters_of_another_loss_are_no_temperature(loss_inputs):
    """Losses that build on this one hand their inputs on as they are, with parameters of their own."""
    inputs = loss_inputs(vectors(3, 1), vectors(3, 2), memory=torch.nn.Identity())
    assert compute(inputs, InfoNceParams()).isfinite().all()
    with pytest.raises(ContractError, match="Identity"):
        compute(inputs, InfoNceParams(learn_temperature=True))
