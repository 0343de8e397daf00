import numpy as np
import polars as pl
import pytest

from negset import building
from negset.errors import ContractError, IncompatibleRuleError
from negset.mining.miner import FILES
from negset.mining.recipe import bind_recipe, load_recipe
from negset.mining.rules import rules
from negset.teaching import scoring
from negset.teaching.scoring import Scores, with_scores
from negset.teaching.teacher import OpenTeacher, Pairs, find_teacher, pack, teachers
from schemas.config import BuildConfig, RecipeConfig

SCORES = Scores(np.array([0, 3, 7]), np.array([0.5, np.nan, 0.9]))


def test_a_pair_that_was_not_scored_has_no_score():
    given = SCORES.of(np.array([7, 1, 0, 3, 8]))
    assert given[[0, 2]].tolist() == [0.9, 0.5]
    assert np.isnan(given[[1, 3, 4]]).all()
    assert np.isnan(Scores(np.empty(0, np.int64), np.empty(0)).of(np.array([1]))).all()


def test_scores_and_the_lowest_of_the_positives_stand_beside_the_candidates():
    frame = pl.DataFrame({"query": [0, 0, 1, 2], "doc": [0, 1, 3, 0]}, schema_overrides={"query": pl.UInt32})
    scores = Scores(np.array([0, 1, 2, 7]), np.array([0.5, 0.4, 0.9, 0.3]))
    labelled = pl.DataFrame({"query": [0, 0, 1], "doc": [0, 2, 0]}, schema_overrides={"query": pl.UInt32})
    (found,) = with_scores(iter([frame]), {"wise": scores}, labelled, (3, 4))
    assert found["score_wise"].to_list() == [0.5, 0.4, 0.3, None]
    assert found["positive_score_wise"].to_list() == [0.5, 0.5, None, None]


def test_a_packed_pair_keeps_the_order_of_query_and_document():
    pairs = Pairs(np.array([0, 0, 1]), np.array([1, 4, 0]))
    assert pack(pairs, 5).tolist() == [1, 4, 5]


@pytest.mark.parametrize("name", teachers())
def test_a_teacher_keeps_the_protocol_and_has_a_section_and_a_test_file(name):
    module = find_teacher(name)
    assert isinstance(module.VERSION, int)
    assert isinstance(module.PER_PAIR, bool)
    config = BuildConfig.model_validate({"name": "x", "source": {"format": "beir"}}).teach
    assert module.depth(config) >= 0
    assert (module.__doc__ or "").splitlines()[0].endswith(".")


def test_no_teacher_has_the_name_of_a_rule_or_a_miner():
    """Their scores would be one column."""
    assert not set(teachers()) & {*rules(), *FILES}


def test_a_recipe_that_reads_a_teacher_asks_for_it_and_no_other(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('[[rules]]\nname = "margin"\nby = "guide"\n[[rules]]\nname = "top"\n')
    bound = bind_recipe(load_recipe(RecipeConfig(name=str(path))), ["dense"], 1)
    assert bound.teachers == ("guide",)
    assert bind_recipe(load_recipe(RecipeConfig(name="naive")), ["dense"], 1).teachers == ()
    path.write_text('[[rules]]\nname = "margin"\nby = "gide"\n[[rules]]\nname = "top"\n')
    with pytest.raises(IncompatibleRuleError, match="score_gide"):
        bind_recipe(load_recipe(RecipeConfig(name=str(path))), ["dense"], 1)


class Infinite:
    VERSION = 1
    PER_PAIR = True

    def identity(self, _inputs, _config):
        return None

    def depth(self, _config):
        return 0

    def open_teacher(self, _inputs):
        return OpenTeacher(lambda pairs: np.full(len(pairs), np.inf))


def test_an_infinite_score_is_refused_by_name(select, store, beir, tmp_path, monkeypatch):
    path = tmp_path / "r.toml"
    path.write_text('[[rules]]\nname = "margin"\nby = "guide"\n[[rules]]\nname = "top"\n')
    config = BuildConfig.model_validate(
        {"name": "small", "source": {"format": "beir", "path": str(beir)}, "mine": {"miners": ["bm25"]}}
    )
    refs = select(config, store).refs
    monkeypatch.setattr(scoring, "find_teacher", lambda _name: Infinite())
    with pytest.raises(ContractError, match=r"'guide' gave \d+ scores that are infinite, first for \(q00,"):
        building.teach(config, refs, "guide", store)
