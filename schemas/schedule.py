"""When a dataset is built without being asked, what is done about trouble, and who is told: no row depends on it."""

import re
from datetime import timedelta
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.section import Section

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
Duration = Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]*[smhdw])?$")]
"""A number and s, m, h, d or w, such as `30h`; empty for none."""
LEAST_SILENCE: Final = 60
"""Seconds: a heartbeat comes every 30, the least that Prefect allows, and one may be late."""
LEAST_PROACTIVE: Final = 10
"""Seconds that Prefect wants at the least before it can say that something did not happen."""


def duration(text: str) -> timedelta:
    """Read a Duration; the empty one is no time at all."""
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])}) if text else timedelta()


def _checked_cron(value: str) -> str:
    if value and not re.fullmatch(r"\S+( +\S+){4}", value.strip()):
        message = "five fields of cron are wanted: minute, hour, day of the month, month, day of the week"
        raise ValueError(message)
    return value.strip()


def _checked_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = "no time zone that this machine knows; write an IANA name such as Europe/Berlin"
        raise ValueError(message) from error
    return value


def _refuse_both(cron: str, interval: str) -> None:
    if cron and interval:
        message = "give cron or interval, not both"
        raise ValueError(message)


Cron = Annotated[str, AfterValidator(_checked_cron)]
Zone = Annotated[str, AfterValidator(_checked_zone)]


class TimesConfig(Section):
    """When runs start by themselves; with neither `cron` nor `interval`, only when somebody starts them."""

    cron: Cron = ""
    """Five fields of cron, such as `15 3 * * *`."""
    interval: Duration = ""
    """Time between two runs, such as `6h`, counted from 2020-01-01."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        _refuse_both(self.cron, self.interval)
        return self


class ScheduleConfig(Section):
    """When a dataset is built, and what is done about trouble.

    A dataset with partitions is scheduled as a backfill: a run builds every partition that closed since and is not
    there yet, so that a run that was missed is made up for. One that is not over is never built.
    """

    cron: Cron = ""
    """When it is built: five fields of cron, such as `15 3 * * *`."""
    interval: Duration = ""
    """Or the time between two builds, such as `6h`, counted from 2020-01-01."""
    timezone: Zone = "UTC"
    """The zone of all times of this section, an IANA name. Partitions are in UTC all the same."""
    only: Literal["", "holes", "missing", "failed", "stale"] = "holes"
    """Which partitions a scheduled run builds, as in `negset backfill --only`: what is missing or failed, so that
    trouble that passed is made up for too. Empty for all that are not up to date: then a new version of negset, or an
    edited recipe, may build all of the past anew."""
    first: str = ""
    """The first partition that scheduled runs look at; empty for all. A hole before it fails no run."""
    max_parallel: int = Field(1, ge=1)
    """Partitions that a run builds at a time."""
    limit: int = Field(1, ge=1)
    """Runs of one deployment at a time."""
    collision: Literal["enqueue", "cancel_new"] = "enqueue"
    """What becomes of a run that comes when `limit` are at work: it waits, or it is cancelled."""
    timeout: Duration = ""
    """Time after which a run is cancelled: its worker kills its process; empty for none."""
    start_within: Duration = "10m"
    """Time in which a run that a worker took must begin; else it is scheduled again: its worker was killed."""
    silence: Duration = "3m"
    """Time without a heartbeat after which a run that should be running is set to Crashed: its process was killed."""
    crash_retries: int = Field(2, ge=0)
    """Times that a crashed run is started again. What is finished is not done again."""
    fresh_within: Duration = ""
    """Time in which the dataset must have been up to date at the end of a run; longer is trouble. Empty to not watch.

    Up to date is a dataset whose newest partition is published from what its source holds; without partitions, one
    that was just built.
    """
    notify: str = Field("", pattern=r"^([a-z0-9-]+/[a-z0-9-]+)?$")
    """Prefect block that is told of trouble, as `<type>/<name>`, such as `slack-webhook/ops`; empty: it is in the event
    feed alone."""
    train: TimesConfig = TimesConfig()
    """When the newest published set is trained on."""
    rounds: TimesConfig = TimesConfig()
    """When rounds of mining and training run."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        _refuse_both(self.cron, self.interval)
        least = {
            "timeout": LEAST_PROACTIVE,
            "fresh_within": LEAST_PROACTIVE,
            "start_within": LEAST_SILENCE,
            "silence": LEAST_SILENCE,
        }
        for name, seconds in least.items():
            given = getattr(self, name)
            if given and duration(given) < timedelta(seconds=seconds):
                message = f"{name} = {given!r} is too short; {seconds}s at the least"
                raise ValueError(message)
        if not self.silence or not self.start_within:
            message = "silence or start_within is empty: a run whose process was killed would stay as it is for ever"
            raise ValueError(message)
        return self
