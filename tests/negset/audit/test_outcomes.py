"""Outcomes and estimates on a corpus in which it can be said by hand what returns."""

import polars as pl
import pytest

from negset.audit.estimates import corrected_returns, estimate_recipe, positive_facts, return_rate
from negset.audit.hiding import ONCE, TWICE, plan_hiding
from negset.audit.outcomes import UNLISTED, audit_recipes, proposers
from negset.audit.report import AuditOptions, run_audit
from negset.errors import ConfigError
from negset.store import Store


@pytest.fixture(scope="module")
def evidence(mine_world, tmp_path_factory):
    return mine_world(Store(tmp_path_factory.mktemp("store"))).evidence


def near_world(mine_world, tmp_path, positives=4, depth=8):
    """Each query's positives hold both of its words, all other documents none: they head every list."""
    documents = {f"p{query}{n:02d}": f"a{query} b{query} z{n}" for query in range(5) for n in range(positives)}
    documents |= {f"x{n:02d}": f"other{n} thing{n % 3}" for n in range(30)}
    queries = {f"q{query}": f"a{query} b{query}" for query in range(5)}
    labels = [(f"q{query}", f"p{query}{n:02d}", 1) for query in range(5) for n in range(positives)]
    return mine_world(Store(tmp_path / "near"), labels, documents, queries, miners=("dense",), depth=depth).evidence


def test_what_heads_every_list_returns_always(mine_world, bound, tmp_path):
    """And what a threshold takes out never does. Counting a known positive as returned would give neither."""
    evidence = near_world(mine_world, tmp_path)
    recipes = [bound("naive", 3, ("dense",)), bound("shifted", 3, ("dense",))]
    report = run_audit(evidence, recipes, AuditOptions(), "near")
    naive, shifted = report.recipes
    assert report.queries_taking_part == 5
    assert naive.returns.returned == naive.returns.hidden == 20
    assert naive.returns.rate.share == 1
    assert naive.returns.rate.low < 1
    assert shifted.returns.returned == 0
    assert shifted.returns.rate.high > 0
    # One of three negatives of each query was the hidden one; as many unlabelled as known make 4 of 3: all.
    assert naive.hidden_among_negatives.share == pytest.approx(1 / 3)
    assert naive.false_share.share == 1
    half = run_audit(evidence, recipes, AuditOptions(unlabelled=0.15), "near").recipes[0]
    assert half.false_share.share == pytest.approx(0.15 * 20 / 15)


def test_the_base_world_is_the_set_itself(evidence, bound):
    plan = plan_hiding(evidence, 0.2, 1)
    outcome = audit_recipes(evidence, [bound("naive", 3)], plan)[0]
    known = evidence.known.select("query", "doc")
    assert not outcome.negatives.join(known, on=["query", "doc"], how="semi").height
    assert outcome.fates["query"].to_list() == evidence.queries.filter("asked")["query"].to_list()
    assert (outcome.negatives.group_by("query").len().sort("query")["len"] == outcome.fates["got"]).all()
    assert outcome.hidden.height == plan.hidden.height
    assert set(outcome.hidden["parts"]) == {ONCE, TWICE}
    assert outcome.rounds["hidden"].sum() == outcome.hidden["returned"].sum()


def test_an_outcome_of_a_round_is_that_of_a_build_without_these_labels(evidence, bound):
    """Hiding from one query tells nothing of others: each round alone gives what all rounds at once give."""
    plan = plan_hiding(evidence, 0.2, 1)
    together = audit_recipes(evidence, [bound("naive", 2), bound("star", 2)], plan)
    for world in plan.hidden["world"].unique():
        part = plan.hidden.filter(pl.col("world") == world)
        alone = audit_recipes(evidence, [bound("naive", 2), bound("star", 2)], type(plan)(part, plan.positives))
        for whole, single in zip(together, alone, strict=True):
            assert single.hidden.equals(whole.hidden.filter(pl.col("world") == world))


def test_the_correction_extrapolates_to_nothing_hidden():
    """Hidden by one 30 % return, by two 40 %: by none 20 %. A positive hidden only once is left as it is."""
    rows = [(0, unit, 0, ONCE, 1, unit < 3) for unit in range(10)]
    rows += [(0, unit, 1, TWICE, 2, unit < 4) for unit in range(10)]
    rows += [(1, 0, 0, ONCE, 1, True)]
    names = ["query", "unit", "world", "parts", "gone", "returned"]
    found = corrected_returns(pl.DataFrame(rows, schema=names, orient="row"))
    of = {key[0]: part for key, part in found.group_by("query")}
    assert of[0]["returned"].mean() == pytest.approx(0.3)
    assert of[0]["corrected"].mean() == pytest.approx(0.2)
    assert of[1]["corrected"].to_list() == [1.0]


def test_strata_add_up_and_name_what_no_miner_proposed(evidence, bound):
    plan = plan_hiding(evidence, 0.2, 1)
    facts = positive_facts(evidence, plan, proposers(evidence))
    outcome = audit_recipes(evidence, [bound("naive", 3)], plan)[0]
    found = estimate_recipe(outcome, evidence, facts, 1.0)
    for by in ("split", "positives", "words", "miner"):
        parts = [one for one in found.strata if one.by == by]
        assert sum(one.rate.hidden for one in parts) == found.returns.hidden
        assert sum(one.rate.returned for one in parts) == found.returns.returned
    miners = {one.group: one for one in found.strata if one.by == "miner"}
    assert UNLISTED in miners
    assert miners[UNLISTED].rate.returned == 0
    assert sum(one.negatives for one in miners.values()) <= found.rows.negatives
    labels = [one.group for one in found.strata if one.by == "positives"]
    assert labels == ["2", "3 to 5", "6 to 10"]


def test_positives_of_one_query_count_as_a_cluster():
    """Two queries, all or nothing of 20: the interval must reach far, which 40 independent positives would not."""
    rows = [(cluster, cluster, float(cluster), float(cluster)) for cluster in (0, 1) for _ in range(20)]
    found = return_rate(pl.DataFrame(rows, schema=["cluster", "query", "returned", "corrected"], orient="row"), 1.0)
    assert found.rate.share == 0.5
    assert found.expected.high - found.expected.low > 0.9


def test_without_two_positives_nothing_is_measured(mine_world, bound, tmp_path):
    evidence = near_world(mine_world, tmp_path, positives=1)
    report = run_audit(evidence, [bound("naive", 3, ("dense",))], AuditOptions(), "near")
    assert report.queries_taking_part == report.positives_hidden == 0
    assert report.recipes[0].returns is None
    assert report.recipes[0].false_share is None
    assert report.recipes[0].rows.full == 5


def test_recipes_of_one_name_and_senseless_options_are_refused(evidence, bound):
    with pytest.raises(ConfigError, match="told apart by their names; these are naive, naive"):
        run_audit(evidence, [bound("naive"), bound("naive")], AuditOptions(), "twice")
    with pytest.raises(ConfigError, match="unlabelled is 0"):
        run_audit(evidence, [bound("naive")], AuditOptions(unlabelled=0), "none")
