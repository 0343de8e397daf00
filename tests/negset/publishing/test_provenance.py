import json

from negset.fingerprint import file_digest


def test_the_statement_names_every_file_and_what_it_came_from(published):
    statement = json.loads((published / "provenance.intoto.json").read_text())
    manifest = json.loads((published / "manifest.json").read_text())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    files = {file["path"]: file["sha256"] for file in manifest["files"]}
    assert {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]} == {
        **files,
        "manifest.json": file_digest(published / "manifest.json"),
    }
    inputs = {
        part["name"]: part["digest"]["sha256"]
        for part in statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    assert inputs["source"] == manifest["source"]["content"]
    assert inputs["recipe"] == manifest["recipe"]["fingerprint"]


def test_when_and_by_whom_stand_in_the_statement_and_not_in_the_manifest(published):
    statement = json.loads((published / "provenance.intoto.json").read_text())
    details = statement["predicate"]["runDetails"]
    assert details["metadata"] == {"invocationId": published.name, "finishedOn": "2026-01-02T03:04:05+00:00"}
    assert details["builder"]["id"] == "urn:negset:user:ada"
    assert "2026-01-02" not in (published / "manifest.json").read_text()
