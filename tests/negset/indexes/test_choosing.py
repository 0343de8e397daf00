import pytest

from negset.indexes import choosing, hnsw, ivf_flat, ivf_pq, sq_fp16, sq_int8
from negset.indexes.choosing import (
    Cost,
    choice_fingerprint,
    describe_choice,
    exact_up_to,
    find_choice,
    resolve_kind,
    total_cost,
)
from negset.mining.miner import MiningInputs
from schemas.config import DenseConfig, MineConfig

DOCUMENTS = {f"d{n:04d}": f"word{n % 37} word{n % 11} own{n}" for n in range(400)}
QUERIES = {f"q{n:03d}": f"word{n % 37} word{n % 11}" for n in range(40)}
LABELS = [(f"q{n:03d}", f"d{n:04d}", 1) for n in range(40)]

EXACT = Cost(build=lambda size: 0.0, search=lambda size: 1e-6 * size)
FAST = Cost(build=lambda size: 1e-3 * size, search=lambda size: 1e-7 * size)


@pytest.fixture
def inputs(memory_snapshot, memory_vectors):
    def make(documents=DOCUMENTS, target=0.95, queries=QUERIES):
        config = MineConfig(depth=10, dense=DenseConfig(index="auto", target_recall=target))
        labels = [label for label in LABELS if label[0] in queries]
        snapshot = memory_snapshot(documents, queries, labels, 2)
        return MiningInputs(snapshot, config, 13, "encoder", memory_vectors(), memory_vectors())

    return make


@pytest.fixture
def measured(monkeypatch):
    """Replace clocks by costs: seconds to search one query among one document, by kind."""

    def set_costs(exact, **kinds):
        monkeypatch.setattr(choosing, "_line", lambda *_: Cost(lambda size: 0.0, lambda size: exact * size))
        for module in (hnsw, ivf_flat, ivf_pq, sq_fp16, sq_int8):
            monkeypatch.setattr(module, "FEWEST", 10)

        def measure(inputs, kind, *_):
            build, search = kinds.get(kind.replace("-", "_"), (1e9, 1e9))
            return Cost(lambda size: build * size, lambda size: search * size)

        monkeypatch.setattr(choosing, "_measure", measure)

    return set_costs


def test_the_cheapest_sum_of_building_and_searching_wins(inputs, store, measured):
    # 400 documents and 40 queries: exact 160 s; ivf-flat 40 + 16, ivf-pq 80 + 1.6, hnsw 400 + 0.
    measured(0.01, ivf_flat=(0.1, 0.001), ivf_pq=(0.2, 0.0001), hnsw=(1.0, 0.0))
    assert resolve_kind(inputs(), store) == "ivf-flat"
    facts = find_choice(store, choice_fingerprint(inputs()))
    assert facts is not None
    assert facts["seconds"]["exact"] == pytest.approx(160)
    assert facts["seconds"]["ivf-flat"] == pytest.approx(56)
    assert facts["seconds"]["ivf-pq"] == pytest.approx(81.6)


def test_what_is_slower_than_exact_is_not_chosen(inputs, store, measured):
    measured(0.01, ivf_flat=(0.39, 0.001), hnsw=(0.0, 0.0101))
    assert resolve_kind(inputs(), store) == "exact"


def test_a_tie_goes_to_exact(inputs, store, measured):
    measured(0.01, ivf_flat=(0.0, 0.01))
    assert resolve_kind(inputs(), store) == "exact"


def test_little_work_is_not_worth_measuring(inputs, store, measured):
    measured(0.001, ivf_flat=(0.0, 0.0))  # 16 seconds of exact search
    assert resolve_kind(inputs(), store) == "exact"
    assert find_choice(store, choice_fingerprint(inputs()))["seconds"] == {"exact": 16.0}


def test_a_choice_once_made_is_kept(inputs, store, measured):
    measured(0.01, ivf_flat=(0.0, 0.001))
    assert resolve_kind(inputs(), store) == "ivf-flat"
    measured(0.01, hnsw=(0.0, 0.0))
    assert resolve_kind(inputs(), store) == "ivf-flat"
    grown = inputs(documents={**DOCUMENTS, **{f"new{n}": f"word{n}" for n in range(20)}})
    assert resolve_kind(grown, store) == "ivf-flat"  # the same class of size
    doubled = inputs(documents={**DOCUMENTS, **{f"new{n}": f"word{n}" for n in range(500)}})
    assert resolve_kind(doubled, store) == "hnsw"
    assert choice_fingerprint(inputs(target=0.9)) != choice_fingerprint(inputs())
    few = {name: QUERIES[name] for name in list(QUERIES)[:9]}
    assert choice_fingerprint(inputs(queries=few)) != choice_fingerprint(inputs())


def test_small_partitions_cost_what_exact_search_costs():
    assert total_cost(FAST, [1000, 50], 100, 100, EXACT) == pytest.approx(1.0 + 100 * 1e-4 + 100 * 5e-5)


def test_exact_pays_up_to_where_building_is_paid_back():
    costs = {"exact": EXACT, "ivf-flat": Cost(build=lambda size: 100.0, search=lambda size: 1e-7 * size)}
    # 100 s of building are paid back by 1,000 queries that save 0.9e-6 s a document each: at 111,111 documents.
    assert 111_111 <= exact_up_to(costs, 1000) < 111_111 * 2**0.25
    assert exact_up_to({"exact": EXACT, "hnsw": Cost(lambda size: size, lambda size: size)}, 1000) == 0
    assert exact_up_to({"exact": EXACT}, 1000) == 60_000  # a minute


def test_a_choice_is_told_with_what_it_would_cost_and_from_what_size_it_pays():
    facts = {"kind": "hnsw", "seconds": {"exact": 4000.5, "hnsw": 90.0}, "exact_up_to": 38055}
    told = (
        "auto chose hnsw (exact 4,000.5 s, hnsw 90.0 s); exact is cheapest up to about 38,055 documents in a partition"
    )
    assert describe_choice(facts) == told
    assert describe_choice({**facts, "exact_up_to": 0}).endswith("exact is cheapest at any size")


def test_every_kind_is_really_measured(inputs, store, monkeypatch):
    monkeypatch.setattr(choosing, "_WORTH", 0.0)
    monkeypatch.setattr(choosing, "_PART", 300)
    for module in (hnsw, ivf_flat, ivf_pq, sq_fp16, sq_int8):
        monkeypatch.setattr(module, "FEWEST", 10)
    kind = resolve_kind(inputs(), store)
    facts = find_choice(store, choice_fingerprint(inputs()))
    assert set(facts["seconds"]) == {"exact", *choosing.CANDIDATES}
    assert all(seconds >= 0 for seconds in facts["seconds"].values())
    assert facts["seconds"][kind] == min(facts["seconds"].values())
