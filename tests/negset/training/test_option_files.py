"""A file that an option names counts by what is in it, and lies beside the file of the configuration."""

import os

import pytest

from negset.configuration import load_rounds_config, load_train_config
from negset.errors import ConfigError
from negset.training.option_files import by_content
from schemas.train import TrainConfig


@pytest.fixture
def stats(tmp_path):
    """Give two places of one file of losses, and another with other losses."""
    for folder, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "losses.parquet").write_bytes(content)
    return [str(tmp_path / folder / "losses.parquet") for folder in "abc"]


def dbpm(path: str) -> TrainConfig:
    return TrainConfig(loss="dbpm", loss_options={"pair_stats": path, "warm_up": 4})


def test_a_file_counts_by_its_content(stats):
    here, there, other = (by_content(dbpm(path)) for path in stats)
    assert here == there != other
    assert here.loss_options["warm_up"] == 4
    assert len(here.loss_options["pair_stats"]) == 64


def test_a_file_of_a_plan_too(stats):
    here, there, other = (by_content(TrainConfig(plan="cyclical", plan_options={"losses": path})) for path in stats)
    assert here == there != other


def test_words_that_name_no_file_stay(tmp_path):
    config = TrainConfig(loss="cwcl", loss_options={"floor": "median"}, guide="lsa")
    assert by_content(config) == config
    assert by_content(dbpm("")) == dbpm("")


def test_a_file_that_is_lost_is_named_with_its_key(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read train\.loss_options\.pair_stats .*lost\.parquet: No such file"):
        by_content(dbpm(str(tmp_path / "lost.parquet")))


@pytest.mark.parametrize("load", [load_train_config, lambda *given: load_rounds_config(*given)[0]])
def test_a_relative_path_lies_beside_the_file_that_names_it(tmp_path, monkeypatch, load):
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "train.toml"
    text = """
loss = "dbpm"
plan = "cyclical"
[loss_options]
pair_stats = "../losses.parquet"
[plan_options]
losses = "own.parquet"
"""
    path.write_text(text)
    monkeypatch.chdir("/")
    config = load(path)
    assert config.loss_options == {"pair_stats": str(tmp_path / "losses.parquet")}
    assert config.plan_options == {"losses": str(tmp_path / "deep" / "own.parquet")}
    absolute = os.fspath(tmp_path / "x.parquet")
    path.write_text(f'loss = "dbpm"\n[loss_options]\npair_stats = "{absolute}"\n')
    assert load(path).loss_options == {"pair_stats": absolute}


def test_without_a_file_paths_are_those_of_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["loss=dbpm", "loss_options.pair_stats=losses.parquet"]
    assert load_train_config(None, given).loss_options == {"pair_stats": str(tmp_path / "losses.parquet")}
