import pytest

from negset.publishing.gate_table import about_check, gate_table
from schemas.expectations import CheckResult


def check(**given):
    usual = {"name": "a", "description": "-", "table": "queries", "severity": "warning", "passed": True}
    return CheckResult(**{**usual, "unexpected": 0, **given})


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({}, "all of it"),
        ({"value": 2 / 3}, "all of it: 0.6667"),
        ({"value": 0.5, "threshold": 0.25}, "all of it: 0.5, limit 0.25"),
    ],
)
def test_a_gate_says_what_it_looked_at_and_measured(measured, said):
    assert about_check(check(scope="all of it", **measured)) == said


def test_what_did_not_pass_is_open_and_the_rest_folded():
    drawn = gate_table([check(name="good"), check(name="bad", passed=False, unexpected=3)], "Gates")
    assert drawn.index(">bad<") < drawn.index("<details") < drawn.index(">good<")
    assert "1 of 2 passed" in drawn
    assert ">warns<" in drawn
    assert "<details" not in gate_table([check(name="good")], "Drift", fold=False)
    assert "Nothing was compared" in gate_table([], "Drift")
