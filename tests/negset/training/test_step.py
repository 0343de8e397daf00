from dataclasses import replace

import polars as pl
import pytest
import torch

from negset.training.batches import collate_batch, shuffled_plan
from negset.training.binding import bind
from negset.training.examples import build_examples
from negset.training.loop import train_encoder
from negset.training.model import open_model
from negset.training.objective import Moment
from negset.training.sophia import EVERY, Sophia
from negset.training.step import take_step
from schemas.train import TrainConfig

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
MOMENT = Moment(seed=13, epoch=0, epochs=1, step=0, steps=9)


@pytest.fixture
def bound(planted):
    examples = build_examples(planted.tables(), NO_KNOWN, pl.Series([], dtype=pl.String), split="train")
    config = TrainConfig(device="cpu", batch_size=7, in_batch=False)
    binding = bind(open_model(config, planted.start()), examples, config)
    plan = shuffled_plan(examples, 13, 7, in_batch=False)
    return binding, [collate_batch(examples, planned, 13, 0) for planned in plan(0)]


class Watching(torch.optim.SGD):
    """Keeps the gradients that it was given."""

    def step(self, closure=None):
        self.seen = [parameter.grad.to_dense().clone() for parameter in self.param_groups[0]["params"]]
        super().step(closure)


class Asking(Sophia):
    """Keeps what it is shown."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, lr=lr)
        self.asked = []

    def update_hessian(self, queries):
        gradients = [parameter.grad.to_dense().clone() for parameter in self.param_groups[0]["params"]]
        self.asked.append((queries, gradients))

    def step(self, closure=None):
        self.seen = [parameter.grad.to_dense().clone() for parameter in self.param_groups[0]["params"]]


def optimizer(binding, kind=Watching):
    return kind(list(binding.model.module.parameters()), lr=0.0)


def test_accumulated_batches_are_one_mean_over_all_queries(bound):
    """Without in-batch negatives a batch of many is the same as many batches; the last one is smaller."""
    binding, batches = bound
    sizes = [len(batch.queries_B) for batch in batches]
    assert sizes == [7, 7, 7, 3]
    apart, whole = optimizer(binding), optimizer(binding)
    losses = take_step(binding, [apart], batches, MOMENT)
    plan = shuffled_plan(binding.examples, 13, 24, in_batch=False)
    together = take_step(binding, [whole], [collate_batch(binding.examples, next(plan(0)), 13, 0)], MOMENT)
    assert torch.cat(losses).numpy() == pytest.approx(together[0].numpy(), abs=1e-6)
    for mine, theirs in zip(apart.seen, whole.seen, strict=True):
        assert mine.numpy() == pytest.approx(theirs.numpy(), abs=1e-6)
    # The wrong version takes the mean of the batches' means: the three of the last one would count more.
    means = torch.stack([one.mean() for one in losses]).mean()
    assert abs(float(means) - float(together[0].mean())) > 1e-3


def test_sophia_is_shown_drawn_targets_on_its_steps_alone(bound):
    binding, batches = bound
    asking = optimizer(binding, Asking)
    for step in range(2 * EVERY + 1):
        take_step(binding, [asking], batches[:2], replace(MOMENT, step=step))
    assert [queries for queries, _ in asking.asked] == [14, 14, 14]
    # Parameters stay where they are, so what differs between the steps is what was drawn.
    first, second, third = (torch.cat([one.flatten() for one in gradients]) for _, gradients in asking.asked)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)
    labelled = torch.cat([gradient.flatten() for gradient in asking.seen])
    assert not torch.allclose(third, labelled)


def test_a_bag_learns_by_sophia(planted, bound, tmp_path):
    binding, _ = bound
    config = TrainConfig(device="cpu", batch_size=12, epochs=20, optimizer="sophia", learning_rate=0.01)
    training = train_encoder(open_model(config, planted.start()), binding.examples, config, tmp_path)
    assert sum(training.losses[-4:]) < sum(training.losses[:4]) / 2
