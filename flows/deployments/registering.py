"""Bring a Prefect server to what is planned, and say what that changed: a second time changes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events import Event, Resource
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL
from prefect.workers.process import ProcessWorker

from flows.deployments.automations import WATCHED, plan_automations, prefix
from flows.deployments.planning import Dataset, Deployment, flow_names, plan_deployments
from negset.errors import ConfigError, EnvironmentFault
from tasks.freshness import dataset_resource

What = Literal["created", "updated", "unchanged", "removed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one thing on the server, and which of its fields were changed."""

    kind: Literal["work pool", "deployment", "automation"]
    name: str
    what: What
    fields: tuple[str, ...] = ()


def deploy(dataset: Dataset, *, dry_run: bool = False) -> list[Outcome]:
    """Register the deployments and automations of `dataset` on the server in force; with `dry_run` only compare.

    What a person set there stays: a paused deployment or schedule, an automation that is off. A work pool that is not
    there is made, of type process. What the dataset no longer has is removed.
    Raises ConfigError for what is wrong in the configuration, EnvironmentFault where the server does not answer.
    """
    planned = plan_deployments(dataset)
    with _server() as client:
        block = _block(client, dataset.schedule.notify)
        automations = plan_automations(dataset.build.name, dataset.schedule, block)
        done = [_pool(client, dataset.work_pool, dry_run)]
        done += [_deployment(client, one, dry_run) for one in planned]
        done += _unwanted_deployments(client, planned, dry_run)
        done += _automations(client, dataset.build.name, automations, dry_run)
    return done


@contextmanager
def _server() -> Iterator[SyncPrefectClient]:
    try:
        with get_client(sync_client=True) as client:
            yield client
    except httpx.TransportError as error:
        message = f"no Prefect server answers at {PREFECT_API_URL.value()} ({type(error).__name__}); start it first"
        raise EnvironmentFault(message) from error
    except PrefectHTTPStatusError as error:
        message = _refusal(error)
        raise EnvironmentFault(message) from error


def _refusal(error: PrefectHTTPStatusError) -> str:
    status = error.response.status_code
    if status in (401, 403):
        return f"{PREFECT_API_URL.value()} refuses: set PREFECT_API_AUTH_STRING to what the server was started with"
    return f"{error.request.method} {error.request.url} gave {status}: {error.response.text[:500]}"


def _block(client: SyncPrefectClient, notify: str) -> UUID | None:
    if not notify:
        return None
    kind, _, name = notify.partition("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound as error:
        message = f"schedule.notify = {notify!r}: the server has no block of this type and name; create it there first"
        raise ConfigError(message) from error


def _pool(client: SyncPrefectClient, name: str, dry_run: bool) -> Outcome:
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        if not dry_run:
            template = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(WorkPoolCreate(name=name, type=ProcessWorker.type, base_job_template=template))
        return Outcome("work pool", name, "created")
    return Outcome("work pool", name, "unchanged")


def _deployment(client: SyncPrefectClient, wanted: Deployment, dry_run: bool) -> Outcome:
    found = _read(client, wanted.flow, wanted.name)
    values = dict(wanted.values)
    if found:
        # A schedule that somebody switched off stays off.
        active = {one["slug"]: one["active"] for one in found["schedules"]}
        values["schedules"] = [{**one, "active": active.get(one["slug"], True)} for one in values["schedules"]]
    changed = tuple(sorted(_differences(found, values))) if found else ()
    if found and not changed:
        return Outcome("deployment", wanted.full_name, "unchanged")
    if not dry_run:
        flow = client.create_flow_from_name(wanted.flow)
        client.request("POST", "/deployments/", json={"flow_id": str(flow), "name": wanted.name, **values})
    return Outcome("deployment", wanted.full_name, "updated" if found else "created", changed)


def _read(client: SyncPrefectClient, flow: str, name: str) -> dict[str, Any] | None:
    try:
        found = client.request(
            "GET",
            "/deployments/name/{flow_name}/{deployment_name}",
            path_params={"flow_name": flow, "deployment_name": name},
        )
    except PrefectHTTPStatusError as error:
        if error.response.status_code == 404:
            return None
        raise
    answer: dict[str, Any] = found.json()
    limit = answer["global_concurrency_limit"]
    kept = ("schedule", "active", "slug")
    return {
        **answer,
        "concurrency_limit": limit["limit"] if limit else None,
        "schedules": [{key: one[key] for key in kept} for one in answer["schedules"]],
    }


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [key for key, value in wanted.items() if not _covers(found.get(key), value)]


def _covers(found: object, wanted: object) -> bool:
    """Say whether `found` is `wanted`; the server may add keys with nothing in them."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        extra = [value for key, value in found.items() if key not in wanted]
        return not any(extra) and all(key in found and _covers(found[key], wanted[key]) for key in wanted)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_covers, found, wanted))
    return found == wanted


def _unwanted_deployments(client: SyncPrefectClient, planned: Sequence[Deployment], dry_run: bool) -> list[Outcome]:
    name, wanted = planned[0].name, {one.flow for one in planned}
    removed = []
    for flow in flow_names():
        found = None if flow in wanted else _read(client, flow, name)
        if found:
            if not dry_run:
                client.delete_deployment(UUID(found["id"]))
            removed.append(Outcome("deployment", f"{flow}/{name}", "removed"))
    return removed


def _automations(
    client: SyncPrefectClient, dataset: str, wanted: Sequence[AutomationCore], dry_run: bool
) -> list[Outcome]:
    there = {one.name: one for one in client.read_automations() if one.name.startswith(prefix(dataset))}
    done = [_automation(client, one, there.get(one.name), dry_run) for one in wanted]
    for name in sorted(there.keys() - {one.name for one in wanted}):
        if not dry_run:
            client.delete_automation(there[name].id)
        done.append(Outcome("automation", name, "removed"))
    if not dry_run and any(one.what in ("created", "updated") for one in done):
        _tell_watched(client, dataset)
    return done


def _tell_watched(client: SyncPrefectClient, dataset: str) -> None:
    # Not by Prefect's own emitter, which sends from a thread when the command is over.
    resource = {"prefect.resource.id": dataset_resource(dataset), "prefect.resource.name": dataset}
    event = Event(event=WATCHED, resource=Resource(resource))
    client.request("POST", "/events", json=[event.model_dump(mode="json")])


def _automation(client: SyncPrefectClient, wanted: AutomationCore, found: Automation | None, dry_run: bool) -> Outcome:
    if found is None:
        if not dry_run:
            client.create_automation(wanted)
        return Outcome("automation", wanted.name, "created")
    kept = wanted.model_copy(update={"enabled": found.enabled})
    before, after = found.model_dump(exclude={"id"}), kept.model_dump()
    changed = tuple(sorted(key for key in after if before.get(key) != after[key]))
    if not changed:
        return Outcome("automation", wanted.name, "unchanged")
    if not dry_run:
        # Not by update_automation, which leaves out the types of actions: the server then takes them for do-nothing.
        values = kept.model_dump(mode="json", exclude={"owner_resource"})
        client.request("PUT", "/automations/{id}", path_params={"id": found.id}, json=values)
    return Outcome("automation", wanted.name, "updated", changed)
