import hashlib
import json

import pytest

from negset.errors import ArtifactError
from negset.mining.recipe import bind_recipe, load_recipe
from negset.publishing.manifest import (
    config_identity,
    describe_set,
    manifest_bytes,
    read_manifest,
    recipe_identity,
    score_limits,
    version_id,
)
from schemas.config import BuildConfig, RecipeConfig

CONFIG = {
    "name": "tiny",
    "source": {"format": "jsonl", "path": "/home/ada/data", "qrels": "judged.tsv"},
    "encoder": {"backend": "api", "url": "https://ada:secret@host/v1", "api_key_env": "ADA_KEY", "model": "small"},
    "mine": {"miners": ["run"], "run": {"path": "/home/ada/run.trec"}},
    "recipe": {"name": "/home/ada/own.toml"},
}


def described(draft, tiny_set):
    return describe_set(draft.facts, draft.folder, draft.counts, tiny_set.gate_report(draft.folder))


def test_the_id_is_the_digest_of_the_bytes(draft, tiny_set):
    manifest = described(draft, tiny_set)
    data = manifest_bytes(manifest)
    assert version_id(manifest) == hashlib.sha256(data).hexdigest()[:16]
    assert json.loads(data) == manifest.model_dump(mode="json")


def test_what_drifted_is_no_part_of_the_id(draft, tiny_set):
    report = tiny_set.gate_report(draft.folder)
    drifted = report.model_copy(update={"drift": report.checks})
    assert version_id(describe_set(draft.facts, draft.folder, draft.counts, drifted)) == version_id(
        described(draft, tiny_set)
    )


def test_where_evaluation_files_lie_and_what_drift_may_be_is_no_part_of_the_identity():
    gates = [{}, {"evaluation": ["/home/ada/bench.txt"]}, {"drift": {"policy": "warn"}}, {"licences": ["mit"]}]
    read = [config_identity(BuildConfig.model_validate({**CONFIG, "gates": one})) for one in gates]
    assert read[0] == read[1] == read[2] != read[3]


def test_every_file_is_listed_with_its_rows(draft, tiny_set):
    files = {file.path: file for file in described(draft, tiny_set).files}
    assert sorted(files) == sorted(
        path.relative_to(draft.folder).as_posix() for path in draft.folder.rglob("*.parquet")
    )
    assert files["data/negatives/part-00000.parquet"].rows == 7
    assert files["data/ntuples/test/part-00000.parquet"].split == "test"
    assert files["data/negatives/part-00000.parquet"].split is None


def test_rows_are_read_where_the_bytes_of_a_file_are_not_known(draft, tiny_set):
    report = tiny_set.gate_report(draft.folder)
    read = describe_set(draft.facts, draft.folder, draft.counts, report).files
    by_bytes = {file.sha256: file.rows_sha256 for file in read}
    known = {read[0].sha256: "0" * 64, **{file.path: "1" * 64 for file in read}}
    given = describe_set(draft.facts, draft.folder, draft.counts, report, known).files
    assert given[0].rows_sha256 == "0" * 64  # taken from what is known, under the digest of the bytes alone
    assert given[1:] == read[1:]
    assert describe_set(draft.facts, draft.folder, draft.counts, report, by_bytes).files == read


def test_places_and_names_of_secrets_are_no_part_of_the_identity():
    elsewhere = json.loads(json.dumps(CONFIG).replace("/home/ada", "/srv/x").replace("ada:secret@host", "other"))
    first, second = (config_identity(BuildConfig.model_validate(config)) for config in (CONFIG, elsewhere))
    assert first == second
    assert not any(word in json.dumps(first) for word in ("/home", "ada", "secret", "ADA_KEY", "judged.tsv"))
    assert (first["recipe"]["name"], first["encoder"]["model"]) == ("own", "small")


@pytest.mark.parametrize("model", ["/models/e5", "./e5", "../e5", "~/e5", "file:///e5", "C:\\e5"])
def test_the_folder_of_a_model_is_no_part_of_the_identity(model):
    config = BuildConfig.model_validate({**CONFIG, "encoder": {"backend": "sentence-transformers", "model": model}})
    assert config_identity(config)["encoder"]["model"] == ""


def test_a_folder_that_looks_like_a_name_is_no_part_of_the_identity(tmp_path, monkeypatch):
    (tmp_path / "models" / "e5").mkdir(parents=True)
    config = BuildConfig.model_validate(
        {**CONFIG, "encoder": {"backend": "sentence-transformers", "model": "models/e5"}}
    )
    assert config_identity(config)["encoder"]["model"] == "models/e5"
    monkeypatch.chdir(tmp_path)
    assert config_identity(config)["encoder"]["model"] == ""


def test_what_only_changes_speed_is_no_part_of_the_identity():
    config = BuildConfig.model_validate(CONFIG)
    faster = config.model_copy(update={"encoder": config.encoder.model_copy(update={"batch_size": 7})})
    other = config.model_copy(update={"seed": 14})
    assert config_identity(faster) == config_identity(config) != config_identity(other)


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("naive", []),
        ("abs", [("max_score", 0.7)]),
        ("margin-pos", [("margin", 0.05)]),
        ("perc-pos", [("percent_of_positive", 0.95)]),
    ],
)
def test_shipped_recipes_give_their_limits(name, limits):
    recipe = recipe_identity(bind_recipe(load_recipe(RecipeConfig(name=name)), ["dense"], 13), 13)
    assert [(limit.kind, limit.value) for limit in score_limits(recipe)] == limits


def test_a_limit_on_another_score_is_not_held_to_the_published_one(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[[rules]]\nname = "max_score"\nby = "bm25"\nthreshold = 9.0\n[[rules]]\nname = "top"\nk = 2\n')
    recipe = recipe_identity(bind_recipe(load_recipe(RecipeConfig(name=str(path))), ["dense", "bm25"], 13), 13)
    assert score_limits(recipe) == ()


def test_a_manifest_that_is_missing_or_strange_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="no negative set in"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format_version": 1}')
    with pytest.raises(ArtifactError, match=r"manifest\.json is no manifest .*: dataset"):
        read_manifest(tmp_path)
