import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from negset.errors import ContractError, MissingColumnsError
from negset.mining import rules as registry
from negset.mining.recipe import bind_recipe, load_recipe, shipped_recipes
from negset.mining.rules import Params, relabel, rule
from negset.mining.selection import Selection, select_blocks
from negset.mining.selection_inputs import open_selection_inputs
from schemas.config import BuildConfig, RecipeConfig
from schemas.frames import FATES, SCORED_CANDIDATES, SET_NEGATIVES

DOCS = 40
MINERS = ("dense", "bm25", "random")
TEACHERS = ("guide", "relevance", "selection")


@pytest.fixture(scope="session")
def world(memory_snapshot):
    """Give the inputs of a selection over `queries` queries of one positive each, by a recipe."""

    def build(name="naive", queries=3, miners=MINERS, near=None, **config):
        snapshot = memory_snapshot(
            documents={f"d{at:02d}": f"text {at}" for at in range(DOCS)},
            queries={f"q{at:03d}": f"query {at}" for at in range(queries)},
            labels=[(f"q{at:03d}", "d39", 1) for at in range(queries)],
        )
        recipe = bind_recipe(load_recipe(RecipeConfig(name=name, **config)), miners, 13)
        near = np.arange(DOCS, dtype=np.uint32) if near is None else near
        return open_selection_inputs(snapshot, recipe, near), recipe

    return build


def select_negatives(blocks, inputs, recipe):
    parts = list(select_blocks(blocks, inputs, recipe))
    tables = ("candidates", "negatives", "fates")
    return Selection(*(pl.concat([getattr(part, table) for part in parts]) for table in tables))


def fate(selection, query="q000"):
    row = selection.fates.filter(pl.col("query_id") == query).row(0, named=True)
    return row["fate"], row["reason"], row["wanted"], row["got"], row["candidates"]


def test_tables_have_their_columns_and_values(world, mined_candidates):
    inputs, recipe = world("perc-pos", queries=1, negatives=2)
    block = mined_candidates(
        [0.79, 0.7, 0.6, None],
        miner=["dense", "bm25", "dense", "random"],
        positive_score_dense=0.8,
        rank_dense=[1, None, 2, None],
        rank_bm25=[None, 4, None, None],
        score_bm25=[None, 3.5, 1.0, None],
        judged=[False, True, False, False],
    )
    selection = select_negatives([block], inputs, recipe)
    assert selection.candidates.columns == SCORED_CANDIDATES.names
    assert selection.negatives.columns == SET_NEGATIVES.names
    assert selection.fates.columns == FATES.names
    near = pytest.approx(0.79), pytest.approx(0.76)
    verdicts = selection.candidates.select("doc_id", "rejected_by", "rejected_value", "rejected_threshold", "position")
    assert verdicts.rows() == [
        ("d00", "percent_of_positive", *near, None),
        ("d01", None, None, None, 1),
        ("d02", None, None, None, 2),
        ("d03", "percent_of_positive", None, pytest.approx(0.76), None),
    ]
    scores = [[(entry["name"], entry["value"]) for entry in row] for row in selection.candidates["scores"]]
    assert scores[1:] == [
        [("dense", pytest.approx(0.7)), ("bm25", 3.5)],
        [("dense", pytest.approx(0.6)), ("bm25", 1.0)],
        [],
    ]
    negative = selection.negatives.row(0, named=True)
    expected = {"query_id": "q000", "doc_id": "d01", "rank": 1, "miner": "bm25", "miner_rank": 4, "split": "train"}
    assert {name: negative[name] for name in expected} == expected
    assert (negative["weight"], negative["source"], negative["positive_id"]) == (1.0, "judged", None)
    assert fate(selection) == ("kept", None, 2, 2, 4)


