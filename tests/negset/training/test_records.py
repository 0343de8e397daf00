from types import SimpleNamespace

import numpy as np
import pytest
import torch

from negset.errors import ContractError
from negset.training.records import PAIRS, Done, Listeners, Recorder

EXAMPLES = SimpleNamespace(query_ids=["q0", "q1", "q2"])


def done(step, *losses, epoch=0):
    batch = SimpleNamespace(
        queries_B=np.arange(len(losses)), candidates_C=np.array([7, 8, 9]), target_B=np.arange(len(losses))[::-1].copy()
    )
    return Done(step, epoch, [batch], [torch.tensor(losses)], 0.5)


def recorder(folder, told, device="cpu"):
    listeners = Listeners(lambda *said: told.append(said[1]), lambda figures: told.append(figures))
    return Recorder(EXAMPLES, folder, 40, torch.device(device), listeners)


def test_a_step_is_told_at_once_on_the_processor(tmp_path):
    told = []
    recorder(tmp_path, told).add(done(0, 1.0, 3.0))
    figures, bar = told
    assert (figures.step, figures.epoch, figures.queries, figures.loss, figures.gpu_mib) == (1, 1, 2, 2.0, None)
    assert bar == 1


def test_pairs_are_a_query_and_its_target(tmp_path):
    writes = recorder(tmp_path, [])
    writes.add(done(0, 1.0, 3.0, epoch=2))
    assert writes.journals[PAIRS].read().tolist() == [(0, 8, 2, 1.0), (1, 7, 2, 3.0)]


def test_on_a_gpu_losses_wait_for_each_other_and_none_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**20)
    told = []
    writes = recorder(tmp_path, told, "cuda")
    for step in range(20):
        writes.add(done(step, float(step)))
        assert len(told) == (0 if step < 15 else 32)
    writes.flush()
    figures = told[::2]
    assert [one.loss for one in figures] == [float(step) for step in range(20)]
    assert {one.gpu_mib for one in figures} == {3.0}
    assert writes.history() == tuple(figures)
    assert writes.journals[PAIRS].rows() == 20


def test_a_loss_that_is_not_finite_is_found_before_anything_of_it_is_written(tmp_path):
    writes = recorder(tmp_path, [])
    with pytest.raises(ContractError, match="1 queries is not finite: q1"):
        writes.add(done(0, 1.0, float("nan")))
    assert writes.rows() == {"steps.bin": 0, "pairs.bin": 0}
