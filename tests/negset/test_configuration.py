"""A wrong configuration is one clear line."""

import pytest

from negset.configuration import load_build_config, load_train_config
from negset.errors import ConfigError
from schemas.config import BuildConfig

_TOML = 'name = "small"\n[source]\nformat = "beir"\npath = "corpus"\n'


def _written(tmp_path, text):
    path = tmp_path / "build.toml"
    path.write_text(text)
    return path


def test_a_relative_source_lies_beside_its_config(tmp_path):
    config = load_build_config(_written(tmp_path, _TOML))
    assert config.source.path == str(tmp_path / "corpus")
    assert config.mine.depth == 100


def test_every_relative_path_lies_beside_the_config(tmp_path):
    encoder = '[encoder]\nmodel = "./model"\nquery_vectors = "q.npy"\n'
    sections = encoder + '[mine.run]\npath = "bm25.run"\n[recipe]\nname = "my.toml"\n'
    config = load_build_config(_written(tmp_path, _TOML + sections))
    assert config.encoder.model == str(tmp_path / "model")
    assert config.encoder.query_vectors == str(tmp_path / "q.npy")
    assert config.encoder.document_vectors == ""
    assert config.mine.run.path == str(tmp_path / "bm25.run")
    assert config.recipe.name == str(tmp_path / "my.toml")


def test_names_and_urls_are_no_paths(tmp_path):
    toml = 'name = "small"\n[source]\nformat = "huggingface"\npath = "owner/data"\n[encoder]\nmodel = "owner/model"\n'
    config = load_build_config(_written(tmp_path, toml))
    assert (config.source.path, config.encoder.model, config.recipe.name) == ("owner/data", "owner/model", "perc-pos")
    remote = load_build_config(_written(tmp_path, _TOML.replace("corpus", "s3://bucket/corpus")))
    assert remote.source.path == "s3://bucket/corpus"


def test_overrides_are_toml_values(tmp_path):
    path = _written(tmp_path, _TOML)
    config = load_build_config(
        path,
        ["mine.depth=7", "recipe.name=naive", 'mine.miners=["bm25"]', "recipe.options.percent_of_positive.share=0.9"],
    )
    assert config.mine.depth == 7
    assert config.mine.miners == ("bm25",)
    assert config.recipe.name == "naive"
    assert config.recipe.options == {"percent_of_positive": {"share": 0.9}}


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ('"2024-06-30"', "2024-06-30T23:59:59.999999+00:00"),
        ("2024-06-30", "2024-06-30T23:59:59.999999+00:00"),
        ('"20240630"', "2024-06-30T23:59:59.999999+00:00"),
        ("2024-06-30T00:00:00Z", "2024-06-30T00:00:00.000000+00:00"),
        ('"2024-06-30 12:00"', "2024-06-30T12:00:00.000000+00:00"),
        ('"2024-06-30T01:00:00+02:00"', "2024-06-29T23:00:00.000000+00:00"),
        ('""', ""),
    ],
)
def test_a_day_ends_at_its_last_moment_in_utc(tmp_path, written, moment):
    config = load_build_config(_written(tmp_path, f"{_TOML}as_of = {written}\n"))
    assert config.source.as_of == moment
    again = load_build_config(_written(tmp_path, _TOML), [f"source.as_of={written}"])
    assert again.source.as_of == moment
    assert BuildConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_TOML + "[mine]\ndepht = 5\n", r"unknown key 'mine\.depht' \(did you mean 'depth'\?\)"),
        (_TOML + 'as_of = "soon"\n', r"source\.as_of = 'soon': value error, no ISO date or time, such as 2024-06-30"),
        (_TOML + "as_of = 3\n", r"source\.as_of = 3: input should be a valid string"),
        (_TOML + 'partition_by = "column:"\n', r"source\.partition_by = 'column:'"),
        (_TOML + "[mine]\ndepth = 0\n", r"mine\.depth = 0: input should be greater than or equal to 1"),
        (_TOML.replace("small", "Not A Slug"), r"name = 'Not A Slug'"),
        ("[source]\nformat = 'beir'\n", "key 'name' is missing"),
        (_TOML + "[mine\n", "is not TOML"),
        (_TOML + "[source]\n", "is not TOML"),
    ],
)
def test_a_wrong_file_names_the_key(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says):
        load_build_config(_written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml: No such file"):
        load_build_config(tmp_path / "none.toml")


@pytest.mark.parametrize(("item", "says"), [("mine.depth", "section.key=value"), ("name.x=1", "'name' is a value")])
def test_a_wrong_override_is_named(tmp_path, item, says):
    with pytest.raises(ConfigError, match=says):
        load_build_config(_written(tmp_path, _TOML), [item])


def test_training_needs_no_file():
    assert load_train_config(None, ["epochs=2"]).epochs == 2
