"""What the gates said, as a table: what did not pass first."""

from collections.abc import Sequence

from negset.publishing.html import Html, joined, tag, text
from schemas.expectations import CheckResult


def gate_table(checks: Sequence[CheckResult], caption: str, *, fold: bool = True) -> Html:
    """Give `checks` under `caption`, those that did not pass first and the others folded; a sentence for none."""
    if not checks:
        return tag("p", text("Nothing was compared."), class_="quiet")
    worst_first = sorted(checks, key=lambda check: (check.passed, check.table, check.name))
    if not fold:
        return _table(worst_first, caption)
    open_ones = [check for check in worst_first if not check.passed]
    passed = [check for check in worst_first if check.passed]
    summary = tag("summary", text(f"{len(passed):,} of {len(checks):,} passed"))
    return joined(
        _table(open_ones, f"{caption}: not passed") if open_ones else joined(),
        tag("details", summary, _table(passed, f"{caption}: passed"), class_="passed") if passed else joined(),
    )


def _table(checks: Sequence[CheckResult], caption: str) -> Html:
    head = [tag("th", text(name), scope="col") for name in ("result", "check", "what it says")]
    number = tag("th", text("rows"), scope="col", class_="number")
    return tag(
        "table",
        tag("caption", text(caption), class_="unseen"),
        tag("thead", tag("tr", *head, number)),
        tag("tbody", *(_gate_row(check) for check in checks)),
        class_="gates",
    )


def _gate_row(check: CheckResult) -> Html:
    mark, kind = ("✓", "pass") if check.passed else ("!", "warn") if check.severity == "warning" else ("✗", "fail")
    said = "passed" if check.passed else "warns" if check.severity == "warning" else "failed"
    shown = ["  ".join(f"{key}={value}" for key, value in row.items()) for row in check.rows]
    rows = tag("pre", text("\n".join(shown))) if shown else joined()
    about = tag("div", text(about_check(check)), class_="quiet") if check.scope else joined()
    advice = tag("div", text(check.advice)) if check.advice else joined()
    return tag(
        "tr",
        tag("td", tag("span", text(mark), aria_hidden="true"), tag("span", text(said), class_="unseen"), class_=kind),
        tag("th", tag("code", text(check.name)), scope="row"),
        tag("td", text(check.description), about, advice, rows),
        tag("td", text(f"{check.unexpected:,}" if check.unexpected else ""), class_="number"),
    )


def about_check(check: CheckResult) -> str:
    """Say in a line what `check` looked at and measured."""
    if check.value is None:
        return check.scope
    limit = "" if check.threshold is None else f", limit {check.threshold:.4g}"
    return f"{check.scope}: {check.value:.4g}{limit}"