def test_the_order_of_the_candidates_changes_nothing(world, mined_candidates):
    inputs, recipe = world("perc-pos", queries=2, near=np.arange(DOCS, dtype=np.uint32) // 2)
    block = mined_candidates([0.2, 0.9, 0.3, 0.3, 0.1] * 2, query=[0] * 5 + [1] * 5, doc=[4, 9, 3, 2, 11] * 2)
    block = block.with_columns(positive_score=pl.lit(0.8))
    expected = select_negatives([block.sort("query", "doc")], inputs, recipe)
    assert expected.negatives["doc_id"].to_list() == ["d02", "d04", "d11"] * 2  # d03 is near d02, which comes first
    for seed in range(3):
        found = select_negatives([block.sample(fraction=1, shuffle=True, seed=seed)], inputs, recipe)
        for table in ("candidates", "negatives", "fates"):
            assert_frame_equal(getattr(found, table), getattr(expected, table))


def test_random_candidates_are_marked(world, mined_candidates):
    inputs, recipe = world("star", queries=1, negatives=2)
    block = mined_candidates([0.5, 0.1], miner=["dense", "random"], rank_dense=[1, None], rank_random=[None, 1])
    negatives = select_negatives([block], inputs, recipe).negatives
    assert negatives.select("doc_id", "source", "miner_rank", "sample_prob").rows() == [
        ("d00", "mined", 1, 1.0),
        ("d01", "random", 1, 1.0),
    ]


# A1: 100 queries, positive at 0.80, planted paraphrases at 0.79, 0.85 and 0.97, 5 hard at 0.70, 20 easy at 0.2.
PLANTED = [0.97, 0.85, 0.79, *[0.7] * 5, *[0.2] * 20]


def planted(mined_candidates, scale=1.0):
    rows = len(PLANTED)
    return mined_candidates(
        [round(score * scale, 6) for score in PLANTED] * 100,
        query=[query for query in range(100) for _ in range(rows)],
        doc=list(range(rows)) * 100,
        positive_score_dense=round(0.8 * scale, 6),
    )


@pytest.mark.parametrize(
    ("recipe", "scale", "expected", "rejected"),
    [
        ("naive", 1.0, {0, 1, 2, 3, 4}, 0),
        ("perc-pos", 1.0, {3, 4, 5, 6, 7}, 300),
        ("perc-pos", 0.8, {3, 4, 5, 6, 7}, 300),
        ("margin-pos", 1.0, {3, 4, 5, 6, 7}, 300),
        ("abs", 1.0, {3, 4, 5, 6, 7}, 300),
        ("abs", 0.8, {1, 2, 3, 4, 5}, 100),
    ],
)
def test_planted_false_negatives(world, mined_candidates, recipe, scale, expected, rejected):
    inputs, bound = world(recipe, queries=100, negatives=5)
    selection = select_negatives([planted(mined_candidates, scale)], inputs, bound)
    assert set(selection.negatives["doc_id"]) == {f"d{doc:02d}" for doc in expected}
    assert selection.candidates["rejected_by"].count() == rejected
    assert set(selection.fates["fate"]) == {"kept"}


def test_margin_rejects_all_but_one(world, mined_candidates):
    inputs, recipe = world("margin-pos", queries=1)
    block = mined_candidates([0.9, 0.79, 0.78, 0.77, 0.76, 0.3], positive_score_dense=0.8)
    selection = select_negatives([block], inputs, recipe)
    assert fate(selection) == ("short", "margin", 4, 1, 6)
    assert selection.negatives["doc_id"].to_list() == ["d05"]


def test_why_a_query_is_short_or_dropped(world, mined_candidates):
    inputs, recipe = world("perc-pos", queries=6)
    block = mined_candidates(
        [0.9, 0.9, 0.9, 0.9, 0.9, 0.2, 0.3, 0.2],
        query=[0, 0, 0, 0, 1, 1, 2, 2],
        doc=[0, 1, 2, 3, 0, 1, 0, 1],
        positive_score_dense=0.8,
        is_positive=[True, True, False, False, True, False, False, False],
    )
    selection = select_negatives([block], inputs, recipe)
    assert fate(selection, "q000") == ("dropped", "known_positive", 4, 0, 4)  # two each: the first by name
    assert fate(selection, "q001") == ("short", "known_positive", 4, 1, 2)
    assert fate(selection, "q002") == ("short", "few_candidates", 4, 2, 2)
    assert fate(selection, "q003") == ("dropped", "no_candidates", 4, 0, 0)
    assert selection.fates["query_id"].to_list() == [f"q{at:03d}" for at in range(6)]


def test_a_samplers_quota_is_its_own_reason(world, mined_candidates):
    inputs, recipe = world("star", queries=1)
    block = mined_candidates([0.5, 0.4, 0.3, 0.2, 0.1], rank_random=[None, None, None, None, 1])
    assert fate(select_negatives([block], inputs, recipe)) == ("short", "mixture", 4, 3, 5)


def test_queries_dropped_at_once_leave_no_candidates(memory_snapshot, mined_candidates):
    snapshot = memory_snapshot(
        documents={f"d{at:02d}": f"text {at}" for at in range(10)},
        queries={"q1": "same", "q2": "Same", "q3": "other", "q4": "dev"},
        labels=[("q1", "d01", 1), ("q2", "d02", 1), ("q4", "d03", 1)],
        splits={"q2": "test", "q4": "dev"},
    )
    recipe = bind_recipe(load_recipe(RecipeConfig(name="naive", negatives=1)), ["dense"], 13)
    near = np.arange(10, dtype=np.uint32)
    inputs = open_selection_inputs(snapshot, recipe, near, splits=["train", "test"])
    selection = select_negatives([mined_candidates([0.5] * 4, query=[0, 1, 2, 3], doc=5)], inputs, recipe)
    assert selection.fates.select("query_id", "fate", "reason", "candidates").rows() == [
        ("q1", "dropped", "query_leak", 0),
        ("q2", "kept", None, 1),
        ("q3", "dropped", "no_positive", 0),
    ]
    assert selection.candidates["query_id"].to_list() == ["q2"]


def test_a_near_duplicate_of_a_positive_never_passes(world, mined_candidates):
    near = np.arange(DOCS, dtype=np.uint32)
    near[[3, 39]] = 3  # d39 is the positive, d03 its near-duplicate
    near[[7, 8]] = 7
    inputs, recipe = world("naive", queries=1, near=near, negatives=3)
    block = mined_candidates([0.9, 0.8, 0.7, 0.6], doc=[3, 8, 7, 1])
    selection = select_negatives([block], inputs, recipe)
    assert selection.candidates.select("doc_id", "rejected_by").rows() == [
        ("d01", None),
        ("d03", "positive_duplicate"),
        ("d07", "duplicate"),
        ("d08", None),
    ]


def random_blocks(mined_candidates, seed, queries=12):
    chance = np.random.default_rng(seed)
    sizes = chance.integers(0, 15, size=queries)
    rows = int(sizes.sum())
    frame = mined_candidates(
        np.round(chance.random(rows), 1).tolist(),
        query=np.repeat(np.arange(queries), sizes).tolist(),
        doc=[doc for size in sizes for doc in sorted(chance.permutation(DOCS)[:size].tolist())],
        positive_score_dense=0.6,
        rank_random=[None if at else 1 for at in chance.integers(0, 2, rows)],
        rank_bm25=[at or None for at in chance.integers(0, 9, rows).tolist()],
        score_bm25=chance.integers(0, 20, rows).astype(float).tolist(),
        score_guide=np.round(chance.random(rows), 1).tolist(),
        positive_score_guide=0.7,
        score_relevance=np.round(chance.random(rows) ** 3, 2).tolist(),
        positive_score_relevance=0.5,
        score_selection=np.round(chance.standard_normal(rows), 1).tolist(),
        is_positive=(chance.random(rows) < 0.2).tolist(),
        is_own_text=(chance.random(rows) < 0.1).tolist(),
    )
    frame = frame.with_columns(
        rank_geo=pl.Series([at or None for at in chance.integers(0, 9, rows).tolist()], dtype=pl.Int32),
        score_geo=pl.Series(-chance.integers(0, 400, rows).astype(float)),
    )
    return frame.sort("query", "score", "doc", descending=[False, True, False])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from([name for name in shipped_recipes() if name != "asl"]),  # needs the miner `relation`
    cuts=st.lists(st.integers(1, 11), max_size=4, unique=True),
)
def test_totals_add_up_no_positive_is_sampled_and_blocks_do_not_matter(world, mined_candidates, seed, name, cuts):
    inputs, recipe = world(name, queries=12, miners=(*MINERS, "geo", *TEACHERS))
    frame = random_blocks(mined_candidates, seed)
    whole = select_negatives([frame], inputs, recipe)
    borders = [0, *sorted(cuts), 12]
    blocks = [frame.filter(pl.col("query").is_between(low, high - 1)) for low, high in itertools.pairwise(borders)]
    cut = select_negatives([block.sample(fraction=1, shuffle=True, seed=1) for block in blocks], inputs, recipe)
    for table in ("candidates", "negatives", "fates"):
        assert_frame_equal(getattr(whole, table), getattr(cut, table))
    candidates, fates = whole.candidates, whole.fates
    assert candidates.height == frame.height == fates["candidates"].sum()
    assert fates["got"].sum() == whole.negatives.height == candidates["position"].count()
    assert candidates.filter(pl.col("position").is_not_null())["rejected_by"].count() == 0
    assert not candidates.filter(pl.col("position").is_not_null())["is_positive"].any()
    assert fates["query_id"].n_unique() == fates.height == 12
    assert ((fates["fate"] == "kept") == fates["reason"].is_null()).all()
    assert ((fates["fate"] == "kept") == (fates["got"] == fates["wanted"])).all()
    assert ((fates["fate"] == "dropped") == (fates["got"] == 0)).all()


