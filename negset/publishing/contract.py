"""contract.odcs.yaml: the set as a data contract, by the Open Data Contract Standard 3.1.

It is written as JSON, which every YAML reader takes. It has no time in it, so that a rebuild gives the same bytes.
"""

import pyarrow as pa

from negset.publishing.manifest import registered_schema
from schemas.expectations import GateReport
from schemas.frames import KEYS
from schemas.manifest import SetManifest

CONTRACT = "contract.odcs.yaml"
_STANDARD = "v3.1.0"


def asks_for_contract(manifest: SetManifest) -> bool:
    """Tell whether the build file of the set of `manifest` asked for a contract (`publish.contract`)."""
    section = manifest.config.get("publish")
    return isinstance(section, dict) and bool(section.get("contract"))


def contract_document(manifest: SetManifest, identity: str, report: GateReport) -> dict[str, object]:
    """Give the contract of the version `identity`: each table with its columns, keys and what `report` held it to."""
    tables = sorted({file.table for file in manifest.files})
    document: dict[str, object] = {
        "apiVersion": _STANDARD,
        "kind": "DataContract",
        "id": f"urn:negset:{manifest.dataset}",
        "name": manifest.dataset,
        "version": f"{manifest.schema_version}+{identity}",
        "status": "active",
        "description": {
            "purpose": manifest.description or f"Negative set {manifest.dataset} for training retrievers",
            "limitations": "A negative is a document that nobody judged relevant and that passed the recipe's rules; "
            "some may be relevant all the same.",
        },
        "servers": [{"server": "version", "type": "local", "path": "data/*/**/*.parquet", "format": "parquet"}],
        "schema": [_table(table, registered_schema(table, manifest), report) for table in tables],
    }
    if manifest.licence:
        document["customProperties"] = [{"property": "license", "value": manifest.licence}]
    return document


def _table(table: str, schema: pa.Schema, report: GateReport) -> dict[str, object]:
    checks = [check for check in report.checks if check.table == table]
    described: dict[str, object] = {
        "name": table,
        "physicalName": f"data/{table}",
        "physicalType": "parquet",
        "logicalType": "object",
        "properties": [_property(field, KEYS[table]) for field in schema],
    }
    if checks:
        described["quality"] = [
            {"name": check.name, "type": "text", "description": check.description} for check in checks
        ]
    return described


def _property(field: pa.Field, key: tuple[str, ...]) -> dict[str, object]:
    notes = {name.decode(): value.decode() for name, value in (field.metadata or {}).items()}
    described: dict[str, object] = {
        "name": field.name,
        "logicalType": _logical(field.type),
        "physicalType": str(field.type),
        "required": not field.nullable,
    }
    if field.name in key:
        described |= {"primaryKey": True, "primaryKeyPosition": key.index(field.name) + 1}
    if pa.types.is_list(field.type):
        parts = [{"name": part.name, "logicalType": _logical(part.type)} for part in field.type.value_type]
        described["items"] = {"name": "element", "logicalType": "object", "properties": parts}
    return described | ({"description": notes["note"]} if "note" in notes else {})


def _logical(kind: pa.DataType) -> str:
    """Name `kind` in the standard's words; a dictionary is what its values are."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    for is_kind, name in (
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "number"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_list, "array"),
    ):
        if is_kind(kind):
            return name
    return "string"
