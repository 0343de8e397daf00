import pytest
from pydantic import ValidationError

from schemas.expectations import KEYS, CheckResult, Expectation, GateReport, ScoreLimit, set_expectations
from schemas.gates import GatesConfig

LIMITS = [ScoreLimit(kind="margin", value=0.05), ScoreLimit(kind="max_score", value=0.7)]


def check(name, *, passed, severity="critical"):
    return CheckResult(name=name, description="-", table="queries", severity=severity, passed=passed, unexpected=0)


def test_names_are_unique_and_tables_known():
    expectations = set_expectations(GatesConfig(), LIMITS)
    assert len({one.name for one in expectations}) == len(expectations)
    assert {one.table for one in expectations} == set(KEYS)
    assert all(one.where for one in expectations if one.kind == "no_rows")


def test_every_table_must_have_rows():
    counted = {one.table for one in set_expectations(GatesConfig(), []) if one.kind == "row_count"}
    assert counted == set(KEYS) - {"false_negatives"}  # a set may suspect nothing


def test_configuration_decides_how_much_leaking_documents_matter():
    def severity(config):
        return next(one.severity for one in set_expectations(config, []) if one.name == "positives_no_split_leak")

    assert severity(GatesConfig(document_leaks="allow")) == "warning"
    assert severity(GatesConfig(document_leaks="fail")) == "critical"


def test_an_unknown_kind_cannot_be_written_down():
    with pytest.raises(ValidationError, match="kind"):
        Expectation(name="x", description="-", table="queries", kind="uniq")


def test_a_report_passes_only_if_all_was_evaluated_and_nothing_critical_failed():
    good, bad, soft = check("a", passed=True), check("b", passed=False), check("c", passed=False, severity="warning")
    assert GateReport(expected=2, evaluated=2, checks=(good, soft)).passed
    assert not GateReport(expected=2, evaluated=2, checks=(good, bad)).passed
    assert not GateReport(expected=2, evaluated=1, checks=(good, good)).passed