def test_no_blocks_at_all(world):
    inputs, recipe = world("naive")
    selection = select_negatives([], inputs, recipe)
    assert selection.candidates.columns == SCORED_CANDIDATES.names
    assert selection.negatives.height == 0
    assert selection.fates["reason"].to_list() == ["no_candidates"] * 3


def test_progress_is_told(world, mined_candidates):
    inputs, recipe = world("naive")
    told = []
    blocks = [mined_candidates([0.5], query=0), mined_candidates([0.5], query=2)]
    list(select_blocks(blocks, inputs, recipe, lambda *step: told.append(step)))
    assert told == [("select", 1, 3), ("select", 3, 3), ("select", 3, 3)]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_stops_the_build(world, mined_candidates, wrong):
    inputs, recipe = world("naive")
    with pytest.raises(ContractError, match=r"1 candidates .* not finite: \(q000, d01\)"):
        select_negatives([mined_candidates([0.5, wrong])], inputs, recipe)


def test_a_teachers_score_that_is_not_finite_stops_the_build_too(world, mined_candidates):
    inputs, recipe = world("naive")
    with pytest.raises(ContractError, match=r"1 candidates .* not finite: \(q000, d01\)"):
        select_negatives([mined_candidates([0.5, 0.4], score_relevance=[0.1, float("nan")])], inputs, recipe)


