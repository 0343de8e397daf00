import pytest
import torch

from negset.training.reports.weight_noise import DRAWS, measure_shaken, shaken_weights


def make_module():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(40, 30), torch.nn.Linear(30, 20))


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_noise_is_relative_to_each_parameter():
    module = make_module()
    with torch.no_grad():
        module[1].weight.mul_(1000)
    before = state(module)
    with shaken_weights(module, 0.1, "salt"):
        for name in ("0.weight", "1.weight"):
            size = before[name].pow(2).mean().sqrt()
            moved = (module.state_dict()[name] - before[name]).pow(2).mean().sqrt()
            assert float(moved / size) == pytest.approx(0.1, rel=0.1)


def test_weights_are_what_they_were_even_after_an_error():
    module = make_module()
    before = state(module)
    with pytest.raises(RuntimeError, match="measuring failed"), shaken_weights(module, 0.5, "salt"):
        raise RuntimeError("measuring failed")
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_draws_differ_and_are_the_same_each_time():
    module = make_module()
    one, other = (measure_shaken(module, lambda: float(module[0].weight.detach().sum()), 3) for _ in range(2))
    assert one == other
    assert len(set(one)) == DRAWS
    assert float(module[0].weight.detach().sum()) not in one


def test_a_sharp_minimum_loses_more_than_a_flat_one():
    """Two minima of the same depth: how wide they are is all that differs."""

    def loss_after(width):
        module = torch.nn.Linear(8, 1, bias=False)
        torch.nn.init.ones_(module.weight)
        return (
            sum(measure_shaken(module, lambda: float(((module.weight.detach() - 1) / width).pow(2).sum()), 1)) / DRAWS
        )

    assert loss_after(0.1) > 50 * loss_after(1.0) > 0
