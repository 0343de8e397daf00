"""What every threshold would do to this corpus under this encoder, and which one to take."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from negset.arrays import Floats
from negset.audit.estimates import Estimate, RowsLeft, estimate_recipe, positive_facts
from negset.audit.evidence import Evidence
from negset.audit.hiding import HidingPlan, participation, plan_hiding
from negset.audit.outcomes import audit_recipes, proposers
from negset.errors import ConfigError
from negset.mining.recipe import BoundRecipe, Recipe, RuleUse, bind_recipe
from negset.mining.rules import find_rule, survives
from negset.mining.selection import BLANK
from negset.progress import Progress, no_progress
from schemas.manifest import Record

OPTIONS: Final[dict[str, str]] = {
    "percent_of_positive": "share",
    "margin": "margin",
    "max_score": "threshold",
}
"""Rules that set a threshold, and the option that holds it."""
USUAL: Final[dict[str, float]] = {"percent_of_positive": 0.95, "margin": 0.05, "max_score": 0.7}
"""Best settings of NV-Retriever (arXiv 2407.15831), which people copy."""
SHARES: Final = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)
QUANTILES: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
NONE: Final = "none"
BINS: Final = 40


class CalibrationOptions(Record):
    """How thresholds are tried, and what one must satisfy to be recommended.

    `hide` is the share of a query's positives that are unknown at a time, in an order drawn by `seed`.
    """

    hide: float = 0.2
    seed: int = 13
    target_rate: float = 0.05
    """The upper end of the interval of the expected return rate, at most."""
    target_lost: float = 0.1
    """Share of the queries that do not get all negatives wanted, at most."""


class Setting(Record):
    """One threshold and what it does. `rule` is "none" for no threshold at all.

    `kept` is the share of candidates, known positives and own texts left out, that the threshold lets through.
    """

    rule: str
    value: float | None
    kept: float
    rate: Estimate | None
    returned: int
    hidden: int
    rows: RowsLeft
    score_gap: float | None
    meets: bool


class Distribution(Record):
    """Counts of scores in bins between `edges`: candidates and each query's lowest labelled positive."""

    edges: tuple[float, ...]
    candidates: tuple[int, ...]
    positives: tuple[int, ...]


class MinerCalibration(Record):
    """What thresholds on the scores of one miner do."""

    miner: str
    distribution: Distribution
    above_positive: float
    """Share of candidates that score at least as high as the lowest positive of their query."""
    settings: tuple[Setting, ...]


class Recommendation(Record):
    """The setting to take: the mildest that meets the target; `found` is False for the nearest miss."""

    found: bool
    miner: str
    setting: Setting
    reason: str


class Calibration(Record):
    """What a calibration found."""

    dataset: str
    wanted: int
    options: CalibrationOptions
    queries: int
    queries_taking_part: int
    positives: int
    positives_hidden: int
    miners: tuple[MinerCalibration, ...]
    warnings: tuple[str, ...]
    recommendation: Recommendation


@dataclass(frozen=True)
class Frames:
    """Columns of all candidates that are no known positives and no own texts, and the lowest positives of queries."""

    candidates: pl.DataFrame
    positive_Q: Floats


def calibrate(
    evidences: Sequence[Evidence],
    recipe: Recipe,
    miners: Sequence[str],
    seed: int,
    options: CalibrationOptions,
    dataset: str,
    progress: Progress = no_progress,
) -> Calibration:
    """Try every threshold in `recipe`, whose own thresholds are taken out, by the scores of each of `evidences`.

    Each is the evidence of one miner, the first that of the recipe; `seed` is that of the recipe's own draws. Raises
    ConfigError for a target that no share can meet or miss.
    """
    rate, lost = options.target_rate, options.target_lost
    if not 0 < rate <= 1 or not 0 <= lost <= 1:
        message = f"target rate {rate} must be above 0 and at most 1, target loss {lost} between 0 and 1"
        raise ConfigError(message)
    plan = plan_hiding(evidences[0], options.hide, options.seed)
    found = tuple(_calibrate_miner(evidence, recipe, miners, seed, plan, options, progress) for evidence in evidences)
    return Calibration(
        dataset=dataset,
        wanted=with_threshold(recipe, NONE, None, evidences[0].by, miners, seed).wanted,
        options=options,
        **participation(plan),
        miners=found,
        warnings=tuple(_warnings(found, options)),
        recommendation=recommend(found[0], options),
    )