def test_blocks_out_of_order_and_lacking_columns(world, mined_candidates):
    inputs, recipe = world("naive")
    blocks = [mined_candidates([0.5], query=1), mined_candidates([0.5], query=0)]
    with pytest.raises(ContractError, match="candidates of query 0 come in a block after those of query 1"):
        select_negatives(blocks, inputs, recipe)
    with pytest.raises(MissingColumnsError, match="lacks positive_score"):
        select_negatives([mined_candidates([0.5]).drop("positive_score")], inputs, recipe)


def test_among_rules_that_rejected_as_many_the_first_by_name_is_the_reason(world, mined_candidates):
    inputs, recipe = world("naive", queries=1)
    block = mined_candidates([0.9, 0.8], is_own_text=[True, False], is_positive=[False, True])
    assert fate(select_negatives([block], inputs, recipe)) == ("dropped", "known_positive", 4, 0, 2)


def test_a_query_without_a_positive_gets_negatives_only_where_a_rule_finds_one(select, store, collection, tmp_path):
    """Pseudo-positives of RocketQA: q1 has a document that is nearly its text, q2 has nothing, q3 is labelled."""
    documents = {"d1": "red apple pie", "d2": "green pear tart", "d3": "blue plum jam", "d4": "red pear cake"}
    queries = {"q1": "red apple pie please", "q2": "unseen words only", "q3": "blue plum jam"}
    folder = collection(tmp_path / "source", documents, queries, [("q3", "d3", 1)])
    (tmp_path / "r.toml").write_text('[[rules]]\nname = "nearly"\n[[rules]]\nname = "top"\nk = 2\n')
    config = BuildConfig.model_validate(
        {
            "name": "bare",
            "source": {"format": "parquet", "path": str(folder)},
            "encoder": {"backend": "hashing", "dimensions": 256},
            "mine": {"unlabelled": True},
            "recipe": {"name": str(tmp_path / "r.toml")},
        }
    )

    @rule("nearly", kind="labeller", needs=["score"], params=Params)
    def nearly(candidates, _params):
        """Relabel what is nearly the query."""
        return relabel(candidates, pl.col("score") > 0.8, "nearly")

    try:
        found = select(config, store)
    finally:
        del registry._REGISTRY["nearly"]
    assert found.negatives().keys() == {"q1", "q3"}
    positives = found.table("positives").select("query_id", "doc_id", pl.col("source").cast(pl.String))
    assert set(positives.rows()) == {("q1", "d1", "relabelled"), ("q3", "d3", "labelled")}
    fates = found.table("fates").select("query_id", pl.col("fate", "reason").cast(pl.String))
    assert ("q2", "dropped", "no_positive") in fates.rows()
    assert "q2" not in found.table("queries")["query_id"]
