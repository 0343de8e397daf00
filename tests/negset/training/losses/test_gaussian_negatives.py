from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from negset.errors import NegsetError
from negset.training.losses.gaussian_negatives import (
    GaussianNegativesParams,
    RunningMean,
    gaussian_negatives,
    invent,
    open_mean,
    shell,
)
from negset.training.losses.info_nce import InfoNceParams, info_nce
from negset.training.objective import MemoryInputs, Moment


def vectors(rows: int, seed: int, width: int = 6) -> torch.Tensor:
    return normalize(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def cap(rows: int, seed: int, width: int = 6) -> torch.Tensor:
    """Give unit vectors about one direction, so that their mean is long."""
    return normalize(vectors(rows, seed, width) * 0.4 + torch.eye(1, width, dtype=torch.float64))


def at(step: int, epoch: int = 0) -> Moment:
    return Moment(seed=5, epoch=epoch, epochs=9, step=step, steps=90)


def batch(loss_inputs, candidates: torch.Tensor, *, step: int = 0, **others):
    memory = RunningMean(candidates.shape[1]).to(torch.float64)
    queries = others.pop("queries", vectors(4, 1, candidates.shape[1]))
    return loss_inputs(queries, candidates, memory=memory, moment=at(step), temperature=0.2, **others)


def test_the_mean_runs_on():
    """The authors' one is of the last two batches: 0, 2, 10, 10."""
    memory, seen = RunningMean(1), []
    for step, mean in enumerate([0.0, 10.0, 10.0, 10.0]):
        seen.append(memory.update(torch.full((3, 1), mean), 0.8, step).item())
    assert seen == pytest.approx([0, 2, 3.6, 4.88])


def test_a_step_moves_the_mean_once():
    memory = RunningMean(1)
    memory.update(torch.zeros(3, 1), 0.8, 0)
    for _part in range(3):
        assert memory.update(torch.full((3, 1), 10.0), 0.8, 1).item() == 2


def test_the_mean_is_kept_with_the_checkpoint():
    memory = open_mean(MemoryInputs(9, 2, 1, lambda: torch.zeros(9, 2)), GaussianNegativesParams())
    memory.update(torch.ones(1, 2), 0.8, 7)
    resumed = RunningMean(2)
    resumed.load_state_dict(memory.state_dict())
    assert resumed.update(torch.zeros(1, 2), 0.8, 8).tolist() == pytest.approx([0.8, 0.8])


def test_radii_come_from_the_documents(loss_inputs):
    """Positives on a ring of radius 1: all radii lie between one and two of its 90th percentile, over all of it."""
    angles = torch.linspace(0, 6.283, 400, dtype=torch.float64)
    ring = torch.stack([angles.cos(), angles.sin()], dim=1)
    inputs = batch(loss_inputs, ring)
    made = shell(torch.linalg.vector_norm(ring, dim=1), torch.arange(400), inputs)
    radii = torch.linalg.vector_norm(made, dim=1)
    assert 1 - 1e-9 <= float(radii.min()) < 1.05
    assert 1.95 < float(radii.max()) <= 2 + 1e-9
    assert abs(float(made.mean())) < 0.15


def test_radii_are_those_of_many_dimensions_too(loss_inputs):
    """A unit Gaussian in 400 dimensions has radius 20, far outside every document."""
    candidates = cap(60, 3, 400)
    inputs = batch(loss_inputs, candidates)
    distances = torch.linalg.vector_norm(candidates - candidates.mean(dim=0), dim=1)
    radii = torch.linalg.vector_norm(shell(distances, torch.arange(60), inputs), dim=1)
    ninth = float(torch.quantile(distances, 0.9))
    assert ((radii >= ninth - 1e-9) & (radii <= 2 * ninth + 1e-9)).all()
    assert ninth < 1


@pytest.mark.parametrize("seed", range(5))
def test_no_invented_negative_is_nearer_to_a_document_than_documents_are(loss_inputs, seed):
    candidates = cap(300, seed, 3)
    inputs = batch(loss_inputs, candidates, queries=vectors(4, 1, 3))
    params = GaussianNegativesParams(count=300)
    made = invent(inputs, inputs.memory, params)
    between = torch.cdist(candidates, candidates).fill_diagonal_(9)
    closest = torch.quantile(between.min(dim=1).values, 0.05)
    assert 0 < len(made) <= 300
    assert (torch.cdist(made, candidates).min(dim=1).values >= closest).all()
    assert torch.allclose(torch.linalg.vector_norm(made, dim=1), torch.ones(len(made), dtype=torch.float64))


def test_where_documents_are_everywhere_nothing_is_invented(loss_inputs):
    """Between points of a ring that lie evenly there is no room: not checked, 40 would be invented in their midst."""
    angles = torch.arange(40, dtype=torch.float64) * (2 * torch.pi / 40)
    ring = torch.stack([angles.cos(), angles.sin()], dim=1)
    inputs = batch(loss_inputs, ring, queries=vectors(4, 1, 2))
    assert len(invent(inputs, inputs.memory, GaussianNegativesParams())) == 0


def test_the_loss_is_infonce_with_further_candidates(loss_inputs):
    inputs = batch(loss_inputs, cap(40, 2))
    made = invent(inputs, inputs.memory, GaussianNegativesParams(count=10))
    assert 0 < len(made) <= 10
    more = loss_inputs(inputs.queries_BD, torch.cat([inputs.candidates_CD, made]), temperature=0.2)
    given = gaussian_negatives(inputs, GaussianNegativesParams(count=10))
    assert torch.allclose(given, info_nce(more, InfoNceParams()))
    assert (given > info_nce(replace(inputs, memory=None), InfoNceParams())).all()


def test_invented_negatives_are_constants(loss_inputs):
    inputs = batch(loss_inputs, cap(40, 2))
    made = invent(inputs, inputs.memory, GaussianNegativesParams())
    gradients = []
    for further in (True, False):
        moving = inputs.candidates_CD.clone().requires_grad_()
        if further:
            more = loss_inputs(inputs.queries_BD, torch.cat([moving, made]), temperature=0.2)
            info_nce(more, InfoNceParams()).sum().backward()
        else:
            gaussian_negatives(replace(inputs, candidates_CD=moving), GaussianNegativesParams()).sum().backward()
        gradients.append(moving.grad)
    assert torch.allclose(*gradients, atol=1e-12)


@pytest.mark.parametrize("candidates", [cap(19, 2), cap(1, 2).expand(40, -1)])
def test_without_a_spread_nothing_is_invented(loss_inputs, candidates):
    inputs = batch(loss_inputs, candidates)
    given = gaussian_negatives(inputs, GaussianNegativesParams())
    assert torch.allclose(given, info_nce(replace(inputs, memory=None), InfoNceParams()))


def test_each_epoch_invents_anew(loss_inputs):
    inputs = batch(loss_inputs, cap(40, 2))
    first = invent(inputs, inputs.memory, GaussianNegativesParams())
    later = invent(replace(inputs, moment=at(0, epoch=1)), inputs.memory, GaussianNegativesParams())
    assert torch.equal(first, invent(inputs, inputs.memory, GaussianNegativesParams()))
    assert not torch.allclose(first[:5], later[:5])


def test_another_module_is_refused(loss_inputs):
    inputs = replace(batch(loss_inputs, cap(40, 2)), memory=torch.nn.Linear(1, 1))
    with pytest.raises(NegsetError, match="Linear"):
        gaussian_negatives(inputs, GaussianNegativesParams())
