from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from negset import building
from negset.configuration import load_build_config
from negset.errors import ConfigError, InputError
from negset.mining.query_choice import drop_faulty_pairs, keep_budget, missed_share, open_queries, read_pair_stats
from negset.mining.recipe import bind_recipe, load_recipe
from negset.mining.selection_inputs import open_selection_inputs
from schemas.config import RecipeConfig

QUERIES = 30


@pytest.fixture
def known(memory_snapshot):
    """Give the inputs of a selection over 30 queries of one positive each, the first of which has two."""
    snapshot = memory_snapshot(
        documents={f"d{at:02}": f"text {at}" for at in range(40)},
        queries={f"q{at:02}": f"query {at}" for at in range(QUERIES)},
        labels=[("q00", "d39", 1), *((f"q{at:02}", f"d{at:02}", 1) for at in range(QUERIES))],
    )
    recipe = bind_recipe(load_recipe(RecipeConfig(name="naive")), ["dense"], 13)
    return open_selection_inputs(snapshot, recipe, np.arange(40, dtype=np.uint32))


def labelled(known):
    pairs = [(0, 39), *((at, at) for at in range(QUERIES))]
    return pl.DataFrame(pairs, schema={"query": pl.UInt32, "doc": pl.UInt32}, orient="row")


def losses(level, epochs=8):
    """Give pair_stats of constant losses for pairs (query_id, positive_id), those of the others around 1."""
    usual = {(f"q{at:02}", f"d{at:02}"): 1 + 0.01 * (at % 5) for at in range(QUERIES)}
    rows = [(*pair, epoch, loss) for pair, loss in {**usual, **level}.items() for epoch in range(epochs)]
    return pl.DataFrame(rows, schema=["query_id", "positive_id", "epoch", "loss"], orient="row")


def reasons(inputs):
    return dict(inputs.queries.drop_nulls("reason").select("query_id", "reason").iter_rows())


def test_a_query_all_of_whose_positives_look_faulty_is_dropped(known):
    stats = losses({("q03", "d03"): 9.0, ("q00", "d00"): 9.0, ("q00", "d39"): 1.0})
    found = drop_faulty_pairs(known, stats, labelled(known))
    assert reasons(found) == {"q03": "faulty_pair"}  # q00 has another positive, which is fine


def test_a_query_with_bad_pairs_weighs_less(known):
    stats = losses({("q00", "d00"): 9.0, ("q05", "d05"): 0.0})
    found = drop_faulty_pairs(known, stats, labelled(known))
    assert found.weights[0] == pytest.approx(0.5, abs=0.01)  # d39 has no losses: its pair weighs 1
    assert found.weights[5] < 0.2  # too easy
    assert (np.delete(found.weights, [0, 5]) == 1.0).all()
    assert reasons(found) == {}


def test_losses_of_another_set_are_refused(known):
    stats = losses({}).with_columns(query_id=pl.lit("other-") + pl.col("query_id"))
    with pytest.raises(InputError, match="none of the 30 pairs"):
        drop_faulty_pairs(known, stats, labelled(known))


def test_an_earlier_reason_stays(known):
    leaked = pl.when(pl.col("query_id") == "q03").then(pl.lit("query_leak"))
    before = known.queries.with_columns(reason=pl.coalesce(leaked, "reason"))
    stats = losses({("q03", "d03"): 9.0})
    found = drop_faulty_pairs(replace(known, queries=before), stats, labelled(known))
    assert reasons(found) == {"q03": "query_leak"}


@pytest.mark.parametrize("content", ["none", "text", "columns"])
def test_a_file_that_holds_no_losses_is_named(tmp_path, content):
    path = tmp_path / "losses.parquet"
    if content == "text":
        path.write_text("no parquet")
    if content == "columns":
        pl.DataFrame({"query_id": ["q"], "loss": [1.0]}).write_parquet(path)
    lacking = "lacks positive_id, epoch; it has query_id, loss" if content == "columns" else "cannot read"
    with pytest.raises(InputError, match=rf"{lacking}.*|losses\.parquet"):
        read_pair_stats(path)


