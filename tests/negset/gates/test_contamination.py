"""Five exact and five near copies of evaluation texts are found, each by the measure that sees it; clean rows pass."""

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.gates.contamination import (
    contamination_checks,
    find_pairs,
    same_ids,
    training_queries,
)
from negset.gates.evaluation import SCHEMA, held_out_queries
from schemas.gates import ContaminationConfig, GatesConfig

DEFAULT = GatesConfig()
TESTED = [
    "The cat sat on the old mat and looked at the moon all night long",
    "Which river flows through the capital of Austria?",
    "how to boil an egg",
    "Vitamin D lowers the risk of falls in older people who live at home",
    "ärzte ohne grenzen",
]
EXACT = [text.upper() if place % 2 else text.replace(" ", "  ") for place, text in enumerate(TESTED)]
NEAR = [
    # 13 of its words in a row, in another sentence: the raw split at spaces misses it at `long,`
    'Once, "the cat sat on the old mat and looked at the moon all night long", and then it slept for the rest of it',
    "which river flows through the capital of austria",
    "How to boil an egg?!",
    # one word of fourteen is another, in the middle of no run of 13, so that shingles alone see it
    "Vitamin D lowers the risk of falls in older people who live at home alone",
    "Ärzte - ohne - Grenzen",
]


def texts(values, ids=None, file="split test"):
    frame = pl.DataFrame(
        {"id": ids or [None] * len(values), "text": values}, schema={"id": pl.String, "text": pl.String}
    )
    return frame.with_columns(file=pl.lit(file)).select(*SCHEMA)


def asked(values, split="train"):
    return pl.DataFrame(
        {"query_id": [f"q{place:02}" for place in range(len(values))], "text": values, "split": [split] * len(values)}
    )


def documents(values):
    return pl.DataFrame({"id": [f"d{place:02}" for place in range(len(values))], "text": values})


def results(queries, told, evaluation, config=DEFAULT):
    return {check.name: check for check in contamination_checks(queries, told, evaluation, config)}


def clean(count, seed, words=8):
    draw = random.Random(seed)
    return [" ".join(f"w{draw.randrange(400)}" for _ in range(words)) for _ in range(count)]


def test_five_exact_and_five_near_copies_among_clean_queries():
    rows = clean(300, 1) + EXACT + NEAR
    found = results(asked(rows), documents(clean(50, 3)), texts(TESTED + clean(200, 2)))
    exact, near = found["queries_evaluated"], found["queries_nearly_evaluated"]
    assert (exact.passed, exact.severity, exact.unexpected) == (False, "critical", 5)
    assert [row["query_id"] for row in exact.rows] == [f"q{place}" for place in range(300, 305)]
    assert (near.passed, near.severity, near.unexpected) == (False, "warning", 5)
    assert [row["query_id"] for row in near.rows] == [f"q{place}" for place in range(305, 310)]
    assert [row["evaluation"] for row in near.rows] == [text[:60] for text in TESTED]
    assert {row["how"] for row in near.rows} == {"all words", "13 words in a row"}
    assert found["documents_evaluated"].passed


def test_clean_rows_pass():
    found = results(asked(clean(500, 1)), documents(clean(500, 3, words=40)), texts(clean(500, 2)))
    assert all(check.passed for check in found.values())
    assert found["queries_evaluated"].scope == "500 against 500 evaluation texts"


@pytest.mark.parametrize(
    ("ours", "how"),
    [
        ("a b c d e f g h i j k l m", "13 words in a row"),
        ("z a b c d e f g h i j k l M! z", "13 words in a row"),
        ("a b c d e f g h i j k l", None),  # twelve words of sixteen: Jaccard .71
        ("a b c d e f g h i j k l x n o p", None),  # a run of twelve
        ("b c d e f g h i j k l, n o p q", None),
        ("a b c d e f g h i j k l m n o p.", "all words"),
        ("A b c d e f g h i j k l m n o p", "exact"),
    ],
)  # fmt: skip
def test_the_edge_of_a_run(ours, how):
    pairs = find_pairs(documents([ours]), texts(["a b c d e f g h i j k l m n o p"]), ContaminationConfig())
    assert pairs["how"].to_list() == ([how] if how else [])


