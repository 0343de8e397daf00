import json

import pytest

from negset import building
from negset.configuration import load_build_config
from negset.errors import ConfigError, ValidationFailed
from negset.fingerprint import file_digest, rows_digest
from negset.indexes import hnsw, ivf_flat
from negset.planning import plan_build
from negset.tables import read_table
from schemas.frames import KEYS


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Let the small collection have indexes."""
    for kind in (ivf_flat, hnsw):
        monkeypatch.setattr(kind, "FEWEST", 20)


def loaded(build_file, *options):
    return load_build_config(build_file, ["mine.depth=5", 'mine.miners=["dense"]', *options])


def test_the_manifest_says_what_the_index_was_and_found(select, store, build_file):
    config = loaded(build_file, "mine.dense.index=ivf-flat", "mine.dense.nprobe=16", "source.partitions=2")
    selected = select(config, store)
    dense = building.describe(config, selected.refs, store).miners["dense"]
    assert {name: dense[name] for name in dense if name.startswith(("index", "exact"))} == {
        "index": "ivf-flat",
        "index_kind": "ivf-flat",
        "index_settings": "nprobe 16; nprobe 8",  # 33 documents make 16 lists, 27 make 8: all are probed
        "index_partitions": 2,
        "exact_partitions": 0,
        "index_recall": 1.0,
        "index_recall_queries": 8,
    }


def test_exact_search_has_nothing_to_report(select, store, build_file):
    config = loaded(build_file)
    selected = select(config, store)
    assert selected.refs.mining.indexes is None
    dense = building.describe(config, selected.refs, store).miners["dense"]
    assert not [name for name in dense if "recall" in name and name != "target_recall"]
    assert not [room for room in plan_build(config, store) if room.name == "index"]


def test_an_index_that_finds_too_little_fails_the_gate(select, store, build_file):
    weak = ("mine.dense.index=ivf-flat", "mine.dense.nprobe=1")
    config = loaded(build_file, *weak, "gates.min_index_recall=1.0")
    with pytest.raises(
        ValidationFailed, match=r"the index 'ivf-flat' finds 0\.\d{4} of the exact candidates .8 sampled"
    ) as failed:
        select(config, store)
    assert failed.value.exit_code == 3
    assert "gates.min_index_recall is 1; nothing was published" in str(failed.value)
    assert select(loaded(build_file, *weak, "gates.min_index_recall=0"), store).refs.mining.indexes is not None


def test_a_knob_of_another_kind_is_refused_before_anything_runs(build_file):
    with pytest.raises(ConfigError, match="sets ef_search, but its index 'ivf-flat' has nprobe"):
        building.bind(loaded(build_file, "mine.dense.index=ivf-flat", "mine.dense.ef_search=5"))


def test_the_plan_shows_the_index_and_up_to_what_size_exact_search_is_used(select, store, build_file):
    config = loaded(build_file, "mine.dense.index=ivf-flat", "mine.dense.nprobe=16")
    assert [room.state for room in plan_build(config, store) if room.name == "index"] == ["unknown"]
    select(loaded(build_file), store)
    before = {room.name: room for room in plan_build(config, store)}
    assert (before["index"].state, before["index"].detail) == (
        "runs",
        "ivf-flat; exact below 20 documents in a partition",
    )
    assert before["mine dense"].detail == "known cell by cell once its inputs are there"
    select(config, store)
    after = {room.name: room for room in plan_build(config, store)}
    assert after["index"].state == after["mine dense"].state == "cached"
    assert after["index"].detail.startswith(
        "ivf-flat for 1 of 1 partitions; nprobe 16; recall 1.0000 on 8 queries; exact"
    )


def test_the_plan_shows_what_auto_chose(select, store, build_file):
    config = loaded(build_file, "mine.dense.index=auto")
    select(loaded(build_file), store)
    before = {room.name: room for room in plan_build(config, store)}
    assert before["index"].detail == "auto; what is cheapest is measured first"
    selected = select(config, store)
    after = {room.name: room for room in plan_build(config, store)}
    assert after["index"].detail.startswith("exact for 0 of 1 partitions; auto chose exact (exact 0.0 s); exact is ")
    facts = building.describe(config, selected.refs, store)
    assert facts.miners["dense"]["index_kind"] == "exact"
    assert json.dumps(facts.config["mine"]["dense"]["index"]) == '"auto"'


@pytest.mark.parametrize("keep", ["true", "false"])
def test_the_digests_noted_while_writing_are_those_of_the_files(select, store, build_file, keep):
    selected = select(loaded(build_file, f"publish.keep_candidates={keep}"), store)
    noted = building.selection_digests(store, selected.ref)
    published = sorted((selected.folder / "data").rglob("*.parquet"))
    assert {path.parent.name for path in published} >= {"negatives", "fates", "queries", "documents", "positives"}
    for path in published:
        table = path.relative_to(selected.folder).parts[1]
        frame = read_table(path)
        assert noted[file_digest(path)] == rows_digest(frame, KEYS[table] or frame.columns), path


def test_a_selection_without_notes_has_no_digests(select, store, build_file):
    selected = select(loaded(build_file), store)
    place = selected.folder / "manifest.json"
    plain = json.loads(place.read_text())
    del plain["facts"]["rows_sha256"]
    place.write_text(json.dumps(plain))
    assert building.selection_digests(store, selected.ref) == {}
