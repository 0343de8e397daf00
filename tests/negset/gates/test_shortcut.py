"""What a classifier can tell without the query fails; clean worlds, popular positives and hubs pass."""

import random

import numpy as np
import polars as pl
import pytest

from negset.gates.shortcut import LEAST_TEXTS, form_of, sample_texts, separate, shortcut_checks, word_counts
from schemas.gates import ShortcutConfig

CONFIG = ShortcutConfig()


def world(write_sentence, seed=0, texts=600, words=30, share=0.5):
    """Documents of one kind, of which some are positives, some negatives, and some both."""
    draw = random.Random(seed)
    rows = []
    for place in range(texts):
        text = write_sentence(draw, draw.randint(words // 2, words * 2))
        rows.append((f"d{place:04}", text, draw.random() < share, draw.random() < share))
    return pl.DataFrame(rows, schema=["doc_id", "text", "positive", "negative"], orient="row")


def only_negative(change):
    """Give a plant that changes the texts that are negatives alone."""
    here = pl.col("negative") & ~pl.col("positive")
    return lambda frame: frame.with_columns(text=pl.when(here).then(change).otherwise("text"))


TEXT = pl.col("text")
PLANTS = {
    "marker at the end": (only_negative(TEXT + " [gen]"), "gen", None),
    "marker at the start": (only_negative("qqzx " + TEXT), "qqzx", None),
    "short negatives": (only_negative(TEXT.str.slice(0, 60)), None, "length"),
    "style: no capitals": (
        lambda frame: only_negative(TEXT)(frame).with_columns(
            text=pl.when(pl.col("positive")).then(TEXT.str.to_titlecase()).otherwise(TEXT)
        ),
        None,
        "capitals",
    ),
    "position: ends a sentence": (only_negative(TEXT + "."), ".", None),
}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_shortcut_fails_and_is_named(write_sentence, name):
    plant, word, form = PLANTS[name]
    # no text is on both sides: the artefact is in every negative
    disjoint = world(write_sentence).with_columns(positive=pl.col("positive") & ~pl.col("negative"))
    check = shortcut_checks(plant(disjoint), CONFIG, 13)[0]
    assert (check.passed, check.severity) == (False, "critical")
    assert check.value > 0.95
    assert check.threshold == 0.8
    if word:
        assert word in check.advice.split(";")[0]
    if form:
        assert f"form: {form}" in check.advice
    bad = disjoint.filter(pl.col("negative"))["doc_id"].to_list()
    assert check.rows
    assert all(row["doc_id"] in bad for row in check.rows)


def test_a_marker_in_four_of_ten_negatives_warns(write_sentence):
    disjoint = world(write_sentence, texts=2000).with_columns(positive=pl.col("positive") & ~pl.col("negative"))
    here = pl.col("negative") & pl.col("doc_id").str.contains("[1379]$")  # four of ten
    marked = disjoint.with_columns(text=pl.when(here).then(TEXT + " qqzx").otherwise("text"))
    check = shortcut_checks(marked, CONFIG, 13)[0]
    assert (check.passed, check.severity, check.threshold) == (False, "warning", 0.65)


@pytest.mark.parametrize("seed", range(20))
def test_clean_worlds_pass(write_sentence, seed):
    assert shortcut_checks(world(write_sentence, seed, texts=300), CONFIG, 13)[0].passed


def test_memory_is_no_artefact(write_sentence):
    """Positives that repeat under other ids: a fold by row or by id would recognise them and fail."""
    base = world(write_sentence, texts=120).with_columns(negative=~pl.col("positive"))
    copies = pl.concat([base.with_columns(doc_id=pl.col("doc_id") + f"-{copy}") for copy in range(8)])
    drawn = sample_texts(copies, 10_000, 13)
    assert drawn.height == 120
    by_row = copies.with_columns(fold=pl.Series(np.arange(copies.height) // 120 % 3))
    assert separate(by_row).auc > CONFIG.fail_above
    assert separate(drawn).auc < 0.65


def test_texts_on_both_sides_say_nothing(write_sentence):
    both = world(write_sentence).with_columns(positive=pl.lit(value=True), negative=pl.lit(value=True))
    assert separate(sample_texts(both, 10_000, 13)).auc == 0.5


def test_few_texts_say_nothing_and_say_so(write_sentence):
    few = world(write_sentence, texts=LEAST_TEXTS)
    check = PLANTS["marker at the end"][0](few)
    found = shortcut_checks(check, CONFIG, 13)[0]
    assert found.passed
    assert found.value is None
    assert found.scope == f"fewer than {LEAST_TEXTS} texts on a side: not measured"


def test_the_sample_is_bounded_seeded_and_blind_to_order(write_sentence):
    documents = world(write_sentence, texts=900)
    drawn = sample_texts(documents, 100, 13)
    assert 100 <= drawn.height <= 200
    assert drawn.equals(sample_texts(documents.reverse(), 100, 13))
    assert not drawn.equals(sample_texts(documents, 100, 14))
    assert separate(drawn).auc == separate(sample_texts(documents.reverse(), 100, 13)).auc
    assert set(drawn["fold"].to_list()) == {0, 1, 2}


def test_policies(write_sentence):
    marked = PLANTS["marker at the end"][0](world(write_sentence).with_columns(positive=~pl.col("negative")))
    assert shortcut_checks(marked, ShortcutConfig(policy="off"), 13) == ()
    warned = shortcut_checks(marked, ShortcutConfig(policy="warn"), 13)[0]
    assert (warned.passed, warned.severity) == (False, "warning")
    lenient = shortcut_checks(marked, ShortcutConfig(warn_above=1, fail_above=1), 13)[0]
    assert lenient.passed


def test_words_that_one_text_has_are_no_feature():
    matrix, names = word_counts(pl.Series(["red fish Red", "red bird", "blue"]))
    assert names == ["red"]
    assert matrix.toarray().tolist() == [[1.0], [1.0], [0.0]]
    matrix, names = word_counts(pl.Series(["red fish!", "Fish red?", ""]))
    assert names == ["fish", "red"]
    assert matrix.toarray()[0].tolist() == pytest.approx([0.5**0.5, 0.5**0.5])


def test_form_reads_the_whole_text_and_survives_an_empty_one():
    forms = form_of(pl.Series(["", "Ab c. 12\n" * 1000]))
    assert forms["length"][1] == pytest.approx(np.log1p(9000))
    assert forms["words"][1] == pytest.approx(np.log1p(3000))
    assert forms["digits"].tolist() == pytest.approx([0, 2 / 9])
    assert all(np.isfinite(column).all() for column in forms.values())
