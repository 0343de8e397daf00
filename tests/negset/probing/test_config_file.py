"""The recipe goes into the file; comments, order and everything else stay."""

import tomllib

import pytest

from negset.errors import ConfigError
from negset.probing.config_file import chosen_lines, edit_config, written_recipe
from schemas.config import BuildConfig

FILE = """\
# My build.
name = "small"            # do not rename

[source]
format = "beir"
path = "a # b"            # not a comment before this

[mine]
miners = ["dense"]        # one is enough

[recipe]
name = "perc-pos"         # the usual
negatives = 5

[recipe.options.percent_of_positive]
share = 0.95              # from the paper

[gates]
min_full_share = 0.25
"""


def _chosen(text=FILE, name="naive", options=None, miners=None):
    config = BuildConfig.model_validate(tomllib.loads(text))
    mine = config.mine.model_copy(update={"miners": miners or config.mine.miners})
    recipe = config.recipe.model_copy(update={"name": name, "options": options or {}})
    return config.model_copy(update={"mine": mine, "recipe": recipe})


def _changed(before, after):
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def test_the_name_changes_and_options_of_the_old_recipe_go():
    edited = edit_config(FILE, _chosen())
    gone, come = _changed(FILE, edited)
    assert come == ['name = "naive"         # the usual']
    assert gone == [
        'name = "perc-pos"         # the usual',
        "[recipe.options.percent_of_positive]",
        "share = 0.95              # from the paper",
    ]


def test_an_option_that_stays_is_changed_in_its_line():
    edited = edit_config(FILE, _chosen(name="nv-retriever", options={"percent_of_positive": {"share": 0.9}}))
    assert "share = 0.9              # from the paper" in edited.splitlines()


def test_new_options_and_miners_are_put_in():
    chosen = _chosen(name="star", options={"mixture": {"random_ratio": 0.25}}, miners=("dense", "random"))
    edited = edit_config(FILE, chosen)
    read = tomllib.loads(edited)
    assert read["recipe"] == {"name": "star", "negatives": 5, "options": {"mixture": {"random_ratio": 0.25}}}
    assert 'miners = ["dense", "random"]        # one is enough' in edited.splitlines()
    assert BuildConfig.model_validate(read) == chosen


def test_a_file_without_these_sections_gets_them():
    text = 'name = "small"\n[source]\nformat = "beir"\n'
    chosen = _chosen(text, name="star", options={"mixture": {"hard": "top"}}, miners=("dense", "random"))
    assert BuildConfig.model_validate(tomllib.loads(edit_config(text, chosen))) == chosen
    assert edit_config(text, chosen).startswith(text)


def test_writing_twice_changes_nothing_more():
    chosen = _chosen(name="shifted", options={"rank_window": {"first": 6}})
    once = edit_config(FILE, chosen)
    assert edit_config(once, chosen) == once


@pytest.mark.parametrize(
    "text",
    [
        'name = "a"\nrecipe = { name = "perc-pos" }\n[source]\nformat = "beir"\n',
        'name = "a"\n[source]\nformat = "beir"\n[recipe]\nname = "perc-pos"\noptions = { margin = { margin = 0.1 } }\n',
        'name = "a"\n[source]\nformat = "beir"\n[recipe]\nname = """\nperc-pos"""\n',
        'name = "a"\n[source]\nformat = "beir"\n[mine]\nminers = [\n  "dense",\n]\n[recipe]\nname = "perc-pos"\n',
    ],
)
def test_a_layout_that_lines_cannot_change_is_left_alone(text):
    """Better a refusal with the lines to put in than a file that says something else."""
    chosen = _chosen(text, name="star", miners=("dense", "random"))
    with pytest.raises(ConfigError, match=r"put in yourself:\n\[mine\]"):
        edit_config(text, chosen)


def test_lines_to_put_in_say_the_same():
    chosen = _chosen(name="star", options={"mixture": {"random_ratio": 0.25}}, miners=("dense", "random"))
    read = tomllib.loads(chosen_lines(chosen))
    assert read["mine"] == {"miners": ["dense", "random"]}
    assert read["recipe"] == {"name": "star", "options": {"mixture": {"random_ratio": 0.25}}}


def test_the_file_of_a_recipe_is_named_from_the_build_file(tmp_path):
    recipe = tmp_path / "recipes" / "own.toml"
    chosen = _chosen(name=str(recipe))
    assert written_recipe(chosen, tmp_path / "build.toml").recipe.name == "recipes/own.toml"
    assert written_recipe(chosen, tmp_path / "other" / "build.toml").recipe.name == recipe.as_posix()
