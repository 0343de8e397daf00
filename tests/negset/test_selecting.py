"""A selection put together from parts is that of one piece, byte for byte, wherever it was cut."""

import pytest

from negset import selecting
from negset.selecting import cut_selection, has_parts, open_selection, select_part
from negset.store import Store
from schemas.config import BuildConfig
from schemas.refs import SelectionPartRef

LEAK = "amber birch cedar"


@pytest.fixture
def config(collection, tmp_path) -> BuildConfig:
    """Give a build of 40 queries, some without a positive, some in another split, some that leak into the test."""
    texts = {f"d{place:02}": f"amber item{place} word{place % 7} word{place % 5}" for place in range(60)}
    queries = {f"q{place:02}": f"word{place % 7} word{place % 5} ask{place}" for place in range(40)}
    queries |= {"q00": LEAK, "q19": LEAK, "q39": "nothing that any document has"}
    splits = {name: "test" if place % 10 == 9 else "train" for place, name in enumerate(queries)}
    judged = [(name, f"d{place:02}", 1) for place, name in enumerate(queries) if place % 6 and place != 39]
    folder = collection(tmp_path / "world", texts, queries, judged, splits)
    return BuildConfig(
        name="parts",
        source={"format": "parquet", "path": str(folder)},
        encoder={"backend": "hashing", "dimensions": 16},
        mine={"miners": ("dense", "bm25"), "depth": 12, "splits": ("train",), "query_block": 3},
        recipe={"name": "naive", "negatives": 3},
    )


def files(store: Store, ref) -> dict[str, str]:
    return {file.path: file.sha256 for file in store.manifest(ref.kind, ref.fingerprint).files}


@pytest.mark.parametrize(("wanted", "keep"), [(2, True), (99, True), (5, False)])
def test_parts_make_the_whole(select, config, store, wanted, keep):
    config = config.model_copy(update={"publish": config.publish.model_copy(update={"keep_candidates": keep})})
    whole = select(config, store)
    expected, facts = files(store, whole.ref), store.manifest(whole.ref.kind, whole.ref.fingerprint).facts
    store.drop(whole.ref.kind, whole.ref.fingerprint)

    opened = open_selection(config, whole.refs, store)
    ranges = cut_selection(config, opened.inputs, wanted)
    assert len(ranges) == min(wanted, 10)
    last = ranges[-1]
    # Out of order: nobody knows which worker is the quickest.
    made = {
        one.start: select_part(config, whole.refs, store, opened, one, last=one is last) for one in reversed(ranges)
    }
    parts = [made[one.start] for one in ranges]
    assert len({part.fingerprint for part in parts}) == len(parts)
    # Without a ledger to read: what is put together comes from the parts.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selecting, "select_blocks", None)
        ref = selecting.select(config, whole.refs, store, parts=parts)
    assert ref == whole.ref
    assert files(store, ref) == expected
    assert store.manifest(ref.kind, ref.fingerprint).facts == facts


def test_a_part_that_is_there_is_not_made_again(select, config, store, monkeypatch):
    refs = select(config, store).refs
    opened = open_selection(config, refs, store)
    part = select_part(config, refs, store, opened, range(0, 2), last=False)
    monkeypatch.setattr(selecting, "select_blocks", None)
    assert select_part(config, refs, store, opened, range(0, 2), last=False) == part
    assert isinstance(part, SelectionPartRef)


def test_parts_that_another_build_cleared_away_are_selected_anew(select, config, store):
    whole = select(config, store)
    expected = files(store, whole.ref)
    store.drop(whole.ref.kind, whole.ref.fingerprint)
    gone = SelectionPartRef(fingerprint="0" * 64, content="0" * 64, rows=1)
    assert files(store, selecting.select(config, whole.refs, store, parts=[gone])) == expected


def test_a_budget_of_queries_looks_at_all_of_them(config):
    assert has_parts(config)
    assert not has_parts(config.model_copy(update={"recipe": config.recipe.model_copy(update={"query_budget": 5})}))
