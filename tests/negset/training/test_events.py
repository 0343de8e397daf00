import sys
from types import SimpleNamespace

import pytest

from negset.errors import ConfigError
from negset.training import events
from negset.training.events import open_events, require_events
from negset.training.records import StepFigures
from negset.training.run import run_training
from schemas.train import TrainConfig


def figures(step, memory=None):
    return StepFigures(step, 9, 1, 5, 0.5, 0.1, 100.0, memory)


def test_without_the_package_it_is_said_before_anything_is_measured(planted, tmp_path, monkeypatch):
    monkeypatch.setattr(events, "find_spec", lambda name: None)
    told = []
    config = TrainConfig(tensorboard=True, device="cpu")
    with pytest.raises(ConfigError, match=r"pip install 'negset\[tensorboard\]'"):
        run_training(planted.tables(), planted, config, tmp_path, planted.start(), lambda *said: told.append(said))
    assert told == []
    require_events(TrainConfig())


def test_every_figure_of_a_step_is_written_and_what_a_killed_run_wrote_beyond_is_hidden(tmp_path, monkeypatch):
    opened = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            self.folder, self.purge_step, self.scalars, self.closed = folder, purge_step, [], False
            opened.append(self)

        def add_scalar(self, name, value, step):
            self.scalars.append((name, value, step))

        def close(self):
            self.closed = True

    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=SummaryWriter))
    with open_events(TrainConfig(tensorboard=True), tmp_path, 4) as tell:
        tell(figures(5))
        tell(figures(6, 12.5))
    (writer,) = opened
    assert writer.folder == str(tmp_path / "events")
    assert writer.purge_step == 5
    assert writer.scalars == [
        ("train/loss", 0.5, 5),
        ("train/learning_rate", 0.1, 5),
        ("train/queries_per_second", 100.0, 5),
        ("train/loss", 0.5, 6),
        ("train/learning_rate", 0.1, 6),
        ("train/queries_per_second", 100.0, 6),
        ("train/gpu_mib", 12.5, 6),
    ]
    assert writer.closed


def test_nothing_is_written_unless_it_is_asked_for(tmp_path):
    with open_events(TrainConfig(), tmp_path, 0) as tell:
        tell(figures(1))
    assert list(tmp_path.iterdir()) == []


def test_the_files_are_those_that_tensorboard_reads(planted, tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed: pip install 'negset[tensorboard]'")
    from tensorboardX.proto.event_pb2 import Event

    config = TrainConfig(batch_size=12, epochs=2, tensorboard=True, device="cpu")
    report = run_training(planted.tables(), planted, config, tmp_path, planted.start())
    (path,) = (tmp_path / "events").iterdir()
    found, data = [], path.read_bytes()
    while data:
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
        data = data[16 + length :]
    losses = [(step, value) for tag, step, value in found if tag == "train/loss"]
    assert [step for step, _ in losses] == [1, 2, 3, 4]
    assert [value for _, value in losses] == pytest.approx(report.training.losses, abs=1e-6)