def _calibrate_miner(
    evidence: Evidence,
    recipe: Recipe,
    miners: Sequence[str],
    seed: int,
    plan: HidingPlan,
    options: CalibrationOptions,
    progress: Progress,
) -> MinerCalibration:
    frames = gather_frames(evidence)
    tried = list(_grid(frames))
    recipes = [with_threshold(recipe, rule, value, evidence.by, miners, seed) for rule, value in tried]
    facts = positive_facts(evidence, plan, proposers(evidence))
    outcomes = audit_recipes(evidence, recipes, plan, progress)
    settings = []
    for (rule, value), outcome in zip(tried, outcomes, strict=True):
        audit = estimate_recipe(outcome, evidence, facts, unlabelled=1.0)
        rate = audit.returns.expected if audit.returns else None
        settings.append(
            Setting(
                rule=rule,
                value=value,
                kept=kept_share(frames, rule, value),
                rate=rate,
                returned=audit.returns.returned if audit.returns else 0,
                hidden=audit.returns.hidden if audit.returns else 0,
                rows=audit.rows,
                score_gap=audit.hardness.score_gap,
                meets=rate is not None and rate.high <= options.target_rate and audit.rows.lost <= options.target_lost,
            )
        )
    scores = frames.candidates["score"].to_numpy()
    above = frames.candidates.select((pl.col("score") >= pl.col("positive_score")).mean()).item()
    return MinerCalibration(
        miner=evidence.by,
        distribution=_distribution(scores, frames.positive_Q),
        above_positive=float(above or 0.0),
        settings=tuple(settings),
    )


def gather_frames(evidence: Evidence) -> Frames:
    """Read the scores of the queries that get negatives; candidates without a score are left out."""
    asked = evidence.queries.filter("asked")["query"].implode()
    parts, positives = [], []
    for block in evidence.blocks():
        mine = block.filter(pl.col("query").is_in(asked))
        positives.append(mine.group_by("query").agg(pl.col("positive_score").first()))
        fair = mine.filter(~pl.col("is_positive") & ~pl.col("is_own_text") & pl.col("score").is_not_null())
        parts.append(fair.select("query", "doc", "score", "positive_score"))
    if not parts:
        message = "no candidates: nothing was mined for the queries that get negatives"
        raise ConfigError(message)
    lowest = pl.concat(positives)["positive_score"].drop_nulls()
    return Frames(pl.concat(parts), lowest.to_numpy())


def _grid(frames: Frames) -> Iterator[tuple[str, float | None]]:
    """Yield every setting to try: none, shares, and margins and limits at quantiles of what this miner gives."""
    yield NONE, None
    for share in SHARES:
        yield "percent_of_positive", share
    gaps = frames.candidates.select(pl.col("positive_score") - pl.col("score")).to_series().drop_nulls()
    for margin in _rounded(gaps.filter(gaps > 0), (0.0, USUAL["margin"])):
        yield "margin", margin
    for limit in _rounded(frames.candidates["score"], (USUAL["max_score"],)):
        yield "max_score", limit


def _rounded(values: pl.Series, also: Sequence[float]) -> list[float]:
    found = [float(f"{value:.3g}") for value in (values.quantile(at) for at in QUANTILES) if value is not None]
    return sorted({*found, *also})


