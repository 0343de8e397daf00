"""A world is what a build would be that never knew the hidden labels: compared with such builds, row for row."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from negset.audit import worlds as worlds_module
from negset.audit.evidence import open_evidence
from negset.audit.worlds import forget_units, make_worlds, select_worlds
from negset.mining.ledger import candidate_blocks
from negset.mining.selection import select_blocks
from negset.mining.selection_inputs import open_selection_inputs
from negset.store import Store
from negset.teaching.scoring import Scores
from schemas.teach import GuideConfig, TeachConfig
from tests.negset.audit.conftest import LABELS, MINERS

GIVEN_UP = [
    ("q0", "d07"),
    ("q0", "d28"),
    ("q1", "d08"),
    ("q1", "e01"),
    ("q3", "d04"),
    ("q3", "d39"),
    ("q5", "d13"),
    ("r1", "d36"),
]
RECIPES = ("naive", "perc-pos", "margin-pos", "shifted", "star", "random")


def units_of(evidence, pairs):
    ids = evidence.queries["query_id"].to_list(), evidence.doc_ids.to_list()
    coded = [(ids[0].index(query), ids[1].index(doc)) for query, doc in pairs]
    frame = pl.DataFrame(coded, schema={"query": pl.UInt32, "doc": pl.UInt32}, orient="row")
    return evidence.known.join(frame, on=["query", "doc"], how="semi")["unit"].unique().sort()


@pytest.fixture(scope="module")
def mined(mine_world, tmp_path_factory):
    return mine_world(Store(tmp_path_factory.mktemp("store")))


def without(pairs):
    return [label for label in LABELS if label[:2] not in pairs]


@pytest.mark.parametrize("partitions", [1, 3])
def test_forgetting_gives_the_blocks_of_a_build_that_never_knew(mine_world, tmp_path, partitions):
    known = mine_world(Store(tmp_path / "all"), partitions=partitions)
    fewer = mine_world(Store(tmp_path / "fewer"), without(GIVEN_UP), partitions=partitions)
    forgotten = forget_units(known.evidence, units_of(known.evidence, GIVEN_UP))
    expected = pl.concat(candidate_blocks(fewer.inputs, fewer.cells, fewer.store))
    assert_frame_equal(pl.concat(forgotten.blocks()), expected)
    scores = [name for name in expected.columns if name.startswith("score_")]
    assert_frame_equal(
        forgotten.labels.select("query", "doc", *scores).sort("query", "doc"),
        fewer.evidence.labels.select("query", "doc", *scores).sort("query", "doc"),
    )


def test_each_label_has_the_score_that_its_candidate_has(mined):
    frame = pl.concat(mined.evidence.blocks())
    for miner in ("dense", "bm25"):
        score = f"score_{miner}"
        both = mined.evidence.labels.join(frame, on=["query", "doc"], suffix="_there").drop_nulls(f"{score}_there")
        assert both.height > 5
        assert both[score].to_list() == both[f"{score}_there"].to_list()


@pytest.mark.parametrize("name", RECIPES)
def test_a_world_selects_what_a_build_without_the_hidden_labels_selects(mine_world, bound, mined, tmp_path, name):
    """Two worlds of one query at once; a mix-up of copies, of lots, of depths or of ceilings would show."""
    evidence = mined.evidence
    hidden = evidence.known.join(units_of(evidence, GIVEN_UP).to_frame("unit"), on="unit", how="semi")
    asked = evidence.queries.filter("asked").select("query")
    both = pl.concat([asked.with_columns(world=pl.lit(world)) for world in (0, 1)])
    worlds = make_worlds(both, hidden.select("query", "unit", world=pl.lit(1)).unique())
    recipe = bound(name)
    fewer = mine_world(Store(tmp_path / "fewer"), without(GIVEN_UP))
    for world, other in ((0, mined), (1, fewer)):
        groups = evidence.near_group
        inputs = open_selection_inputs(other.inputs.snapshot, recipe, groups)
        blocks = candidate_blocks(other.inputs, other.cells, other.store)
        expected = pl.concat(part.negatives for part in select_blocks(blocks, inputs, recipe))
        found = pl.concat(
            negatives.join(
                piece.copies.filter(pl.col("world") == world).select(
                    pl.col("copy").cast(pl.String).alias("query_id"), "query"
                ),
                on="query_id",
            )
            for block in evidence.blocks()
            for _, piece, negatives, _ in select_worlds(block, worlds, evidence, [recipe])
        )
        found = found.with_columns(query_id=evidence.queries["query_id"].gather(found["query"])).drop("query")
        assert expected.height > 10
        assert_frame_equal(found.sort("query_id", "rank"), expected.sort("query_id", "rank"))


def test_pieces_change_nothing(mined, bound, monkeypatch):
    recipe, evidence = bound("star"), mined.evidence
    asked = evidence.queries.filter("asked").select("query", world=pl.lit(0))
    hidden = evidence.known.filter(pl.col("unit") % 3 == 0).select("query", "unit", world=pl.lit(0)).unique()

    def selected():
        rows = []
        for block in evidence.blocks():
            for _, piece, negatives, _ in select_worlds(block, make_worlds(asked, hidden), evidence, [recipe]):
                copies = piece.copies.select(pl.col("copy").cast(pl.String).alias("query_id"), "query")
                rows += negatives.join(copies, on="query_id").select("query", "rank", "doc_id").rows()
        return sorted(rows)

    whole = selected()
    monkeypatch.setattr(worlds_module, "ROWS", 20)
    assert selected() == whole


@settings(max_examples=15)
@given(forgotten=st.lists(st.sampled_from([label[:2] for label in LABELS if label[2] > 0]), unique=True, max_size=12))
def test_forgetting_twice_is_forgetting_at_once(mined, forgotten):
    evidence = mined.evidence
    half = len(forgotten) // 2
    units = units_of(evidence, forgotten)
    at_once = forget_units(evidence, units)
    first = forget_units(evidence, units_of(evidence, forgotten[:half]))
    in_turn = forget_units(first, units)
    assert_frame_equal(pl.concat(in_turn.blocks()), pl.concat(at_once.blocks()))


def test_a_query_without_labels_is_asked_no_longer(mined):
    units = units_of(mined.evidence, [("q2", "d02")])
    left = forget_units(mined.evidence, units)
    row = left.queries["query_id"].to_list().index("q2")
    assert mined.evidence.queries["asked"][row]
    assert not left.queries["asked"][row]
    assert row not in pl.concat(left.blocks())["query"].to_list()
    assert MINERS == tuple(left.depths)
    assert np.array_equal(left.query_keys, mined.evidence.query_keys)


def test_a_teacher_does_not_know_a_hidden_label_either(mined):
    """It scored labels at any rank; without the label it would not have looked so deep."""
    inputs, width = mined.inputs, len(mined.evidence.doc_ids)
    frame = pl.concat(mined.evidence.blocks()).select("query", "doc")
    pairs = pl.concat([frame, mined.evidence.labels.select("query", "doc")]).unique().sort("query", "doc")
    packed = pairs["query"].to_numpy().astype(np.int64) * width + pairs["doc"].to_numpy()
    scores = Scores(packed, (packed % 97) / 97.0)
    teach = TeachConfig(guide=GuideConfig(depth=2))
    taught = open_evidence(inputs, mined.cells, mined.store, "", None, {"guide": scores}, teach)
    units = units_of(taught, GIVEN_UP)
    found = pl.concat(forget_units(taught, units).blocks())
    left = taught.labels.filter(~pl.col("unit").is_in(units.implode()))
    lowest = left.group_by("query").agg(pl.col("score_guide").min())
    told = found.select("query", "positive_score_guide").unique().join(lowest, on="query")
    assert told.height == found["query"].n_unique() > 3
    assert told["positive_score_guide"].to_list() == told["score_guide"].to_list()
    near = pl.any_horizontal(pl.col(f"rank_{miner}") <= 2 for miner in MINERS)
    seen = found.filter(near.fill_null(value=False) | pl.col("is_positive"))
    assert not seen["score_guide"].null_count()
    assert seen.height + found["score_guide"].null_count() == found.height
    hidden = found.join(taught.known.filter(pl.col("unit").is_in(units.implode())), on=["query", "doc"])
    assert hidden["score_guide"].null_count()
