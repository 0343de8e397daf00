import polars as pl
import pytest

from negset.training.reports.imbalance import domain_shares

TRAINED = pl.DataFrame(
    {"query_id": ["a", "b", "c", "d"], "positives": [1, 2, 1, 1], "negatives": [4, 4, 4, 0], "words": [10, 20, 30, 40]}
)
DOMAINS = pl.DataFrame({"query_id": ["a", "b", "c", "d", "held"], "domain": ["law", "law", "law", "art", "art"]})


def test_rows_words_and_shares_of_each_domain():
    law, art = domain_shares(TRAINED, DOMAINS, None)
    assert (law.domain, law.queries, law.rows, law.negatives, law.words) == ("law", 3, 4, 12, 60)
    assert (law.share, law.sampled) == (0.75, 0.75)
    assert (art.domain, art.queries, art.share) == ("art", 1, 0.25)


def test_what_was_drawn_is_counted_and_not_taken_for_the_share_of_queries():
    """A plan that draws the small domain as often as the large one."""
    pair_stats = pl.DataFrame({"query_id": ["a", "b", "c", "d", "d", "d"], "epoch": [0, 0, 0, 0, 1, 2]})
    law, art = domain_shares(TRAINED, DOMAINS, pair_stats)
    assert (law.share, art.share) == (0.75, 0.25)
    assert (law.sampled, art.sampled) == (0.5, 0.5)
    assert sum(one.sampled for one in (law, art)) == pytest.approx(1.0)


def test_a_domain_that_was_never_drawn_has_a_share_of_nothing():
    shares = domain_shares(TRAINED, DOMAINS, pl.DataFrame({"query_id": ["a"], "epoch": [0]}))
    assert {one.domain: one.sampled for one in shares} == {"law": 1.0, "art": 0.0}
