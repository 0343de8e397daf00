import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import normalize

from negset.training.losses.claps import (
    ClapsParams,
    claps,
    distant_positives,
    positive_gradients,
    synthetic_negatives,
    toward,
)
from negset.training.losses.info_nce import InfoNceParams, info_nce


def vectors(rows: int, seed: int, width: int = 8) -> torch.Tensor:
    return normalize(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def across(queries: torch.Tensor, seed: int) -> torch.Tensor:
    """Give unit vectors at right angles to `queries`."""
    drawn = vectors(len(queries), seed, queries.shape[1])
    return normalize(drawn - cosines(drawn, queries)[:, None] * queries)


def cosines(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return (left * right).sum(dim=1)


def pairs(loss_inputs, seed: int, cosine: float = 0.757):
    """Give four queries and their positives, all at `cosine`."""
    queries = vectors(4, seed)
    positives = cosine * queries + math.sqrt(1 - cosine**2) * across(queries, seed + 1000)
    return loss_inputs(queries, positives, temperature=0.1)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("perpendicular", [False, True])
def test_a_synthetic_negative_is_close_to_the_positive_and_farther_from_the_query(loss_inputs, seed, perpendicular):
    """With the sign turned it would be nearer than the positive, in a random direction hardly farther; by the
    gradient of the whole batch, for which the positive is a negative too, some would be nearer."""
    inputs = pairs(loss_inputs, seed)
    made, there = synthetic_negatives(inputs, ClapsParams(perpendicular=perpendicular))
    random = normalize(inputs.candidates_CD + 0.3 * vectors(4, seed + 50))
    turned = normalize(inputs.candidates_CD - 0.3 * normalize(positive_gradients(inputs)))
    of_made, of_positive = cosines(made, inputs.queries_BD), cosines(inputs.candidates_CD, inputs.queries_BD)
    assert there.all()
    assert (of_made < of_positive).all()
    assert (of_made < cosines(random, inputs.queries_BD)).all()
    assert (cosines(turned, inputs.queries_BD) > of_made).all()
    assert (cosines(made, inputs.candidates_CD) >= 0.9).all()


def test_a_step_that_leaves_nothing_of_the_positive_is_refused():
    """At 3.0 the cosine with the positive is about .3: an easy negative."""
    with pytest.raises(ValidationError):
        ClapsParams(epsilon=3.0)


def test_the_gradient_is_that_of_each_query_at_its_positive(loss_inputs):
    masked = torch.tensor([[0, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0]], dtype=torch.bool)
    inputs = loss_inputs(vectors(3, 1), vectors(6, 2), temperature=0.1, masked=masked)
    moving = inputs.candidates_CD.clone().requires_grad_()
    losses = info_nce(replace(inputs, candidates_CD=moving), InfoNceParams())
    for row in range(3):
        (gradient,) = torch.autograd.grad(losses[row], moving, retain_graph=True)
        assert torch.allclose(positive_gradients(inputs)[row], gradient[row], atol=1e-12)


def test_a_query_whose_positive_is_perfect_gets_no_synthetic_negative(loss_inputs):
    """Its gradient is zero, and a direction of zeros is none: the term is plain InfoNCE."""
    inputs = loss_inputs(vectors(1, 1), vectors(2, 2), masked=torch.tensor([[False, True]]))
    assert synthetic_negatives(inputs, ClapsParams())[1].tolist() == [False]
    assert claps(inputs, ClapsParams()).tolist() == [0.0]


def test_the_loss_is_three_times_infonce_over_what_it_says(loss_inputs):
    inputs = loss_inputs(vectors(3, 1), vectors(7, 2), temperature=0.2)
    made, _there = synthetic_negatives(inputs, ClapsParams())
    far = distant_positives(inputs, ClapsParams())
    losses = claps(inputs, ClapsParams(weight=0.4))
    for row in range(3):
        scores = (inputs.candidates_CD @ inputs.queries_BD[row] / 0.2).tolist()
        extra, distant = (float(one[row] @ inputs.queries_BD[row] / 0.2) for one in (made, far))
        plain = math.log(sum(map(math.exp, scores))) - scores[row]
        with_negative = math.log(sum(map(math.exp, [*scores, extra]))) - scores[row]
        scores[row] = distant
        with_distant = math.log(sum(map(math.exp, scores))) - distant
        assert losses[row].item() == pytest.approx(plain + 0.4 * (with_negative + with_distant))


def test_synthetic_vectors_are_constants(loss_inputs):
    """Without a stop, the positive would be pushed away by the negative that is made of it."""
    inputs = loss_inputs(vectors(3, 1), vectors(7, 2), temperature=0.2)
    made, far = synthetic_negatives(inputs, ClapsParams())[0], distant_positives(inputs, ClapsParams())
    rows = torch.arange(3)
    grads = []
    for constant in (True, False):
        candidates = inputs.candidates_CD.clone().requires_grad_()
        if constant:
            scores = inputs.queries_BD @ candidates.T / 0.2
            extra, distant = (cosines(one, inputs.queries_BD)[:, None] / 0.2 for one in (made, far))
            moved = scores.scatter(1, rows[:, None], distant)
            terms = (scores, 1.0), (torch.cat([scores, extra], dim=1), 0.5), (moved, 0.5)
            total = sum(share * torch.nn.functional.cross_entropy(one, rows, reduction="sum") for one, share in terms)
        else:
            total = claps(replace(inputs, candidates_CD=candidates), ClapsParams()).sum()
        total.backward()
        grads.append(candidates.grad)
    assert torch.allclose(*grads, atol=1e-12)


def test_a_distant_positive_scores_as_its_positive_does(loss_inputs):
    """Noise that is added without being projected changes the score."""
    inputs = pairs(loss_inputs, 3)
    far = distant_positives(inputs, ClapsParams(distance=2.0))
    before = cosines(inputs.candidates_CD, inputs.queries_BD)
    assert torch.allclose(cosines(far, inputs.queries_BD), before, atol=1e-12)
    assert torch.allclose(torch.linalg.vector_norm(far, dim=1), torch.ones(4, dtype=torch.float64))
    assert (cosines(far, inputs.candidates_CD) < 0.8).all()
    still = distant_positives(inputs, ClapsParams(distance=0))
    assert torch.allclose(still, inputs.candidates_CD, atol=1e-12)


def test_the_targeted_variant_moves_the_hardest_negative_towards_acceptance(loss_inputs):
    """The untargeted one scores less: it moves a positive away."""
    masked = torch.zeros(3, 8, dtype=torch.bool)
    masked[0, 4] = True
    inputs = loss_inputs(vectors(3, 1), vectors(8, 2), temperature=0.1, masked=masked)
    scores = inputs.scores_BC().masked_fill(masked, -2).scatter(1, torch.arange(3)[:, None], -2.0)
    hardest = inputs.candidates_CD[scores.argmax(dim=1)]
    before = scores.max(dim=1).values
    for epsilon in (0.05, 0.1, 0.2, 0.3, 0.43):
        made, there = synthetic_negatives(inputs, ClapsParams(method="targeted", epsilon=epsilon))
        after = cosines(made, inputs.queries_BD)
        assert there.all()
        assert (after > before).all()
        assert torch.linalg.vector_norm(made - hardest, dim=1).tolist() == pytest.approx([epsilon] * 3, abs=1e-6)
        assert torch.allclose(torch.linalg.vector_norm(made, dim=1), torch.ones(3, dtype=torch.float64))
        other, _there = synthetic_negatives(inputs, ClapsParams(method="untargeted", epsilon=epsilon))
        assert (cosines(other, inputs.queries_BD) < cosines(inputs.candidates_CD[:3], inputs.queries_BD)).all()
        before = after


def test_what_is_moved_stops_at_its_goal():
    start = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    goal = normalize(torch.tensor([[1.0, 0.1], [0.0, 1.0]], dtype=torch.float64))
    assert torch.allclose(toward(start, goal, 0.3), goal, atol=1e-7)


def test_of_equal_negatives_the_order_of_the_batch_does_not_choose(loss_inputs):
    queries = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    documents = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.6, 0.0, 0.8]], dtype=torch.float64)
    keys = torch.tensor([5, 9, 7])
    made = []
    for order in ([0, 1, 2], [0, 2, 1]):
        inputs = loss_inputs(queries, documents[order], candidate_key_C=keys[order])
        made.append(synthetic_negatives(inputs, ClapsParams(method="targeted"))[0])
    assert torch.equal(*made)
    assert made[0][0, 2] > made[0][0, 1]


def test_with_no_negative_to_move_the_targeted_variant_makes_none(loss_inputs):
    inputs = loss_inputs(vectors(1, 1), vectors(1, 2))
    assert synthetic_negatives(inputs, ClapsParams(method="targeted"))[1].tolist() == [False]
    assert claps(inputs, ClapsParams(method="targeted")).tolist() == [0.0]
