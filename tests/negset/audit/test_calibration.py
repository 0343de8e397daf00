"""Calibration on candidate frames written by hand, in which it can be counted what each threshold does."""

import numpy as np
import polars as pl
import pytest

from negset.audit.calibration import (
    NONE,
    CalibrationOptions,
    calibrate,
    gather_frames,
    kept_share,
    recommend,
    with_threshold,
)
from negset.audit.evidence import Evidence, sample_queries
from negset.audit.page import calibration_summary, render_calibration
from negset.errors import ConfigError
from negset.lots import id_keys
from negset.mining.recipe import load_recipe
from schemas.config import RecipeConfig

MINERS = ("dense",)
POSITIVES, OTHERS = 3, 20


def evidence_of(positive_Q, score_QN):
    """Give evidence of one miner: each query's positives score `positive_Q` and a bit less, its others `score_QN`."""
    queries, width = score_QN.shape
    rows = []
    for query in range(queries):
        scores = [positive_Q[query] - 0.001 * n for n in range(POSITIVES)] + score_QN[query].tolist()
        order = sorted(range(len(scores)), key=lambda n: (-scores[n], n))
        ranks = {n: rank for rank, n in enumerate(order, start=1)}
        lowest = min(scores[:POSITIVES])
        rows += [
            (query, query * (width + POSITIVES) + n, ranks[n], score, lowest, n < POSITIVES)
            for n, score in enumerate(scores)
        ]
    names = ["query", "doc", "rank", "score", "positive_score", "is_positive"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col("query", "doc").cast(pl.UInt32),
        pl.col("rank").cast(pl.Int32),
        miner=pl.lit("dense").cast(pl.Enum(MINERS)),
        is_own_text=pl.lit(value=False),
        judged=pl.lit(value=False),
    )
    own = {f"{name}_dense": pl.col(name) for name in ("rank", "score", "positive_score")}
    frame = frame.with_columns(**own)
    labels = frame.filter("is_positive").select("query", "doc", "score_dense")
    known = labels.select("query", "doc", unit=pl.int_range(pl.len(), dtype=pl.UInt32))
    ids = pl.Series([f"q{query:03d}" for query in range(queries)])
    docs = pl.Series([f"d{doc:05d}" for doc in range(queries * (width + POSITIVES))])
    table = pl.DataFrame({"query": pl.Series(range(queries), dtype=pl.UInt32), "query_id": ids}).with_columns(
        split=pl.lit("train"), cluster=pl.col("query"), words=pl.lit(3), asked=pl.lit(value=True)
    )
    return Evidence(
        blocks=lambda: iter([frame]),
        queries=table,
        labels=labels.join(known, on=["query", "doc"]),
        known=known,
        depths={"dense": width},
        looked={},
        by="dense",
        doc_ids=docs,
        query_keys=id_keys(ids),
        doc_keys=id_keys(docs),
        near_group=np.arange(len(docs), dtype=np.uint32),
    )


@pytest.fixture(scope="module")
def crowded():
    """50 queries; in 42 of them (84 %) every candidate scores just below the positive, as arctic's encoder does."""
    rng = np.random.default_rng(5)
    score_QN = rng.uniform(0.86, 0.89, (50, OTHERS))
    score_QN[:8] = rng.uniform(0.2, 0.8, (8, OTHERS))
    return evidence_of(np.full(50, 0.9), score_QN)


@pytest.fixture(scope="module")
def found(crowded):
    recipe = load_recipe(RecipeConfig(name="perc-pos", negatives=4))
    return calibrate([crowded], recipe, MINERS, 13, CalibrationOptions(), "crowded")


def setting_of(found, rule, value=None):
    return next(one for one in found.miners[0].settings if (one.rule, one.value) == (rule, value))


def test_the_usual_share_that_loses_84_percent_of_the_rows_is_named_as_such(found):
    usual = setting_of(found, "percent_of_positive", 0.95)
    assert usual.rows.lost == pytest.approx(0.84)
    assert not usual.meets
    (warning,) = [one for one in found.warnings if "percent_of_positive" in one]
    assert "the usual percent_of_positive 0.95 on scores of dense leaves 84.0% of the queries" in warning
    assert warning in " ".join(calibration_summary(found))
    assert "84.0%" in render_calibration(found)
    assert found.recommendation.setting != usual


def test_what_is_recommended_keeps_the_rows_and_the_target(found):
    best = found.recommendation
    assert best.found
    assert best.setting.rows.lost <= 0.1
    assert best.setting.rate.high <= 0.05
    meeting = [one for one in found.miners[0].settings if one.meets]
    assert best.setting.kept == max(one.kept for one in meeting)


