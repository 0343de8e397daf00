from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from negset.errors import ConfigError, ContractError
from negset.training.examples import build_examples
from negset.training.loop import clear_run, run_fingerprint, train_encoder
from negset.training.model import open_model
from negset.training.records import PAIRS, STEPS, Recorder, open_journals
from schemas.train import TrainConfig

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})


def config(**changes) -> TrainConfig:
    return TrainConfig(**{"batch_size": 5, "epochs": 3, "checkpoint_every": 4, "device": "cpu", **changes})


@pytest.fixture
def examples(planted):
    return build_examples(planted.tables(), NO_KNOWN, pl.Series([], dtype=pl.String), split="train")


def trained(planted, examples, settings, folder, progress=lambda *_: None, **more):
    model = open_model(settings, planted.start())
    training = train_encoder(model, examples, settings, folder, progress, **more)
    return training, {name: tensor.clone() for name, tensor in model.module.state_dict().items()}


class KilledError(Exception):
    pass


def test_what_a_kill_left_of_a_model_is_not_among_the_files_of_the_next(planted, examples, tmp_path):
    left = tmp_path / "model" / ".config.json.unfinished"
    left.parent.mkdir()
    left.write_text("half")
    trained(planted, examples, config(epochs=1), tmp_path)
    assert not left.exists()
    assert (tmp_path / "model" / "modules.json").is_file()


def test_one_seed_gives_one_model_and_another_seed_another(planted, examples, tmp_path):
    first, parameters = trained(planted, examples, config(), tmp_path / "a")
    again, same = trained(planted, examples, config(), tmp_path / "b")
    other, _ = trained(planted, examples, config(seed=14), tmp_path / "c")
    assert first.losses == again.losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)
    assert first.losses != other.losses
    files = [(tmp_path / name / "model" / "0_StaticEmbedding" / "model.safetensors").read_bytes() for name in "ab"]
    assert files[0] == files[1]


def test_the_state_of_the_callers_generator_does_not_matter_and_is_kept(planted, examples, tmp_path):
    torch.manual_seed(1)
    once, _ = trained(planted, examples, config(), tmp_path / "a")
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    again, _ = trained(planted, examples, config(), tmp_path / "b")
    assert once.losses == again.losses
    assert torch.equal(torch.rand(3), expected)


def killer(at):
    def kill(step, done, total):
        if done == at:
            raise KilledError

    return kill


@pytest.mark.parametrize(("accumulate", "kill_at"), [(1, 1), (1, 4), (1, 5), (1, 7), (1, 15), (2, 3), (2, 5), (2, 9)])
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(planted, examples, tmp_path, kill_at, accumulate):
    """Five batches an epoch: with two of them a step, the checkpoint at step 4 lies in the middle of an epoch."""
    settings = config(accumulate=accumulate, mini_batch=3)
    whole, parameters = trained(planted, examples, settings, tmp_path / "whole")
    with pytest.raises(KilledError):
        trained(planted, examples, settings, tmp_path / "cut", killer(kill_at))
    resumed, same = trained(planted, examples, settings, tmp_path / "cut")
    assert resumed.resumed_at == (kill_at - 1) // 4 * 4
    assert resumed.losses == whole.losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)


def test_steps_that_wait_to_be_written_are_written_before_a_checkpoint(planted, examples, tmp_path, monkeypatch):
    """As on a GPU, whose losses are fetched some steps later: a checkpoint that counted too few would lose steps."""

    def add(self, done):
        self._waiting.append(done)
        if len(self._waiting) == 3:
            self.flush()

    whole, _ = trained(planted, examples, config(), tmp_path / "whole")
    monkeypatch.setattr(Recorder, "add", add)
    with pytest.raises(KilledError):
        trained(planted, examples, config(), tmp_path / "cut", killer(7))
    resumed, _ = trained(planted, examples, config(), tmp_path / "cut")
    assert resumed.resumed_at == 4
    assert resumed.losses == whole.losses


def test_a_run_is_killed_again_and_again(planted, examples, tmp_path):
    whole, parameters = trained(planted, examples, config(), tmp_path / "whole")
    for kill_at in (6, 6, 10, 13):
        with pytest.raises(KilledError):
            trained(planted, examples, config(), tmp_path / "cut", killer(kill_at))
    resumed, same = trained(planted, examples, config(), tmp_path / "cut")
    assert resumed.resumed_at == 12
    assert resumed.losses == whole.losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)
    pairs = [open_journals(tmp_path / name)[PAIRS].read().tolist() for name in ("whole", "cut")]
    assert pairs[0] == pairs[1]
    assert len(pairs[0]) == 24 * 3


def test_a_damaged_newest_checkpoint_costs_steps_and_nothing_else(planted, examples, tmp_path):
    whole, parameters = trained(planted, examples, config(), tmp_path / "whole")
    with pytest.raises(KilledError):
        trained(planted, examples, config(), tmp_path / "cut", killer(14))
    newest = tmp_path / "cut" / "checkpoints" / "step_12" / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    resumed, same = trained(planted, examples, config(), tmp_path / "cut")
    assert resumed.resumed_at == 8
    assert len(resumed.passed_over) == 1
    assert "step_12" in resumed.passed_over[0]
    assert resumed.losses == whole.losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)


