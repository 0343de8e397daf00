"""Machine-readable descriptions of a version: schema.json and croissant.json (Croissant 1.1)."""

from collections.abc import Mapping

import pyarrow as pa

from negset.publishing.manifest import registered_schema
from schemas.frames import KEYS, SCHEMA_VERSION
from schemas.manifest import DataFile, SetManifest

_CONTEXT: dict[str, object] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "excludes": "cr:excludes",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_REFERRING = ("positives", "negatives", "false_negatives")
_REFERRED = {"query_id": "queries", "doc_id": "documents"}
"""Ids that always resolve in these tables, and the table in which they are the key."""
_PARQUET = "application/x-parquet"
"""The name by which mlcroissant reads the format; the registered one it does not know."""


def schema_document(manifest: SetManifest) -> dict[str, object]:
    """Describe the columns of every table of the set of `manifest`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tables": {
            table: {
                "key": list(KEYS[table]),
                "columns": [_column(field) for field in registered_schema(table, manifest)],
            }
            for table in _tables(manifest)
        },
    }


def croissant_document(manifest: SetManifest, identity: str) -> dict[str, object]:
    """Describe the version `identity` to Croissant readers: a digest for each file, a record set for each table."""
    tables = _tables(manifest)
    document: dict[str, object] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": manifest.dataset,
        "description": manifest.description or f"Negative set {manifest.dataset} for training retrievers",
        # The schema's semantic version, with the id as its build: what only looks like a number sorts nowhere.
        "version": f"{manifest.schema_version}+{identity}",
        "isLiveDataset": False,
        "distribution": [
            *(_file_object(file) for file in manifest.files),
            *(_file_set(table) for table in tables if len(_files(table, manifest)) > 1),
        ],
        "recordSet": [
            _record_set(table, registered_schema(table, manifest), _source(table, manifest)) for table in tables
        ],
    }
    if manifest.licence:
        document["license"] = manifest.licence
    return document


def _tables(manifest: SetManifest) -> list[str]:
    return sorted({file.table for file in manifest.files})


def _files(table: str, manifest: SetManifest) -> list[DataFile]:
    return [file for file in manifest.files if file.table == table]


def _source(table: str, manifest: SetManifest) -> dict[str, object]:
    """Name what holds `table`: its file, whose digest readers then check, or the set of its files."""
    files = _files(table, manifest)
    return {"fileObject": {"@id": files[0].path}} if len(files) == 1 else {"fileSet": {"@id": f"{table}-files"}}


def _column(field: pa.Field) -> dict[str, object]:
    notes = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    return {"name": field.name, "type": str(field.type), "nullable": field.nullable, **notes}


def _file_object(file: DataFile) -> dict[str, object]:
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "contentUrl": file.path,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": _PARQUET,
        "sha256": file.sha256,
    }


def _file_set(table: str) -> dict[str, object]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{table}-files",
        "name": f"{table}-files",
        "encodingFormat": _PARQUET,
        "includes": f"data/{table}/**/*.parquet" if table == "ntuples" else f"data/{table}/*.parquet",
    }


def _record_set(table: str, schema: pa.Schema, source: Mapping[str, object]) -> dict[str, object]:
    flat = [field for field in schema if not pa.types.is_nested(field.type)]
    return {
        "@type": "cr:RecordSet",
        "@id": table,
        "name": table,
        "key": [{"@id": f"{table}/{name}"} for name in KEYS[table]],
        "field": [_field(table, field, source) for field in flat],
    }


def _field(table: str, field: pa.Field, source: Mapping[str, object]) -> dict[str, object]:
    described: dict[str, object] = {
        "@type": "cr:Field",
        "@id": f"{table}/{field.name}",
        "name": field.name,
        "dataType": _croissant_type(field.type),
        "source": {**source, "extract": {"column": field.name}},
    }
    if table in _REFERRING and field.name in _REFERRED:
        described["references"] = {"field": {"@id": f"{_REFERRED[field.name]}/{field.name}"}}
    return described


def _croissant_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:Boolean" if pa.types.is_boolean(kind) else "sc:Text"
