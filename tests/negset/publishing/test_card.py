import warnings

import duckdb
import polars as pl
import pytest
import yaml

TABLES = ["ntuples", "queries", "documents", "positives", "false_negatives"]
TABLES += ["negatives", "diagnostics", "fates", "candidates"]


def test_the_head_is_yaml_with_a_config_for_each_table(published):
    head = yaml.safe_load((published / "README.md").read_text().split("---\n")[1])
    assert [config["config_name"] for config in head["configs"]] == TABLES
    assert head["configs"][0]["data_files"] == [
        {"split": "test", "path": "data/ntuples/test/*.parquet"},
        {"split": "train", "path": "data/ntuples/train/*.parquet"},
    ]
    assert (head["license"], head["pretty_name"]) == ("cc-by-4.0", "tiny")


def test_a_description_cannot_bring_markup(published):
    assert "<script>" not in (published / "README.md").read_text()


def test_datasets_loads_every_config(published, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = pytest.importorskip("datasets")
        datasets.disable_progress_bars()

        def load(config, split):
            return datasets.load_dataset(str(published), config, split=split, cache_dir=str(tmp_path / "cache"))

        train = load("ntuples", "train")
        assert train.column_names == ["query", "positive", "negative_1", "negative_2"]
        assert train["query"][:] == ["What is red", "what is  RED"]
        assert [load(table, "full").num_rows for table in TABLES[1:]] == [4, 8, 4, 1, 7, 4, 5, 11]


def test_polars_and_duckdb_read_a_table_in_one_line(published):
    pattern = f"{published}/data/negatives/*.parquet"
    assert pl.read_parquet(pattern).height == 7
    assert duckdb.sql(f"select count(*), min(rank) from '{pattern}'").fetchall() == [(7, 1)]
