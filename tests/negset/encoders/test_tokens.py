import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.encoders.tokens import bag_tokens, count_matrix, normalise_rows, tokenise


def test_words_are_lower_case_runs_of_two_or_more_letters_or_digits():
    assert tokenise(["The cat's 42 x-rays, naïve_B cells", "!?"]).to_list() == [
        ["the", "cat", "42", "rays", "naïve_b", "cells"],
        [],
    ]


def test_bags_keep_text_order_and_multiplicity_and_leave_unknown_words_out():
    bags = bag_tokens(["dog cat dog bird", "", "cat"], ["cat", "dog"])

    assert bags.ids.tolist() == [1, 0, 1, 0]
    assert bags.offsets.tolist() == [0, 3, 3, 4]


def test_counts_add_up_the_same_word():
    counts = count_matrix(bag_tokens(["dog cat dog", "bird"], ["cat", "dog"]), 2)

    assert counts.toarray().tolist() == [[1, 2], [0, 0]]
    assert counts.indices.tolist() == [0, 1]


def test_a_text_longer_than_others_does_not_shift_their_rows():
    texts = ["aa " * 1000, "bb", "", "aa bb"]

    assert count_matrix(bag_tokens(texts, ["aa", "bb"]), 2).toarray().tolist() == [[1000, 0], [0, 1], [0, 0], [1, 1]]


def test_an_empty_vocabulary_gives_empty_bags():
    assert bag_tokens(["some words"], []).offsets.tolist() == [0, 0]


def test_rows_are_scaled_to_length_one_and_zero_or_broken_rows_stay_recognisable():
    rows = normalise_rows(np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 1], [1e300, 0], [1e-310, 0]]))

    assert rows.dtype == np.float32
    assert rows[0].tolist() == [np.float32(0.6), np.float32(0.8)]
    assert rows[1].tolist() == [0, 0]
    assert not np.isfinite(rows[2]).all()
    assert not np.isfinite(rows[3]).all()
    assert rows[4:].tolist() == [[1, 0], [1, 0]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=6))
def test_any_text_gives_as_many_bags_as_texts(texts):
    vocabulary = sorted({word for words in tokenise(texts).to_list() for word in words})
    bags = bag_tokens(texts, vocabulary)

    assert len(bags.offsets) == len(texts) + 1
    assert [vocabulary[place] for place in bags.ids] == [word for words in tokenise(texts).to_list() for word in words]