def test_hidden_positives_return_where_nothing_holds_them(found):
    """A positive that scores above all others is the first negative once nobody knows it."""
    assert setting_of(found, NONE).rate.share == 1
    assert setting_of(found, NONE).kept == 1
    assert setting_of(found, "percent_of_positive", 0.95).returned == 0


def test_the_survival_curve_counts_candidates_and_no_positives(crowded):
    frames = gather_frames(crowded)
    assert frames.candidates.height == 50 * OTHERS
    scores = frames.candidates["score"].to_numpy()
    ceiling = 0.898 - 0.898 * 0.05
    assert kept_share(frames, "percent_of_positive", 0.95) == pytest.approx((scores <= ceiling).mean())
    assert kept_share(frames, "max_score", 0.5) == pytest.approx((scores <= 0.5).mean())
    assert kept_share(frames, "margin", 0.0) == 1
    assert kept_share(frames, NONE, None) == 1


def test_milder_settings_keep_more_and_lose_fewer_rows(found):
    for rule in ("percent_of_positive", "max_score"):
        rows = [one for one in found.miners[0].settings if one.rule == rule]
        assert [one.value for one in rows] == sorted(one.value for one in rows)
        assert [one.kept for one in rows] == sorted(one.kept for one in rows)
        assert [one.rows.lost for one in rows] == sorted((one.rows.lost for one in rows), reverse=True)


def test_a_target_that_nothing_meets_is_said_so(crowded):
    recipe = load_recipe(RecipeConfig(name="naive", negatives=4))
    strict = calibrate([crowded], recipe, MINERS, 13, CalibrationOptions(target_rate=0.0001), "crowded").recommendation
    assert not strict.found
    assert "no setting meets the target" in strict.reason
    assert strict.setting.rows.lost <= 0.1
    few = calibrate([crowded], recipe, MINERS, 13, CalibrationOptions(target_lost=0.0), "crowded")
    lossless = [one for one in few.miners[0].settings if one.rows.lost == 0]
    assert lossless
    harsh = few.miners[0].model_copy(
        update={"settings": tuple(one for one in few.miners[0].settings if one.rows.lost > 0)}
    )
    assert "every setting loses more rows" in recommend(harsh, few.options).reason


def test_without_positives_to_hide_nothing_is_recommended(crowded):
    one_each = pl.concat([crowded.known.filter(pl.col("query") == query).head(1) for query in range(50)])
    labels = crowded.labels.join(one_each.select("unit"), on="unit", how="semi")
    lonely = type(crowded)(**{**crowded.__dict__, "labels": labels, "known": one_each})
    recipe = load_recipe(RecipeConfig(name="perc-pos", negatives=4))
    best = calibrate([lonely], recipe, MINERS, 13, CalibrationOptions(), "lonely").recommendation
    assert not best.found
    assert "judge a sample instead" in best.reason


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("perc-pos", ["known_positive", "own_text", "positive_duplicate", "duplicate", "margin", "top"]),
        ("shifted", ["known_positive", "own_text", "positive_duplicate", "duplicate", "rank_window", "margin", "top"]),
    ],
)
def test_a_threshold_takes_the_place_of_the_recipes_own(name, places):
    recipe = load_recipe(RecipeConfig(name=name, negatives=4))
    bound = with_threshold(recipe, "margin", 0.1, "dense", MINERS, 13)
    assert [step.rule.name for step in bound.rules] == places
    assert bound.wanted == 4
    assert bound.rules[places.index("margin")].params.margin == 0.1
    assert "margin" not in [step.rule.name for step in with_threshold(recipe, NONE, None, "dense", MINERS, 13).rules]


def test_a_target_that_means_nothing_is_refused(crowded):
    recipe = load_recipe(RecipeConfig(name="perc-pos"))
    with pytest.raises(ConfigError, match=r"target rate 0\.0 must be above 0"):
        calibrate([crowded], recipe, MINERS, 13, CalibrationOptions(target_rate=0.0), "none")


def test_a_sample_of_queries_is_drawn_by_seed(crowded):
    part = sample_queries(crowded, 12, 1)
    chosen = set(part.queries.filter("asked")["query"].to_list())
    assert len(chosen) == 12
    assert set(pl.concat(part.blocks())["query"].to_list()) == chosen
    assert chosen == set(sample_queries(crowded, 12, 1).queries.filter("asked")["query"].to_list())
    assert chosen != set(sample_queries(crowded, 12, 2).queries.filter("asked")["query"].to_list())
    assert sample_queries(crowded, 0, 1) is crowded
