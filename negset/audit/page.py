"""The pages of an audit and of a calibration: one file each that loads nothing."""

from importlib import resources

from negset.audit.calibration import NONE, OPTIONS, Calibration, MinerCalibration, Setting
from negset.audit.charts import Curve, RatePoint, curve_chart, rate_chart
from negset.audit.estimates import Estimate, RecipeAudit, Stratum
from negset.audit.report import AuditReport
from negset.publishing.html import Html, document, joined, tag, text
from negset.publishing.tables import table


def render_audit(report: AuditReport, own: str) -> str:
    """Write the page of `report`; `own` is the name of the configured recipe."""
    points = [point for recipe in report.recipes if (point := _point_of(recipe, own)) is not None]
    body = joined(
        tag("h1", text(f"{report.dataset}: false negatives, measured")),
        *(tag("p", text(line)) for line in audit_summary(report)),
        tag(
            "section",
            tag("h2", text("Rate against hardness")),
            rate_chart(points, f"score gap positive less negative ({report.by})", "return rate"),
        ),
        tag(
            "section",
            tag("h2", text("Recipes")),
            table("Recipes, measured", AUDIT_HEAD, [audit_row(one) for one in report.recipes]),
        ),
        *(_strata(recipe) for recipe in report.recipes),
    )
    return _page(f"{report.dataset} · audit", body)


AUDIT_HEAD = (
    "recipe",
    "return rate",
    "95 % interval",
    "returned",
    "hidden among negatives",
    "false negatives, assumed",
    "score gap",
    "raw rank",
    "rows full",
    "negatives",
)


def audit_row(one: RecipeAudit) -> list[str]:
    """Give the cells of a recipe under AUDIT_HEAD."""
    rate = one.returns.rate if one.returns else None
    counted = f"{one.returns.returned:,} of {one.returns.hidden:,}" if one.returns else "none hidden"
    gap, rank = one.hardness.score_gap, one.hardness.raw_rank
    return [
        one.recipe,
        *_both(rate),
        counted,
        _joint(one.hidden_among_negatives),
        _joint(one.false_share),
        "" if gap is None else f"{gap:.4f}",
        "" if rank is None else f"{rank:.1f}",
        f"{1 - one.rows.lost:.1%}",
        f"{one.rows.negatives:,}",
    ]


def audit_summary(report: AuditReport) -> list[str]:
    """Say in sentences what was hidden, what is assumed and what to keep in mind."""
    options = report.options
    rounds = "each once" if not options.repeats else f"{options.repeats} parts"
    lines = [
        f"{report.queries_taking_part:,} of {report.queries:,} queries (equal texts count once) take part: they have "
        f"two known positives or more. Of the positives {report.positives_hidden:,} of {report.positives:,} were "
        f"hidden, at most {options.hide:.0%} of a query's at a time or one ({rounds}, seed {options.seed}).",
        "Return rate: the share of positives that nobody knows of which become negatives, corrected for what hiding "
        "itself changes.",
        "Hidden among negatives: of the negatives chosen while a part was hidden, the share that were hidden ones.",
        "False negatives: the share of the negatives that are false if for each known positive there is "
        f"{options.unlabelled:g} that nobody labelled. That number is an assumption (--unlabelled), not a measurement: "
        "judge a sample to measure it (negset audit SET --sample).",
        f"Score gap: the score of the lowest positive less that of a negative, by {report.by}: the smaller, the "
        "harder; below 0 negatives score above positives.",
        "Raw rank: where a negative stands in the list of its miner, on average.",
        "Rows full: the share of the queries that get all the negatives wanted.",
    ]
    return [*lines, *report.notes]


def stratum_row(one: Stratum) -> list[str]:
    """Give the cells of a stratum."""
    counted = f"{one.rate.returned:,} of {one.rate.hidden:,}"
    negatives = "" if one.negatives is None else f"{one.negatives:,}"
    return [one.by, one.group, *_both(one.rate.rate), counted, f"{one.rate.queries:,}", negatives]


STRATUM_HEAD = ("by", "group", "return rate", "95 % interval", "returned", "queries", "negatives")


def _strata(recipe: RecipeAudit) -> Html:
    if not recipe.strata:
        return joined()
    rows = [stratum_row(one) for one in recipe.strata]
    return tag(
        "section",
        tag("h2", text(f"{recipe.recipe}: groups")),
        table(f"{recipe.recipe}: groups", STRATUM_HEAD, rows, words=2),
    )


def _point_of(recipe: RecipeAudit, own: str) -> RatePoint | None:
    if recipe.returns is None or recipe.hardness.score_gap is None:
        return None
    rate = recipe.returns.rate
    return RatePoint(recipe.recipe, recipe.hardness.score_gap, rate.share, rate.low, rate.high, recipe.recipe == own)


def render_calibration(found: Calibration) -> str:
    """Write the page of a calibration."""
    body = joined(
        tag("h1", text(f"{found.dataset}: thresholds")),
        *(tag("p", text(line)) for line in calibration_summary(found)),
        *(_miner(miner, found) for miner in found.miners),
    )
    return _page(f"{found.dataset} · calibration", body)


