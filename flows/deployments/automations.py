"""What the server does by itself about the runs of a dataset: Prefect has none of it by default.

Runs are found by the tag of their dataset and by having a deployment; sub-flows have neither, and are ended with the
run that they are part of (`flows/left_running.py`).
"""

from typing import Any, Final
from uuid import UUID

from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, CancelFlowRun, ChangeFlowRunState, DoNothing, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from flows.deployed import dataset_tag
from schemas.schedule import ScheduleConfig, duration
from tasks.freshness import FRESH, dataset_resource

WATCHED: Final = "negset.dataset.watched"
"""The event that freshness is watched from on, before anything was built."""
_RUN: Final = {"prefect.resource.id": "prefect.flow-run.*"}
_ENDS: Final = {f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Crashed", "Cancelled", "TimedOut")}
_FAILURES: Final = {f"prefect.flow-run.{name}" for name in ("Failed", "Crashed", "TimedOut")}
_TAKEN: Final = {f"prefect.flow-run.{name}" for name in ("Pending", "Submitting", "InfrastructurePending")}
_HEARTBEAT: Final = "prefect.flow-run.heartbeat"
_ABOUT_A_RUN: Final = "{{ flow_run.name }} is {{ flow_run.state.name }}: {{ flow_run.state.message }}\n"


def prefix(dataset: str) -> str:
    """Give what the names of the automations of `dataset` begin with."""
    return f"negset {dataset}: "


def plan_automations(dataset: str, schedule: ScheduleConfig, block: UUID | None) -> list[AutomationCore]:
    """List the automations of `dataset`; `block` is who is told of trouble."""
    planned = [_zombies(dataset, schedule), _unbegun(dataset, schedule), _failures(dataset, schedule, block)]
    if schedule.crash_retries:
        planned.append(_restarts(dataset, schedule))
    if schedule.timeout:
        planned.append(_timeouts(dataset, schedule, block))
    if schedule.fresh_within:
        planned.append(_freshness(dataset, schedule, block))
    return planned


def _zombies(dataset: str, schedule: ScheduleConfig) -> AutomationCore:
    return AutomationCore(
        name=f"{prefix(dataset)}runs without a heartbeat",
        description=f"A run without a sign of life for {schedule.silence} is set to Crashed: its process was killed.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            match=_RUN,
            match_related=_deployed(dataset),
            for_each={"prefect.resource.id"},
            after={_HEARTBEAT},
            expect={"prefect.flow-run.*"},
            within=duration(schedule.silence),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, name="Crashed", message=f"no heartbeat for {schedule.silence}: it was killed"
            )
        ],
    )


def _unbegun(dataset: str, schedule: ScheduleConfig) -> AutomationCore:
    # What is taken and never begins has no heartbeat to miss, and holds its place under the limit.
    return AutomationCore(
        name=f"{prefix(dataset)}runs that do not begin",
        description=f"A run of a deployment that a worker took and did not begin in {schedule.start_within} "
        "is scheduled again: its worker was killed.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            match=_RUN,
            match_related=_deployed(dataset),
            for_each={"prefect.resource.id"},
            after=_TAKEN,
            expect={"prefect.flow-run.*"},
            within=duration(schedule.start_within),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.SCHEDULED,
                name="AwaitingRetry",
                message=f"it did not begin in {schedule.start_within} and is scheduled again",
            )
        ],
    )


def _restarts(dataset: str, schedule: ScheduleConfig) -> AutomationCore:
    # One that crashed before it ran (0) would crash again at once, for ever: its machine is at fault.
    counts = [str(count) for count in range(1, schedule.crash_retries + 1)]
    return AutomationCore(
        name=f"{prefix(dataset)}crashed runs start again",
        description=f"A run of a deployment that crashed is started again, {schedule.crash_retries} times at the most.",
        trigger=EventTrigger(
            posture=Posture.Reactive,
            match={**_RUN, "prefect.run-count": counts},
            match_related=_deployed(dataset),
            for_each={"prefect.resource.id"},
            expect={"prefect.flow-run.Crashed"},
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.SCHEDULED, name="AwaitingRetry", message="it crashed and is started again"
            )
        ],
    )


def _failures(dataset: str, schedule: ScheduleConfig, block: UUID | None) -> AutomationCore:
    told = f"{schedule.notify} is told" if schedule.notify else "it is in the event feed"
    return AutomationCore(
        name=f"{prefix(dataset)}failed runs",
        description=f"A run of a deployment failed or crashed: {told}.",
        trigger=EventTrigger(
            posture=Posture.Reactive,
            match=_RUN,
            match_related=_deployed(dataset),
            for_each={"prefect.resource.id"},
            expect=_FAILURES,
        ),
        actions=_told(block, f"negset {dataset}: a run failed", _ABOUT_A_RUN) or [DoNothing()],
    )


def _timeouts(dataset: str, schedule: ScheduleConfig, block: UUID | None) -> AutomationCore:
    return AutomationCore(
        name=f"{prefix(dataset)}runs that take too long",
        description=f"A run of a deployment that runs for more than {schedule.timeout} is cancelled by its worker.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            match=_RUN,
            match_related=_deployed(dataset),
            for_each={"prefect.resource.id"},
            after={"prefect.flow-run.Running"},
            expect=_ENDS,
            within=duration(schedule.timeout),
        ),
        actions=[CancelFlowRun(), *_told(block, f"negset {dataset}: a run is cancelled", _ABOUT_A_RUN)],
    )


def _freshness(dataset: str, schedule: ScheduleConfig, block: UUID | None) -> AutomationCore:
    # `after` and `expect` share an event, so that the time counts from the last one and not in fixed windows.
    told = f"{schedule.notify} is told" if schedule.notify else "it is in the event feed"
    return AutomationCore(
        name=f"{prefix(dataset)}not up to date",
        description=f"No run left {dataset} up to date for {schedule.fresh_within}: {told}, once.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            match={"prefect.resource.id": dataset_resource(dataset)},
            for_each={"prefect.resource.id"},
            after={FRESH, WATCHED},
            expect={FRESH},
            within=duration(schedule.fresh_within),
        ),
        actions=_told(
            block,
            f"negset {dataset}: not up to date",
            f"No run left {dataset} up to date for {schedule.fresh_within}; negset status says which partition lacks.",
        )
        or [DoNothing()],
    )


def _deployed(dataset: str) -> list[Any]:
    return [
        {"prefect.resource.id": f"prefect.tag.{dataset_tag(dataset)}"},
        {"prefect.resource.role": "deployment"},
    ]


def _told(block: UUID | None, subject: str, body: str) -> list[ActionTypes]:
    return [SendNotification(block_document_id=block, subject=subject, body=body)] if block else []
