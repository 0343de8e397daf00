"""A verdict says what was found, bounded in length, and gives advice only where it is needed."""

import polars as pl
import pytest

from negset.gates.verdict import ROWS_SHOWN, verdict


def judge(**changes):
    return verdict("a", "A promise", **{"policy": "fail", "table": "queries", "advice": "do this", **changes})


def test_found_rows_fail_and_the_first_are_named():
    check = judge(
        found=pl.DataFrame({"query_id": [f"q{n}" for n in range(50)], "share": [1 / 3] * 50}),
        value=2 / 3,
        threshold=0.5,
    )
    assert (check.passed, check.severity, check.unexpected, len(check.rows)) == (False, "critical", 50, ROWS_SHOWN)
    assert check.rows[0] == {"query_id": "q0", "share": 0.3333}
    assert (check.value, check.threshold, check.advice) == (0.6667, 0.5, "do this")


@pytest.mark.parametrize(
    ("found", "broken", "passes"), [(0, None, True), (3, None, False), (0, True, False), (3, False, True)]
)
def test_rows_decide_unless_it_is_said(found, broken, passes):
    check = judge(found=pl.DataFrame({"query_id": ["q"] * found}), broken=broken, policy="warn")
    assert (check.passed, check.severity) == (passes, "warning")
    assert bool(check.unexpected) != passes
    assert check.advice == ("" if passes else "do this")
    assert not (passes and check.rows)
