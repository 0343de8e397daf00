"""Expected partitions, limits of a range, and the build of one partition."""

from datetime import UTC, datetime

import pytest

from negset.configuration import load_build_config, parse_config
from negset.errors import ConfigError
from negset.fingerprint import identity
from negset.periods.expected import (
    Partition,
    check_carriers,
    expected_partitions,
    find_partition,
    partition_config,
    partitions_between,
)
from schemas.config import BuildConfig

NOW = datetime(2024, 4, 10, tzinfo=UTC)


def config_of(partitions, **source):
    values = {"name": "news", "source": {"format": "parquet", "path": "x", **source}, "partitions": partitions}
    return parse_config(BuildConfig, values, "build.toml")


def keys(partitions, now=NOW):
    return [one.key for one in expected_partitions(config_of(partitions).partitions, now)]


def test_periods_are_expected_once_they_are_over_and_up_to_the_end():
    monthly = {"kind": "monthly", "start": "2024-01", "column": "queries.asked_at"}
    assert keys(monthly) == ["2024-01", "2024-02", "2024-03"]
    assert keys({**monthly, "end": "2024-02"}) == ["2024-01", "2024-02"]
    assert keys({**monthly, "end": "2030-02"}) == ["2024-01", "2024-02", "2024-03"]
    assert keys(monthly, datetime(2023, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("partitions", "message"),
    [
        ({"kind": "monthly", "start": "2024", "column": "queries.asked_at"}, "not the name of a monthly"),
        ({"kind": "monthly", "start": "2024-03", "end": "2024-01", "as_of": True}, "before partitions.start"),
        ({"kind": "none"}, "no section"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(partitions, message):
    with pytest.raises(ConfigError, match=message):
        keys(partitions)


@pytest.mark.parametrize(
    ("partitions", "message"),
    [
        ({"kind": "monthly", "column": "queries.asked_at"}, "need start"),
        ({"kind": "list", "names": ["a", "A"], "column": "queries.x"}, "twice"),
        ({"kind": "list", "names": ["versions"], "column": "queries.x"}, "reserved"),
        ({"kind": "list", "names": ["a/../b"], "column": "queries.x"}, "pattern"),
        ({"kind": "release", "names": ["a"], "as_of": True}, "has no end"),
        ({"start": "2024-01"}, "need a kind"),
        ({"kind": "list", "names": ["a"], "column": "tables.x"}, "pattern"),
        ({"kind": "list", "names": ["a"], "columm": "queries.x"}, "did you mean 'column'"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(partitions, message):
    with pytest.raises(ConfigError, match=message):
        config_of(partitions)


def test_limits_of_a_range_may_be_longer_periods_than_the_partitions():
    monthly = {"kind": "monthly", "start": "2023-11", "as_of": True}
    expected = expected_partitions(config_of(monthly).partitions, NOW)
    chosen = [one.key for one in partitions_between(expected, "2023", "2024-01")]
    assert chosen == ["2023-11", "2023-12", "2024-01"]
    assert [one.key for one in partitions_between(expected, "2024", "")] == ["2024-01", "2024-02", "2024-03"]
    with pytest.raises(ConfigError, match="before --from"):
        partitions_between(expected, "2024", "2023")


def test_names_keep_their_order_and_an_unknown_one_is_named():
    releases = {"kind": "release", "names": ["v9", "v10", "v11"], "column": "queries.release"}
    expected = expected_partitions(config_of(releases).partitions, NOW)
    assert [one.key for one in partitions_between(expected, "v10", "")] == ["v10", "v11"]
    assert find_partition(expected, "latest") == Partition("v11")
    with pytest.raises(ConfigError, match=r"--from 'v12' is no partition"):
        partitions_between(expected, "v12", "")
    with pytest.raises(ConfigError, match="not expected"):
        find_partition(expected, "v12")


def test_a_partition_is_written_into_paths_by_name_or_by_its_time():
    daily = {"kind": "daily", "start": "2024-04-01"}
    config = config_of(daily, path="log/{partition:%Y/%m}/{partition}", qrels="{partition}.tsv")
    one = partition_config(config, find_partition(expected_partitions(config.partitions, NOW), "2024-04-02"))
    assert (one.source.path, one.source.qrels) == ("log/2024/04/2024-04-02", "2024-04-02.tsv")
    assert one.set_name == "news/2024-04-02"
    named = config_of({"kind": "list", "names": ["a"]}, path="{partition:%Y}")
    with pytest.raises(ConfigError, match="no time"):
        partition_config(named, Partition("a"))


def test_a_period_ends_at_its_last_moment():
    config = config_of({"kind": "monthly", "start": "2024-01", "as_of": True, "column": "queries.asked_at"})
    one = partition_config(config, find_partition(expected_partitions(config.partitions, NOW), "2024-02"))
    assert one.source.as_of == "2024-02-29T23:59:59.999999+00:00"
    assert (one.source.slice.start, one.source.slice.end) == (
        "2024-02-01T00:00:00.000000+00:00",
        "2024-03-01T00:00:00.000000+00:00",
    )


def test_partitions_that_nothing_carries_are_refused():
    config = config_of({"kind": "monthly", "start": "2024-01"})
    with pytest.raises(ConfigError, match="no carrier"):
        check_carriers(config)
    check_carriers(config_of({"kind": "monthly", "start": "2024-01"}, qrels="{partition:%Y}.tsv"))


def test_a_build_of_a_partition_passes_as_a_parameter_of_a_flow():
    """Prefect checks parameters again, when the path has its partition in it already."""
    config = config_of({"kind": "list", "names": ["a"]}, path="by/{partition}")
    one = partition_config(config, Partition("a"))
    assert BuildConfig.model_validate(one.model_dump()) == one


def test_what_partitions_set_must_not_be_set_twice(tmp_path):
    (tmp_path / "build.toml").write_text(
        'name = "a"\n[source]\nformat = "beir"\npath = "x"\nas_of = 2024-01-01\n'
        '[partitions]\nkind = "monthly"\nstart = "2023-01"\nas_of = true\n'
    )
    for overrides in ([], ["partition=2023-01"]):
        with pytest.raises(ConfigError, match=r"source\.as_of is given"):
            load_build_config(tmp_path / "build.toml", overrides)


def test_declaring_partitions_changes_no_identity_of_a_build_without_them(tmp_path):
    (tmp_path / "build.toml").write_text('name = "a"\n[source]\nformat = "beir"\npath = "x"\n')
    plain = load_build_config(tmp_path / "build.toml")
    declared = load_build_config(
        tmp_path / "build.toml", ["partitions.kind=list", 'partitions.names=["b"]', "partitions.column=queries.x"]
    )
    assert identity(plain) == identity(declared)
    assert "partition" not in identity(plain)
    assert "slice" not in identity(plain.source)
    one = partition_config(declared, Partition("b"))
    assert identity(one)["partition"] == "b"
    assert identity(one.source)["slice"] == {"column": "queries.x", "equals": "b", "start": "", "end": ""}
