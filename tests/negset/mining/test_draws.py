import numpy as np
import polars as pl
import pytest

from negset.lots import id_keys
from negset.mining.draws import chance, gumbel, query_lot


def lots(seed, rule, queries, documents):
    keys = pl.DataFrame({"query_key": id_keys(queries), "doc_key": id_keys(documents)})
    return keys.select(chance(seed, rule)).to_series().to_numpy()


def test_a_lot_depends_on_its_pair_seed_and_rule_alone():
    many = lots(13, "uniform", ["a", "a", "b"], ["x", "y", "x"])
    assert lots(13, "uniform", ["b"], ["x"])[0] == many[2]
    assert len({*many, *lots(14, "uniform", ["a"], ["x"]), *lots(13, "window", ["a"], ["x"])}) == 5


def test_swapping_query_and_document_draws_otherwise():
    assert lots(1, "uniform", ["a"], ["b"])[0] != lots(1, "uniform", ["b"], ["a"])[0]


def test_lots_are_uniform_and_never_zero_or_one():
    found = lots(7, "uniform", [str(at) for at in range(200) for _ in range(500)], [str(at) for at in range(500)] * 200)
    assert 0 < found.min()
    assert found.max() < 1
    share = np.histogram(found, bins=20, range=(0, 1))[0] / len(found)
    assert share == pytest.approx(np.full(20, 0.05), abs=0.004)
    table = found.reshape(200, 500)
    assert abs(np.corrcoef(table[:-1].ravel(), table[1:].ravel())[0, 1]) < 0.02


def test_gumbel_noise_has_its_mean():
    uniform = pl.DataFrame({"u": (np.arange(100_000) + 0.5) / 100_000})
    assert uniform.select(gumbel(pl.col("u")).mean()).item() == pytest.approx(0.5772, abs=1e-3)


def query_lots(seed, rule, queries, count):
    keys = pl.DataFrame({"query_key": id_keys(queries)})
    return keys.select(query_lot(seed, rule, count)).to_series().to_list()


def test_all_candidates_of_a_query_share_its_lot():
    found = query_lots(3, "ensemble", ["a", "a", "b", "a"], 1000)
    assert found[0] == found[1] == found[3]
    assert query_lots(3, "ensemble", ["b"], 1000) == found[2:3]
    others = [query_lots(4, "ensemble", ["a"], 1000), query_lots(3, "other", ["a"], 1000), [found[0]]]
    assert len(set(map(tuple, others))) == 3


def test_lots_of_queries_are_uniform():
    found = query_lots(3, "ensemble", [str(at) for at in range(30_000)], 3)
    assert np.bincount(found) / 30_000 == pytest.approx([1 / 3] * 3, abs=0.014)  # five sigma
