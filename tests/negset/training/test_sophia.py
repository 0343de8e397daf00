from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import ConfigError
from negset.training.cells import Cells, cells_of
from negset.training.objective import LossInputs, Moment
from negset.training.sophia import Sophia, draw_targets, pseudo_losses

FLAT = {"rho": 0.5, "weight_decay": 0.0}


def parameter(*values: float) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor(values))


def every_cell(shape: tuple[int, int]) -> Cells:
    none = torch.zeros(shape, dtype=torch.bool)
    return cells_of(none, none, torch.ones(shape))


def batch(queries: torch.Tensor, candidates: torch.Tensor, step: int = 0, **changes) -> LossInputs:
    rows, columns = torch.arange(len(queries)), torch.arange(len(candidates))
    shape = (len(queries), len(candidates))
    inputs = LossInputs(
        queries_BD=queries,
        candidates_CD=candidates,
        target_B=rows,
        cells=every_cell(shape),
        query_row_B=rows,
        candidate_row_C=columns,
        query_key_B=rows * 7919 + 11,
        candidate_key_C=columns * 104729 + 5,
        temperature=0.5,
        moment=Moment(seed=13, epoch=0, epochs=1, step=step, steps=1),
    )
    return replace(inputs, **changes)


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_two_steps_are_the_formula():
    theta = parameter(1.0, 1.0)
    sophia = Sophia([theta], lr=0.1, betas=(0.5, 0.9), rho=0.5, weight_decay=0.2)
    theta.grad = torch.tensor([0.4, -3.0])
    sophia.update_hessian(10)
    assert sophia.state[theta]["curvature"].tolist() == pytest.approx([0.1 * 10 * 0.16, 0.1 * 10 * 9.0])
    theta.grad = torch.tensor([0.02, 8.0])
    sophia.step()
    first, second = 0.02 * 0.5 / (0.5 * 0.16), 8.0 * 0.5 / (0.5 * 9.0)
    assert theta.tolist() == pytest.approx([0.98 - 0.1 * first, 0.98 - 0.1 * second])
    theta.grad = torch.tensor([-0.04, 8.0])
    sophia.step()
    mean = 0.5 * 0.01 - 0.5 * 0.04
    before = 0.98 - 0.1 * first
    after = [before * 0.98 - 0.1 * mean / (0.5 * 0.16), (0.98 - 0.1 * second) * 0.98 - 0.1]
    assert theta.tolist() == pytest.approx(after)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3), st.integers(0, 4))
def test_no_coordinate_moves_further_than_the_rate(gradient, estimates):
    theta = parameter(0.0, 0.0, 0.0)
    sophia = Sophia([theta], lr=0.01, **FLAT)
    for _ in range(estimates):
        theta.grad = normal(3) * 1e-3
        sophia.update_hessian(64)
    for _ in range(3):
        before = theta.detach().clone()
        theta.grad = torch.tensor(gradient)
        sophia.step()
        assert float((theta.detach() - before).abs().max()) <= 0.01 * (1 + 1e-5)


def test_without_an_estimate_it_is_the_sign_of_the_gradient():
    theta = parameter(0.0, 0.0, 0.0)
    theta.grad = torch.tensor([1e-9, -5.0, 0.0])
    Sophia([theta], lr=0.01, **FLAT).step()
    assert theta.tolist() == pytest.approx([-0.01, 0.01, 0.0], abs=1e-8)


def test_a_zero_gradient_moves_nothing():
    theta = parameter(1.0, -2.0)
    sophia = Sophia([theta], lr=0.1, **FLAT)
    theta.grad = torch.zeros(2)
    sophia.step()
    sophia.update_hessian(8)
    sophia.step()
    assert theta.tolist() == [1.0, -2.0]


def test_the_curvature_changes_in_its_update_alone_and_the_parameters_never_there():
    theta = parameter(1.0, -2.0)
    sophia = Sophia([theta], lr=0.1)
    theta.grad = torch.tensor([0.3, 0.1])
    sophia.update_hessian(4)
    assert theta.tolist() == [1.0, -2.0]
    kept = sophia.state[theta]["curvature"].clone()
    assert kept.min() > 0
    for _ in range(3):
        sophia.step()
    assert torch.equal(sophia.state[theta]["curvature"], kept)
    assert sophia.state[theta]["momentum"].abs().min() > 0


def test_a_sparse_gradient_moves_its_rows_as_a_dense_one_and_no_others():
    start = normal(4, 3)
    sparse, dense = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start[[1, 3]].clone())
    lazy, usual = Sophia([sparse], lr=0.1), Sophia([dense], lr=0.1)
    for seed in range(3):
        values = normal(3, 3, seed=seed)
        sparse.grad = torch.sparse_coo_tensor(torch.tensor([[3, 1, 3]]), values, (4, 3), check_invariants=True)
        dense.grad = torch.stack([values[1], values[0] + values[2]])
        for optimizer in (lazy, usual):
            optimizer.update_hessian(5)
            optimizer.step()
    assert torch.equal(sparse[[0, 2]], start[[0, 2]])
    assert torch.allclose(sparse[[1, 3]], dense, atol=1e-7)
    assert not torch.allclose(sparse[[1, 3]], start[[1, 3]], atol=1e-2)