def test_a_journal_that_lost_rows_takes_the_checkpoints_with_it_that_counted_them(planted, examples, tmp_path):
    whole, _ = trained(planted, examples, config(), tmp_path / "whole")
    with pytest.raises(KilledError):
        trained(planted, examples, config(), tmp_path / "cut", killer(14))
    pairs = tmp_path / "cut" / PAIRS
    pairs.write_bytes(pairs.read_bytes()[: 45 * 32])  # 39 rows at step 8, 58 at step 12
    resumed, _ = trained(planted, examples, config(), tmp_path / "cut")
    assert resumed.resumed_at == 8
    assert resumed.losses == whole.losses


def test_the_last_checkpoints_are_there_until_the_run_is_cleared(planted, examples, tmp_path):
    trained(planted, examples, config(keep_checkpoints=2), tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step_12", "step_8"]
    assert (tmp_path / STEPS).is_file()
    clear_run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_figures_of_each_step_are_told_and_kept(planted, examples, tmp_path):
    told = []
    training, _ = trained(planted, examples, config(accumulate=2), tmp_path, tell=told.append)
    assert tuple(told) == training.history
    assert [(one.step, one.epoch, one.queries) for one in told[:4]] == [(1, 1, 10), (2, 1, 10), (3, 1, 4), (4, 2, 10)]
    assert {one.steps for one in told} == {9}
    assert [one.learning_rate for one in told] == sorted([one.learning_rate for one in told], reverse=True)
    assert all(one.queries_per_second > 0 and one.gpu_mib is None for one in told)
    assert "gpu_mib" not in told[0].numbers()


def test_batches_too_small_for_a_step_are_not_carried_into_the_next_epoch(planted, examples, tmp_path):
    training, _ = trained(planted, examples, config(accumulate=3, epochs=2), tmp_path)
    assert [one.queries for one in training.history] == [15, 9, 15, 9]


def test_a_checkpoint_of_another_run_is_not_gone_on_from(planted, examples, tmp_path):
    def kill(step, done, total):
        if done == 6:
            raise KilledError

    with pytest.raises(KilledError):
        trained(planted, examples, config(), tmp_path, kill)
    training, _ = trained(planted, examples, config(temperature=0.1), tmp_path)
    assert training.resumed_at == 0
    assert len(training.losses) == 15


def test_a_file_of_losses_names_a_run_by_what_is_in_it(planted, examples, tmp_path):
    """By its path, a run that was cut would go on with the losses of another file of the same name."""
    model, names = open_model(config(), planted.start()), []
    for name, content in (("a", b"one"), ("b", b"one"), ("a", b"two")):
        (tmp_path / name).write_bytes(content)
        settings = config(loss="dbpm", loss_options={"pair_stats": str(tmp_path / name)})
        names.append(run_fingerprint(model, examples, settings))
    assert names[0] == names[1] != names[2]


def test_how_often_checkpoints_are_written_changes_nothing(planted, examples, tmp_path):
    often, _ = trained(planted, examples, config(checkpoint_every=1), tmp_path / "a")
    never, _ = trained(planted, examples, config(checkpoint_every=1000), tmp_path / "b")
    assert often.losses == never.losses


def test_a_loss_that_is_not_finite_names_its_queries(planted, examples, tmp_path):
    model = open_model(config(), planted.start())
    word = model.tokenizer.token_to_id("ask3")
    with torch.no_grad():
        model.module.embedding[word] = float("nan")
    with pytest.raises(ContractError, match="q3x") as caught:
        train_encoder(model, examples, config(batch_size=100), tmp_path)
    assert "q1x" not in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_the_loss_falls(planted, examples, tmp_path):
    training, _ = trained(planted, examples, config(epochs=20, learning_rate=0.03), tmp_path)
    assert np.mean(training.losses[-5:]) < np.mean(training.losses[:5]) / 2


def test_without_negatives_and_in_batch_off_nothing_is_compared(planted, examples, tmp_path):
    """The guard itself is in the examples; the loop on such a set leaves the parameters where they were."""
    empty = replace(
        examples.negatives, offsets=np.zeros_like(examples.negatives.offsets), rows=np.empty(0, dtype=np.int64)
    )
    settings = config(in_batch=False, epochs=1)
    before = open_model(settings, planted.start()).module.state_dict()
    training, after = trained(planted, replace(examples, negatives=empty), settings, tmp_path)
    assert set(training.losses) == {0.0}
    assert all(torch.allclose(before[name], after[name]) for name in before)


def test_a_plan_that_nobody_made_is_not_passed_over(planted, examples, tmp_path):
    with pytest.raises(ConfigError, match=r"train\.plan = 'ngame' were not made"):
        trained(planted, examples, config(plan="ngame"), tmp_path)
