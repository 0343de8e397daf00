import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from negset.training.losses.info_nce import InfoNceParams, info_nce
from negset.training.losses.uncertainty import UncertaintyParams, add_noise, noisy_share, uncertainty
from negset.training.objective import Moment


def vectors(rows: int, seed: int, width: int = 8) -> torch.Tensor:
    return normalize(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def at(step: int, steps: int = 50, epoch: int = 0) -> Moment:
    return Moment(seed=5, epoch=epoch, epochs=50, step=step, steps=steps)


def test_the_noisy_share_falls_from_one_to_a_third_and_never_to_zero():
    assert noisy_share(at(0), 1.0) == 1
    assert noisy_share(at(50), 1.0) == pytest.approx(0.368, abs=5e-4)
    assert noisy_share(at(25), 1.0) == pytest.approx(math.exp(-0.5))


def test_a_run_of_one_epoch_has_a_schedule_too(loss_inputs):
    """Counted in epochs, as in the paper, all of such a run would be noisy."""
    assert noisy_share(Moment(seed=5, epoch=0, epochs=1, step=9, steps=10), 1.0) == pytest.approx(math.exp(-0.9))


@pytest.mark.parametrize("step", [0, 20, 49])
def test_without_noise_the_noisy_part_is_the_exact_one(loss_inputs, step):
    inputs = loss_inputs(vectors(3, 1), vectors(7, 2), temperature=0.2, moment=at(step))
    exact, share = info_nce(inputs, InfoNceParams()), noisy_share(at(step), 1.0)
    spread = inputs.candidates_CD[:3].std(dim=1, correction=0)
    expected = share * 0.5 * (torch.exp(-spread) * exact + spread) + (1 - share) * exact
    assert torch.allclose(uncertainty(inputs, UncertaintyParams(noise=0)), expected, atol=1e-12)


def test_noise_scales_and_shifts_by_the_deviation_of_a_vectors_own_entries(loss_inputs):
    """Over the batch's column (the wrong axis), the noise of a constant vector would not vanish."""
    flat = torch.full((1, 4000), 0.3, dtype=torch.float64)
    wide = vectors(1, 2, 4000) * 7
    inputs = loss_inputs(vectors(1, 1, 4000), torch.cat([flat, wide]))
    noisy = add_noise(inputs, 1.0)
    assert torch.allclose(noisy[0], flat[0])
    spread = float(wide.std(correction=0))
    moved = noisy[1] - wide[0]
    assert float(moved.mean()) == pytest.approx(0, abs=0.05 * spread)
    assert float(moved.std()) == pytest.approx(spread * math.sqrt(1 + spread**2), rel=0.05)


def test_a_candidates_noise_is_its_own_and_new_each_epoch(loss_inputs):
    inputs = loss_inputs(vectors(3, 1), vectors(7, 2), moment=at(0))
    chosen = torch.tensor([4, 2])
    part = replace(inputs, candidates_CD=inputs.candidates_CD[chosen], candidate_key_C=inputs.candidate_key_C[chosen])
    assert torch.allclose(add_noise(part, 1.0), add_noise(inputs, 1.0)[chosen])
    assert torch.equal(add_noise(replace(inputs, moment=at(1)), 1.0), add_noise(inputs, 1.0))
    assert not torch.allclose(add_noise(replace(inputs, moment=at(0, epoch=1)), 1.0), add_noise(inputs, 1.0))


def test_who_else_is_in_the_batch_does_not_change_what_a_loss_is_discounted_by(loss_inputs):
    """The authors' spread is one number for the batch; with it, masked for a query would not be unheard by it."""
    masked = torch.zeros(2, 5, dtype=torch.bool)
    masked[0, 4] = masked[0, 1] = True
    inputs = loss_inputs(vectors(2, 1), vectors(5, 2), masked=masked, moment=at(10))
    candidates = inputs.candidates_CD.clone()
    candidates[[1, 4]] *= 30
    there, elsewhere = (
        uncertainty(one, UncertaintyParams()) for one in (inputs, replace(inputs, candidates_CD=candidates))
    )
    assert there[0] == elsewhere[0]
    assert there[1] != elsewhere[1]


def test_a_query_with_nothing_but_its_positive_has_no_loss(loss_inputs):
    inputs = loss_inputs(vectors(1, 1), vectors(2, 2), masked=torch.tensor([[False, True]]))
    assert uncertainty(inputs, UncertaintyParams()).tolist() == [0.0]
