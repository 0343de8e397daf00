"""Periods of time: what a name means, and that periods follow each other without a gap."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import ConfigError
from negset.periods.calendar import MOST, period_at, periods, read_period

KINDS = ("hourly", "daily", "weekly", "monthly", "yearly")
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(kind=st.sampled_from(KINDS), moment=MOMENTS)
def test_a_moment_lies_in_its_period_and_its_name_is_read_back(kind, moment):
    period = period_at(kind, moment)
    assert period.start <= moment < period.end
    assert read_period(period.key, "x") == period
    assert period_at(kind, period.end).start == period.end
    assert period_at(kind, period.end) != period


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", (2024, 1, 1), (2025, 1, 1)),
        ("2024-12", (2024, 12, 1), (2025, 1, 1)),
        ("2024-02-29", (2024, 2, 29), (2024, 3, 1)),
        # 2021 began on a Friday: its first week began on January 4, and 2020 had 53 weeks.
        ("2020-W53", (2020, 12, 28), (2021, 1, 4)),
        ("2021-w01", (2021, 1, 4), (2021, 1, 11)),
        ("2024-01-31T23", (2024, 1, 31, 23), (2024, 2, 1, 0)),
    ],
)
def test_what_a_name_means(text, start, end):
    period = read_period(text, "x")
    assert (period.start, period.end) == (datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))


@pytest.mark.parametrize("text", ["", "24", "2024-13", "2023-02-29", "2021-w54", "2024-1", "2024-01-31t24", "x"])
def test_what_is_no_period_is_named_with_its_option(text):
    with pytest.raises(ConfigError, match=r"partitions\.start"):
        read_period(text, "partitions.start")


def test_a_period_counts_once_it_is_over():
    start = datetime(2024, 1, 1, tzinfo=UTC)
    before, after = datetime(2024, 2, 29, 23, 59, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    assert [period.key for period in periods("monthly", start, before)] == ["2024-01"]
    assert [period.key for period in periods("monthly", start, after)] == ["2024-01", "2024-02"]


def test_too_many_periods_are_refused():
    with pytest.raises(ConfigError, match=f"{MOST:,} hourly"):
        periods("hourly", datetime(2000, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC))
