import polars as pl

from negset.publishing.funnel import ENDS, candidate_bars, fate_table, miner_ends
from schemas.manifest import CandidateFunnel, RecipeIdentity, RuleIdentity


def test_every_candidate_of_a_miner_ends_once(tiny_set):
    """A known positive is rejected by the rule of its name, and counts as positive alone."""
    found = miner_ends(tiny_set.candidate_frame().lazy())
    assert found.columns == ["miner", "mined", *ENDS]
    assert found.rows() == [("bm25", 2, 0, 0, 1, 1), ("dense", 8, 2, 1, 0, 5), ("random", 1, 0, 0, 0, 1)]


def test_rules_stand_in_the_order_of_the_recipe_with_what_each_left():
    rules = tuple(RuleIdentity(rule=name, version=1, options={}) for name in ("zeta", "alpha", "top"))
    recipe = RecipeIdentity(name="r", fingerprint="f", by="", seed=1, rules=rules)
    funnel = CandidateFunnel(mined=100, positives=10, rejected={"alpha": 30, "zeta": 20}, not_sampled=25, chosen=15)
    drawn = candidate_bars(funnel, recipe)
    left = [">100<", ">90<", ">70<", ">40<", ">15<"]
    places = [drawn.rindex(part) for part in left]
    assert places == sorted(places)
    assert drawn.index("rejected by zeta") < drawn.index("rejected by alpha")


def test_fates_are_counted_by_split_and_reason(tiny_set):
    drawn = fate_table(tiny_set.fate_frame())
    row = '<th scope="row">train</th><td class="words">short</td><td class="words">percent_of_positive</td>'
    assert row + '<td class="number">1</td><td class="number">2</td><td class="number">1</td>' in drawn


def test_a_set_without_candidates_can_be_drawn():
    empty = CandidateFunnel(mined=0, positives=0, rejected={}, not_sampled=0, chosen=0)
    recipe = RecipeIdentity(name="r", fingerprint="f", by="", seed=1, rules=())
    assert "mined" in candidate_bars(empty, recipe)
    schema = {"miner": pl.String, "is_positive": pl.Boolean, "rejected_by": pl.String, "position": pl.Int32}
    assert miner_ends(pl.LazyFrame(schema=schema)).is_empty()
