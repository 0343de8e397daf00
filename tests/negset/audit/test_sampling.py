from collections import Counter
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.audit.sampling import ask_questions, draw_sample, sample_counts, strata_of
from negset.errors import ConfigError


def negatives(queries=60, miners=("dense", "bm25"), split="train"):
    rows = [
        (f"q{query:03d}", f"d{query}-{rank}", rank, miners[(query + rank) % len(miners)], split)
        for query in range(queries)
        for rank in range(1, 5)
    ]
    return pl.DataFrame(rows, schema=["query_id", "doc_id", "rank", "miner", "split"], orient="row")


RARE = pl.concat([negatives(), negatives(1, ("run",), "dev").with_columns(query_id=pl.lit("rare"))])


@settings(max_examples=25)
@given(size=st.integers(12, 240), seed=st.integers(0, 50))
def test_every_stratum_is_drawn_and_the_size_is_kept(size, seed):
    sample = draw_sample(RARE, size, seed)
    counts = sample_counts(sample)
    sizes = Counter(strata_of(RARE)["stratum"].to_list())
    assert set(counts) == set(sizes)
    assert sample.height == min(size, RARE.height)
    assert not sample.select("query_id", "doc_id").is_duplicated().any()
    for stratum, count in counts.items():
        assert count >= min(2, sizes[stratum])
        assert abs(count - size * sizes[stratum] / RARE.height) <= max(3, 0.1 * count)


def test_the_draw_follows_the_seed_and_not_the_order_of_rows():
    one = draw_sample(RARE, 40, 1)
    assert one.equals(draw_sample(RARE.sort("doc_id", descending=True), 40, 1))
    assert not one.equals(draw_sample(RARE, 40, 2))


def test_the_first_questions_are_of_all_kinds():
    """A rater who stops early has not judged one stratum alone."""
    first = draw_sample(RARE, 100, 3).head(30)
    assert len(sample_counts(first)) >= 4


def test_each_pair_has_the_same_chance_in_its_stratum():
    """Over 400 seeds each of the 60 pairs of a stratum comes up about as often; taking the first ones would not."""
    seen: Counter[str] = Counter()
    frame = negatives(40)
    for seed in range(400):
        seen.update(draw_sample(frame, 40, seed)["doc_id"].to_list())
    assert len(seen) == frame.height
    assert min(seen.values()) > 0.5 * 400 * 40 / frame.height
    assert max(seen.values()) < 1.7 * 400 * 40 / frame.height


def test_a_sample_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="give at least 1"):
        draw_sample(RARE, 0, 1)


def test_a_question_holds_the_texts_and_the_best_positive():
    tables = {
        "documents": pl.DataFrame({"doc_id": ["a", "b", "n"], "title": [None, "T", ""], "text": ["one", "two", "neg"]}),
        "queries": pl.DataFrame({"query_id": ["q"], "text": ["ask"]}),
        "positives": pl.DataFrame({"query_id": ["q", "q"], "doc_id": ["a", "b"], "relevance": [1, 2]}),
    }
    published = SimpleNamespace(table=tables.__getitem__)
    sample = pl.DataFrame({"query_id": ["q"], "doc_id": ["n"], "stratum": ["s"]})
    (question,) = ask_questions(published, sample)
    assert (question.positive_id, question.positive, question.negative) == ("b", "T\ntwo", "neg")
