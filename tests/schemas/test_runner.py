"""The section `runner`: what it refuses, and that it names no row."""

import pytest
from pydantic import ValidationError

from negset.fingerprint import identity
from schemas.config import BuildConfig
from schemas.runner import RunnerConfig


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_devices_are_for_those_who_place_by_them(kind):
    with pytest.raises(ValidationError, match=f"mine.gpus: '{kind}' places no task by its devices"):
        RunnerConfig(kind=kind, mine={"gpus": 1})


@pytest.mark.parametrize("kind", ["local", "dask", "ray"])
def test_a_file_may_ask_for_devices_and_be_run_here_too(kind):
    assert RunnerConfig(kind=kind, mine={"gpus": 1}).mine.gpus == 1


def test_who_works_is_in_no_identity():
    usual = BuildConfig(name="a", source={"format": "beir"})
    other = BuildConfig(name="a", source={"format": "beir"}, runner={"kind": "dask", "workers": 9, "mine": {"cpus": 3}})
    assert identity(usual) == identity(other)
    assert "runner" not in identity(other)


@pytest.mark.parametrize("wrong", [{"kind": "spark"}, {"workers": -1}, {"max_tasks": 0}, {"mine": {"cpus": 0}}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValidationError):
        RunnerConfig(**wrong)
