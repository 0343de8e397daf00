from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from negset import building
from negset.configuration import load_build_config
from negset.errors import ConfigError, InputError
from negset.mining.query_choice import (
    drop_faulty_pairs,
    keep_budget,
    open_queries,
    read_pair_stats,
    training_cost,
)
from negset.mining.recipe import bind_recipe, load_recipe
from negset.mining.selection_inputs import open_selection_inputs
from schemas.config import BuildConfig, EncoderConfig, MineConfig, RecipeConfig, SourceConfig

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


def test_a_contradiction_has_its_reason_and_the_next_takes_its_place(known):
    rows = open_queries(known)
    concepts = [["a"], ["b"], ["a", "b"], *([f"own {at}"] for at in range(3, QUERIES))]
    need_Q = np.linspace(1, 0.5, QUERIES)
    found = keep_budget(known, rows, np.ones((QUERIES, 2)), need_Q, RecipeConfig(query_budget=4), None, concepts)
    assert open_queries(found).to_list() == [0, 1, 3, 4]
    assert reasons(found)["q02"] == "conflict"
    assert reasons(found)["q05"] == "budget"


def test_a_query_that_costs_more_is_taken_later(known):
    assert training_cost("a b") < training_cost("a b c")
    assert training_cost("") == training_cost("one") == pytest.approx(2 * np.log(2))
    need_Q, cost_Q = np.ones(QUERIES), np.full(QUERIES, 5.0)
    cost_Q[7] = 1.0
    found = keep_budget(known, open_queries(known), np.ones((QUERIES, 2)), need_Q, RecipeConfig(query_budget=1), cost_Q)
    assert open_queries(found).to_list() == [7]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["recipe.query_conflicts=skip"], "recipe.query_conflicts has no effect without recipe.query_budget"),
        (["recipe.query_budget=5", "recipe.query_need=margin_drop"], "names no recipe.query_reference"),
        (["recipe.query_budget=5", "recipe.query_reference=bm25"], "recipe.query_reference has no effect"),
        (
            ["recipe.query_budget=5", "recipe.query_need=divergence", "recipe.query_reference=guid"],
            "'guid', whose scores this build cannot compare .*; it has those of nobody else",
        ),
        (
            ["recipe.query_budget=5", "recipe.query_need=divergence", "recipe.query_reference=dense"],
            "'dense', whose scores this build cannot compare",  # with themselves
        ),
    ],
)
def test_options_of_a_budget_that_cannot_work_are_refused(build_file, options, said):
    config = load_build_config(build_file, ['mine.miners=["dense"]', *options])
    with pytest.raises(ConfigError, match=said):
        building.bind(config)


def test_a_budget_that_skips_and_compares_is_of_a_build(tmp_path, store, select, collection):
    """Of three texts, two of which share a word with the third, the last to come is skipped."""
    texts = ["red, apple", "whale, blue", "red, whale", "moss, green"]
    documents = {f"d{at}": text for at, text in enumerate(texts)}
    queries = {f"q{at}": f"{text}?" for at, text in enumerate(texts)}
    folder = collection(tmp_path / "c", documents, queries, [(f"q{at}", f"d{at}", 1) for at in range(4)])

    def fates(**recipe):
        config = BuildConfig(
            name="paser",
            source=SourceConfig(format="parquet", path=str(folder)),
            encoder=EncoderConfig(backend="hashing", dimensions=16),
            mine=MineConfig(miners=("dense", "bm25"), depth=3),
            recipe=RecipeConfig(name="naive", negatives=1, query_budget=4, query_clusters=1, **recipe),
        )
        table = select(config, store).table("fates")
        return dict(
            table.filter(pl.col("fate") == "dropped").select("query_id", pl.col("reason").cast(str)).iter_rows()
        )

    assert "conflict" not in fates().values()
    skipped = fates(query_conflicts="skip")
    assert list(skipped.values()).count("conflict") == 1
    assert set(skipped) <= {"q0", "q1", "q2"}
    assert fates(query_need="margin_drop", query_reference="bm25", query_conflicts="skip", query_cost="length")
