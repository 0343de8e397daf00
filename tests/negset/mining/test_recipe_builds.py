"""Every shipped recipe on a small collection, from its texts to its tables."""

import polars as pl
import pytest

from negset import building
from negset.configuration import load_build_config
from negset.errors import ConfigError
from negset.mining.recipe import shipped_recipes
from negset.store import Store

MINERS = 'mine.miners=["dense", "bm25", "random"]'
OUTSIDE = {"llm-judge": "teach.judge.url", "reviewed": "teach.votes.path"}
"""Recipes that ask somebody outside, and the option that says whom."""
ELSEWHERE = {"asl", "event-driven", "sample4geo"}
"""Recipes for collections with relations, events or places, which the tests of their miners and teachers have."""


def test_every_recipe_gives_negatives_that_are_no_positives(select, store, build_file):
    pools = {}
    for name in set(shipped_recipes()) - set(OUTSIDE) - ELSEWHERE:
        found = select(load_build_config(build_file, [MINERS, f"recipe.name={name}"]), store)
        negatives, positives = found.table("negatives"), found.table("positives")
        assert negatives.height, name
        assert negatives.join(positives, on=["query_id", "doc_id"]).height == 0
        assert negatives.group_by("query_id").len()["len"].max() <= 3
        assert (negatives["weight"].is_finite() & (negatives["weight"] > 0)).all()
        pools[name] = {tuple(row) for row in negatives.select("query_id", "doc_id").rows()}
    assert len(pools) >= 19
    # Here nothing scores above the limit of `abs`, and `rocketqa` differs from `denoised` in its positives.
    assert len(set(map(frozenset, pools.values()))) >= len(pools) - 3


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_recipe_that_asks_somebody_outside_says_what_to_set(build_file, name):
    with pytest.raises(ConfigError, match=OUTSIDE[name].replace(".", r"\.")):
        building.bind(load_build_config(build_file, [MINERS, f"recipe.name={name}"]))


def test_partitions_and_blocks_leave_no_trace_in_what_a_rule_draws(select, store, build_file):
    one = select(load_build_config(build_file, [MINERS, "recipe.name=simans"]), store)
    many = [MINERS, "recipe.name=simans", "source.partitions=3", "mine.query_block=5"]
    other = select(load_build_config(build_file, many), Store(store.root.parent / "second"))
    assert one.table("negatives").equals(other.table("negatives"))
    assert one.table("negatives")["sample_prob"].null_count() < one.table("negatives").height
    assert (
        one.table("candidates")
        .select(pl.all().exclude("scores"))
        .equals(other.table("candidates").select(pl.all().exclude("scores")))
    )
