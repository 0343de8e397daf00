import numpy as np
import pytest

from negset.lots import id_keys
from negset.mining.miner import Documents, MiningInputs, Queries, find_miner
from negset.mining.miners.random_documents import mine
from negset.mining.times import FIRST, LAST
from schemas.config import MineConfig

import polars as pl  # isort: skip


def queries(names, depth):
    return Queries(
        np.arange(len(names)), pl.Series(names), pl.Series(names), np.full(len(names), depth), np.full(len(names), LAST)
    )


def documents(names):
    return Documents(pl.Series(names), pl.Series(names), np.arange(len(names)), np.full(len(names), FIRST))


def draw(query_names, doc_names, depth, seed=13):
    inputs = MiningInputs(None, MineConfig(miners=("random",)), seed)
    search = find_miner("random").open_miner(inputs).open_partition(documents(doc_names))
    hits = search(queries(query_names, depth))
    return [
        (query_names[query], doc_names[doc], score)
        for query, doc, score in zip(hits.query.tolist(), hits.doc.tolist(), hits.score.tolist(), strict=True)
    ]


DOCS = [f"d{n:03d}" for n in range(200)]
NAMES = [f"q{n}" for n in range(300)]


def test_every_document_is_drawn_about_as_often():
    drawn = [doc for _, doc, _ in draw(NAMES, DOCS, 20)]
    counts = np.array([drawn.count(doc) for doc in DOCS])
    assert counts.sum() == 300 * 20
    # 300 draws with chance 0.1 each: mean 30, variance 27. Chi-square over 200 documents has mean 200, deviation 20.
    chi_square = float((((counts - 30) ** 2) / 27).sum())
    assert 120 < chi_square < 280


def test_priorities_are_uniform_and_fall_with_the_rank():
    found = draw(NAMES, DOCS, 200)
    scores = np.array([score for _, _, score in found])
    assert 0 <= scores.min() < 0.001
    assert 0.999 < scores.max() < 1
    counts, _ = np.histogram(scores, bins=20, range=(0, 1))
    assert np.abs(counts - 3000).max() < 6 * 3000**0.5
    per_query = scores.reshape(300, 200)
    assert (np.diff(per_query, axis=1) <= 0).all()


def test_a_document_is_drawn_once_for_a_query():
    pairs = [(query, doc) for query, doc, _ in draw(NAMES, DOCS, 200)]
    assert len(set(pairs)) == len(pairs) == 300 * 200


@pytest.mark.parametrize("parts", [2, 7])
def test_the_draw_is_the_same_however_the_corpus_is_cut(parts):
    whole = draw(NAMES, DOCS, 10)
    pieces = [row for part in range(parts) for row in draw(NAMES, DOCS[part::parts], 10)]
    for name in NAMES[:40]:
        mine = sorted((row for row in pieces if row[0] == name), key=lambda row: -row[2])[:10]
        assert mine == [row for row in whole if row[0] == name]


def test_the_draw_does_not_depend_on_the_other_queries():
    assert draw(NAMES[250:251], DOCS, 10) == [row for row in draw(NAMES, DOCS, 10) if row[0] == NAMES[250]]


def test_a_new_document_only_takes_places():
    before = draw(NAMES, DOCS, 10)
    after = draw(NAMES, [*DOCS, "e"], 10)
    kept = set(after) & set(before)
    assert {row[1] for row in set(after) - kept} == {"e"}
    assert len(kept) > 0.9 * len(before)


def test_another_seed_draws_others():
    first = {row[:2] for row in draw(NAMES, DOCS, 20, seed=1)}
    second = {row[:2] for row in draw(NAMES, DOCS, 20, seed=2)}
    assert 0.05 < len(first & second) / len(first) < 0.15  # chance alone shares 20 of 200


def test_depths_differ_by_query_and_end_with_the_corpus():
    rows = np.arange(200)
    hits = mine(id_keys(["a", "b", "c"]), id_keys(DOCS), rows, np.array([0, 500, 3]), np.full(3, 200))
    assert np.bincount(hits.query, minlength=3).tolist() == [0, 200, 3]
    assert len(mine(id_keys(["a"]), id_keys([]), rows[:0], np.array([5]), np.array([0]))) == 0


def test_a_query_draws_among_what_it_may_know_and_no_lot_changes():
    """Of 200 documents, query n may know those created up to n: the draw is that of a corpus of these alone."""
    created = np.arange(200) * 7 % 200  # in another order than the ids
    until = np.array([-1, 0, 4, 150, 199])
    names = NAMES[:5]
    asked = Queries(np.arange(5), pl.Series(names), pl.Series(names), np.full(5, 20), until)
    parts = Documents(pl.Series(DOCS), pl.Series(DOCS), np.arange(200), created)
    inputs = MiningInputs(None, MineConfig(miners=("random",)), 13)
    hits = find_miner("random").open_miner(inputs).open_partition(parts)(asked)
    assert np.bincount(hits.query, minlength=5).tolist() == [0, 1, 5, 20, 20]
    assert (np.diff(hits.query) >= 0).all()
    for number, name in enumerate(names):
        known = [doc for doc, moment in zip(DOCS, created, strict=True) if moment <= until[number]]
        mine = hits.query == number
        assert [
            (name, DOCS[doc], score)
            for doc, score in zip(hits.doc[mine].tolist(), hits.score[mine].tolist(), strict=True)
        ] == (draw([name], known, 20) if known else [])
