import numpy as np
import polars as pl
import pytest

from negset.errors import ConfigError, ContractError
from negset.mining.recipe import bind_recipe, load_recipe
from negset.mining.selection_inputs import needs_near_groups, open_selection_inputs, query_leaks
from schemas.config import RecipeConfig


def naive(name="naive"):
    return bind_recipe(load_recipe(RecipeConfig(name=name)), ["dense"], 13)


def unguarded(tmp_path):
    path = tmp_path / "plain.toml"
    path.write_text("[[rules]]\nname = 'top'\n")
    return naive(str(path))


def leaks(*rows):
    frame = pl.DataFrame(rows, schema=["query_id", "split", "text_sha256"], orient="row")
    return sorted(query_leaks(frame)["query_id"])


@pytest.mark.parametrize(
    ("splits", "stays"),
    [
        (("train", "test"), "test"),
        (("train", "dev"), "dev"),
        (("dev", "test"), "test"),
        (("validation", "test", "train"), "test"),
        (("validation", "train"), "validation"),
        (("other", "train"), "other"),
        (("other", "dev"), "dev"),
        (("zebra", "apple"), "apple"),
        (("dev", "validation"), "dev"),
    ],
)
def test_a_leak_is_dropped_from_all_but_the_most_held_out_split(splits, stays):
    rows = [(split, split, b"same") for split in splits]
    expected = sorted(set(splits) - {stays})
    assert leaks(*rows) == leaks(*reversed(rows)) == expected


def test_twins_within_a_split_and_other_texts_stay():
    assert leaks(("a", "train", b"x"), ("b", "train", b"x"), ("c", "test", b"y")) == []
    assert leaks(("a", "train", b"x"), ("b", "train", b"x"), ("c", "test", b"x")) == ["a", "b"]


@pytest.fixture
def snapshot(memory_snapshot):
    return memory_snapshot(
        documents={"d1": "one", "d2": "two", "d3": "ONE ", "d4": "four"},
        queries={"q1": "Who?", "q2": "who?", "q3": "what", "q4": "when"},
        labels=[("q1", "d1", 1), ("q2", "d2", 1), ("q4", "d4", 0)],
        splits={"q2": "test", "q4": "test"},
    )


def reasons(inputs):
    return dict(inputs.queries.select("query_id", "reason").iter_rows())


def test_reasons_to_drop_a_query_before_its_candidates(snapshot, tmp_path):
    inputs = open_selection_inputs(snapshot, unguarded(tmp_path))
    assert reasons(inputs) == {"q1": "query_leak", "q2": None, "q3": "no_positive", "q4": "no_positive"}
    kept = open_selection_inputs(snapshot, unguarded(tmp_path), drop_leaks=False)
    assert reasons(kept) == {"q1": None, "q2": None, "q3": "no_positive", "q4": "no_positive"}


def test_a_leak_counts_though_its_other_split_is_not_mined(snapshot, tmp_path):
    inputs = open_selection_inputs(snapshot, unguarded(tmp_path), splits=["train"])
    assert inputs.queries["asked"].to_list() == [True, False, True, False]
    assert reasons(inputs)["q1"] == "query_leak"


def test_an_unknown_split_is_an_error_with_a_hint(snapshot, tmp_path):
    with pytest.raises(ConfigError, match=r"'trian' \(did you mean 'train'\?\); the source has test, train"):
        open_selection_inputs(snapshot, unguarded(tmp_path), splits=["trian"])


def test_near_positives_are_the_groups_of_all_known_positives(snapshot):
    # d3 is a text twin of d1; q1 and q2 have the same text, so both positives count for both.
    near = np.array([0, 1, 0, 3], np.uint32)
    inputs = open_selection_inputs(snapshot, naive(), near)
    pairs = [(int(pair) >> 32, int(pair) & 0xFFFFFFFF) for pair in inputs.near_positives]
    assert pairs == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_near_groups_are_asked_for_where_a_rule_reads_them(snapshot, tmp_path):
    assert needs_near_groups(naive())
    assert not needs_near_groups(unguarded(tmp_path))
    with pytest.raises(ContractError, match="no near-duplicates were given"):
        open_selection_inputs(snapshot, naive())
