from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from negset.errors import ArtifactError, ConfigError, ContractError
from negset.fingerprint import fingerprint
from negset.indexes import hnsw, ivf_flat, preparing
from negset.indexes.files import FILE
from negset.indexes.opened import find_indexes, listed_entries, open_indexes
from negset.indexes.preparing import indexes_fingerprint, prepare_indexes
from negset.indexes.report import read_report
from negset.mining.cells import listed_cells, mine_cells, mined_queries, plan_cells
from negset.mining.miner import MiningInputs
from negset.mining.miners import dense
from schemas.config import DenseConfig, MineConfig, TimeConfig

DOCUMENTS = {f"d{n:04d}": f"word{n % 37} word{n % 11} own{n}" for n in range(900)}
QUERIES = {f"q{n:03d}": f"word{n % 37} word{n % 11}" for n in range(60)}
LABELS = [(f"q{n:03d}", f"d{n:04d}", 1) for n in range(60)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Let partitions of this size have indexes."""
    for kind in (ivf_flat, hnsw):
        monkeypatch.setattr(kind, "FEWEST", 200)


@pytest.fixture
def inputs(memory_snapshot, memory_vectors):
    def make(partitions=2, documents=DOCUMENTS, indexes=None, depth=10, query_block=100, **options):
        config = MineConfig(depth=depth, query_block=query_block, dense=DenseConfig(**{"index": "ivf-flat", **options}))
        snapshot = memory_snapshot(documents, QUERIES, LABELS, partitions)
        vectors = memory_vectors()
        return MiningInputs(snapshot, config, 13, "encoder", vectors, vectors, indexes=indexes)

    return make


def indexed(inputs, store, **options):
    ref = prepare_indexes(inputs(**options), store)
    return ref, inputs(indexes=open_indexes(store, ref), **options)


def recomputed(inputs, store, cell_rows):
    """Mine all queries, and compare those that judged with a search of all pairs, by plain sets of scores."""
    frame = mined_queries(inputs)
    rows = preparing._sampled(frame, inputs.seed)[1]
    names, texts = frame["query_id"].gather(rows).to_list(), frame["text"].gather(rows).to_list()
    queries, documents = inputs.query_vectors.gather(texts), inputs.snapshot.documents()
    table = np.round(
        queries.astype(float) @ inputs.document_vectors.gather(documents["text"].to_list()).astype(float).T, 6
    )
    found = {}
    for query, _, score in cell_rows(inputs, "dense", store):
        found.setdefault(query, []).append(score)
    shares = []
    for name, scores in zip(names, table, strict=True):
        best = np.sort(scores)[::-1][:11]  # the depth, and one for the positive
        mine = np.sort(found[name])[::-1][:11]
        shares.append(np.mean(mine >= best[-1] - 1e-9))
    return float(np.mean(shares))


def test_the_measured_recall_is_that_of_an_independent_recomputation(inputs, store, cell_rows):
    for nprobe in (1, 3, 8):
        ref, ready = indexed(inputs, store, nprobe=nprobe)
        report = read_report(store, ref)
        assert report.recall == pytest.approx(recomputed(ready, store, cell_rows), abs=2e-6)
        assert (report.kind, report.settings, report.indexed, report.sample) == ("ivf-flat", f"nprobe {nprobe}", 2, 30)
    assert 0.3 < read_report(store, indexed(inputs, store, nprobe=1)[0]).recall < 0.95


def test_the_setting_is_found_for_the_target(inputs, store):
    low, high = (read_report(store, prepare_indexes(inputs(target_recall=t), store)) for t in (0.5, 0.99))
    assert high.recall >= 0.99
    assert low.recall < high.recall
    assert low.settings != high.settings


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_document_that_is_not_finite_is_named_before_anything_is_built(inputs, store, monkeypatch, bad):
    given = inputs()
    gather = given.document_vectors.gather

    def spoiled(texts):
        vectors = gather(texts)
        vectors[[text.endswith(" own7") for text in texts]] = bad
        return vectors

    monkeypatch.setattr(given.document_vectors, "gather", spoiled)
    with pytest.raises(ContractError, match="1 document vectors are not finite: d0007"):
        prepare_indexes(given, store)
    assert len(list((store.root / "index").glob("*"))) <= 1  # that of the partition before, if any


@pytest.mark.parametrize("seed", [-5, 1 << 40])
def test_any_seed_will_do(inputs, store, seed):
    ref = prepare_indexes(replace(inputs(), seed=seed), store)
    assert ref.content != prepare_indexes(inputs(), store).content


def test_a_setting_that_leaves_the_work_to_exact_search_is_not_chosen(inputs, store):
    """A few lists hold fewer documents than are wanted, and what exact search then finds is no merit of theirs."""
    report = read_report(store, prepare_indexes(inputs(depth=100), store))
    assert report.indexed == 2
    for setting in report.settings.split("; "):
        assert int(setting.removeprefix("nprobe ")) > 8  # 450 documents in 32 lists: 8 of them hold 113


def test_what_is_there_is_not_built_again(inputs, store, monkeypatch):
    built = []
    write = preparing.write_index
    monkeypatch.setattr(preparing, "write_index", lambda *given: built.append(given[1]) or write(*given))
    first = prepare_indexes(inputs(), store)
    assert len(built) == 2
    steps = []
    assert prepare_indexes(inputs(), store, lambda *step: steps.append(step)) == first
    assert steps == [("index ivf-flat", done, 2) for done in range(3)]
    prepare_indexes(inputs(target_recall=0.8), store)  # another search of the same index
    assert len(built) == 2
    prepare_indexes(inputs(documents={**DOCUMENTS, "new": "word1"}), store)  # in one of the partitions
    assert len(built) == 3
    assert first.fingerprint == indexes_fingerprint(inputs())


def test_a_damaged_index_is_not_trusted_and_only_it_is_built_again(inputs, store, monkeypatch):
    ref, ready = indexed(inputs, store)
    keys = [entry.key for entry in listed_entries(store, ref).values()]
    path = store.folder("index", keys[1]) / FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    assert find_indexes(store, ref.fingerprint) is None
    with pytest.raises(ArtifactError, match=r"index\.faiss has sha256"):
        mine_cells(ready, "dense", store)
    built = []
    write = preparing.write_index
    monkeypatch.setattr(preparing, "write_index", lambda *given: built.append(given[1]) or write(*given))
    assert prepare_indexes(inputs(), store) == ref
    assert built == [keys[1]]
    assert path.read_bytes() == whole
    assert find_indexes(store, ref.fingerprint) == ref


def test_a_small_partition_is_searched_exactly_and_says_so(inputs, store, monkeypatch, caplog, cell_rows):
    monkeypatch.setattr(ivf_flat, "FEWEST", 450)
    with caplog.at_level("INFO"):
        ref, ready = indexed(inputs, store, nprobe=1)
    report = read_report(store, ref)
    assert (report.indexed, report.exact) == (1, 1)
    assert "documents are fewer than the 450 that ivf-flat needs" in report.why_exact
    assert report.why_exact in caplog.text
    sizes = {name: entry.documents for name, entry in listed_entries(store, ref).items()}
    assert sum(sizes.values()) == 900
    assert min(sizes.values()) < 450 <= max(sizes.values())
    assert report.recall == pytest.approx(recomputed(ready, store, cell_rows), abs=2e-6)


def test_where_all_is_exact_nothing_differs_from_exact_search(inputs, store, monkeypatch):
    monkeypatch.setattr(ivf_flat, "FEWEST", 10_000)
    ref, ready = indexed(inputs, store)
    assert (ref.content, read_report(store, ref).recall, read_report(store, ref).sample) == ("", 1.0, 0)
    plain = inputs(index="exact")
    assert plan_cells(ready, "dense") == plan_cells(plain, "dense")
    assert dense.identity(plain) == {"encoder": "encoder"}


def test_cells_are_named_by_the_index_and_how_hard_it_searches(inputs, store):
    names = {
        fingerprint(plan_cells(indexed(inputs, store, **options)[1], "dense")[0].fingerprint)
        for options in (
            {"nprobe": 1},
            {"nprobe": 2},
            {"index": "hnsw", "ef_search": 30},
            {"partitions": 1, "nprobe": 1},
        )
    }
    assert len(names) == 4
    assert indexed(inputs, store, nprobe=1)[1].indexes.content == indexed(inputs, store, nprobe=1)[1].indexes.content


def test_mined_rows_do_not_depend_on_blocks(inputs, store):
    whole = mine_cells(indexed(inputs, store, nprobe=2)[1], "dense", store)
    parts = mine_cells(indexed(inputs, store, nprobe=2, query_block=7)[1], "dense", store)
    assert whole.content == parts.content
    assert whole.fingerprint != parts.fingerprint
    rows = [store.manifest("cell", cell.fingerprint).rows for cell in listed_cells(store, parts)]
    assert sum(rows) == whole.rows


def test_an_index_shows_no_query_a_document_of_its_future(inputs, store, memory_snapshot, cell_rows):
    """Queries that may not see all documents are searched exactly among those that they may see."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    created = {name: start + timedelta(hours=n) for n, name in enumerate(DOCUMENTS)}
    asked = {name: start + timedelta(hours=450) for name in list(QUERIES)[::2]}
    given = inputs(nprobe=1)
    config = given.config.model_copy(update={"time": TimeConfig(limit=True)})
    snapshot = memory_snapshot(DOCUMENTS, QUERIES, LABELS, 2, created=created, asked=asked)
    limited = replace(given, snapshot=snapshot, config=config)
    ready = replace(limited, indexes=open_indexes(store, prepare_indexes(limited, store)))
    seen = {}
    for query, doc, _ in cell_rows(ready, "dense", store):
        seen.setdefault(query, set()).add(doc)
    exact = replace(limited, config=config.model_copy(update={"dense": DenseConfig()}))
    early = [name for name in DOCUMENTS if created[name] <= start + timedelta(hours=450)]
    assert len(early) == 451
    for query in asked:
        assert seen[query] <= set(early)
        vector = exact.query_vectors.gather([QUERIES[query]])[0].astype(float)
        scores = np.round(exact.document_vectors.gather([DOCUMENTS[name] for name in early]).astype(float) @ vector, 6)
        best = {early[at] for at in np.argsort(-scores, kind="stable")[:11]}
        assert best <= seen[query]  # the best of all are among the best of each partition
    assert any(max(seen[query]) > max(early) for query in QUERIES if query not in asked)


def test_cells_have_no_name_before_their_index_is_there(inputs, store):
    with pytest.raises(ConfigError, match=r"mine.dense.index is 'ivf-flat': prepare the indexes before mining"):
        plan_cells(inputs(), "dense")


def test_documents_of_another_snapshot_have_no_index(inputs, store):
    _, ready = indexed(inputs, store)
    other = inputs(documents={**DOCUMENTS, "new": "word1"}, indexes=ready.indexes)
    with pytest.raises(ArtifactError, match="no index was made of these"):
        mine_cells(other, "dense", store)


def test_no_query_at_all_leaves_nothing_to_measure(inputs, store, memory_snapshot):
    given = inputs()
    empty = MiningInputs(
        memory_snapshot(DOCUMENTS, QUERIES, [], 2),
        *[getattr(given, name) for name in ("config", "seed", "encoder_content", "query_vectors", "document_vectors")],
    )
    ref = prepare_indexes(empty, store)
    assert read_report(store, ref).recall == 1.0


@pytest.mark.parametrize(
    ("faster", "share", "reason"), [(False, 1.0, "slower than exact"), (True, 0.2, "less than the target")]
)
def test_auto_gives_up_an_index_that_does_not_keep_its_promise(inputs, store, monkeypatch, faster, share, reason):
    monkeypatch.setattr(preparing.choosing, "resolve_kind", lambda *_: "ivf-flat")
    times = iter([0.0, 1.0, 3.0 if faster else 1.5] * 2)
    monkeypatch.setattr(preparing.time, "perf_counter", lambda: next(times))
    if share < 1:
        monkeypatch.setattr(
            preparing, "choose_setting", lambda settings, *_: settings[0].model_copy(update={"nprobe": 1})
        )
    report = read_report(store, prepare_indexes(inputs(index="auto"), store))
    assert (report.indexed, report.exact, report.recall) == (0, 2, 1.0)
    assert reason in report.why_exact


def test_auto_keeps_an_index_that_is_faster(inputs, store, monkeypatch):
    monkeypatch.setattr(preparing.choosing, "resolve_kind", lambda *_: "ivf-flat")
    times = iter([0.0, 1.0, 3.0] * 2)
    monkeypatch.setattr(preparing.time, "perf_counter", lambda: next(times))
    report = read_report(store, prepare_indexes(inputs(index="auto"), store))
    assert (report.kind, report.indexed) == ("ivf-flat", 2)
    assert report.recall >= 0.95
