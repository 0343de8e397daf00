import pytest
import torch
from pydantic import ValidationError

from negset.training.losses.cwcl import CwclParams, cwcl
from negset.training.losses.info_nce import InfoNceParams, info_nce


def unit(rows: int, seed: int, width: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, width, generator=generator, dtype=torch.float64))


MASKED = torch.tensor([[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 1, 1]], dtype=torch.bool)


def given(loss_inputs, guide: torch.Tensor, **others):
    inputs = {"masked": MASKED, "temperature": 0.2, **others}
    queries = torch.ones(3, 1, dtype=torch.float64)
    return loss_inputs(unit(3, 1), unit(6, 2), guide_BG=queries, guide_CG=guide, **inputs)


@pytest.mark.parametrize("power", [1.0, 3.0])
@pytest.mark.parametrize("floor", [0.0, 0.4, "median"])
def test_the_loss_is_what_a_double_loop_says(loss_inputs, power, floor):
    guide = unit(6, 3)
    inputs = given(loss_inputs, guide)
    losses = cwcl(inputs, CwclParams(power=power, floor=floor))
    logits = inputs.queries_BD @ inputs.candidates_CD.T / 0.2
    for row in range(3):
        counted = [column for column in range(6) if not MASKED[row, column]]
        alike = {column: (1 + float(guide[row] @ guide[column])) / 2 for column in counted}
        others = sorted(alike[column] for column in counted if column != row)
        least = others[(len(others) - 1) // 2] if floor == "median" else floor
        weights = {column: max(0.0, (alike[column] - least) / (1 - least)) ** power for column in counted}
        total = torch.logsumexp(logits[row, counted], 0)
        expected = sum(weights[c] * float(total - logits[row, c]) for c in counted) / sum(weights.values())
        assert losses[row] == pytest.approx(expected)


def test_where_nothing_resembles_the_positive_it_is_info_nce(loss_inputs):
    """Orthogonal documents have weight 1/2, which a floor of 1/2 makes 0."""
    inputs = given(loss_inputs, torch.eye(6, dtype=torch.float64))
    assert torch.allclose(cwcl(inputs, CwclParams(floor=0.5)), info_nce(inputs, InfoNceParams()))
    assert torch.allclose(cwcl(inputs, CwclParams(power=60.0)), info_nce(inputs, InfoNceParams()))
    assert (cwcl(inputs, CwclParams()) - info_nce(inputs, InfoNceParams()))[:2].abs().min() > 0.01


def test_a_copy_of_the_positive_attracts_where_info_nce_repels(loss_inputs):
    """Six candidates at equal logits: InfoNCE moves the copy away by 1/6; its share of the targets is 1/4 here."""
    guide = torch.eye(6, dtype=torch.float64)
    guide[1] = guide[0]
    queries, documents = torch.ones(1, 1, dtype=torch.float64), torch.zeros(6, 1, dtype=torch.float64)

    def slope(compute) -> float:
        moving = documents.clone().requires_grad_()
        compute(loss_inputs(queries, moving, guide_BG=queries, guide_CG=guide)).sum().backward()
        return float(moving.grad[1])

    assert slope(lambda inputs: info_nce(inputs, InfoNceParams())) == pytest.approx(1 / 6)
    assert slope(lambda inputs: cwcl(inputs, CwclParams())) == pytest.approx(1 / 6 - 1 / 4)


def test_a_power_makes_the_targets_sharper(loss_inputs):
    """The more power, the less the loss hears of what is not the positive."""
    inputs = given(loss_inputs, unit(6, 3))
    plain = info_nce(inputs, InfoNceParams())
    distance = [float((cwcl(inputs, CwclParams(power=p)) - plain)[:2].abs().max()) for p in (1.0, 4.0, 16.0, 64.0)]
    assert distance == sorted(distance, reverse=True)


def test_a_masked_copy_of_the_positive_has_no_weight(loss_inputs):
    guide = unit(6, 3)
    guide[2] = guide[0]
    there = cwcl(given(loss_inputs, guide), CwclParams())
    guide[2] = -guide[0]
    assert torch.equal(cwcl(given(loss_inputs, guide), CwclParams())[0], there[0])


def test_the_median_of_copies_alone_leaves_only_the_positive(loss_inputs):
    inputs = given(loss_inputs, unit(1, 3).expand(6, -1))
    assert torch.allclose(cwcl(inputs, CwclParams(floor="median")), info_nce(inputs, InfoNceParams()))


@pytest.mark.parametrize("floor", [1.0, -0.1, "mean"])
def test_a_floor_is_below_one(floor):
    with pytest.raises(ValidationError):
        CwclParams(floor=floor)
