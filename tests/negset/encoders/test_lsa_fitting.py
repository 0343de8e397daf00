import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from negset.encoders import lsa_fitting
from negset.encoders.lsa import LsaEncoder
from negset.encoders.lsa_fitting import choose_tokens, fit_lsa, fitting_texts, inverse_document_frequency
from negset.errors import InputError


def test_twins_are_fitted_on_once(corpus_of):
    frame = corpus_of(["one cat", "two dogs", "ONE  cat"]).frame

    assert fitting_texts(frame.reverse()) == ["one cat", "two dogs"]


def test_a_title_belongs_to_the_text(corpus_of):
    frame = corpus_of(["body"]).frame.with_columns(title=pl.lit("Head"))

    assert fitting_texts(frame) == ["Head\nbody"]


def test_of_too_many_texts_the_same_ones_are_fitted_on_whatever_their_order(corpus_of, monkeypatch):
    monkeypatch.setattr(lsa_fitting, "MOST_TEXTS", 3)
    frame = corpus_of([f"text {row}" for row in range(10)]).frame

    chosen = fitting_texts(frame)

    assert len(chosen) == 3
    assert chosen == sorted(chosen) == fitting_texts(frame.sample(fraction=1, shuffle=True, seed=1))


def test_a_word_must_stand_in_two_texts_of_a_large_corpus_only(monkeypatch):
    assert choose_tokens(["cat cat", "dog"]) == ["cat", "dog"]
    monkeypatch.setattr(lsa_fitting, "RARE_FROM", 2)
    assert choose_tokens(["cat cat dog", "dog"]) == ["dog"]


def test_the_commonest_words_are_kept_and_ties_go_to_the_earlier_word(monkeypatch):
    monkeypatch.setattr(lsa_fitting, "MOST_TOKENS", 2)

    assert choose_tokens(["zebra ant", "zebra bee"]) == ["ant", "zebra"]


def test_frequencies_add_up_across_blocks(monkeypatch):
    monkeypatch.setattr(lsa_fitting, "BLOCK", 1)
    monkeypatch.setattr(lsa_fitting, "RARE_FROM", 1)

    assert choose_tokens(["cat dog", "cat fish", "eel"]) == ["cat"]


def test_rare_words_weigh_more_and_words_of_every_text_keep_a_little():
    counts = sp.csr_matrix(np.array([[1, 2], [1, 0], [3, 0]], dtype=np.float32))

    weights = inverse_document_frequency(counts)

    np.testing.assert_allclose(weights, [np.log(4 / 3.5), np.log(4 / 1.5)])
    many = sp.csr_matrix(np.ones((1000, 1), dtype=np.float32))
    assert inverse_document_frequency(many).tolist() == [0.01]


def test_a_corpus_without_words_is_refused(corpus_of):
    with pytest.raises(InputError, match="no word in the 2 documents"):
        fit_lsa(corpus_of(["!", "?"]).frame, 4)
    with pytest.raises(InputError, match="no word in the 0 documents"):
        fit_lsa(corpus_of([]).frame, 4)


def test_dimensions_never_exceed_documents_or_words(corpus_of):
    assert fit_lsa(corpus_of(["one cat", "two dogs"]).frame, 256).embeddings.shape == (4, 2)
    assert fit_lsa(corpus_of(["one cat"]).frame, 256).embeddings.shape == (2, 1)


def test_embeddings_follow_their_formula(corpus_of):
    """Two words in one text each: S is 1 for both, so that only the cubed weights and the scale remain."""
    model = fit_lsa(corpus_of(["cat", "dog", "dog dog"]).frame, 2)
    weights = np.log([4 / 1.5, 4 / 2.5])
    strengths = np.array([1, np.sqrt(2)])  # two unit rows of "dog" add up to a singular value of sqrt(2)
    lengths = weights**3 * strengths

    np.testing.assert_allclose(np.linalg.norm(model.embeddings, axis=1), lengths / lengths.mean(), rtol=1e-5)


def test_a_text_is_the_sum_of_its_words_whatever_the_fit_did(corpus):
    model = fit_lsa(corpus.frame, 8)
    encoder = LsaEncoder("f", model)
    rows = [model.tokens.index(word) for word in ("cat", "cat", "star")]
    expected = model.embeddings[rows].sum(axis=0)

    np.testing.assert_allclose(
        encoder.encode(["Star cat cat"], ["q"], "query")[0], expected / np.linalg.norm(expected), rtol=1e-5
    )


@pytest.mark.data
def test_a_real_collection_is_searched_well_enough(shared_data, corpus_of):
    """nDCG@10 of 0.56 was measured on the test queries' documents; plain LSA reaches 0.39."""
    folder = shared_data / "scifact"
    documents = pl.read_parquet(folder / "corpus.parquet").sort("doc_id")
    qrels = pl.read_parquet(folder / "qrels.parquet").filter(pl.col("relevance") > 0)
    queries = pl.read_parquet(folder / "queries.parquet").join(qrels, on="query_id", how="semi").sort("query_id")
    texts = [f"{title}\n{text}" for title, text in documents.select("title", "text").iter_rows()]
    encoder = LsaEncoder("f", fit_lsa(corpus_of(texts).frame, 256))

    scores = encoder.encode(queries["text"].to_list(), [], "query") @ encoder.encode(texts, [], "document").T

    top = np.argsort(-scores, axis=1)[:, :10]
    known = set(zip(qrels["query_id"], qrels["doc_id"], strict=True))
    names = documents["doc_id"].to_list()
    hits = [any((query, names[row]) in known for row in top[place]) for place, query in enumerate(queries["query_id"])]
    assert np.mean(hits) > 0.65
