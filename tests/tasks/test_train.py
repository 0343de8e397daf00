"""The training room: what a run is named by."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from negset.errors import ConfigError
from negset.training.records import StepFigures
from schemas.refs import EncoderRef, NegativeSetRef
from schemas.train import TrainConfig
from tasks.train import _tell, guide_encoder, training_key, training_tables

SET = NegativeSetRef(fingerprint="a" * 16, content="c", rows=4, path="/anywhere")


def test_a_run_is_named_by_what_it_starts_from(tmp_path):
    one, other = (EncoderRef(fingerprint=name, content=name, rows=9) for name in ("e1", "e2"))
    config = TrainConfig()
    assert training_key(SET, config, one) != training_key(SET, config, other)
    moved = SET.model_copy(update={"path": "/elsewhere"})
    assert training_key(SET, config, one) == training_key(moved, config, one)


def test_other_weights_in_the_same_folder_are_another_run(tmp_path):
    config = TrainConfig(model=str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"first")
    first = training_key(SET, config, None)
    assert training_key(SET, config, None) == first
    (tmp_path / "model.safetensors").write_bytes(b"second")
    assert training_key(SET, config, None) != first


class Opened:
    """A published set that notes which of its tables are read."""

    folder = Path("/set")

    def __init__(self, *more):
        self.read = []
        self.manifest = SimpleNamespace(counts=SimpleNamespace(rows=dict.fromkeys(more, 3)))

    def table(self, name):
        self.read.append(name)
        return pl.DataFrame()


def test_suspects_are_read_only_where_they_are_to_be_masked():
    plain, masked = Opened(), Opened()
    training_tables(plain, TrainConfig())
    training_tables(masked, TrainConfig(mask_suspects=True))
    assert set(masked.read) - set(plain.read) == {"false_negatives"}
    start = EncoderRef(fingerprint="e1", content="e1", rows=9)
    assert training_key(SET, TrainConfig(), start) != training_key(SET, TrainConfig(mask_suspects=True), start)


def test_a_guide_counts_by_what_it_is_and_not_by_where_it_lies():
    start, one, other = (EncoderRef(fingerprint=name, content=name, rows=9) for name in ("e", "g1", "g2"))
    here, there = TrainConfig(loss="gist", guide="/here"), TrainConfig(loss="gist", guide="/there")
    assert training_key(SET, here, start, guide=one) == training_key(SET, there, start, guide=one)
    assert training_key(SET, here, start, guide=one) != training_key(SET, here, start, guide=other)
    assert training_key(SET, here, start, guide=one) != training_key(SET, TrainConfig(loss="gist"), start)


def test_a_file_of_losses_counts_by_what_is_in_it_and_not_by_where_it_lies(tmp_path):
    start = EncoderRef(fingerprint="e", content="e", rows=9)
    keys = []
    for name, content in (("a", b"one"), ("b", b"one"), ("a", b"two")):
        (tmp_path / name).write_bytes(content)
        config = TrainConfig(loss="dbpm", loss_options={"pair_stats": str(tmp_path / name)})
        keys.append(training_key(SET, config, start))
    assert keys[0] == keys[1] != keys[2]


def test_a_guide_is_named_as_an_encoder():
    assert guide_encoder(TrainConfig()) is None
    fitted = guide_encoder(TrainConfig(guide="lsa", dimensions=77))
    assert (fitted.backend, fitted.dimensions) == ("lsa", 77)
    model = guide_encoder(TrainConfig(guide="some/model", max_length=99, device="cpu"))
    assert (model.backend, model.model, model.max_length, model.device) == (
        "sentence-transformers",
        "some/model",
        99,
        "cpu",
    )


def test_scores_of_positives_are_read_where_a_teacher_is_named():
    asked = Opened("candidates")
    training_tables(asked, TrainConfig(teacher="dense"))
    assert "candidates" in asked.read
    unasked = Opened("candidates")
    training_tables(unasked, TrainConfig())
    assert "candidates" not in unasked.read
    with pytest.raises(ConfigError, match=r"'dense' needs scores of positives.*publish\.keep_candidates = true"):
        training_tables(Opened(), TrainConfig(teacher="dense"))


def test_figures_of_a_step_stand_beside_its_bar():
    said = []
    report = partial(_tell, lambda *told: said.append(told))
    report(StepFigures(3, 9, 1, 5, 0.25, 0.1, 1234.5, None))
    report(StepFigures(4, 9, 1, 5, 0.25, 0.1, 1234.5, 2560.0))
    assert said == [
        ("train", 3, 9, "loss 0.2500, 1,234 queries/s"),
        ("train", 4, 9, "loss 0.2500, 1,234 queries/s, 2.5 GiB"),
    ]
