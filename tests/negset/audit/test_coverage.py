"""The audit is honest on a world where every positive is known: its interval covers what it cannot see.

`benchmarks/audit_coverage.py` measures the same on real collections.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from negset.audit.estimates import corrected_returns, positive_facts, return_rate
from negset.audit.hiding import plan_hiding
from negset.audit.outcomes import audit_recipes, proposers
from negset.audit.worlds import forget_units
from negset.store import Store

REPETITIONS = 15


@pytest.fixture(scope="module")
def world(mine_world, tmp_path_factory):
    """30 queries with 6 to 12 judged positives of mixed likeness among 500 documents."""
    rng = np.random.default_rng(20261125)
    documents, labels = {}, []
    for query in range(30):
        for n in range(int(rng.integers(6, 13))):
            name, words = f"p{query:02d}{n:02d}", rng.choice(["t", "u", "v"], int(rng.integers(0, 3)))
            shared = f"a{query} " * int(rng.integers(0, 3)) + f"b{query % 20} "
            documents[name] = shared + " ".join(words) + f" filler{n}"
            labels.append((f"q{query:02d}", name, 1))
    for n in range(120):
        documents[f"x{n:03d}"] = f"a{n % 40} c{n % 9} filler{n % 11} word{n % 5}"
    queries = {f"q{query:02d}": f"a{query} b{query % 20}" for query in range(30)}
    store = Store(tmp_path_factory.mktemp("world"))
    groups = {"miners": ("dense", "bm25")}
    evidence = mine_world(store, labels, documents, queries, depth=25, **groups).evidence
    blocks = list(evidence.blocks())
    return replace(evidence, blocks=lambda: iter(blocks), near_group=np.arange(len(documents), dtype=np.uint32))


def test_the_interval_covers_the_rate_of_what_nobody_labelled(world, bound):
    """Half of each query's labels are unknown to the audit."""
    recipes = [bound(name, 3, ("dense", "bm25")) for name in ("naive", "perc-pos", "margin-pos")]
    units = world.known.select("query", "unit").sort("unit")
    covered = dict.fromkeys((recipe.name for recipe in recipes), 0)
    found_of: dict[str, list[tuple[float, float]]] = {recipe.name: [] for recipe in recipes}
    for number in range(REPETITIONS):
        lot = pl.Series("lot", np.random.default_rng([number, 3]).random(len(units)))
        ranked = units.with_columns(lot).sort("query", "lot").with_columns(place=pl.int_range(pl.len()).over("query"))
        unlabelled = ranked.filter(pl.col("place") < pl.len().over("query") // 2)["unit"]
        known = forget_units(world, unlabelled)
        plan = plan_hiding(known, 0.2, number)
        facts = positive_facts(known, plan, proposers(known))
        for outcome in audit_recipes(known, recipes, plan):
            hidden = corrected_returns(outcome.hidden).join(facts, on=["query", "unit"])
            found = return_rate(hidden, 1.0)
            never = world.known.filter(
                pl.col("unit").is_in(unlabelled.implode()) & pl.col("query").is_in(hidden["query"].unique().implode())
            )
            truth = never.join(outcome.negatives, on=["query", "doc"], how="semi").height / never.height
            covered[outcome.recipe] += found.rate.low - 1e-9 <= truth <= found.rate.high + 1e-9
            found_of[outcome.recipe].append((found.rate.low, truth))
    assert min(covered.values()) >= 0.93 * REPETITIONS, covered
    # And it says something: the naive recipe's interval lies above the truth of the thresholds.
    apart = [low > truth for (low, _), (_, truth) in zip(found_of["naive"], found_of["perc-pos"], strict=True)]
    assert all(apart)
