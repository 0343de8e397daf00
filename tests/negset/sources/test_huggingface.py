import json

import pytest

from negset.errors import ConfigError, InputError
from negset.sources.reading import read_source, source_fingerprint
from schemas.config import SourceConfig

CORPUS = [{"_id": "0042", "title": "T", "text": "one"}, {"_id": "1e5", "title": "", "text": "two"}]
QUERIES = [{"_id": "q1", "text": "first"}, {"_id": "q2", "text": "second"}]
QRELS = [{"query-id": "q1", "corpus-id": "0042", "score": 1}]


def checked(path: str) -> None:
    tables = read_source(SourceConfig(format="huggingface", path=path))
    assert tables.corpus.select("doc_id", "title", "text").rows() == [("0042", "T", "one"), ("1e5", None, "two")]
    assert sorted(tables.queries.select("query_id", "text").rows()) == [("q1", "first"), ("q2", "second")]
    assert tables.qrels.select("query_id", "doc_id", "relevance").rows() == [("q1", "0042", 1)]


def test_one_saved_dictionary(tmp_path):
    import datasets

    parts = {"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS}
    saved = datasets.DatasetDict({name: datasets.Dataset.from_list(rows) for name, rows in parts.items()})
    saved.save_to_disk(str(tmp_path / "all"))
    checked(str(tmp_path / "all"))


def test_tables_saved_apart_with_splits(tmp_path):
    import datasets

    datasets.Dataset.from_list(CORPUS).save_to_disk(str(tmp_path / "corpus"))
    datasets.Dataset.from_list(QUERIES).save_to_disk(str(tmp_path / "queries"))
    datasets.DatasetDict({"test": datasets.Dataset.from_list(QRELS)}).save_to_disk(str(tmp_path / "qrels"))
    checked(str(tmp_path))
    tables = read_source(SourceConfig(format="huggingface", path=str(tmp_path)))
    assert tables.qrels.get_column("split").to_list() == ["test"]
    assert dict(tables.queries.select("query_id", "split").rows()) == {"q1": "test", "q2": "unlabelled"}
    first = source_fingerprint(SourceConfig(format="huggingface", path=str(tmp_path)))
    assert first == source_fingerprint(SourceConfig(format="huggingface", path=str(tmp_path)))


def test_pairs_saved_to_disk(tmp_path):
    import datasets

    rows = [{"query": "how", "positive": "so"}, {"query": "how", "positive": "thus"}]
    datasets.DatasetDict({"dev": datasets.Dataset.from_list(rows)}).save_to_disk(str(tmp_path / "pairs"))
    tables = read_source(SourceConfig(format="huggingface", path=str(tmp_path / "pairs")))
    assert tables.corpus.get_column("text").to_list() == ["so", "thus"]
    assert tables.queries.get_column("split").to_list() == ["dev", "dev"]


def test_a_folder_of_data_files_with_configs(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "repo"
    folder.mkdir()
    for name, rows in {"corpus": CORPUS, "queries": QUERIES, "default": QRELS}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    configs = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: test\n    path: {name}.jsonl\n"
        for name in ("corpus", "queries", "default")
    )
    (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    checked(str(folder))


def test_a_name_needs_a_commit():
    with pytest.raises(ConfigError, match=r"source\.revision: the 40 hex digits"):
        read_source(SourceConfig(format="huggingface", path="mteb/scifact", revision="main"))


def test_a_folder_that_is_none_is_said(tmp_path):
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(InputError, match="cannot load the dataset"):
        read_source(SourceConfig(format="huggingface", path=str(tmp_path)))