def test_what_positives_miss_is_one_less_the_reciprocal_rank(mined_candidates):
    first = mined_candidates(
        [0.9, 0.8, 0.7, 0.6],
        query=[0, 0, 0, 1],
        doc=[0, 1, 2, 3],
        rank_dense=[1, 2, 4, None],
        is_positive=[False, True, True, True],
    )
    second = mined_candidates([0.5], query=2, is_positive=True, rank_dense=[1])
    assert missed_share([first, second], 4).tolist() == [0.5, 1.0, 0.0, 1.0]


def test_the_budget_goes_to_the_worse_cluster_first(known):
    rows = open_queries(known)
    vectors_QD = np.eye(2)[np.arange(QUERIES) % 2] * 10
    need_Q = np.where(np.arange(QUERIES) % 2, 0.9, 0.0)
    config = RecipeConfig(query_budget=10, query_clusters=2)
    found = keep_budget(known, rows, vectors_QD, need_Q, config)
    kept = open_queries(found)
    assert kept.len() == 10
    assert (kept % 2 == 1).all()
    assert set(reasons(found).values()) == {"budget"}


def test_a_budget_without_vectors_is_refused_before_anything_runs(build_file):
    config = load_build_config(build_file, ['mine.miners=["bm25"]', "recipe.query_budget=5"])
    with pytest.raises(ConfigError, match=r"recipe\.query_budget .*add 'dense' to mine\.miners"):
        building.bind(config)


def test_a_missing_file_is_named_before_anything_runs(build_file):
    config = load_build_config(build_file, ["recipe.pair_stats=lost.parquet"])
    with pytest.raises(ConfigError, match=r"cannot read recipe\.pair_stats .*lost\.parquet: No such file"):
        building.bind(config)


def test_a_build_keeps_its_budget_and_says_why_the_others_have_none(select, store, build_file):
    whole = select(load_build_config(build_file), store)
    asked = whole.table("fates")["query_id"].len()
    selected = select(load_build_config(build_file, ["recipe.query_budget=6", "recipe.query_clusters=3"]), store)
    fates = selected.table("fates")
    assert fates.height == asked
    assert fates.filter(pl.col("fate") != "dropped").height == 6
    left = fates.filter(pl.col("fate") == "dropped")
    assert left["reason"].cast(pl.String).unique().to_list() == ["budget"]
    kept = whole.negatives()
    assert selected.negatives() == {query: kept[query] for query in selected.negatives()}
    assert len(selected.negatives()) == 6


def test_a_build_weighs_by_losses_and_names_their_file_by_content_alone(select, store, build_file):
    positives = {f"q{at:02}": f"d{at * 2:03}" for at in range(24) if at % 3}
    level = {query: 9.0 if query == "q01" else 0.0 if query == "q02" else 1.0 for query in positives}
    rows = [
        (query, doc, epoch, level[query] + 0.01 * (epoch % 2)) for query, doc in positives.items() for epoch in range(6)
    ]
    frame = pl.DataFrame(rows, schema=["query_id", "positive_id", "epoch", "loss"], orient="row")
    frame.write_parquet(build_file.parent / "losses.parquet")
    config = load_build_config(build_file, ["recipe.pair_stats=losses.parquet"])
    selected = select(config, store)
    dropped = selected.table("fates").filter(pl.col("fate") == "dropped")
    assert dropped.select("query_id", pl.col("reason").cast(pl.String)).rows() == [("q01", "faulty_pair")]
    weights = dict(selected.table("negatives").group_by("query_id").agg(pl.col("weight").max()).iter_rows())
    assert weights["q02"] < 0.2
    assert {weight for query, weight in weights.items() if query != "q02"} == {1.0}
    told = building.describe(config, selected.refs, store).config["recipe"]
    assert len(told["pair_stats"]) == 64
    key = building.selection_key(config, selected.refs)
    frame.with_columns(pl.col("loss") + 1).write_parquet(build_file.parent / "losses.parquet")
    assert building.selection_key(config, selected.refs) != key
