"""How partitions stand: each by its own data, decided without running a room."""

import pytest

from negset.errors import ConfigError
from negset.mining.miner import find_miner
from negset.periods import staleness, status
from negset.periods.attempts import ATTEMPTS, begin_attempt, building
from negset.periods.choosing import chosen, holes
from negset.sources import reading

PUBLISHED = dict.fromkeys(("2024-01", "2024-02", "2024-03"), "published")


def test_what_was_never_built_is_missing_and_then_published(dataset):
    assert dataset.states() == dict.fromkeys(PUBLISHED, "missing")
    assert not dataset.status().fresh
    assert dataset.backfill() == list(PUBLISHED)
    found = dataset.status()
    assert {one.key: one.state for one in found.partitions} == PUBLISHED
    assert found.fresh
    one = found.partitions[0]
    assert (one.version, one.rows, one.queries, one.kept) == (dataset.latest()["2024-01"], 4, 2, 1.0)
    assert one.published_at == "2024-04-10T00:00:00+00:00"
    assert dataset.backfill() == []


def test_backfilling_the_past_makes_the_newest_partition_no_fresher(dataset):
    dataset.broken = {"2024-03"}
    dataset.backfill()
    assert dataset.states() == {**PUBLISHED, "2024-03": "failed"}
    assert not dataset.status().fresh
    dataset.broken = set()
    dataset.backfill()
    dataset.broken = {"2024-01"}
    dataset.add_query("2024-01", "d003")
    dataset.write()
    assert dataset.states()["2024-01"] == "late data"
    assert dataset.status().fresh  # the newest alone decides, and nothing of it changed


def test_a_late_judgement_or_query_concerns_its_own_partition_alone(dataset):
    dataset.backfill()
    before = dataset.latest()
    dataset.add_query("2024-02", "d003")
    dataset.write()
    assert dataset.states() == {**PUBLISHED, "2024-02": "late data"}
    assert dataset.why("2024-02") == "queries 2 -> 3, qrels 2 -> 3 since it was published"
    assert dataset.backfill("missing") == []
    assert dataset.backfill("stale") == ["2024-02"]
    after = dataset.latest()
    assert {key for key in after if after[key] != before[key]} == {"2024-02"}
    assert dataset.states() == PUBLISHED


def test_a_late_document_concerns_its_partition_and_all_that_knew_it(dataset):
    dataset.backfill()
    dataset.add_document("2024-02")
    dataset.write()
    assert dataset.states() == {**PUBLISHED, "2024-02": "late data", "2024-03": "late data"}
    dataset.options = {"partitions": {"kind": "monthly", "start": "2024-01", "column": "queries.asked_at"}}
    dataset.backfill()
    dataset.add_document("2030-01")  # without as_of every partition has the whole corpus
    dataset.write()
    assert dataset.states() == dict.fromkeys(PUBLISHED, "late data")


def test_a_changed_recipe_says_what_changed(dataset):
    dataset.backfill()
    dataset.options = {"recipe": {"name": "random", "negatives": 1}}
    assert dataset.states() == dict.fromkeys(PUBLISHED, "stale")
    assert dataset.why("2024-01") == "recipe.negatives 2 -> 1"
    assert dataset.backfill("stale") == list(PUBLISHED)
    assert dataset.states() == PUBLISHED


def test_declaring_another_end_makes_nothing_stale(dataset):
    dataset.backfill()
    dataset.options = {"partitions": {**dataset.config.partitions.model_dump(), "end": "2024-02"}}
    assert dataset.states() == {"2024-01": "published", "2024-02": "published"}


def test_a_rule_miner_or_room_of_another_version_makes_stale(dataset, monkeypatch):
    dataset.backfill()
    monkeypatch.setattr(staleness.building, "SELECT_VERSION", 99)
    assert dataset.why("2024-01") == "room select is of version 99, was 2"
    monkeypatch.undo()
    monkeypatch.setattr(find_miner("random"), "VERSION", 98)
    assert dataset.why("2024-01").startswith("miner random is of version 98")


def test_unchanged_files_are_not_read_again(dataset, monkeypatch):
    dataset.backfill()
    dataset.add_query("2024-02", "d003")
    dataset.write()
    reads = []
    read = reading.read_files
    monkeypatch.setattr("negset.periods.inputs.read_files", lambda source: reads.append(source) or read(source))
    first = dataset.states()
    assert len(reads) == 1  # once for all partitions
    assert dataset.states() == first
    assert len(reads) == 1  # and what was found is remembered


