"""Two real processes, started once: each case below runs in both, and the tests look at what they brought back."""

import time

import numpy as np
import pytest
import torch

from negset.training.distributed import (
    ALONE,
    World,
    average_gradients,
    embed_together,
    gather_with_gradient,
    in_turn,
    split_batch,
    sum_gradients,
)
from negset.training.processes import run_processes

ROWS, WIDTH = 7, 4


@pytest.mark.parametrize(("count", "size"), [(7, 2), (8, 2), (1, 3), (0, 2), (10, 4)])
def test_parts_are_neighbours_that_cover_all_and_differ_by_one_at_most(count, size):
    parts = split_batch(count, World(0, size))
    assert len(parts) == size
    assert [row for part in parts for row in range(count)[part]] == list(range(count))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


def test_alone_nothing_is_gathered_or_summed():
    vectors = torch.ones(3, 2, requires_grad=True)
    assert gather_with_gradient(vectors, 3, ALONE) is vectors
    assert embed_together(lambda rows: vectors[rows], np.array([2, 0]), ALONE).shape == (2, 2)
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([3.0, 4.0])
    sum_gradients([weight], ALONE)
    average_gradients([weight], ALONE)
    assert weight.grad.tolist() == [3.0, 4.0]


class Net(torch.nn.Module):
    """Texts as numbers; a query and a document tower share their weights, as encoders do."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.table = torch.nn.Parameter(torch.randn(20, WIDTH, generator=generator))
        self.weight = torch.nn.Parameter(torch.randn(WIDTH, WIDTH, generator=generator))
        self.bias = torch.nn.Parameter(torch.randn(WIDTH, generator=generator).double())

    def embed(self, rows):
        known = torch.nn.functional.embedding(torch.from_numpy(rows), self.table, sparse=True)
        return torch.nn.functional.normalize(known @ self.weight + self.bias.float())


QUERIES, DOCUMENTS = np.array([1, 3, 5, 7, 9, 11, 13]), np.array([2, 4, 6, 8, 10, 12, 14, 16, 18])


def contrast(queries, documents):
    """A loss in which queries meet: its second part compares them with each other."""
    there = torch.nn.functional.cross_entropy(queries @ documents.T * 5, torch.arange(len(queries)), reduction="none")
    return there + (queries @ queries.T).exp().sum(dim=1).log()


def gradients(net):
    return {name: one.grad.to_dense() if one.grad.is_sparse else one.grad for name, one in net.named_parameters()}


def whole_batch(world, queries=QUERIES, documents=DOCUMENTS):
    net = Net()
    losses = contrast(embed_together(net.embed, queries, world), embed_together(net.embed, documents, world))
    losses.mean().backward()
    sum_gradients(net.parameters(), world)
    return losses.detach(), gradients(net)


def cases(world, say):
    """Run in each process; the first one's answers come back."""
    found = {"batch": whole_batch(world), "one_query": whole_batch(world, QUERIES[:1], DOCUMENTS[:3])}
    rows = torch.arange(ROWS * 2.0).view(ROWS, 2)
    own = rows[split_batch(ROWS, world)[world.rank]].clone().requires_grad_()
    gathered = gather_with_gradient(own, ROWS, world)
    (gathered * torch.arange(1.0, ROWS + 1)[:, None]).sum().backward()
    found["gathered"], found["own_gradient"] = gathered.detach(), own.grad
    memory = torch.nn.Parameter(torch.zeros(2))
    memory.grad = torch.tensor([1.0, 5.0]) + 2 * world.rank
    average_gradients([memory], world)
    found["memory"] = memory.grad
    with in_turn(world):
        begun = time.monotonic()
        time.sleep(0.2)
        ended = time.monotonic()
    moments = torch.tensor([[begun, ended, time.monotonic()]], dtype=torch.float64)
    found["turns"] = gather_with_gradient(moments, 2, world).tolist()
    say("counted")
    return found


@pytest.fixture(scope="module")
def heard():
    return []


@pytest.fixture(scope="module")
def found(heard):
    return run_processes(cases, 2, "gloo", heard.append)


def test_rows_come_back_in_the_order_of_the_batch(found):
    assert torch.equal(found["gathered"], torch.arange(ROWS * 2.0).view(ROWS, 2))


def test_a_process_has_the_gradients_of_its_own_rows_once(found):
    assert found["own_gradient"].tolist() == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]


@pytest.mark.parametrize(("case", "rows"), [("batch", (7, 9)), ("one_query", (1, 3))])
def test_losses_and_gradients_of_two_processes_are_those_of_one(found, case, rows):
    """Averaged instead of summed, gradients would be half; cut off from the others' negatives, others."""
    losses, expected = whole_batch(ALONE, QUERIES[: rows[0]], DOCUMENTS[: rows[1]])
    there, summed = found[case]
    assert torch.allclose(there, losses, atol=1e-6)
    for name, gradient in expected.items():
        assert torch.allclose(summed[name], gradient, atol=1e-6), name
        assert not torch.allclose(summed[name] / 2, gradient, atol=1e-3), name


def test_each_process_with_its_own_negatives_alone_would_be_another_loss(found):
    """The wrong version: a diagonal of the local part, without the documents of the other process."""
    losses, _ = found["batch"]
    net = Net()
    with torch.no_grad():
        local = contrast(net.embed(QUERIES[:4]), net.embed(DOCUMENTS[:5]))
        shifted = torch.nn.functional.cross_entropy(
            net.embed(QUERIES) @ net.embed(DOCUMENTS).T * 5, (torch.arange(7) + 4) % 9, reduction="none"
        )
    assert not torch.allclose(losses[:4], local, atol=1e-2)
    assert not torch.allclose(losses, shifted, atol=1e-2)


def test_gradients_of_a_loss_are_averaged(found):
    assert found["memory"].tolist() == [2.0, 6.0]


def test_the_others_begin_when_the_first_is_done_and_nobody_goes_on_before_all_are(found):
    """Together, one would clear away the checkpoint that the other is reading."""
    (_, first_done, first_left), (second_began, second_done, _) = found["turns"]
    assert second_began >= first_done
    assert first_left >= second_done


def test_what_the_first_process_says_is_heard_once(found, heard):
    assert heard == ["counted"]
