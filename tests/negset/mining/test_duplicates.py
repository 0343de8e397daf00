import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from negset.mining import duplicates
from negset.mining.duplicates import duplicates_fingerprint, find_duplicates, near_groups, open_duplicates
from negset.text import document_text, normalise_text, text_digest

WORDS = [f"word{at}" for at in range(5000)]


def corpus(texts, titles=None):
    titles = titles or [None] * len(texts)
    digests = [text_digest(document_text(title, text)) for title, text in zip(titles, texts, strict=True)]
    kinds = {"title": pl.String, "text": pl.String, "text_sha256": pl.Binary}
    return pl.DataFrame({"title": titles, "text": texts, "text_sha256": digests}, schema=kinds)


def groups(*texts, threshold=0.9):
    return near_groups(corpus(list(texts)), threshold).tolist()


def sentence(seed, length=60):
    return [WORDS[at] for at in np.random.default_rng(seed).integers(0, len(WORDS), length)]


def edited(words, *places):
    return [f"other{at}" if at in places else word for at, word in enumerate(words)]


def test_white_space_case_and_punctuation_do_not_count():
    text = " ".join(sentence(1))
    assert groups(text, "something else entirely", f"  {text.upper()}\n", f"{text}!?", text.replace(" ", ", ")) == [
        *(0, 1),
        *(0, 0, 0),
    ]


def test_one_word_of_sixty_is_caught():
    # 58 shingles each, 3 of them touched: 55 / 61 = 0.902
    words = sentence(2)
    assert groups(" ".join(words), " ".join(edited(words, 30))) == [0, 0]


def test_two_words_of_sixty_are_not():
    # 52 / 64 = 0.813
    words = sentence(3)
    assert groups(" ".join(words), " ".join(edited(words, 20, 40))) == [0, 1]


def test_the_threshold_is_reached_at_equality():
    # a b c d .. of n words and its first n - 1: (n - 3) / (n - 2) shingles; n = 12 gives 9 / 10
    words = sentence(4, 12)
    assert groups(" ".join(words), " ".join(words[:-1])) == [0, 0]
    assert groups(" ".join(words[:11]), " ".join(words[:10])) == [0, 1]  # 8 / 9


def test_other_texts_stay_apart():
    assert groups(*(" ".join(sentence(seed)) for seed in range(50))) == list(range(50))


def test_short_texts_are_only_exact_twins():
    assert groups("two words", "Two  words", "two words.", "", " ", "one") == [0, 0, 2, 3, 3, 5]


def test_the_same_words_in_another_order_are_another_text():
    words = sentence(5)
    assert groups(" ".join(words), " ".join(words[::-1])) == [0, 1]


def test_a_chain_is_one_group():
    words = sentence(6, 100)
    a, b, c = words, edited(words, 20), edited(words, 20, 70)
    jaccard_a_c = 92 / 104
    assert jaccard_a_c < 0.9
    assert groups(" ".join(a), " ".join(c)) == [0, 1]
    assert groups(" ".join(a), " ".join(c), " ".join(b)) == [0, 0, 0]


def test_a_title_is_part_of_the_text():
    body = " ".join(sentence(7, 6))
    assert near_groups(corpus([body, body], ["one two three four", "five six seven"])).tolist() == [0, 1]


def test_scripts_without_spaces_are_compared_by_characters():
    text = "東京は日本の首都であり世界最大の都市圏を形成する経済と文化の中心地である" * 2
    assert groups(text, text[:-1], "全く別の文章をここに書いておくことにする") == [0, 0, 2]


def test_a_thousand_copies_are_quick_and_one_group():
    text = " ".join(sentence(8))
    start = time.perf_counter()
    assert groups(*[text + "." * (at % 7) for at in range(1000)]) == [0] * 1000
    assert time.perf_counter() - start < 2


