"""Which deployments a dataset should have: as the server's API takes them, and as a prefect.yaml says them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

import yaml
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel, ValidationError

from flows.deployed import backfill_dataset, build_dataset, dataset_tag, rounds_dataset, train_dataset
from negset.errors import ConfigError
from schemas.config import BuildConfig
from schemas.rounds import RoundsConfig
from schemas.schedule import ScheduleConfig, duration
from schemas.train import TrainConfig

HEARTBEAT: Final = 30
"""Seconds between two signs of life of a run: the least that Prefect allows."""
ATTEMPTS: Final = 6
"""Times that a run asks a server again that is away, after 2, 4, 8, ... seconds: two minutes in all."""
ANCHOR: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""What intervals are counted from: a moment that no deployment changes."""


@dataclass(frozen=True)
class Dataset:
    """A dataset and what is to be done with it, as its files say."""

    build: BuildConfig
    schedule: ScheduleConfig
    train: TrainConfig
    rounds: RoundsConfig
    work_pool: str


@dataclass(frozen=True)
class Deployment:
    """A deployment: the flow's name, its own, and the `values` that the server's API takes."""

    flow: str
    name: str
    values: Mapping[str, Any]

    @property
    def full_name(self) -> str:
        """Give the name that `prefect deployment run` takes."""
        return f"{self.flow}/{self.name}"


def plan_deployments(dataset: Dataset) -> list[Deployment]:
    """List the deployments of `dataset`: of build, of backfill where it has partitions, of train and of rounds.

    The schedule is that of the backfill where there is one, else of the build. Rounds need a dense miner.
    Raises ConfigError for a schedule that is none.
    """
    build, schedule = dataset.build, dataset.schedule
    config, parts = _written(build), build.partitions.kind != "none"
    times = _times(schedule.cron, schedule.interval, schedule.timezone, "schedule")
    flows: list[tuple[Flow[Any, Any], dict[str, Any], list[dict[str, Any]]]] = []
    if parts:
        wanted = {"only": schedule.only, "first": schedule.first, "max_parallel": schedule.max_parallel}
        flows.append((backfill_dataset, {"config": config, **wanted}, times))
    flows.append((build_dataset, {"config": config}, [] if parts else times))
    trained = {"dataset": build.name, "config": _written(dataset.train), "partitions": _written(build.partitions)}
    zone = schedule.timezone
    flows.append((train_dataset, trained, _times(schedule.train.cron, schedule.train.interval, zone, "train")))
    if "dense" in build.mine.miners:
        looped = {"config": config, "train": _written(dataset.train), "options": _written(dataset.rounds)}
        times = _times(schedule.rounds.cron, schedule.rounds.interval, zone, "rounds")
        flows.append((rounds_dataset, looped, times))
    return [_deployment(dataset, *one) for one in flows]


def flow_names() -> list[str]:
    """Name the flows that a dataset may have a deployment of."""
    return [flow.name for flow in (backfill_dataset, build_dataset, train_dataset, rounds_dataset)]


def prefect_yaml(deployments: list[Deployment]) -> str:
    """Write `deployments` as a prefect.yaml, for `prefect deploy --all`; it has no place for automations."""
    project = {
        "prefect-version": version("prefect"),
        "name": "negset",
        "deployments": [_as_entry(one.name, one.values) for one in deployments],
    }
    head = (
        "# Written by `negset deploy CONFIG --write FILE`. It leaves out the automations: `negset deploy` makes them.\n"
    )
    apart = json.loads(json.dumps(project))  # no section is written once and pointed to from others
    written: str = yaml.safe_dump(apart, sort_keys=False, width=120, allow_unicode=True)
    return head + written


def _deployment(
    dataset: Dataset, flow: Flow[Any, Any], parameters: dict[str, Any], schedules: list[dict[str, Any]]
) -> Deployment:
    schedule = dataset.schedule
    values = {
        "entrypoint": f"{flow.fn.__module__}.{flow.fn.__name__}",
        "description": flow.description,
        "version": version("negset"),
        "tags": [dataset_tag(dataset.build.name)],
        "parameters": parameters,
        "parameter_openapi_schema": parameter_schema(flow).model_dump(mode="json"),
        "enforce_parameter_schema": True,
        "schedules": schedules,
        "concurrency_limit": schedule.limit,
        "concurrency_options": {"collision_strategy": schedule.collision.upper()},
        "work_pool_name": dataset.work_pool,
        "job_variables": {
            "env": {
                "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT),
                "PREFECT_CLIENT_MAX_RETRIES": str(ATTEMPTS),
                "PREFECT_LOGGING_EXTRA_LOGGERS": "negset",
            }
        },
    }
    return Deployment(flow.name, dataset.build.name, values)


def _written(config: BaseModel) -> dict[str, Any]:
    """Give what differs from the defaults, which the form shows anyway."""
    return config.model_dump(mode="json", exclude_defaults=True)


def _times(cron: str, interval: str, timezone: str, section: str) -> list[dict[str, Any]]:
    if not cron and not interval:
        return []
    try:
        schedule = (
            CronSchedule(cron=cron, timezone=timezone)
            if cron
            else IntervalSchedule(interval=duration(interval), anchor_date=ANCHOR, timezone=timezone)
        )
    except ValidationError as error:
        message = f"{section}: {error.errors()[0]['msg']}"
        raise ConfigError(message) from error
    return [{"schedule": schedule.model_dump(mode="json"), "active": True, "slug": "schedule"}]


def _as_entry(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    same = ("entrypoint", "description", "version", "tags", "parameters")
    options = values["concurrency_options"]
    return {
        "name": name,
        **{key: values[key] for key in same},
        "schedules": [_as_times(one) for one in values["schedules"]],
        "concurrency_limit": {"limit": values["concurrency_limit"], **options},
        "work_pool": {"name": values["work_pool_name"], "job_variables": values["job_variables"]},
    }


def _as_times(values: Mapping[str, Any]) -> dict[str, Any]:
    schedule = values["schedule"]
    kept = ("cron", "timezone") if "cron" in schedule else ("interval", "anchor_date", "timezone")
    return {**{key: schedule[key] for key in kept}, "slug": values["slug"], "active": values["active"]}
