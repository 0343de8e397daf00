"""Key phrases are runs between stop words and punctuation, the longest of frequent words first."""

from negset.mining.key_phrases import LONGEST, PHRASES, key_phrases


def test_phrases_end_at_stop_words_and_punctuation():
    (found,) = key_phrases(["Interest rates of the central bank, in Europe"])
    assert found == ("central bank", "interest rates", "europe")  # degree 2 + 2, 2 + 2, 1; letters among equals


def test_a_word_counts_by_what_it_stands_beside():
    """`bond` stands in three runs, in two of them beside another word: 5 / 3, and `yield` 2 / 1."""
    (found,) = key_phrases(["bond, bond yield, bond market"])
    assert found == ("bond market", "bond yield", "bond")


def test_phrases_are_few_and_short():
    (found,) = key_phrases([". ".join(f"word{at}" for at in range(20))])
    assert len(found) == PHRASES
    assert key_phrases([" ".join(f"word{at}" for at in range(LONGEST + 1))]) == [()]


def test_empty_texts_and_stop_words_have_none():
    assert key_phrases(["", "of the and", "!?"]) == [(), (), ()]


def test_a_text_is_judged_by_itself():
    texts = ["central bank of Europe", "a bank of the river"]
    assert key_phrases(texts[::-1]) == key_phrases(texts)[::-1]
    assert key_phrases(["CENTRAL  Bank"]) == key_phrases(["central bank"])