def test_thousands_of_one_template_take_linear_time():
    template = sentence(9, 90)
    start = time.perf_counter()
    found = groups(*(" ".join([*template, f"number{at}"]) for at in range(5000)))
    assert set(found) == {0}
    # one template with five random words between: Jaccard below 0.9, all shingles but a few shared
    varied = [edited(template, *range(at % 7, 90, 11)) + sentence(at, 8) for at in range(3000)]
    groups(*(" ".join(words) for words in varied))
    assert time.perf_counter() - start < 20


def test_the_order_of_rows_does_not_matter():
    texts = [" ".join(edited(sentence(at % 20), at % 60)) for at in range(80)]
    order = np.random.default_rng(1).permutation(80)
    straight = np.array(groups(*texts))
    shuffled = np.array(groups(*(texts[at] for at in order)))
    same = straight[order][:, None] == straight[order][None, :]
    assert (same == (shuffled[:, None] == shuffled[None, :])).all()
    assert len(set(straight)) < 80


def shingles(text):
    words = normalise_text(text).split()
    return {tuple(words[at : at + 3]) for at in range(len(words) - 2)}


def by_hand(texts, threshold):
    """Compare all pairs and follow chains: the definition, in quadratic time."""
    group = list(range(len(texts)))
    sets = [shingles(text) for text in texts]
    for left in range(len(texts)):
        for right in range(left):
            union = sets[left] | sets[right]
            near = union and len(sets[left] & sets[right]) / len(union) >= threshold - 1e-9
            if near or normalise_text(texts[left]) == normalise_text(texts[right]):
                old, new = sorted((group[left], group[right]), reverse=True)
                group = [new if label == old else label for label in group]
    return group


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), threshold=st.sampled_from([0.5, 0.7, 0.9, 1.0]))
def test_groups_are_those_of_comparing_every_pair(seed, threshold):
    chance = np.random.default_rng(seed)
    stems = [sentence(int(chance.integers(5)), int(chance.integers(1, 40))) for _ in range(4)]
    texts = []
    for _ in range(14):
        stem = stems[chance.integers(4)]
        texts.append(" ".join(edited(stem, *chance.integers(0, 60, chance.integers(0, 3)).tolist())))
    assert groups(*texts, threshold=threshold) == by_hand(texts, threshold)


def test_the_result_is_kept_in_the_store(memory_snapshot, store, monkeypatch):
    snapshot = memory_snapshot({"b": "same text here", "a": "other", "c": "Same text  here"}, {}, [])
    ref = find_duplicates(snapshot, store)
    assert open_duplicates(store, ref).tolist() == [0, 1, 1]
    assert (ref.rows, ref.fingerprint) == (3, duplicates_fingerprint(snapshot.content))
    monkeypatch.setattr(duplicates, "near_groups", None)
    assert find_duplicates(snapshot, store) == ref


def test_an_empty_corpus():
    assert groups() == []


@pytest.mark.data
@pytest.mark.parametrize("name", ["tldr", "npl"])
def test_real_collections_give_the_groups_of_comparing_every_pair(shared_data, name):
    raw = pl.read_parquet(shared_data / name / "corpus.parquet").sort("doc_id")
    documents = corpus(raw["text"].to_list(), raw["title"].to_list() if "title" in raw.columns else None)
    distinct = documents.unique("text_sha256", maintain_order=True)
    sets = duplicates.shingle_sets(distinct.select("title", "text"))
    _, columns = np.unique(sets.keys, return_inverse=True)
    ones = np.ones(len(columns), np.int32)
    matrix = sparse.csr_array((ones, columns.astype(np.int32), sets.starts.astype(np.int32)))
    shared = (matrix @ matrix.T).tocoo()
    near = shared.data >= 0.9 * (sets.sizes[shared.row] + sets.sizes[shared.col] - shared.data) - 1e-9
    graph = sparse.coo_array((ones[: near.sum()], (shared.row[near], shared.col[near])), shape=shared.shape)
    expected, _ = connected_components(graph, directed=False)
    found = len(np.unique(near_groups(documents)))
    assert found == expected < documents.height
