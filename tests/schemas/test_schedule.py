"""What a section [schedule] may say."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from negset.configuration import load_build_config, load_scheduled
from negset.errors import ConfigError
from negset.fingerprint import fingerprint, identity
from schemas.schedule import ScheduleConfig, duration


def test_durations():
    read = [duration(text) for text in ("90s", "5m", "30h", "2d", "1w", "")]
    hours = timedelta(hours=1)
    assert read == [timedelta(seconds=90), hours / 12, 30 * hours, 48 * hours, 168 * hours, timedelta()]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"cron": "0 3 * *"}, "five fields"),
        ({"cron": "0 3 * * *", "interval": "6h"}, "not both"),
        ({"train": {"cron": "0 3 * * *", "interval": "6h"}}, "not both"),
        ({"timezone": "Europe/Bern"}, "no time zone"),
        ({"timezone": "../etc/passwd"}, "no time zone"),
        ({"interval": "0h"}, "pattern"),
        ({"silence": "59s"}, "60s at the least"),
        ({"silence": ""}, "for ever"),
        ({"start_within": ""}, "for ever"),
        ({"start_within": "30s"}, "60s at the least"),
        ({"timeout": "9s"}, "10s at the least"),
        ({"notify": "ops"}, "pattern"),
        ({"limit": 0}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(values, said):
    with pytest.raises(ValidationError, match=said):
        ScheduleConfig.model_validate(values)


def test_the_schedule_is_no_part_of_the_build(build_file):
    plain = load_build_config(build_file)
    build_file.write_text(f'{build_file.read_text()}[schedule]\ncron = "0 3 * * *"\n')
    assert load_build_config(build_file) == plain
    build, schedule = load_scheduled(build_file, ["schedule.timezone=Europe/Berlin"])
    assert fingerprint(identity(build)) == fingerprint(identity(plain))
    assert (schedule.cron, schedule.timezone) == ("0 3 * * *", "Europe/Berlin")


def test_a_misspelt_key_is_told_by_every_command(build_file):
    build_file.write_text(f'{build_file.read_text()}[schedule]\ncorn = "0 3 * * *"\n')
    with pytest.raises(ConfigError, match=r"section \[schedule\]: unknown key 'corn' \(did you mean 'cron'\?\)"):
        load_build_config(build_file)
    build_file.write_text(build_file.read_text().replace('[schedule]\ncorn = "0 3 * * *"', "").strip())
    with pytest.raises(ConfigError, match="not a section"):
        load_build_config(build_file, ["schedule=daily"])
