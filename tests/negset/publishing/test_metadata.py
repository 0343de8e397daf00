import json

import pytest


def test_croissant_gives_the_digest_of_every_file_and_the_fields_of_every_table(published):
    croissant = json.loads((published / "croissant.json").read_text())
    manifest = json.loads((published / "manifest.json").read_text())
    objects = {item["@id"]: item for item in croissant["distribution"] if item["@type"] == "cr:FileObject"}
    assert {name: item["sha256"] for name, item in objects.items()} == {
        f["path"]: f["sha256"] for f in manifest["files"]
    }
    sets = {item["@id"] for item in croissant["distribution"] if item["@type"] == "cr:FileSet"}
    assert sets == {"ntuples-files"}  # the others are one file, whose digest readers check
    for records in croissant["recordSet"]:
        names = {field["name"] for field in records["field"]}
        held = "fileSet" if records["@id"] == "ntuples" else "fileObject"
        assert {field["source"][held]["@id"] for field in records["field"]} <= sets | set(objects)
        assert {key["@id"].split("/")[1] for key in records["key"]} <= names
    assert croissant["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert "datePublished" not in croissant
    assert croissant["version"] == f"{manifest['schema_version']}+{published.name}"


def test_ids_refer_to_the_tables_that_they_are_keys_of(published):
    croissant = json.loads((published / "croissant.json").read_text())
    referring = {
        field["@id"]: field["references"]["field"]["@id"]
        for records in croissant["recordSet"]
        for field in records["field"]
        if "references" in field
    }
    assert referring == {
        f"{table}/{name}": f"{home}/{name}"
        for table in ("negatives", "positives", "false_negatives")
        for name, home in (("query_id", "queries"), ("doc_id", "documents"))
    }


@pytest.fixture
def croissant(published):
    mlcroissant = pytest.importorskip("mlcroissant", reason="pip install mlcroissant")
    return mlcroissant.Dataset(str(published / "croissant.json"))


def test_the_croissant_reader_gives_every_row(published, croissant):
    assert not croissant.metadata.ctx.issues.errors
    for table, rows in json.loads((published / "manifest.json").read_text())["counts"]["rows"].items():
        assert len(list(croissant.records(table))) == rows


def test_the_croissant_reader_refuses_a_changed_file(published, croissant):
    path = published / "data" / "negatives" / "part-00000.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(Exception, match=r"negatives/part-00000\.parquet"):
        list(croissant.records("negatives"))


def test_the_schema_has_every_column_with_its_note(published):
    tables = json.loads((published / "schema.json").read_text())["tables"]
    rank = next(column for column in tables["negatives"]["columns"] if column["name"] == "rank")
    assert rank == {"name": "rank", "type": "int32", "nullable": False, "note": "by hardness, counts from 1"}
    assert [column["name"] for column in tables["ntuples"]["columns"]] == [
        "query",
        "positive",
        "negative_1",
        "negative_2",
    ]