def calibration_summary(found: Calibration) -> list[str]:
    """Say in sentences what is recommended, by which rule, and what the usual settings would lose."""
    best = found.recommendation
    options = found.options
    chosen = describe_setting(best.setting)
    verdict = f"Recommended on scores of {best.miner}: {chosen}" if best.found else f"Nothing fits; nearest: {chosen}"
    rate = best.setting.rate
    expected = f"return rate {rate.share:.2%} ({rate.low:.2%} to {rate.high:.2%}), " if rate else ""
    return [
        f"{verdict}. It {best.reason}: {expected}{best.setting.rows.lost:.1%} of the queries get fewer than "
        f"{found.wanted} negatives."
        if best.found
        else f"{verdict}: {best.reason}. {expected}{best.setting.rows.lost:.1%} of rows lost.",
        f"The rule: the mildest setting whose return rate is at most {options.target_rate:.1%} at the upper end of its "
        f"95 % interval and that leaves at most {options.target_lost:.1%} of the queries short (--target-rate, "
        "--target-lost).",
        f"{found.queries_taking_part:,} of {found.queries:,} queries have positives to hide; "
        f"{found.positives_hidden:,} were hidden.",
        "Kept: the share of the candidates that a setting lets through, known positives left out.",
        "Return rate: the share of positives that nobody knows of which become negatives, measured on the hidden ones.",
        f"Rows lost: the share of the queries that get fewer than {found.wanted} negatives.",
        "Score gap: the score of the lowest positive less that of a negative: the smaller, the harder; below 0 "
        "negatives score above positives.",
        "Meets: whether the setting keeps to the rule.",
        *found.warnings,
    ]


def describe_setting(setting: Setting) -> str:
    """Name a setting as a config writes it."""
    if setting.rule == NONE or setting.value is None:
        return "no threshold"
    return f"{setting.rule} with {OPTIONS[setting.rule]} = {setting.value:g}"


CALIBRATION_HEAD = ("rule", "value", "kept", "return rate", "95 % interval", "rows lost", "score gap", "meets")


def setting_row(one: Setting) -> list[str]:
    """Give the cells of a setting."""
    return [
        one.rule,
        "" if one.value is None else f"{one.value:g}",
        f"{one.kept:.1%}",
        *_both(one.rate),
        f"{one.rows.lost:.1%}",
        "" if one.score_gap is None else f"{one.score_gap:.4f}",
        "yes" if one.meets else "no",
    ]


def _miner(miner: MinerCalibration, found: Calibration) -> Html:
    best = found.recommendation
    rows = [setting_row(one) for one in miner.settings]
    recommended = best.miner == miner.miner
    chosen = [place for place, one in enumerate(miner.settings) if recommended and best.setting == one]
    return tag(
        "section",
        tag("h2", text(f"Scores of {miner.miner}")),
        tag(
            "p", text(f"{miner.above_positive:.1%} of the candidates score at least as high as their query's positive.")
        ),
        _histogram(miner),
        *(_curves(miner, rule) for rule in OPTIONS),
        table(f"Settings on scores of {miner.miner}", CALIBRATION_HEAD, rows, chosen=chosen),
    )


def _histogram(miner: MinerCalibration) -> Html:
    drawn = miner.distribution
    middles = [(low + high) / 2 for low, high in zip(drawn.edges, drawn.edges[1:], strict=False)]
    highest = [max(counts, default=0) or 1 for counts in (drawn.candidates, drawn.positives)]
    curves = [
        Curve("candidates", "back", [count / highest[0] for count in drawn.candidates]),
        Curve("lowest positive of a query", "kept", [count / highest[1] for count in drawn.positives]),
    ]
    return curve_chart("Scores, each curve relative to its highest bin", middles, curves)


def _curves(miner: MinerCalibration, rule: str) -> Html:
    settings = [one for one in miner.settings if one.rule == rule and one.value is not None]
    curves = [
        Curve("candidates kept", "kept", [one.kept for one in settings]),
        Curve("queries with all negatives", "full", [1 - one.rows.lost for one in settings]),
        Curve("return rate", "back", [one.rate.share if one.rate else 0.0 for one in settings]),
    ]
    shown = curves if any(one.rate for one in settings) else curves[:2]
    return curve_chart(f"{rule}, over {OPTIONS[rule]}", [one.value or 0.0 for one in settings], shown)


def _joint(estimate: Estimate | None) -> str:
    share, interval = _both(estimate)
    return f"{share} ({interval})" if interval else share


def _both(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return "unknown", ""
    return f"{estimate.share:.2%}", f"{estimate.low:.2%} to {estimate.high:.2%}"


def _page(title: str, body: Html) -> str:
    css = (resources.files("negset.publishing") / "page.css").read_text(encoding="utf-8")
    own = (resources.files("negset.audit") / "audit.css").read_text(encoding="utf-8")
    return document(title, css + own, tag("main", body))
