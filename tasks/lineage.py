"""Tell OpenLineage of a publication: NEGSET_LINEAGE names a file or a server."""

import json
import logging
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from negset.errors import EnvironmentFault
from negset.publishing.manifest import read_manifest
from negset.publishing.openlineage import publication_event
from negset.store import flush, locked, make_folder, storage_fault
from tasks.place import Place

_SECONDS = 10.0

_log = logging.getLogger("negset.lineage")


def report_lineage(place: Place, version: Path, at: datetime) -> None:
    """Write or send the event that the version in the folder `version` was published `at` a time, if `place` asks.

    The version is out already: an event that cannot be delivered is a warning that says so, and stops nothing.
    """
    if not place.lineage:
        return
    event = publication_event(read_manifest(version), version.name, at=at, namespace=place.lineage_namespace)
    if place.lineage.startswith(("http://", "https://")):
        _send(place.lineage, event)
    else:
        _append(Path(place.lineage), event)


def _send(address: str, event: dict[str, object]) -> None:
    try:
        httpx.post(address, json=event, timeout=_SECONDS).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Neither the address nor the error's text, which has it: a token may stand in it.
        host, kind = urlsplit(address).hostname, type(error).__name__
        _log.warning("the lineage event was not delivered to %s (%s); the version is published", host, kind)


def _append(path: Path, event: dict[str, object]) -> None:
    try:
        make_folder(path.parent)
        with locked(path.with_name(f".{path.name}.lock")), path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(event, sort_keys=True, ensure_ascii=False, allow_nan=False)}\n")
        flush(path)
    except (OSError, EnvironmentFault) as error:
        fault = storage_fault(error, path) if isinstance(error, OSError) else error
        _log.warning("the lineage event was not written: %s; the version is published", fault)