def test_a_partition_without_data_is_a_hole_until_data_comes(dataset):
    dataset.queries = {name: query for name, query in dataset.queries.items() if query[0] != "2024-02"}
    dataset.write()
    dataset.backfill()
    assert dataset.states() == {**PUBLISHED, "2024-02": "no data"}
    assert [one.key for one in holes(dataset.status())] == ["2024-02"]
    assert chosen(dataset.status().partitions) == []  # nothing changed, so nothing can come of it
    dataset.queries["q900"] = ("2024-02", "d003")
    dataset.write()
    assert dataset.states() == {**PUBLISHED, "2024-02": "missing"}
    assert dataset.backfill("missing") == ["2024-02"]


def test_a_failure_is_kept_with_its_reason_and_tried_again(dataset):
    dataset.broken = {"2024-02"}
    assert dataset.backfill() == ["2024-01", "2024-03"]
    assert dataset.why("2024-02") == "RefusedError: the gate said no to 2024-02"
    assert dataset.backfill("missing") == []
    assert dataset.status().partitions[1].attempts == 1
    dataset.broken = set()
    assert dataset.backfill("failed") == ["2024-02"]
    assert dataset.states() == PUBLISHED
    lines = (dataset.home("2024-02") / ATTEMPTS).read_text().splitlines()
    assert ['"failed"' in lines[0], '"published"' in lines[1]] == [True, True]


def test_a_failed_rebuild_keeps_the_version_that_was_there(dataset):
    dataset.backfill()
    before = dataset.latest()
    dataset.add_query("2024-02", "d003")
    dataset.write()
    dataset.broken = {"2024-02"}
    dataset.backfill()
    one = dataset.status().partitions[1]
    assert (one.state, one.version) == ("failed", before["2024-02"])


def test_an_attempt_that_was_cut_off_blocks_nothing(dataset):
    dataset.backfill()
    with building(dataset.home("2024-02")):
        begin_attempt(dataset.home("2024-02"))
        assert dataset.states() == {**PUBLISHED, "2024-02": "building"}
    assert dataset.states() == PUBLISHED  # its data is as good as before
    (dataset.home("2024-02") / "LATEST").unlink()
    assert dataset.states() == {**PUBLISHED, "2024-02": "missing"}
    assert "cut off" in dataset.why("2024-02")
    assert dataset.backfill("missing") == ["2024-02"]


def test_what_was_revoked_is_not_built_again(dataset):
    dataset.backfill()
    (dataset.home("2024-01") / status.REVOKED).write_text("a person asked\n")
    dataset.add_query("2024-01", "d003")
    dataset.write()
    assert (dataset.states()["2024-01"], dataset.why("2024-01")) == ("revoked", "a person asked")
    assert dataset.backfill() == []


def test_a_source_that_is_gone_leaves_what_was_published(dataset):
    dataset.backfill()
    for path in (dataset.folder / "source").iterdir():
        path.unlink()
    assert dataset.states() == PUBLISHED
    assert "was not compared" in dataset.why("2024-01")


def test_a_damaged_version_is_said_and_built_again(dataset):
    dataset.backfill()
    (dataset.home("2024-01") / "versions" / dataset.latest()["2024-01"] / "manifest.json").write_text("{")
    assert dataset.states()["2024-01"] == "failed"
    assert "no manifest" in dataset.why("2024-01")


def test_a_recipe_that_cannot_work_is_an_error_and_not_a_state(dataset):
    dataset.backfill()
    dataset.options = {"recipe": {"name": "nothing"}}
    with pytest.raises(ConfigError, match="nothing"):
        dataset.states()


def test_what_comes_later_leaves_no_trace_in_an_older_partition(dataset, new_dataset):
    dataset.backfill()
    dataset.add_query("2024-03", dataset.add_document("2024-03"))
    dataset.write()
    dataset.backfill()
    fresh = new_dataset("fresh")
    fresh.documents, fresh.queries = dataset.documents, dataset.queries
    fresh.write()
    fresh.backfill()
    assert fresh.latest() == dataset.latest()
