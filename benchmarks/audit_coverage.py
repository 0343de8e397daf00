"""Is the audit honest? How often its 95 % interval covers the true rate, where nearly every positive is judged.

    python -m benchmarks.audit_coverage [--quick] [--data FOLDER] [--collections cranfield,cacm,npl] [--share 0.5]

All judgements A are the truth. A random part U becomes "never labelled"; a user knows the rest, K, and builds with
it. The true return rate is the share of U, among the queries that the audit can speak of, that became negatives. The
audit sees K alone. Two ways to draw U: `pairs` draws every judgement by itself, `queries` draws the same share of
each query's. Under `pairs`, queries that kept few labels have many unlabelled ones, which the audit cannot know.
`covered` holds the interval of this set against its own true rate, `covered_expected` the interval of the rate behind
it against the mean of all repetitions. `raw` is the rate without the correction, `covered_raw` its coverage. The last
line is one JSON object.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from flows.session import prefect_session
from negset.audit.estimates import corrected_returns, positive_facts, return_rate
from negset.audit.evidence import Evidence
from negset.audit.hiding import plan_hiding
from negset.audit.opening import bind_all, open_build_evidence, recipe_configs
from negset.audit.outcomes import Outcome, audit_recipes, proposers
from negset.audit.worlds import forget_units
from negset.lots import id_keys, mix
from negset.mining.recipe import BoundRecipe
from schemas.config import BuildConfig, MineConfig, RecipeConfig, SourceConfig

_RECIPES = ("naive", "perc-pos", "margin-pos", "shifted")
_NEGATIVES = 4


@dataclass(frozen=True)
class Trial:
    """One repetition of one recipe: the true rate and what the audit said, with and without its correction."""

    truth: float
    rate: float
    interval: tuple[float, float]
    expected: tuple[float, float]
    raw: float
    raw_interval: tuple[float, float]


def main() -> None:
    """Measure, print a line for each recipe and collection, and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 repetitions in place of 200")
    parser.add_argument("--data", default="../shared/data", help="folder of the collections")
    parser.add_argument("--collections", default="cranfield,cacm,npl")
    parser.add_argument("--share", type=float, default=0.5, help="share of the judgements that is never labelled")
    parser.add_argument("--draw", default="pairs,queries")
    options = parser.parse_args()
    repetitions = 20 if options.quick else 200
    rows = []
    with tempfile.TemporaryDirectory() as home, prefect_session():
        os.environ["NEGSET_HOME"] = home
        for name in options.collections.split(","):
            evidence, recipes = _open(name, Path(options.data) / name)
            for draw in options.draw.split(","):
                for row in _measure(evidence, recipes, draw, options.share, repetitions):
                    rows.append({"collection": name, "draw": draw, **row})
                    print(json.dumps(rows[-1]), flush=True)
    lowest = min(row["covered"] for row in rows)
    print(json.dumps({"repetitions": repetitions, "share": options.share, "lowest": lowest, "rows": rows}))


def _open(name: str, folder: Path) -> tuple[Evidence, list[BoundRecipe]]:
    # Prefect is imported while its server starts.
    from flows.audit import gather
    from tasks.place import Place

    config = BuildConfig(
        name=name,
        source=SourceConfig(format="parquet", path=str(folder.resolve())),
        mine=MineConfig(miners=("dense", "bm25")),
        recipe=RecipeConfig(name="naive", negatives=_NEGATIVES),
    )
    configs = recipe_configs(config, _RECIPES)
    evidence = open_build_evidence(config, gather(configs), Place().open_store())
    return _in_memory(evidence), bind_all(configs)


def _in_memory(evidence: Evidence) -> Evidence:
    blocks = list(evidence.blocks())
    return replace(evidence, blocks=lambda: iter(blocks))


def _measure(
    evidence: Evidence, recipes: list[BoundRecipe], draw: str, share: float, repetitions: int
) -> Iterator[dict[str, str | float]]:
    trials: dict[str, list[Trial]] = {recipe.name: [] for recipe in recipes}
    for number in range(repetitions):
        unlabelled = _draw(evidence, draw, share, number)
        known = _in_memory(forget_units(evidence, unlabelled))
        plan = plan_hiding(known, 0.2, seed=number)
        facts = positive_facts(known, plan, proposers(known))
        for outcome in audit_recipes(known, recipes, plan):
            trials[outcome.recipe].append(_trial(outcome, facts, evidence, unlabelled, share))
    for recipe, found in trials.items():
        mean = float(np.mean([trial.truth for trial in found]))
        yield {
            "recipe": recipe,
            "truth": round(mean, 4),
            "rate": round(float(np.mean([trial.rate for trial in found])), 4),
            "raw": round(float(np.mean([trial.raw for trial in found])), 4),
            "width": round(float(np.mean([high - low for low, high in (trial.interval for trial in found)])), 4),
            "covered": round(float(np.mean([_covers(trial.interval, trial.truth) for trial in found])), 3),
            "covered_expected": round(float(np.mean([_covers(trial.expected, mean) for trial in found])), 3),
            "covered_raw": round(float(np.mean([_covers(trial.raw_interval, trial.truth) for trial in found])), 3),
        }


def _draw(evidence: Evidence, draw: str, share: float, seed: int) -> pl.Series:
    """Draw the units that nobody labelled."""
    first = evidence.known.group_by("unit").agg(pl.col("query", "doc").min()).sort("unit")
    query, doc = (first[name].to_numpy() for name in ("query", "doc"))
    bits = mix(mix(evidence.query_keys[query] ^ id_keys([f"{seed}:unlabelled"])) + evidence.doc_keys[doc])
    lots = first.with_columns(lot=pl.Series((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53))
    if draw == "pairs":
        return lots.filter(pl.col("lot") < share)["unit"]
    ranked = lots.sort("query", "lot").with_columns(
        place=pl.int_range(pl.len()).over("query"), size=pl.len().over("query"), odd=pl.col("lot").sum().over("query")
    )
    # A part of a pair is drawn or not by a lot of the query, so that the share is right on average.
    return ranked.filter(pl.col("place") < (pl.col("size") * share + pl.col("odd") % 1).floor())["unit"]


def _trial(outcome: Outcome, facts: pl.DataFrame, evidence: Evidence, unlabelled: pl.Series, share: float) -> Trial:
    units = corrected_returns(outcome.hidden).join(facts, on=["query", "unit"])
    asked = units["query"].unique().implode()
    never = evidence.known.filter(pl.col("unit").is_in(unlabelled.implode()) & pl.col("query").is_in(asked))
    came = never.join(outcome.negatives, on=["query", "doc"], how="semi").select("query", "unit").n_unique()
    assumed = share / (1 - share)
    corrected = return_rate(units, assumed)
    raw = return_rate(units.with_columns(corrected="returned"), assumed)
    return Trial(
        truth=came / never.select("query", "unit").n_unique(),
        rate=corrected.rate.share,
        interval=(corrected.rate.low, corrected.rate.high),
        expected=(corrected.expected.low, corrected.expected.high),
        raw=raw.rate.share,
        raw_interval=(raw.rate.low, raw.rate.high),
    )


def _covers(interval: tuple[float, float], value: float) -> bool:
    return interval[0] - 1e-9 <= value <= interval[1] + 1e-9


if __name__ == "__main__":
    main()