@pytest.mark.parametrize(
    ("kept", "found"),
    [(10, True), (9, True), (8, False)],  # of ten shingles of twelve words; ours repeats the first words and stops
)
def test_the_edge_of_similarity(kept, found):
    theirs = "a b c d e f g h i j k l"
    ours = " ".join(theirs.split()[: kept + 2]) + ("" if kept == 10 else " z")
    expected = kept / (10 + (0 if kept == 10 else 1))  # ours has one shingle more, which ends in z
    assert (expected >= 0.8) == found
    pairs = find_pairs(documents([ours]), texts([theirs]), ContaminationConfig(words=30))
    assert pairs.height == int(found)


def test_two_of_ours_that_are_alike_are_no_pair_and_neither_are_two_of_theirs():
    """A join of all texts with themselves would find these."""
    twin, other = "one two three four five six", "red green blue black white gold"
    pairs = find_pairs(documents([twin, twin + "!"]), texts([other, other + "?"]), ContaminationConfig())
    assert pairs.height == 0


def test_each_of_ours_is_there_once_by_its_strongest_match():
    pairs = find_pairs(
        documents(["how to boil an egg"]), texts(["How to boil: an egg", "HOW TO BOIL AN EGG"]), ContaminationConfig()
    )
    assert pairs.rows() == [("d00", "split test", "HOW TO BOIL AN EGG", "exact")]


@settings(max_examples=5)
@given(st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(draw):
    ours, theirs = EXACT + NEAR + clean(20, 1), TESTED + clean(20, 2)
    rows, frame = list(range(len(ours))), documents(ours)
    draw.shuffle(rows)
    expected = find_pairs(frame, texts(theirs), ContaminationConfig())
    assert find_pairs(frame[rows], texts(theirs), ContaminationConfig()).equals(expected)


def test_held_out_queries_evaluate_and_are_no_training_rows():
    """The set may hold negatives for test queries too; equal texts there are no leak."""
    queries = pl.concat([asked(TESTED, "test"), asked(["only mine"], "train"), asked(["by fold"], "fold-3")])
    evaluation = held_out_queries(queries)
    assert evaluation["text"].to_list() == TESTED
    assert evaluation["file"].unique().to_list() == ["split test"]
    assert training_queries(queries)["text"].to_list() == ["only mine", "by fold"]
    assert results(queries, documents(["x"]), evaluation)["queries_evaluated"].passed


def test_a_document_that_is_an_evaluation_query_fails_and_one_that_quotes_it_warns():
    told = documents([TESTED[1].lower(), f"Q: {TESTED[0]} A: yes", *clean(30, 4)])
    found = results(asked(clean(5, 1)), told, texts(TESTED))
    exact, near = found["documents_evaluated"], found["documents_nearly_evaluated"]
    assert (exact.severity, [row["doc_id"] for row in exact.rows]) == ("critical", ["d00"])
    assert (near.severity, [row["doc_id"] for row in near.rows]) == ("warning", ["d01"])


def test_ids_count_only_where_a_file_gives_them():
    ours = training_queries(asked(["alpha", "beta", "gamma"]))
    own = texts(["x"], ids=["q00"])  # a split of the same source: its ids are other queries' by definition
    assert same_ids(ours, own).height == 0
    found = same_ids(ours, texts(["x", "y"], ids=["q01", "z"], file="bench.jsonl"))
    assert found.rows() == [("q01", "bench.jsonl", "q01", "id")]


def test_what_should_have_been_dropped_fails_where_it_is_still_there():
    near = GatesConfig(contamination=ContaminationConfig(near="drop"))
    found = results(asked([NEAR[2]]), documents(["x"]), texts(TESTED), near)
    assert found["queries_nearly_evaluated"].severity == "critical"


def test_a_check_that_is_off_is_not_in_the_report():
    options = ContaminationConfig(near="off", documents="off", near_documents="off")
    found = results(asked(EXACT), documents(["x"]), texts(TESTED), GatesConfig(contamination=options))
    assert set(found) == {"queries_evaluated", "queries_evaluated_id"}


def test_the_first_twenty_of_many_are_named_and_all_are_counted():
    found = results(asked(TESTED * 10), documents(["x"]), texts(TESTED))["queries_evaluated"]
    assert (found.unexpected, len(found.rows)) == (50, 20)


def test_nothing_to_compare_passes():
    found = results(asked(["a"]), documents(["b"]), texts([]))
    assert all(check.passed for check in found.values())


def test_two_of_ours_that_are_alike_and_made_of_two_of_theirs_are_no_pair():
    """Nearly all of their shingles are known, but no one text has them."""
    first, second = "a b c d e f g h i j k l", "m n o p q r s t u v w x"
    both = [f"{first} {second}", f"{first}, {second}!"]
    assert find_pairs(documents(both), texts([first, second]), ContaminationConfig()).height == 0
