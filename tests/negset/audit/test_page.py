from negset.audit.estimates import Estimate, Hardness, RecipeAudit, ReturnRate, RowsLeft
from negset.audit.page import AUDIT_HEAD, audit_row, audit_summary, render_audit
from negset.audit.report import AuditOptions, AuditReport

RATE = ReturnRate(
    hidden=200,
    returned=30,
    queries=40,
    rate=Estimate(share=0.14, low=0.1, high=0.19),
    expected=Estimate(share=0.14, low=0.11, high=0.18),
)
ROWS = RowsLeft(queries=50, full=45, short=3, none=2, negatives=180)


def recipe(name, returns=RATE, gap=0.05):
    return RecipeAudit(
        recipe=name,
        wanted=4,
        returns=returns,
        hidden_among_negatives=None,
        false_share=Estimate(share=0.2, low=0.1, high=0.3) if returns else None,
        hardness=Hardness(score_gap=gap, raw_rank=7.25),
        rows=ROWS,
        strata=(),
    )


def report(*recipes, **changes):
    return AuditReport(
        dataset="<i>set</i>",
        by="dense",
        options=AuditOptions(unlabelled=2, **changes),
        queries=60,
        queries_taking_part=40,
        positives=240,
        positives_hidden=200,
        notes=("a note",),
        recipes=recipes,
    )


def test_a_row_says_rate_interval_counts_and_rows_left():
    cells = dict(zip(AUDIT_HEAD, audit_row(recipe("naive")), strict=True))
    assert cells["return rate"] == "14.00%"
    assert cells["returned"] == "30 of 200"
    assert cells["rows full"] == "90.0%"
    assert cells["raw rank"] == "7.2"
    unknown = audit_row(recipe("naive", returns=None, gap=None))
    assert unknown[1:4] == ["unknown", "", "none hidden"]
    assert unknown[6] == ""


def test_what_is_assumed_and_who_takes_part_is_said():
    said = " ".join(audit_summary(report(recipe("naive"), hide=0.1, repeats=2)))
    assert "40 of 60 queries" in said
    assert "200 of 240 were hidden" in said
    assert "at most 10% of a query's at a time or one (2 parts, seed 13)" in said
    assert "if for each known positive there is 2 that nobody labelled" in said
    assert said.endswith("a note")


def test_the_page_draws_recipes_side_by_side_and_marks_the_configured_one():
    page = render_audit(report(recipe("naive"), recipe("mine", gap=0.2), recipe("blind", returns=None)), "mine")
    assert page.count("<circle") == 2
    assert page.count("point own") == 1
    assert "<i>set</i>" not in page
    assert page.count("blind") == 1
