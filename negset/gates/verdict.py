"""What a gate on content says: one result, whatever it looked at."""

from typing import Final

import polars as pl

from schemas.expectations import CheckResult
from schemas.gates import Policy
from schemas.manifest import Plain

ROWS_SHOWN: Final = 20
DIGITS: Final = 4


def verdict(
    name: str,
    description: str,
    policy: Policy,
    *,
    table: str,
    found: pl.DataFrame | None = None,
    broken: bool | None = None,
    scope: str = "",
    value: float | None = None,
    threshold: float | None = None,
    advice: str = "",
) -> CheckResult:
    """Write what a gate found; it passed where no row was `found`, or where it is not `broken`, if that is given.

    The rows of `found` name themselves: the first `ROWS_SHOWN` are in the result. `advice` stands only in a result
    that did not pass. Numbers are rounded to `DIGITS`.
    """
    rows = found if found is not None else pl.DataFrame()
    passed = not (rows.height if broken is None else broken)
    return CheckResult(
        name=name,
        description=description,
        table=table,
        severity="critical" if policy == "fail" else "warning",
        passed=passed,
        unexpected=0 if passed else max(rows.height, 1),
        rows=() if passed else tuple(_plain(row) for row in rows.head(ROWS_SHOWN).iter_rows(named=True)),
        scope=scope,
        value=_rounded(value),
        threshold=_rounded(threshold),
        advice="" if passed else advice,
    )


def _plain(row: dict[str, object]) -> dict[str, Plain]:
    return {name: _short(value) for name, value in row.items()}


def _short(value: object) -> Plain:
    if isinstance(value, float):
        return round(value, DIGITS)
    return value if isinstance(value, str | int | bool) or value is None else str(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
