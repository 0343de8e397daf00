"""The gates before publishing: Great Expectations runs the checks of `schemas/expectations.py` on the scalar view.

This is the only module that imports Great Expectations, which takes seconds: import it when a set is validated.
"""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import great_expectations as gx
from great_expectations.data_context.store.store import DataDocsSiteConfigTypedDict
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_table_row_count_to_be_between import ExpectTableRowCountToBeBetween
from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation
from great_expectations.expectations.expectation import Expectation as EngineExpectation
from great_expectations.expectations.metadata_types import FailureSeverity

from negset.errors import ValidationFailed, listed
from negset.fingerprint import file_digest
from negset.publishing.publish import REPORT
from negset.publishing.scalar_view import build_view
from negset.snapshot import Snapshot
from negset.store import write_durably
from schemas.expectations import KEYS, KNOWN_IN_TIME, CheckResult, Expectation, GateReport
from schemas.manifest import Plain

# This module of theirs raises its own level and tells of every temporary folder that it makes.
logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)

DOCS = "data_docs"

_ROWS_SHOWN = 20
_CHECKS_IN_MESSAGE = 5
_ROWS_IN_MESSAGE = 3


def check_set(
    folder: Path,
    selection: Path,
    snapshot: Snapshot,
    expectations: Sequence[Expectation],
    out: Path,
    splits: Sequence[str] = (),
    *,
    content: Sequence[CheckResult] = (),
    drift: Sequence[CheckResult] = (),
) -> GateReport:
    """Hold the set staged in `folder` to `expectations`; write validation.json and Data Docs into `out`.

    The folder `selection` has the candidates; queries of `splits` (empty: all) were asked for negatives. What gates
    on its `content` found, and on its `drift` from the previous version, is part of the report.
    Raises ValidationFailed, after writing, naming checks and rows.
    """
    paths = sorted((folder / "data").rglob("*.parquet"))
    # Before a row is read: what changes from here on has another digest when it is published.
    with ThreadPoolExecutor(2) as workers:
        digests = list(workers.map(file_digest, paths))
    files = {path.relative_to(folder).as_posix(): digest for path, digest in zip(paths, digests, strict=True)}
    with tempfile.TemporaryDirectory(prefix="negset-gates-") as work:
        view = Path(work) / "view.sqlite"
        timed = any(one.name == KNOWN_IN_TIME for one in expectations)
        build_view(folder, selection, snapshot, view, splits, timed=timed)
        report = run_gates(view, expectations, out / DOCS)
    report = report.model_copy(
        update={
            "files": files,
            "expected": report.expected + len(content),
            "evaluated": report.evaluated + sum(not check.error for check in content),
            "checks": (*report.checks, *content),
            "drift": tuple(drift),
        }
    )
    write_durably(out / REPORT, f"{report.model_dump_json(indent=2)}\n".encode())
    require_passed(report)
    return report


def require_passed(report: GateReport) -> None:
    """Raise ValidationFailed unless every check was evaluated and passed; the message is bounded in length."""
    if report.passed:
        return
    if report.evaluated != report.expected:
        unknown = [check.name for check in report.checks if check.error]
        message = (
            f"{report.evaluated} of {report.expected} checks were evaluated; nothing was published. "
            f"Not evaluated: {listed(unknown, _CHECKS_IN_MESSAGE)}"
        )
        raise ValidationFailed(message)
    failed = report.failed
    shown = "; ".join(_failure(check) for check in failed[:_CHECKS_IN_MESSAGE])
    more = f"; and {len(failed) - _CHECKS_IN_MESSAGE} more checks" if len(failed) > _CHECKS_IN_MESSAGE else ""
    expected = report.expected + len(report.drift)
    message = f"{len(failed)} of {expected} checks failed, nothing was published: {shown}{more}"
    raise ValidationFailed(message)


