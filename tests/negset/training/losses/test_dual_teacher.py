import pytest
import torch

from negset.errors import ConfigError
from negset.training.losses.dual_teacher import DualTeacherParams, dual_teacher
from negset.training.losses.margin_mse import MarginMseParams, margin_mse

NAN = float("nan")
SCORES = torch.tensor([[0.9, 0.5, 0.1], [0.2, 0.8, 0.4]], dtype=torch.float64)
TEACHER = torch.tensor([[8.0, NAN, 2.0], [NAN, NAN, 3.0]])
GUIDE = torch.tensor([[0.7, 0.6, 0.0], [0.1, 0.9, 0.5]], dtype=torch.float64)


def given(loss_inputs, **others):
    queries = torch.eye(2, dtype=torch.float64)
    inputs = {"teacher_BC": TEACHER, "guide_BG": queries, "guide_CG": GUIDE.T, **others}
    return loss_inputs(queries, SCORES.T, **inputs)


def test_the_set_teaches_its_pairs_and_the_guide_all_of_the_batch(loss_inputs):
    losses = dual_teacher(given(loss_inputs), DualTeacherParams(scale=0.1))
    pairs = [(0.8 - 0.6) ** 2, 0.0]
    batch = [((0.4 - 0.1) ** 2 + (0.8 - 0.7) ** 2) / 2, ((0.6 - 0.8) ** 2 + (0.4 - 0.4) ** 2) / 2]
    expected = [pair + 0.75 * whole for pair, whole in zip(pairs, batch, strict=True)]
    assert losses.tolist() == pytest.approx(expected, abs=1e-7)


def test_without_the_guides_part_it_is_margin_mse(loss_inputs):
    losses = dual_teacher(given(loss_inputs), DualTeacherParams(scale=0.1, guide_weight=0.0))
    assert losses.tolist() == margin_mse(given(loss_inputs), MarginMseParams(scale=0.1)).tolist()


def test_a_masked_candidate_is_not_learnt_from_the_guide_either(loss_inputs):
    masked = torch.tensor([[False, True, False], [False, False, False]])
    losses = dual_teacher(given(loss_inputs, masked=masked), DualTeacherParams(scale=0.1))
    assert losses[0] == pytest.approx((0.8 - 0.6) ** 2 + 0.75 * (0.8 - 0.7) ** 2)


def test_the_guides_margins_have_a_scale_of_their_own(loss_inputs):
    params = DualTeacherParams(scale=0.1, guide_scale=2.0, guide_weight=1.0)
    losses = dual_teacher(given(loss_inputs), params)
    assert losses[1] == pytest.approx(((0.6 - 1.6) ** 2 + (0.4 - 0.8) ** 2) / 2)


def test_without_a_guide_it_says_so(loss_inputs):
    with pytest.raises(ConfigError, match=r"train\.guide"):
        dual_teacher(given(loss_inputs, guide_BG=None), DualTeacherParams())
