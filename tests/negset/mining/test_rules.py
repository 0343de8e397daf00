"""Promises of every rule, tested over the registry."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import Field

from negset.errors import ConfigError, UnknownRuleError
from negset.mining import rules as registry
from negset.mining.rules import (
    Params,
    SamplerParams,
    ScoreParams,
    find_rule,
    place,
    reject,
    relabel,
    rule,
    rules,
    weigh,
)

ALL = list(rules().values())
FILTERS = [found for found in ALL if found.kind == "filter"]
SAMPLERS = [found for found in ALL if found.kind == "sampler"]
LABELLERS = [found for found in ALL if found.kind == "labeller"]
WEIGHERS = [found for found in ALL if found.kind == "weigher"]
SCORERS = [found for found in ALL if found.kind == "scorer"]
SETTLED = [found for found in ALL if found.kind != "weigher"]
VERDICT = ["rejected_by", "rejected_value", "rejected_threshold"]
OWN = {
    "filter": VERDICT,
    "labeller": [*VERDICT, "relabelled"],
    "weigher": ["weight"],
    "sampler": ["position", "sample_prob"],
}
SEEDS = st.integers(0, 2**32 - 1)


def named(found):
    return found.name


def settings_of(found):
    """Give the default options and one set that bites."""
    biting = {
        "rank_window": {"first": 2, "last": 4},
        "max_score": {"threshold": 0.4},
        "mixture": {"hard": "top"},
        "adaptive_threshold": {"miners": "dense,bm25", "gate": "positive", "size": 3},
        "agreement": {"how": "mean_z", "miners": "bm25,cross_encoder"},
        "rank_fusion": {"miners": "cross_encoder,dense"},
        "vote": {"miners": "bm25,cross_encoder,dense"},
        "vote_spread": {"miners": "bm25,cross_encoder,dense"},
        "stale_first": {"most": 1},
        "relabel_above_positive": {"by": ""},
        "pseudo_positive": {"threshold": 0.4},
        "inverse_selection": {"most": 2.0},
        "simans": {"units": "raw", "by": "bm25", "offset": 1.0, "size": 3},
        "reward": {"by": ""},
        "score_strata": {"by": "cross_encoder", "borders": "0.05,0.5"},
        "ensemble": {"how": "cross", "miners": "dense,cross_encoder"},
    }
    return [found.params(), found.params.model_validate(biting.get(found.name, {}))]


def apply(found, frame, params):
    return found.apply(frame.lazy(), params).collect()


def test_the_registry_is_not_empty():
    assert {"known_positive", "own_text"} < {found.name for found in FILTERS}
    assert {"top", "uniform", "window", "softmax", "mixture"} <= {found.name for found in SAMPLERS}
    assert all((SCORERS, LABELLERS, WEIGHERS))


@pytest.mark.parametrize("found", ALL, ids=named)
def test_a_rule_is_named_as_its_file_and_has_a_test_file_of_its_own(found):
    assert found.apply.__module__ == f"negset.mining.{found.kind}s.{found.name}"
    assert found.apply.__name__ == found.name
    assert (Path(__file__).parent / f"{found.kind}s" / f"test_{found.name}.py").is_file()


@pytest.mark.parametrize("found", ALL, ids=named)
def test_a_rule_says_what_it_does_and_its_defaults_construct(found):
    summary = (found.apply.__doc__ or "").strip().splitlines()[0]
    assert summary.endswith(".")
    params = found.params()
    assert all(field.description for field in found.params.model_fields.values())
    assert isinstance(params, SamplerParams) == (found.kind == "sampler")


@pytest.mark.parametrize("found", ALL, ids=named)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_a_rule_keeps_rows_order_and_columns_and_fills_only_its_own(some_candidates, found, seed):
    frame = some_candidates(seed)
    own = OWN.get(found.kind, [])
    added = [f"score_{found.name}", f"positive_score_{found.name}"] if found.kind == "scorer" else []
    for params in settings_of(found):
        judged = apply(found, frame, params)
        assert {*judged.columns} - {*frame.columns} <= {*added}
        assert_frame_equal(judged.drop(own).drop(added, strict=False), frame.drop(own).drop(added, strict=False))


@pytest.mark.parametrize("found", SETTLED, ids=named)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_applying_a_rule_twice_is_applying_it_once(some_candidates, found, seed):
    for params in settings_of(found):
        once = apply(found, some_candidates(seed), params)
        assert_frame_equal(apply(found, once, params), once)


@pytest.mark.parametrize("found", ALL, ids=named)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, order=SEEDS)
def test_the_order_of_rows_does_not_matter(some_candidates, found, seed, order):
    frame = some_candidates(seed)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=order)
    for params in settings_of(found):
        judged = apply(found, shuffled, params).sort("query", "doc")
        assert_frame_equal(judged, apply(found, frame, params).sort("query", "doc"))


@pytest.mark.parametrize("found", ALL, ids=named)
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_queries_do_not_matter_to_each_other(some_candidates, found, seed):
    frame = some_candidates(seed)
    for params in settings_of(found):
        alone = [apply(found, part, params) for part in frame.partition_by("query", maintain_order=True)]
        assert_frame_equal(pl.concat(alone), apply(found, frame, params))


@pytest.mark.parametrize("found", FILTERS, ids=named)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_a_filter_keeps_an_earlier_reason_and_gives_its_name(some_candidates, found, seed):
    frame = some_candidates(seed)
    for params in settings_of(found):
        judged = apply(found, frame, params)
        earlier = frame["rejected_by"].is_not_null()
        assert_frame_equal(judged.filter(earlier), frame.filter(earlier))
        assert set(judged.filter(~earlier)["rejected_by"].drop_nulls()) <= {found.name}


@pytest.mark.parametrize("found", SAMPLERS, ids=named)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, k=st.integers(1, 6))
def test_a_sampler_takes_at_most_k_survivors_and_numbers_them_by_hardness(some_candidates, found, seed, k):
    judged = apply(found, some_candidates(seed), found.params(k=k))
    chosen = judged.drop_nulls("position")
    assert chosen["rejected_by"].null_count() == chosen.height
    for part in chosen.partition_by("query"):
        assert part.height <= k
        by_hardness = part.sort([-part["score"], "doc"], nulls_last=True) if part.height else part
        assert by_hardness["position"].to_list() == list(range(1, part.height + 1))
    assert judged.filter(judged["position"].is_null())["sample_prob"].null_count() == judged.height - chosen.height
    assert chosen["sample_prob"].drop_nulls().is_between(0, 1).all()


@pytest.mark.parametrize("found", LABELLERS, ids=named)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_a_labeller_relabels_what_it_rejects_and_nothing_that_people_judged(some_candidates, found, seed):
    frame = some_candidates(seed)
    for params in settings_of(found):
        judged = apply(found, frame, params)
        assert judged["relabelled"].to_list() == (judged["rejected_by"] == found.name).fill_null(False).to_list()
        assert not judged.filter("relabelled")["judged"].any()
        earlier = frame["rejected_by"].is_not_null()
        assert_frame_equal(judged.filter(earlier), frame.filter(earlier))


@pytest.mark.parametrize("found", WEIGHERS, ids=named)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_a_weigher_multiplies_by_what_is_finite_and_above_zero(some_candidates, found, seed):
    frame = some_candidates(seed)
    doubled = frame.with_columns(weight=pl.lit(2.0))
    for params in settings_of(found):
        judged = apply(found, frame, params)
        assert (judged["weight"].is_finite() & (judged["weight"] > 0)).all()
        assert_frame_equal(apply(found, doubled, params), judged.with_columns(pl.col("weight") * 2))


@pytest.mark.parametrize("found", SCORERS, ids=named)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_a_scorer_gives_a_score_and_the_lowest_of_the_positives(some_candidates, found, seed):
    frame = some_candidates(seed)
    for params in settings_of(found):
        judged = apply(found, frame, params)
        score, positive = f"score_{found.name}", f"positive_score_{found.name}"
        assert judged.schema[score] == judged.schema[positive] == pl.Float64
        for part in judged.partition_by("query"):
            lowest = part.filter("is_positive")[score].min()
            assert part[positive].unique().to_list() == [lowest]


@pytest.mark.parametrize("found", ALL, ids=named)
def test_no_candidate_and_a_single_one(candidates, found):
    one = candidates([0.5], positive_score_dense=0.8, score_cross_encoder=0.5, positive_score_cross_encoder=0.9)
    for params in settings_of(found):
        judged = apply(found, one, params)
        empty = apply(found, one.clear(), params)
        assert (judged.height, empty.height) == (1, 0)
        assert empty.schema == judged.schema
        assert found.kind == "weigher" or judged["weight"].to_list() == [1.0]


@pytest.mark.parametrize("found", [found for found in SAMPLERS if "seed" in found.params.model_fields], ids=named)
def test_a_seed_repeats_and_another_one_draws_otherwise(candidates, found):
    queries, docs = 40, 8
    rows = queries * docs
    frame = candidates(
        [0.9 - 0.01 * (at % docs) for at in range(rows)],
        query=[at // docs for at in range(rows)],
        doc=[at % docs for at in range(rows)],
        rank_random=[1 if at % 2 else None for at in range(rows)],
        positive_score_dense=0.9,
        score_bm25=[float(at % docs) for at in range(rows)],
        rank_bm25=1,
        positive_score_bm25=8.0,
        score_cross_encoder=0.5,
        positive_score_cross_encoder=0.9,
    )
    options = {"k": 2, "how": "cross"} if found.name == "ensemble" else {"k": 2}
    first, again, other = (apply(found, frame, found.params(seed=seed, **options)) for seed in (1, 1, 2))
    assert_frame_equal(first, again)
    assert first["position"].to_list() != other["position"].to_list()


def test_every_planted_labeller_and_weigher_bites(some_candidates):
    frames = [some_candidates(seed) for seed in range(30)]
    for found in LABELLERS:
        assert any(apply(found, frame, settings_of(found)[1])["relabelled"].any() for frame in frames), found.name
    for found in WEIGHERS:
        assert any((apply(found, frame, settings_of(found)[1])["weight"] != 1).any() for frame in frames), found.name


def test_every_planted_filter_bites(some_candidates):
    frames = [some_candidates(seed) for seed in range(30)]
    for found in FILTERS:
        params = settings_of(found)[1]
        assert any(found.name in apply(found, frame, params)["rejected_by"] for frame in frames), found.name


def test_an_unknown_rule_lists_the_known_ones_with_a_hint():
    with pytest.raises(
        UnknownRuleError, match=r"'margn' \(did you mean 'margin'\?\); known rules: adaptive_threshold, .*top"
    ):
        find_rule("margn")


def test_two_rules_of_one_name_are_an_error_naming_both_modules(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))

    def impostor(candidates: pl.LazyFrame, params: Params) -> pl.LazyFrame:
        return candidates

    impostor.__module__ = "somewhere.margin"
    with pytest.raises(ConfigError, match=r"'margin': in negset\.mining\.filters\.margin and in somewhere\.margin"):
        rule("margin", kind="filter", params=Params)(impostor)


def test_needs_follow_the_option_by():
    found = find_rule("margin")
    assert found.columns(found.params()) == ("score", "positive_score")
    assert found.columns(found.params(by="bm25")) == ("score_bm25", "positive_score_bm25")


def test_needs_follow_the_option_miners():
    found = find_rule("rank_fusion")
    assert found.columns(found.params()) == ("score",)
    assert found.columns(found.params(miners="bm25, guide,bm25")) == ("score_bm25", "score_guide")


def test_the_first_reason_wins_and_null_rejects(candidates):
    frame = candidates([0.9, 0.8, None]).lazy()
    high = pl.col("score") > 0.85
    judged = reject(
        reject(frame, high, "first", pl.col("score"), pl.lit(0.85)), pl.col("score") > 0, "second"
    ).collect()
    assert judged.select(VERDICT).rows() == [("first", 0.9, 0.85), ("second", None, None), ("first", None, 0.85)]


def test_place_counts_only_the_rows_among(candidates):
    frame = candidates([0.5, 0.9, 0.5, None], doc=[7, 1, 3, 2])
    assert frame.select(place(pl.col("doc") != 1)).to_series().to_list() == [2, None, 1, 3]


def test_params_refuse_what_they_do_not_know():
    class Options(ScoreParams):
        share: float = Field(1, description="share")

    with pytest.raises(ValueError, match="shar\n"):
        Options(shar=1)


def test_relabelling_rejects_and_calls_positive_what_nobody_judged(candidates):
    frame = candidates([0.9, 0.9, 0.9, 0.1, None], judged=[False, True, False, False, False])
    frame = frame.with_columns(rejected_by=pl.Series([None, None, "earlier", None, None], dtype=pl.String))
    judged = relabel(frame.lazy(), pl.col("score") > 0.5, "sure", value=pl.col("score")).collect()
    assert judged["relabelled"].to_list() == [True, False, False, False, False]
    assert judged["rejected_by"].to_list() == ["sure", None, "earlier", None, None]


def test_weights_multiply_and_a_null_factor_changes_nothing(candidates):
    frame = candidates([0.5, None, 0.2])
    weighed = weigh(weigh(frame.lazy(), pl.col("score")), pl.lit(2.0)).collect()
    assert weighed["weight"].to_list() == [1.0, 2.0, 0.4]
