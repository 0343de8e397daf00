import math

import pytest
import torch

from negset.training.losses.star import StarParams, star

MASKED = torch.tensor([[0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 1]], dtype=torch.bool)


def unit(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, 5, generator=generator, dtype=torch.float64))


def test_the_mean_is_the_sum_over_all_pairs_by_their_number(loss_inputs):
    """The mean of each query's own mean would weigh the two pairs of query 0 more than the three of query 1."""
    queries, documents = unit(3, 1), unit(4, 2)
    losses = star(loss_inputs(queries, documents, masked=MASKED, temperature=0.2), StarParams())
    total, pairs = 0.0, 0
    for row in range(3):
        for column in range(4):
            if column != row and not MASKED[row, column]:
                gap = float(queries[row] @ documents[column] - queries[row] @ documents[row]) / 0.2
                total += math.log(1 + math.exp(gap))
                pairs += 1
    assert pairs == 5
    assert losses.mean() == pytest.approx(total / pairs)
    assert losses[2] == 0


def test_a_hard_negative_of_one_query_is_met_by_all(loss_inputs):
    queries, documents = unit(2, 1), unit(3, 2)
    own = torch.tensor([[False, False, True], [False, False, False]])
    documents.requires_grad_()
    star(loss_inputs(queries, documents, own_BC=own), StarParams())[1].backward()
    assert documents.grad[2].abs().sum() > 0


def test_another_querys_hard_negative_that_is_a_known_positive_has_no_part(loss_inputs):
    """q0 is relevant to its target and to document 2, which is the hard negative of q1."""
    masked = torch.tensor([[False, False, True], [False, False, False]])
    documents = unit(3, 2).requires_grad_()
    losses = star(loss_inputs(unit(2, 1), documents, masked=masked), StarParams())
    (of_first,) = torch.autograd.grad(losses[0], documents, retain_graph=True)
    (of_second,) = torch.autograd.grad(losses[1], documents)
    assert of_first[2].tolist() == [0.0] * 5
    assert of_second[2].abs().sum() > 0


def test_hard_negatives_alone_let_the_rest_rise_above_the_positive(loss_inputs):
    """STAR's staleness: a query trained against a frozen pool alone forgets what is not in the pool."""
    pool, positive, others = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.6, 0.8, 0.0]]), unit_circle()
    documents = torch.cat([positive, pool, others])

    def rank_after(masked: torch.Tensor) -> int:
        query = torch.tensor([[0.8, 0.6, 0.0]], requires_grad=True)
        optimizer = torch.optim.SGD([query], lr=2.0)
        for _ in range(60):
            normalised = torch.nn.functional.normalize(query)
            loss = star(loss_inputs(normalised, documents, masked=masked, temperature=0.1), StarParams()).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scores = torch.nn.functional.normalize(query.detach()) @ documents.T
        return 1 + int((scores[0] > scores[0, 0]).sum())

    hard_only = torch.ones(1, len(documents), dtype=torch.bool)
    hard_only[0, :2] = False
    assert rank_after(hard_only) > 1
    assert rank_after(torch.zeros(1, len(documents), dtype=torch.bool)) == 1


def unit_circle() -> torch.Tensor:
    angles = torch.linspace(2.0, 2.6, 5)
    return torch.stack([angles.cos(), angles.sin(), torch.zeros(5)], 1)
