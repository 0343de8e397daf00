import json


def test_croissant_gives_the_digest_of_every_file_and_the_fields_of_every_table(published):
    croissant = json.loads((published / "croissant.json").read_text())
    manifest = json.loads((published / "manifest.json").read_text())
    objects = {item["@id"]: item for item in croissant["distribution"] if item["@type"] == "cr:FileObject"}
    assert {name: item["sha256"] for name, item in objects.items()} == {
        f["path"]: f["sha256"] for f in manifest["files"]
    }
    sets = {item["@id"] for item in croissant["distribution"] if item["@type"] == "cr:FileSet"}
    for records in croissant["recordSet"]:
        names = {field["name"] for field in records["field"]}
        assert {field["source"]["fileSet"]["@id"] for field in records["field"]} <= sets
        assert {key["@id"].split("/")[1] for key in records["key"]} <= names
    assert croissant["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert "datePublished" not in croissant


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
