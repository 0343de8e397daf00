from dataclasses import replace

import numpy as np
import pytest

from negset.errors import ConfigError
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import selection
from schemas.config import MineConfig
from schemas.teach import TeachConfig

QUERIES, DOCS = 40, 30


def planted(given, miners=("dense", "bm25"), **options):
    """Give a pooled world: a relevant document is labelled only where the lexical score ranks it among ten."""
    draw = np.random.default_rng(5)
    meaning, words = draw.standard_normal((2, QUERIES, DOCS))
    relevant = meaning + 0.3 * draw.standard_normal((QUERIES, DOCS)) > 1
    seen = words >= np.sort(words, axis=1)[:, -10:-9]
    pairs = {(a, b): (f"q{a:02}", f"d{b:02}") for a in range(QUERIES) for b in range(DOCS)}
    scores = {
        "dense": {pairs[a, b]: float(meaning[a, b]) for a, b in pairs},
        "bm25": {pairs[a, b]: float(words[a, b]) for a, b in pairs},
    }
    inputs = given(
        {f"d{b:02}": f"text {b}" for b in range(DOCS)},
        {f"q{a:02}": f"query {a}" for a in range(QUERIES)},
        [pairs[a, b] for a, b in pairs if relevant[a, b] and seen[a, b]],
        list(pairs.values()),
        {miner: scores[miner] for miner in miners},
        **options,
    )
    every = Pairs(np.repeat(np.arange(QUERIES), DOCS), np.tile(np.arange(DOCS), QUERIES))
    return inputs, every, seen.ravel(), meaning.ravel()


def test_what_annotators_saw_scores_higher_whatever_it_means(given):
    inputs, pairs, seen, meaning = planted(given)
    score = selection.open_teacher(inputs).score(pairs)
    gaps = np.subtract.outer(score[seen], score[~seen])
    assert (gaps > 0).mean() > 0.9
    assert abs(np.corrcoef(score, meaning)[0, 1]) < 0.1


def test_the_scores_of_meaning_are_no_feature_of_selection(given):
    """A mutant that gives selection all features would move with them."""
    inputs, pairs, _, _ = planted(given)
    fitted = selection.open_teacher(inputs).score
    blind = replace(inputs, miner_scores=inputs.miner_scores)
    before = fitted(pairs)
    real = inputs.miner_scores
    moved = replace(blind, miner_scores=lambda name, some: real(name, some) * (100 if name == "dense" else 1))
    np.testing.assert_allclose(selection.open_teacher(moved).score(pairs), before, atol=1e-8)


def test_blocks_and_order_leave_no_trace(given):
    inputs, pairs, _, _ = planted(given, blocks=3)
    other, _, _, _ = planted(given, blocks=40)
    order = np.random.default_rng(0).permutation(len(pairs))
    one = selection.open_teacher(inputs).score(pairs)
    np.testing.assert_allclose(selection.open_teacher(other).score(pairs[order]), one[order], atol=1e-9)


@pytest.mark.parametrize("miners", [("dense",), ("bm25",), ("bm25", "random"), ("dense", "random")])
def test_without_a_lexical_miner_and_another_it_refuses(miners):
    with pytest.raises(ConfigError, match=r"needs the miner 'bm25'.*mine\.miners are " + ", ".join(miners)):
        selection.check(TeachConfig(), MineConfig(miners=miners))


def test_each_labelled_row_stands_beside_each_other_of_its_query():
    found = selection.triples_of(np.array([0, 0, 0, 1, 1, 2]), np.array([True, False, False, True, True, False]))
    assert list(zip(found.positive.tolist(), found.negative.tolist(), strict=True)) == [(0, 1), (0, 2)]


def test_options_and_seed_are_in_the_identity(given):
    inputs, _, _, _ = planted(given)
    names = {
        str(selection.identity(inputs.mining, TeachConfig.model_validate({"selection": changes})))
        for changes in ({}, {"folds": 2}, {"candidates": 1}, {"smoothing": 9}, {"passes": 1})
    }
    assert len(names | {str(selection.identity(replace(inputs.mining, seed=9), inputs.config))}) == 6
