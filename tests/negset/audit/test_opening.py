import pytest

from negset.audit.opening import bind_all, recipe_configs, teacher_notes
from negset.errors import ConfigError
from schemas.config import BuildConfig, MineConfig, RecipeConfig, SourceConfig
from schemas.refs import LedgerRefs, MiningRefs, ScoresRef, SnapshotRef


def config(**recipe):
    return BuildConfig(
        name="set",
        source=SourceConfig(format="beir", path="x"),
        mine=MineConfig(miners=("dense", "bm25")),
        recipe=RecipeConfig(**recipe),
    )


def test_all_recipes_want_as_many_and_compare_by_the_same_miner():
    own = config(name="perc-pos", by="bm25", negatives=7, options={"percent_of_positive": {"share": 0.8}})
    bound = bind_all(recipe_configs(own, ["naive", "perc-pos", "margin-pos"]))
    assert [recipe.name for recipe in bound] == ["naive", "perc-pos", "margin-pos"]
    assert {(recipe.wanted, recipe.by) for recipe in bound} == {(7, "bm25")}
    shares = [step.params.share for step in bound[1].rules if step.rule.name == "percent_of_positive"]
    assert shares == [0.8]


def test_without_names_it_is_the_configs_own_and_the_reference():
    assert [recipe.name for recipe in bind_all(recipe_configs(config()))] == ["perc-pos", "naive"]
    assert [recipe.name for recipe in bind_all(recipe_configs(config(name="naive")))] == ["naive"]


def test_a_recipe_of_ones_own_is_named_by_its_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[[rules]]\nname = "top"\nk = 9\n')
    bound = bind_all(recipe_configs(config(name=str(path)), ["mine", "naive"]))
    assert [(recipe.name, recipe.wanted) for recipe in bound] == [("mine", 9), ("naive", 9)]
    with pytest.raises(ConfigError, match="told apart by their names; these are mine, mine"):
        recipe_configs(config(name=str(path)), ["mine", str(path)])


def test_teachers_that_are_fitted_on_labels_are_named():
    def ref(kind):
        return kind(fingerprint="a", content="b", rows=1)

    scores = {name: ref(ScoresRef) for name in ("guide", "relevance", "cross_encoder")}
    refs = LedgerRefs(mining=MiningRefs(snapshot=ref(SnapshotRef)), cells={}, scores=scores)
    (note,) = teacher_notes(refs)
    assert note.startswith("the teacher relevance may have learned")