def run_gates(view: Path, expectations: Sequence[Expectation], docs: Path | None = None) -> GateReport:
    """Run `expectations` on the SQLite `view` and write Data Docs into `docs`, if given."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    if docs is not None:
        context.add_data_docs_site("local", _site(docs))
    source = context.data_sources.add_sqlite("set", connection_string=f"sqlite:///{view}")
    checks: list[CheckResult] = []
    for table in dict.fromkeys(expectation.table for expectation in expectations):
        wanted = [expectation for expectation in expectations if expectation.table == table]
        batch = source.add_table_asset(table, table_name=table).add_batch_definition_whole_table("all")
        suite = context.suites.add(gx.ExpectationSuite(name=table, expectations=[_translated(one) for one in wanted]))
        run = context.validation_definitions.add(gx.ValidationDefinition(name=table, data=batch, suite=suite)).run(
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": list(KEYS[table]),
                "partial_unexpected_count": _ROWS_SHOWN,
            }
        )
        checks += read_results(wanted, run.to_json_dict()["results"])  # type: ignore[no-untyped-call]
    if docs is not None:
        context.build_data_docs(site_names=["local"])
        _lighten(docs)
    evaluated = sum(not check.error for check in checks)
    return GateReport(expected=len(expectations), evaluated=evaluated, checks=tuple(checks))


def read_results(expectations: Sequence[Expectation], results: Sequence[Mapping[str, object]]) -> list[CheckResult]:
    """Give one result for each of `expectations`; one that Great Expectations left out was not evaluated."""
    by_name = {_name_of(result): result for result in results}
    return [_check_result(expectation, by_name.get(expectation.name)) for expectation in expectations]


def _translated(expectation: Expectation) -> EngineExpectation:
    """Turn our `expectation` into one of Great Expectations, which carries its name along."""
    about = expectation.description
    severity = FailureSeverity(expectation.severity)
    meta = {"name": expectation.name}
    if expectation.kind == "row_count":
        return ExpectTableRowCountToBeBetween(
            min_value=expectation.minimum, description=about, severity=severity, meta=meta
        )
    if expectation.kind == "in_set":
        values = list(expectation.values)
        return ExpectColumnValuesToBeInSet(
            column=expectation.column, value_set=values, description=about, severity=severity, meta=meta
        )
    keys = ", ".join(KEYS[expectation.table])
    query = f"SELECT {keys} FROM {{batch}} WHERE {expectation.where} ORDER BY {keys}"
    return UnexpectedRowsExpectation(unexpected_rows_query=query, description=about, severity=severity, meta=meta)


def _name_of(result: Mapping[str, object]) -> str:
    return str(_record(_record(result.get("expectation_config")).get("meta")).get("name"))


def _check_result(expectation: Expectation, found: Mapping[str, object] | None) -> CheckResult:
    """Read what Great Expectations says of `expectation`; an engine error is no verdict on the data."""
    error = "left out by Great Expectations" if found is None else _error_of(found.get("exception_info"))
    result = {} if found is None or error else _record(found["result"])
    rows = _keys_of(_record(result.get("details")).get("unexpected_rows") or result.get("unexpected_index_list"))
    keys = KEYS[expectation.table]
    # A check of a column's values reports null on an empty table.
    unexpected = result.get("unexpected_count", result.get("observed_value")) or 0
    return CheckResult(
        name=expectation.name,
        description=expectation.description,
        table=expectation.table,
        severity=expectation.severity,
        passed=found is not None and not error and bool(found["success"]),
        unexpected=0 if expectation.kind == "row_count" else int(str(unexpected)),
        rows=tuple({key: _plain(row.get(key)) for key in keys} for row in rows[:_ROWS_SHOWN]),
        error=error,
    )


def _record(value: object) -> Mapping[str, object]:
    """Give `value` as a record, an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def _keys_of(rows: object) -> list[Mapping[str, object]]:
    return [_record(row) for row in rows] if isinstance(rows, list) else []


def _error_of(info: object) -> str:
    """Give the message in Great Expectations' `info` on exceptions: one record, or one for each metric."""
    if not isinstance(info, dict):
        return ""
    records = [info] if "raised_exception" in info else list(info.values())
    raised = [record for record in records if isinstance(record, dict) and record.get("raised_exception")]
    return str(raised[0].get("exception_message"))[:500] if raised else ""


def _plain(value: object) -> Plain:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _failure(check: CheckResult) -> str:
    rows = [
        ", ".join(f"{key}={str(value)[:60]}" for key, value in row.items()) for row in check.rows[:_ROWS_IN_MESSAGE]
    ]
    where = f" (first: {' | '.join(rows)})" if rows else ""
    if check.threshold is not None or check.advice:
        measured = f"; measured {check.value:.4g}, limit {check.threshold:.4g}" if check.value is not None else ""
        return f"{check.name}: {check.description}; not so ({check.scope}){measured}{where}. {check.advice}"
    return f"{check.name}: {check.description}; {check.unexpected} {check.table} rows do not{where}"


def _site(docs: Path) -> DataDocsSiteConfigTypedDict:
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)},
    }


def _lighten(docs: Path) -> None:
    """Remove the walkthrough's animations, three of the four megabytes of Data Docs."""
    for picture in docs.rglob("*.gif"):
        picture.unlink()
