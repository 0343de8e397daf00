"""No domain may fall too far, whatever the mean over domains did."""

import polars as pl
import pytest

from negset.errors import ConfigError
from negset.training.reports.domain_gate import MOST_DOMAINS, check_domains, describe_falls, require_domains
from schemas.run_report import RunReportConfig

QUERIES = pl.DataFrame(
    {
        "query_id": ["q1", "q2", "q3"],
        "split": ["test", "test", "train"],
        "metadata": ['{"field": "law"}', '{"field": "art"}', '{"field": "sport"}'],
    }
)


def check(changes, **options):
    return check_domains(changes, RunReportConfig(domain_field="field", **options))


def test_a_mean_that_rises_does_not_pass_a_domain_that_falls(change):
    """The spec's example: .50/.60/.40 become .62/.52/.45. A gate on the macro mean alone passes it."""
    domains = [change("A", 0.50, 0.62), change("B", 0.60, 0.52), change("C", 0.40, 0.45)]
    verdict = check(domains)
    assert (verdict.macro_before, verdict.macro_after) == (pytest.approx(0.50), pytest.approx(0.53))
    assert verdict.macro_after > verdict.macro_before
    assert not verdict.passed
    assert [(fall.name, round(fall.drop, 6), fall.limit) for fall in verdict.falls] == [("B", 0.08, 0.01)]
    assert describe_falls(verdict) == "B by 0.0800 (at most 0.01 is allowed, 500 queries)"


def test_a_waived_domain_is_listed_and_passes(change):
    domains = [change("A", 0.50, 0.62), change("B", 0.60, 0.52)]
    verdict = check(domains, waived_domains=("B",))
    assert verdict.passed
    assert [(fall.name, fall.waived) for fall in verdict.falls] == [("B", True)]
    assert describe_falls(verdict) == ""
    also = check([*domains, change("C", 0.4, 0.3)], waived_domains=("B",))
    assert not also.passed
    assert [fall.name for fall in also.falls] == ["C", "B"]


@pytest.mark.parametrize(
    ("queries", "drop", "passed"),
    [(200, 0.010, True), (200, 0.011, False), (199, 0.011, True), (199, 0.020, True), (199, 0.021, False)],
)
def test_few_queries_have_a_wider_limit_and_the_limit_itself_is_allowed(change, queries, drop, passed):
    assert check([change("A", 0.31, 0.31 - drop, queries)]).passed is passed


def test_what_does_not_exist_is_refused_before_training(change):
    with pytest.raises(ConfigError, match=r"'la', which no held-out query has \(did you mean 'law'\?\)"):
        require_domains(QUERIES, "test", RunReportConfig(domain_field="field", waived_domains=("la",)))
    with pytest.raises(ConfigError, match=r"report\.domain_field names the column 'fild'"):
        require_domains(QUERIES, "test", RunReportConfig(domain_field="fild"))
    # `sport` is a domain of the training queries alone: nothing is measured on it.
    with pytest.raises(ConfigError, match="'sport', which no held-out"):
        require_domains(QUERIES, "test", RunReportConfig(domain_field="field", waived_domains=("sport",)))
    with pytest.raises(ConfigError, match=r"no report\.domain_field names domains"):
        require_domains(QUERIES, "test", RunReportConfig(waived_domains=("law",)))
    require_domains(QUERIES, "test", RunReportConfig(domain_field="field", waived_domains=("law",)))
    require_domains(QUERIES, "test", RunReportConfig())


def test_a_field_that_tells_each_query_apart_names_no_domains():
    ids = [f"q{place}" for place in range(MOST_DOMAINS + 1)]
    queries = pl.DataFrame(
        {"query_id": ids, "split": ["test"] * len(ids), "metadata": [f'{{"field": "{name}"}}' for name in ids]}
    )
    with pytest.raises(ConfigError, match=f"has {MOST_DOMAINS + 1} values"):
        require_domains(queries, "test", RunReportConfig(domain_field="field"))
    require_domains(queries.head(MOST_DOMAINS), "test", RunReportConfig(domain_field="field"))


def test_canaries_that_fall_fail_a_run_whose_mean_rises(change):
    """S31: known-clean queries of one topic, turned by poisoned rows. A gate on the mean over all queries passes it."""
    domains = [change("clean", 0.50, 0.55, 2000), change("canary", 0.60, 0.30, 20)]
    assert (2000 * 0.05 - 20 * 0.30) / 2020 > 0.04
    verdict = check(domains)
    assert not verdict.passed
    assert [(fall.name, fall.limit) for fall in verdict.falls] == [("canary", 0.02)]
