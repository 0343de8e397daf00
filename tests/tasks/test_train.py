"""The training room: what a run is named by."""

import polars as pl

from schemas.config import TrainConfig
from schemas.refs import EncoderRef, NegativeSetRef
from tasks.train import training_key, training_tables

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

    def __init__(self):
        self.read = []

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