def with_threshold(
    recipe: Recipe, rule: str, value: float | None, by: str, miners: Sequence[str], seed: int
) -> BoundRecipe:
    """Bind `recipe` by the scores of `by`, with the threshold `rule` at `value` in the place of its own ones.

    It stands where the first of these stood, or before the sampler.
    """
    places = [place for place, use in enumerate(recipe.rules) if use.name in OPTIONS]
    place = places[0] if places else len(recipe.rules) - 1
    kept = [use for use in recipe.rules[:place] if use.name not in OPTIONS]
    rest = [use for use in recipe.rules[place:] if use.name not in OPTIONS]
    name = NONE if value is None else f"{rule} {value:g}"
    own = [] if value is None else [_use(rule, value)]
    changed = recipe.model_copy(update={"name": name, "by": by, "rules": (*kept, *own, *rest)})
    return bind_recipe(changed, miners, seed)


def _use(rule: str, value: float) -> RuleUse:
    return RuleUse(name=rule, options={OPTIONS[rule]: value})


def kept_share(frames: Frames, rule: str, value: float | None) -> float:
    """Give the share of candidates that the threshold alone lets through."""
    if value is None:
        return 1.0
    if not frames.candidates.height:
        return 0.0
    use, found = _use(rule, value), find_rule(rule)
    params = found.params.model_validate(use.options)
    judged = found.apply(frames.candidates.lazy().with_columns(**BLANK), params)
    return float(judged.select(survives().mean()).collect().item())


def _distribution(candidate: Floats, positive: Floats) -> Distribution:
    joined = np.concatenate([candidate, positive])
    if not len(joined):
        return Distribution(edges=(), candidates=(), positives=())
    low, high = float(joined.min()), float(joined.max())
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    counts = [tuple(np.histogram(values, edges)[0].tolist()) for values in (candidate, positive)]
    return Distribution(edges=tuple(edges.tolist()), candidates=counts[0], positives=counts[1])


def recommend(found: MinerCalibration, options: CalibrationOptions) -> Recommendation:
    """Take the mildest setting that meets the target of `options`: the one that keeps most of the candidates.

    Of equals the one with the lower upper end of the rate, then by name and value. Where none meets it, the one
    with the lowest upper end among those that lose few enough rows, else the one that loses fewest.
    """
    able = [setting for setting in found.settings if setting.rate is not None]
    meeting = [setting for setting in able if setting.meets]
    if meeting:
        best = min(meeting, key=lambda one: (-one.kept, *_order(one)))
        reason = f"keeps most candidates of the {len(meeting)} settings that meet the target"
        return Recommendation(found=True, miner=found.miner, setting=best, reason=reason)
    if not able:
        reason = (
            "no query has two positives, so nothing could be hidden: judge a sample instead (negset audit --sample)"
        )
        nearest = min(found.settings, key=lambda one: (one.rows.lost, -one.kept, *_order(one)))
        return Recommendation(found=False, miner=found.miner, setting=nearest, reason=reason)
    few = [setting for setting in able if setting.rows.lost <= options.target_lost]
    best = min(few or able, key=_order if few else lambda one: (one.rows.lost, *_order(one)))
    reason = (
        "no setting meets the target; this has the lowest upper end among those that lose few enough rows"
        if few
        else "every setting loses more rows than the target allows; this loses fewest. Mine deeper (mine.depth)"
    )
    return Recommendation(found=False, miner=found.miner, setting=best, reason=reason)


def _order(setting: Setting) -> tuple[float, str, float]:
    high = setting.rate.high if setting.rate else 1.0
    return high, setting.rule, setting.value or 0.0


def _warnings(found: Sequence[MinerCalibration], options: CalibrationOptions) -> Iterator[str]:
    """Name the usual settings that would lose too many rows here."""
    for miner in found:
        for setting in miner.settings:
            # The absolute ones are for cosines; other scores have other units.
            relative = setting.rule == "percent_of_positive" or miner.miner == "dense"
            usual = USUAL.get(setting.rule) if relative else None
            if usual is not None and setting.value == usual and setting.rows.lost > options.target_lost:
                yield (
                    f"the usual {setting.rule} {usual:g} on scores of {miner.miner} leaves {setting.rows.lost:.1%} of "
                    f"the queries with fewer negatives than wanted ({setting.kept:.1%} of the candidates pass)"
                )
