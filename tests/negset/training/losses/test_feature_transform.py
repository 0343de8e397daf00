from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from negset.training.losses.feature_transform import FeatureTransformParams, extrapolate, feature_transform
from negset.training.losses.info_nce import InfoNceParams, info_nce
from negset.training.objective import Moment


def vectors(rows: int, seed: int, width: int = 6) -> torch.Tensor:
    return normalize(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def pair(cosine: float) -> tuple[torch.Tensor, torch.Tensor]:
    left = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    return left, torch.tensor([[cosine, (1 - cosine**2) ** 0.5]], dtype=torch.float64)


@pytest.mark.parametrize("by", [0.5, 1.0, 1.3, 1.5, 2.0])
def test_extrapolation_changes_the_score_as_the_paper_says(by):
    left, right = vectors(50, 1), vectors(50, 2)
    moved_left, moved_right = extrapolate(left, right, torch.full((50, 1), by, dtype=torch.float64))
    score = (left * right).sum(dim=1)
    expected = score + 2 * by * (1 - by) * (1 - score)
    assert torch.allclose((moved_left * moved_right).sum(dim=1), expected, atol=1e-14)


@pytest.mark.parametrize(("by", "score"), [(1.5, 0.5), (2.0, 0.0), (0.5, 0.9)])
def test_a_positive_at_eight_tenths_gets_harder_above_one_and_easier_below(by, score):
    """Below one it is an interpolation: the plausible wrong version."""
    left, right = extrapolate(*pair(0.8), torch.tensor([[by]], dtype=torch.float64))
    assert float((left * right).sum()) == pytest.approx(score)


@pytest.mark.parametrize("normalise", [False, True])
def test_every_positive_gets_harder(loss_inputs, normalise):
    """With one negative, a harder positive is a higher loss."""
    params = FeatureTransformParams(negative_beta=0, normalise=normalise)
    inputs = loss_inputs(vectors(40, 3), vectors(80, 4), temperature=0.5)
    assert (feature_transform(inputs, params) > info_nce(inputs, InfoNceParams())).all()


def test_with_nothing_transformed_it_is_info_nce(loss_inputs):
    inputs = loss_inputs(vectors(5, 3), vectors(9, 4), temperature=0.1)
    params = FeatureTransformParams(positive_beta=0, negative_beta=0)
    assert torch.allclose(feature_transform(inputs, params), info_nce(inputs, InfoNceParams()), atol=1e-12)


def test_a_mixture_lies_between_two_negatives(loss_inputs):
    """In one dimension a mixed negative scores between the two it is of, the positive as before."""
    positions = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
    inputs = loss_inputs(torch.ones(1, 1, dtype=torch.float64), positions)
    params = FeatureTransformParams(positive_beta=0, normalise=False)
    loss = float(feature_transform(inputs, params))
    at = lambda scores: float(torch.logsumexp(torch.tensor([0.0, *scores], dtype=torch.float64), dim=0))  # noqa: E731
    assert at([1.0, 1.0]) < loss < at([5.0, 5.0])
    assert loss != pytest.approx(at([1.0, 5.0]))


def test_no_masked_candidate_gets_in_by_way_of_a_mixture(loss_inputs):
    """Mixed before masking, the gradient of what is masked would not be zero."""
    queries, masked = vectors(3, 1), torch.zeros(3, 9, dtype=torch.bool)
    masked[:, 5] = True
    masked[0, 6] = True
    for epoch in range(8):
        candidates = vectors(9, 2).requires_grad_()
        moment = Moment(seed=1, epoch=epoch, epochs=8, step=0, steps=1)
        losses = feature_transform(
            loss_inputs(queries, candidates, masked=masked, moment=moment), FeatureTransformParams()
        )
        losses[0].backward(retain_graph=True)
        assert not candidates.grad[[5, 6]].any()
        losses.sum().backward()
        assert not candidates.grad[5].any()
        assert candidates.grad[6].any()


def test_the_only_negative_is_not_mixed_with_the_positive(loss_inputs):
    inputs = loss_inputs(vectors(1, 1), vectors(2, 2))
    params = FeatureTransformParams(positive_beta=0)
    assert torch.allclose(feature_transform(inputs, params), info_nce(inputs, InfoNceParams()), atol=1e-12)


def test_each_epoch_draws_anew_and_a_step_does_not(loss_inputs):
    inputs = loss_inputs(vectors(4, 1), vectors(9, 2))
    losses = [
        feature_transform(replace(inputs, moment=Moment(1, epoch, 3, step, 9)), FeatureTransformParams())
        for epoch, step in ((0, 0), (0, 1), (1, 3))
    ]
    assert torch.equal(losses[0], losses[1])
    assert not torch.allclose(losses[0], losses[2])


def test_one_number_for_all_dimensions_is_another_mixture(loss_inputs):
    inputs = loss_inputs(vectors(4, 1), vectors(9, 2))
    wide, narrow = (feature_transform(inputs, FeatureTransformParams(per_dimension=one)) for one in (True, False))
    assert not torch.allclose(wide, narrow)
