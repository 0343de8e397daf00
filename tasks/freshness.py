"""Tell the Prefect server that a dataset is up to date, for automations that watch whether this is ever said."""

from typing import Final

from prefect.context import FlowRunContext
from prefect.events import emit_event

FRESH: Final = "negset.dataset.fresh"
"""The event: at the end of a run, what the dataset should hold by then is published."""


def dataset_resource(dataset: str) -> str:
    """Give the name under which the events of `dataset` are found."""
    return f"negset.dataset.{dataset}"


def tell_fresh(dataset: str, newest: str = "") -> None:
    """Say of `dataset` that it is up to date, its partition `newest` included; outside of a run say nothing."""
    if FlowRunContext.get() is None:
        return
    resource = {"prefect.resource.id": dataset_resource(dataset), "prefect.resource.name": dataset}
    emit_event(FRESH, resource=resource, payload={"newest": newest})
