"""Which recipes are tried, and what is said of those that cannot be."""

import pytest

from negset.errors import ConfigError
from negset.mining.recipe import shipped_recipes
from negset.probing.candidates import CURRENT, STEPS, list_candidates, recipe_label
from schemas.config import BuildConfig, MineConfig, RecipeConfig, SourceConfig


def _config(miners=("dense",), **recipe):
    return BuildConfig(
        name="a",
        source=SourceConfig(format="beir", path="x"),
        mine=MineConfig(miners=miners),
        recipe=RecipeConfig(**{"name": "perc-pos", **recipe}),
    )


def test_every_shipped_recipe_is_tried_or_left_out_with_a_reason():
    for miners in (("dense",), ("bm25",), ("dense", "bm25", "random")):
        found = list_candidates(_config(miners))
        tried = {one.config.recipe.name for one in found.tried} | {name.split()[0] for name in found.left_out}
        assert tried == set(shipped_recipes())
        assert all(found.left_out.values())


def test_the_configured_recipe_comes_first_and_once():
    found = list_candidates(_config(options={"percent_of_positive": {"share": 0.9}}))
    assert found.tried[0].name == CURRENT
    names = [one.name for one in found.tried]
    assert "perc-pos share=0.9" not in names
    assert {"perc-pos", "perc-pos share=0.99", "perc-pos share=0.8"} <= set(names)
    assert len(names) == len(set(names))


def test_each_step_of_an_option_changes_that_option_alone():
    found = {one.name: one for one in list_candidates(_config(negatives=7)).tried}
    for share in STEPS["percent_of_positive"]["share"]:
        if share != 0.95:
            rules = {step.rule.name: step.params for step in found[f"perc-pos share={share}"].bound.rules}
            assert rules["percent_of_positive"].share == share
            assert rules["top"].k == 7


def test_a_recipe_that_draws_random_documents_gets_them():
    found = {one.name: one for one in list_candidates(_config()).tried}
    assert found["star"].config.mine.miners == ("dense", "random")
    assert found["random"].config.mine.miners == ("dense",)
    assert found["random of the whole corpus"].config.mine.miners == ("random",)


def test_each_recipe_is_also_tried_on_what_its_basis_alone_proposes():
    found = list_candidates(_config(("dense", "bm25", "random"), by="bm25"))
    tried = {one.name: one.config.mine.miners for one in found.tried}
    assert tried["naive of bm25 alone"] == ("bm25",)
    assert tried["star of bm25 alone"] == ("bm25", "random")
    assert tried["naive"] == ("dense", "bm25", "random")
    assert not any("alone" in one.name for one in list_candidates(_config(("dense", "random"))).tried)


def test_a_recipe_that_needs_scores_is_left_out_where_there_are_none():
    found = list_candidates(_config(("random",), name="random"))
    left_out = {name.split()[0]: reason for name, reason in found.left_out.items()}
    assert "add a miner that gives scores" in left_out["naive"]


def test_named_recipes_alone_and_a_file_of_ones_own(tmp_path):
    own = tmp_path / "mine.toml"
    own.write_text('[[rules]]\nname = "rank_window"\nfirst = 3\n[[rules]]\nname = "top"\nk = 2\n')
    found = list_candidates(_config(), ["naive", str(own)])
    assert [one.name for one in found.tried[:2]] == [CURRENT, "naive"]
    assert f"{own} first=31" in [one.name for one in found.tried]


def test_an_unknown_name_is_an_error_that_knows_better():
    with pytest.raises(ConfigError, match="naiv"):
        list_candidates(_config(), ["naiv"])


def test_labels_say_what_differs():
    assert recipe_label(_config(options={"percent_of_positive": {"share": 0.9}})) == "perc-pos share=0.9"


def test_nobody_is_billed_for_a_recipe_that_was_not_named(tmp_path, monkeypatch):
    """The recipe of a language model runs where it is named or configured, never because it is shipped."""
    judged = tmp_path / "judged.toml"
    judged.write_text('[[rules]]\nname = "margin"\nby = "judge"\n[[rules]]\nname = "top"\n')
    monkeypatch.setattr("negset.probing.candidates.shipped_recipes", lambda: [str(judged)])
    found = list_candidates(_config())
    assert [one.name for one in found.tried] == [CURRENT]
    assert "may cost money" in found.left_out[str(judged)]
    assert str(judged) in [one.name for one in list_candidates(_config(), [str(judged)]).tried]
    assert len(list_candidates(_config(name=str(judged))).tried) == 1
