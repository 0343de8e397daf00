"""Sub-flows that a killed run left Running: nobody else ends them.

The automation that finds silent runs knows those of deployments alone. To give sub-flows a tag that it could go by
would give it to their tasks too, and Prefect then asks the server for a slot before each, in a way that does not
survive a server that is away for a second.
"""

import logging
from typing import Final
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.states import Crashed

_log = logging.getLogger("negset.deployed")
LOOKED_AT: Final = 50
"""Runs of the deployment, the newest, whose sub-flows are looked at."""


def end_orphans() -> None:
    """Set to Crashed what this run, before it was started again, and runs before it left Running or Pending.

    Call it first in a flow of a deployment; without one, or without a server that answers, nothing is done.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None:
        return
    try:
        with get_client(sync_client=True) as client:
            ended = end_below(client, [run.id, *_over(client, run.deployment_id)])
    except httpx.HTTPError as error:
        _log.warning("sub-flows of killed runs were not looked for: %s: %s", type(error).__name__, error)
        return
    if ended:
        _log.info("%d sub-flows of killed runs were set to Crashed", ended)


def end_below(client: SyncPrefectClient, parents: list[UUID]) -> int:
    """Set to Crashed what is Running or Pending below the runs `parents`, and count it."""
    ended = 0
    while parents:
        below = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=parents),
                state=_in_state(StateType.RUNNING, StateType.PENDING),
            )
        )
        for one in below:
            client.set_flow_run_state(one.id, Crashed(message="the run that it was part of was killed"))
        parents = [one.id for one in below]
        ended += len(parents)
    return ended


def _over(client: SyncPrefectClient, deployment: UUID) -> list[UUID]:
    """Name the newest runs of `deployment` that are over, however they ended."""
    found = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
            state=_in_state(StateType.CRASHED, StateType.FAILED, StateType.CANCELLED, StateType.COMPLETED),
        ),
        sort=FlowRunSort.START_TIME_DESC,
        limit=LOOKED_AT,
    )
    return [one.id for one in found]


def _in_state(*types: StateType) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types)))
