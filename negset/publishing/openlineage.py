"""What a publication is to OpenLineage: a run of a job that read a source and wrote a version.

Events have a time, so they are no part of a version: they go to a file or a server beside it.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime

from schemas.manifest import SetManifest

_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = "https://openlineage.io/spec/facets"
_PRODUCER = "urn:negset"


def publication_event(
    manifest: SetManifest, identity: str, *, at: datetime, namespace: str = "negset"
) -> dict[str, object]:
    """Give the event that the publication of the version `identity` of `manifest` was complete `at` a time.

    The id of the run is made of the set, its version and the time: an event that is sent twice is one run.
    """
    moment = at.isoformat(timespec="seconds")
    run = uuid.uuid5(uuid.NAMESPACE_URL, f"negset:{manifest.dataset}@{identity}:{moment}")
    return {
        "eventType": "COMPLETE",
        "eventTime": moment,
        "producer": _PRODUCER,
        "schemaURL": _EVENT,
        "run": {"runId": str(run)},
        "job": {"namespace": namespace, "name": f"{manifest.dataset}.publish", "facets": {}},
        "inputs": [
            {
                "namespace": namespace,
                "name": f"{manifest.dataset}.source",
                "facets": {"version": _version(manifest.source.content)},
            }
        ],
        "outputs": [
            {
                "namespace": namespace,
                "name": f"{manifest.dataset}.{table}",
                "facets": {"version": _version(identity)} | _assertions(manifest, table),
                "outputFacets": {"outputStatistics": _statistics(manifest, table)},
            }
            for table in sorted({file.table for file in manifest.files})
        ],
    }


def _version(identity: str) -> dict[str, object]:
    return _facet("1-0-1/DatasetVersionDatasetFacet", {"datasetVersion": identity})


def _statistics(manifest: SetManifest, table: str) -> dict[str, object]:
    files = [file for file in manifest.files if file.table == table]
    counted = {"rowCount": sum(file.rows for file in files), "size": sum(file.bytes for file in files)}
    return _facet("1-0-2/OutputStatisticsOutputDatasetFacet", {**counted, "fileCount": len(files)})


def _assertions(manifest: SetManifest, table: str) -> dict[str, object]:
    """Give the gates whose names begin with the name of `table`."""
    checks = [check for check in manifest.validation.checks if check.name.startswith(f"{table}_")]
    if not checks:
        return {}
    found = [{"assertion": check.name, "success": check.passed} for check in checks]
    return {"dataQualityAssertions": _facet("1-0-1/DataQualityAssertionsDatasetFacet", {"assertions": found})}


def _facet(schema: str, content: Mapping[str, object]) -> dict[str, object]:
    return {"_producer": _PRODUCER, "_schemaURL": f"{_FACETS}/{schema}.json", **content}
