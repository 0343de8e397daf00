import json
import random
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from negset.canonical import SnapshotFacts, canonical_tables
from negset.errors import ArtifactError, InputError, NegsetError
from negset.partitions import bucket_labels
from negset.snapshot import Snapshot, build_snapshot, open_snapshot
from negset.sources.reading import read_source
from negset.store import Store
from schemas.config import SourceConfig
from schemas.frames import CORPUS, QRELS, QUERIES

DOCUMENTS = [json.dumps({"_id": f"d{number}", "text": f"document {number}"}) for number in range(40)]
QUESTIONS = [json.dumps({"_id": f"q{number}", "text": f"query {number}"}) for number in range(6)]
JUDGED = [f"q{number}\td{number * 3}\t1" for number in range(6)]


def write(folder: Path, shuffled: int | None = None) -> SourceConfig:
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    tables = [list(DOCUMENTS), list(QUESTIONS), list(JUDGED)]
    if shuffled is not None:
        for table in tables:
            random.Random(shuffled).shuffle(table)
    (folder / "corpus.jsonl").write_text("\n".join(tables[0]))
    (folder / "queries.jsonl").write_text("\n".join(tables[1]))
    (folder / "qrels" / "train.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *tables[2]]))
    return SourceConfig(format="beir", path=str(folder))


def snapshot(source: SourceConfig, store: Store) -> Snapshot:
    return open_snapshot(store, build_snapshot(source, store))


def test_a_snapshot_holds_the_registered_tables_in_order(tmp_path, store):
    found = snapshot(write(tmp_path / "beir"), store)
    assert found.documents().columns == CORPUS.names
    assert found.queries().columns == QUERIES.names
    assert found.qrels().columns == QRELS.names
    assert found.documents().get_column("doc_id").to_list() == sorted(f"d{number}" for number in range(40))
    assert found.queries().get_column("query_id").is_sorted()
    assert found.quarantine().is_empty()
    assert (found.facts.documents, found.facts.queries, found.facts.qrels) == (40, 6, 6)
    assert found.facts.splits == {"train": 6}


def test_content_depends_on_neither_the_order_of_rows_nor_the_partitions(tmp_path, store):
    first = snapshot(write(tmp_path / "beir"), store)
    for place, (seed, partitions) in enumerate([(1, 1), (2, 3), (3, 7)]):
        source = write(tmp_path / f"beir{place}", seed).model_copy(update={"partitions": partitions})
        other = snapshot(source, store)
        assert other.folder != first.folder
        assert other.content == first.content
        assert len(other.partitions()) == partitions
        assert other.documents().equals(first.documents())
        assert other.queries().equals(first.queries())
        assert other.qrels().equals(first.qrels())


def test_content_follows_every_row(tmp_path, store):
    source = write(tmp_path / "beir")
    contents = {snapshot(source, store).content}
    changes = {
        "corpus.jsonl": [*DOCUMENTS[:-1], DOCUMENTS[-1].replace("document", "Document")],
        "queries.jsonl": [*QUESTIONS[:-1], QUESTIONS[-1].replace("query", "Query")],
        "qrels/train.tsv": ["query-id\tcorpus-id\tscore", *JUDGED[:-1], JUDGED[-1][:-1] + "2"],
    }
    for name, lines in changes.items():
        write(tmp_path / "beir")
        (tmp_path / "beir" / name).write_text("\n".join(lines))
        contents.add(snapshot(source, store).content)
    assert len(contents) == 4


def test_partitions_part_the_documents(tmp_path, store):
    found = snapshot(write(tmp_path / "beir").model_copy(update={"partitions": 3}), store)
    assert found.partitions() == ["b0000of0003", "b0001of0003", "b0002of0003"]
    parts = [found.documents(name) for name in found.partitions()]
    assert sum(part.height for part in parts) == 40
    assert all(part.height and part.get_column("doc_id").is_sorted() for part in parts)
    assert len(set(found.partition_contents.values())) == 3


def test_a_partition_is_decided_by_its_ids_alone(tmp_path, store):
    source = write(tmp_path / "beir").model_copy(update={"partitions": 3})
    before = snapshot(source, store)
    extra = json.dumps({"_id": "new", "text": "a new document"})
    (tmp_path / "beir" / "corpus.jsonl").write_text("\n".join([*DOCUMENTS, extra]))
    after = snapshot(source, store)
    changed = {
        name for name in before.partitions() if before.partition_contents[name] != after.partition_contents[name]
    }
    assert changed == set(bucket_labels(pl.Series(["new"]), 3))


def test_the_same_files_are_read_once(tmp_path, store, monkeypatch):
    source = write(tmp_path / "beir")
    first = build_snapshot(source, store)
    monkeypatch.setattr("negset.snapshot.read_source", lambda _: pytest.fail("read again"))
    assert build_snapshot(source, store) == first


def test_an_error_leaves_no_artifact(tmp_path, store):
    source = write(tmp_path / "beir")
    (tmp_path / "beir" / "corpus.jsonl").write_text("\n".join([*DOCUMENTS, '{"_id": "d0", "text": "other"}']))
    with pytest.raises(InputError, match=r"'d0' stands for two different texts: corpus.jsonl:1 and corpus.jsonl:41"):
        build_snapshot(source, store)
    assert not (store.root / "snapshot").exists()


def test_a_damaged_snapshot_is_not_opened(tmp_path, store):
    ref = build_snapshot(write(tmp_path / "beir"), store)
    (store.folder("snapshot", ref.fingerprint) / "queries.parquet").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"queries\.parquet"):
        open_snapshot(store, ref)


def test_progress_is_told(tmp_path, store):
    told = []
    build_snapshot(write(tmp_path / "beir"), store, lambda *step: told.append(step))
    assert told == [("ingest", done, 3) for done in range(4)]


def test_fresh_processes_with_other_hash_seeds_give_the_same_files(tmp_path):
    source = write(tmp_path / "beir").model_copy(update={"partitions": 3})
    code = (
        "import sys; from pathlib import Path; from negset.snapshot import build_snapshot;"
        "from negset.store import Store; from schemas.config import SourceConfig; store = Store(Path(sys.argv[2]));"
        "ref = build_snapshot(SourceConfig.model_validate_json(sys.argv[1]), store);"
        "print((store.folder('snapshot', ref.fingerprint) / 'manifest.json').read_text())"
    )
    said = set()
    for seed, threads in (("0", "1"), ("1", "2")):
        command = [sys.executable, "-c", code, source.model_dump_json(), str(tmp_path / seed)]
        settings = {"PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": threads}
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=settings)
        said.add(done.stdout)
    assert len(said) == 1


def mutated(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        where = dice.randrange(len(changed))
        changed[where : where + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 3))
    return bytes(changed)


def outcome(source: SourceConfig) -> SnapshotFacts | NegsetError:
    try:
        return canonical_tables(read_source(source), source).facts
    except NegsetError as error:
        return error


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/train.tsv"])
def test_mutated_files_never_end_in_a_traceback_nor_lose_a_row(tmp_path, name):
    dice = random.Random(5)
    for _ in range(60):
        source = write(tmp_path / "beir").model_copy(update={"max_bad_share": 1.0})
        path = tmp_path / "beir" / name
        path.write_bytes(mutated(path.read_bytes(), dice))
        found = outcome(source)
        if isinstance(found, NegsetError):
            assert isinstance(found, InputError)
            assert "\n" not in str(found)
        else:
            kept = found.documents_read + found.queries_read + found.qrels_read
            later = found.documents_empty + found.qrels_missing_document + found.qrels_missing_query
            assert found.rows_read == kept + found.quarantined - later
