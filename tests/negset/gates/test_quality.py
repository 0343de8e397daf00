"""The pairs of each source that fit worst are left out, with their reason and a report; no source hides another."""

from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset import building
from negset.configuration import load_build_config
from negset.errors import ConfigError
from negset.gates.dropping import drop_identity
from negset.gates.quality import low_quality_queries, lowest_pairs, quality_checks
from negset.mining.miner import MiningInputs
from schemas.config import MineConfig
from schemas.gates import GatesConfig, PoisonConfig

SLIPPED = 5


def pairs_of(scores, source="a"):
    return pl.DataFrame(
        {"query": range(len(scores)), "doc": range(len(scores)), "source": source, "score": scores},
        schema={"query": pl.UInt32, "doc": pl.UInt32, "source": pl.String, "score": pl.Float64},
    )


def low(pairs, share):
    return lowest_pairs(pairs, share).filter("low").select("source", "query").rows()


def test_the_share_is_of_each_source():
    """The wrong version cuts at one score for all: it takes every pair of the source that scores low as a whole."""
    poor = pairs_of([0.1 + 0.001 * row for row in range(20)], "poor")
    good = pairs_of([0.8 + 0.001 * row for row in range(20)], "good")
    assert low(pl.concat([poor, good]), 0.1) == [("poor", 0), ("poor", 1), ("good", 0), ("good", 1)]


@pytest.mark.parametrize(
    ("rows", "share", "found"), [(10, 0.3, 3), (9, 0.3, 2), (3, 0.3, 0), (10, 0.29, 2), (4, 0.0, 0)]
)
def test_a_share_is_rounded_down_and_its_last_bits_do_not_count(rows, share, found):
    assert len(low(pairs_of([0.5] * rows), share)) == found


def test_of_equal_scores_the_last_goes_first():
    assert low(pairs_of([0.5, 0.5, 0.5]), 0.34) == [("a", 2)]


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(scores, chance):
    pairs = pairs_of(scores)
    turned = pairs[chance.sample(range(len(scores)), len(scores))]
    assert sorted(low(pairs, 0.4)) == sorted(low(turned, 0.4))


@pytest.fixture
def world(memory_snapshot, memory_vectors):
    """Give the inputs of 100 queries whose positive repeats their words, the last five of which were slipped in."""
    words = [f"topic{at} case{at}" for at in range(100)]
    bodies = [text if at < 100 - SLIPPED else "buy cheap gold now" for at, text in enumerate(words)]
    snapshot = memory_snapshot(
        documents={f"d{at:03}": text for at, text in enumerate(bodies)},
        queries={f"q{at:03}": text for at, text in enumerate(words)},
        labels=[*((f"q{at:03}", f"d{at:03}", 1) for at in range(100)), ("q099", "d099", 1)],
    )
    return MiningInputs(snapshot, MineConfig(), 13, query_vectors=memory_vectors(), document_vectors=memory_vectors())


def test_pairs_that_fit_nothing_are_the_lowest(world):
    found = low_quality_queries(world, PoisonConfig(drop_lowest=0.05), ())
    assert found["query_id"].to_list() == [f"q{at:03}" for at in range(95, 100)]
    assert found["reason"].unique().to_list() == ["low_quality"]


def test_a_query_with_another_positive_stays(memory_snapshot, memory_vectors):
    """The wrong version drops every query that has a low pair, and with it its good labels."""
    snapshot = memory_snapshot(
        documents={"d0": "red apple", "d1": "gold", "d2": "gold"},
        queries={"q0": "red apple", "q1": "blue whale"},
        labels=[("q0", "d0", 1), ("q0", "d1", 1), ("q1", "d2", 1)],
    )
    inputs = MiningInputs(snapshot, MineConfig(), 13, query_vectors=memory_vectors(), document_vectors=memory_vectors())
    found = low_quality_queries(inputs, PoisonConfig(drop_lowest=0.67), ())
    assert found["query_id"].to_list() == ["q1"]


def test_the_report_counts_by_source():
    snapshot = SimpleNamespace(
        queries=lambda: pl.DataFrame({"query_id": ["q0", "q1", "q2"]}),
        document_columns=lambda *_: pl.DataFrame({"metadata": ['{"site": "a"}', '{"site": "b"}', None]}),
        qrels=None,
    )
    fates = pl.DataFrame({"query_id": ["q0", "q1", "q2"], "reason": ["low_quality", None, "budget"]})
    labelled = pl.DataFrame({"query": [0, 1, 2], "doc": [0, 1, 2]}, schema={"query": pl.UInt32, "doc": pl.UInt32})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("negset.gates.quality.labelled_positives", lambda _: labelled)
        (report,) = quality_checks(snapshot, fates, PoisonConfig(drop_lowest=0.5, source="site"))
    assert report.passed
    assert report.scope.endswith("by the source of their first positive: a 1 of 1, all 0 of 1, b 0 of 1")
    assert report.value == pytest.approx(1 / 3, abs=1e-4)
    assert quality_checks(snapshot, fates, PoisonConfig()) == ()


def test_a_build_leaves_them_out_and_says_so(select, store, build_file):
    def dropped(*options):
        found = select(load_build_config(build_file, ['mine.miners=["dense"]', *options]), store)
        reasons = found.table("fates").filter(pl.col("fate") == "dropped").get_column("reason").cast(pl.String)
        return found, reasons.to_list()

    plain, nothing = dropped()
    lowest, some = dropped("gates.poison.drop_lowest=0.25")
    assert "low_quality" not in nothing
    asked = plain.table("fates").height
    assert some.count("low_quality") == int(0.25 * asked)
    assert lowest.ref.fingerprint != plain.ref.fingerprint
    assert drop_identity(GatesConfig()) == ()


def test_without_vectors_it_is_refused_before_anything_runs(build_file):
    config = load_build_config(build_file, ['mine.miners=["bm25"]', "gates.poison.drop_lowest=0.1"])
    with pytest.raises(ConfigError, match=r"gates\.poison\.drop_lowest .*add 'dense' to mine\.miners"):
        building.bind(config)