def test_its_state_is_saved_and_read_back():
    theta = parameter(1.0, -2.0)
    sophia = Sophia([theta], lr=0.1)
    theta.grad = torch.tensor([0.3, 0.1])
    sophia.update_hessian(4)
    sophia.step()
    other = torch.nn.Parameter(theta.detach().clone())
    again = Sophia([other], lr=0.1)
    again.load_state_dict(sophia.state_dict())
    other.grad = theta.grad.clone()
    sophia.step()
    again.step()
    assert torch.equal(theta, other)


def test_targets_are_drawn_by_the_softmax_and_not_by_the_labels():
    logits = torch.tensor([[2.0, 1.0, 0.0, float("-inf")]]).repeat(20_000, 1)
    inputs = batch(torch.zeros(20_000, 2), torch.zeros(4, 2))
    drawn = torch.bincount(draw_targets(logits, inputs), minlength=4) / 20_000
    assert drawn.tolist() == pytest.approx(torch.softmax(logits[0], 0).tolist(), abs=0.012)
    assert float(drawn[3]) == 0.0


def test_what_is_masked_is_never_drawn():
    masked = torch.rand(500, 40, generator=torch.Generator().manual_seed(4)) < 0.9
    masked[torch.arange(500), torch.arange(500) % 40] = False
    logits = (normal(500, 40) * 30).masked_fill(masked, float("-inf"))
    for step in range(5):
        drawn = draw_targets(logits, batch(torch.zeros(500, 2), torch.zeros(40, 2), step))
        assert not masked[torch.arange(500), drawn].any()


def test_a_draw_belongs_to_seed_step_and_query_and_not_to_places():
    queries, candidates = normal(30, 8), normal(50, 8, seed=2)
    inputs = batch(queries, candidates)

    def drawn(inputs: LossInputs) -> torch.Tensor:
        return draw_targets(inputs.scores_BC(), inputs)

    first = drawn(inputs)
    assert torch.equal(first, drawn(inputs))
    assert not torch.equal(first, drawn(batch(queries, candidates, step=1)))
    assert not torch.equal(first, drawn(replace(inputs, moment=replace(inputs.moment, seed=14))))
    rows, columns = torch.randperm(30), torch.randperm(50)
    moved = batch(
        queries[rows],
        candidates[columns],
        query_key_B=inputs.query_key_B[rows],
        candidate_key_C=inputs.candidate_key_C[columns],
    )
    assert torch.equal(columns[drawn(moved)], first[rows])


def test_the_estimate_is_the_curvature_on_average():
    """By the labels instead of draws the mean would be the square of the gradient, far from the curvature."""
    queries, candidates = normal(3, 4) * 0.7, normal(6, 4, seed=2)
    copies, steps, sums = 100, 30, torch.zeros(3, 4)
    tiled, keys = queries.repeat(copies, 1).requires_grad_(), torch.arange(3 * copies) * 7919
    target = torch.arange(3).repeat(copies)
    for step in range(steps):
        losses = pseudo_losses(batch(tiled, candidates, step, target_B=target, query_key_B=keys))
        (gradient,) = torch.autograd.grad(losses.mean() * copies, tiled)
        sums += (3 * gradient**2).reshape(copies, 3, 4).sum(dim=0) / (steps * copies)
    shares = torch.softmax(queries @ candidates.T / 0.5, dim=1)
    mean = shares @ candidates
    curvature = (shares @ candidates**2 - mean**2) / 0.5**2 / 3
    assert torch.allclose(sums, curvature, rtol=0.15, atol=0.01)
    by_label = 3 * ((mean - candidates[:3]) / 0.5 / 3) ** 2
    assert not torch.allclose(by_label, curvature, rtol=0.15, atol=0.01)


def test_it_trains():
    """On a bowl a thousand times steeper in one direction; a plain step of this rate would leave it."""
    theta = parameter(3.0, 3.0)
    steep = torch.tensor([1.0, 1000.0])
    sophia = Sophia([theta], lr=0.1, betas=(0.9, 0.9), rho=1.0, weight_decay=0.0)
    for step in range(200):
        if step % 10 == 0:
            theta.grad = steep.sqrt()
            sophia.update_hessian(1)
        theta.grad = steep * theta.detach()
        sophia.step()
    assert theta.abs().max() < 0.05


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"rho": 0.0}, {"betas": (1.0, 0.9)}, {"weight_decay": -0.1}])
def test_an_option_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError, match="sophia got"):
        Sophia([parameter(1.0)], **wrong)
