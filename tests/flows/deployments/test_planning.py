"""Which deployments a dataset gets, before any server is asked."""

from pathlib import Path

import pytest
import yaml
from jsonschema import ValidationError, validate
from prefect.flows import load_flow_from_entrypoint

from flows.cli import main
from flows.deployments.planning import Dataset, flow_names, plan_deployments, prefect_yaml
from negset.configuration import load_scheduled
from negset.errors import ConfigError
from schemas.config import BuildConfig
from schemas.rounds import RoundsConfig
from schemas.schedule import ScheduleConfig
from schemas.train import TrainConfig

ROOT = Path(__file__).parents[3]


def dataset(path, *overrides):
    return Dataset(*load_scheduled(path, overrides), TrainConfig(), RoundsConfig(), "negset")


def planned(path, *overrides):
    return {one.flow: one.values for one in plan_deployments(dataset(path, *overrides))}


def test_partitions_are_scheduled_as_a_backfill_of_what_is_missing(monthly_file):
    found = planned(monthly_file, "schedule.cron=15 3 * * *", "schedule.timezone=Europe/Berlin")
    assert list(found) == flow_names()
    (times,) = found["backfill-dataset"]["schedules"]
    assert times["schedule"] == {"cron": "15 3 * * *", "timezone": "Europe/Berlin", "day_or": True}
    assert found["backfill-dataset"]["parameters"]["only"] == "holes"
    assert [found[name]["schedules"] for name in flow_names()[1:]] == [[], [], []]


def test_without_partitions_the_build_is_scheduled_and_there_is_no_backfill(build_file):
    found = planned(build_file, "schedule.interval=6h", "schedule.train.cron=0 5 * * 1")
    assert "backfill-dataset" not in found
    (times,) = found["build-dataset"]["schedules"]
    assert times["schedule"]["interval"] == 6 * 3600
    # Counted from a moment that stays: from now, each deployment would move every run.
    assert times["schedule"]["anchor_date"].startswith("2020-01-01T00:00:00")
    assert found["train-dataset"]["schedules"][0]["schedule"]["cron"] == "0 5 * * 1"
    assert found["rounds-dataset"]["schedules"] == []


def test_rounds_need_a_dense_miner(build_file):
    assert "rounds-dataset" not in planned(build_file, 'mine.miners=["bm25"]')


def test_a_cron_that_never_comes_is_refused(build_file):
    with pytest.raises(ConfigError, match="schedule: "):
        planned(build_file, "schedule.cron=99 3 * * *")


def test_entrypoints_are_dotted_and_lead_to_the_flow(build_file, monthly_file):
    for flow, values in {**planned(build_file), **planned(monthly_file)}.items():
        assert ":" not in values["entrypoint"]
        assert load_flow_from_entrypoint(values["entrypoint"]).name == flow


def test_the_form_has_every_field_that_a_build_file_may_set(monthly_file):
    schema = planned(monthly_file)["backfill-dataset"]["parameter_openapi_schema"]
    assert set(schema["definitions"]["BuildConfig"]["properties"]) == set(BuildConfig.model_fields)
    depth = schema["definitions"]["MineConfig"]["properties"]["depth"]
    assert (depth["default"], depth["minimum"]) == (100, 1)
    assert depth["description"].startswith("Ranks kept for each query and miner")
    assert schema["definitions"]["MineConfig"]["properties"]["miners"]["items"]["enum"][:2] == ["dense", "bm25"]
    # A schedule does nothing in a run, so no run's form asks for one.
    assert not set(schema["definitions"]) & {"ScheduleConfig", "TimesConfig"}


def test_what_is_registered_fits_its_own_form_and_a_mistake_does_not(monthly_file):
    for values in planned(monthly_file).values():
        schema = {**values["parameter_openapi_schema"]}
        validate(values["parameters"], schema)
        wrong = {**values["parameters"], "config": {**values["parameters"]["config"], "mime": {"depth": 3}}}
        with pytest.raises(ValidationError, match="mime"):
            validate(wrong, schema)


def test_a_form_holds_what_the_build_file_sets_with_paths_that_do_not_move(monthly_file):
    config = planned(monthly_file)["build-dataset"]["parameters"]["config"]
    assert config["source"] == {
        "format": "parquet",
        "path": str(monthly_file.parent / "log"),
        "partition_by": "created_at",
    }
    assert "gates" not in config
    assert BuildConfig.model_validate(config) == load_scheduled(monthly_file)[0]


def test_limits_and_heartbeats(build_file):
    values = planned(build_file, "schedule.limit=2", "schedule.collision=cancel_new")["build-dataset"]
    assert (values["concurrency_limit"], values["concurrency_options"]) == (2, {"collision_strategy": "CANCEL_NEW"})
    # Without it a run gives a sign of life every 180 s, and silence of three minutes would crash it.
    assert values["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"


def test_infra_holds_what_deploy_would_register(tmp_path):
    """After a change: negset deploy infra/dataset.toml --write infra/prefect.yaml."""
    assert main(["deploy", str(ROOT / "infra/dataset.toml"), "--write", str(tmp_path / "prefect.yaml")]) == 0
    assert (tmp_path / "prefect.yaml").read_text() == (ROOT / "infra/prefect.yaml").read_text()


def test_a_prefect_yaml_says_each_deployment_in_full(monthly_file):
    deployments = plan_deployments(dataset(monthly_file, "schedule.interval=6h"))
    written = yaml.safe_load(prefect_yaml(deployments))["deployments"]
    assert [one["entrypoint"] for one in written] == [one.values["entrypoint"] for one in deployments]
    assert [one["parameters"] for one in written] == [one.values["parameters"] for one in deployments]
    assert written[0]["schedules"][0]["interval"] == 6 * 3600


def test_defaults_are_no_schedule_and_no_watch():
    schedule = ScheduleConfig()
    assert (schedule.cron, schedule.interval, schedule.fresh_within, schedule.timeout) == ("", "", "", "")
