"""A snapshot: corpus, queries and qrels of a source in canonical form, cut into partitions, kept in the store."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from negset.canonical import Canonical, SnapshotFacts, canonical_tables
from negset.errors import ArtifactError
from negset.fingerprint import fingerprint, rows_digest
from negset.progress import Progress, no_progress
from negset.sources.reading import read_source, source_fingerprint
from negset.store import Store
from negset.tables import read_table, write_table
from schemas.config import SourceConfig
from schemas.frames import KEYS
from schemas.refs import SnapshotRef

_STEP: Final = "ingest"


@dataclass(frozen=True)
class Snapshot:
    """An open snapshot. `content` depends on the rows alone: not on their order, nor on the partitions."""

    folder: Path
    facts: SnapshotFacts
    content: str
    partition_contents: Mapping[str, str]

    def partitions(self) -> list[str]:
        """Name the partitions, in order."""
        return sorted(self.partition_contents)

    def documents(self, partition: str | None = None) -> pl.DataFrame:
        """Give the documents of one `partition`, or all, sorted by doc_id."""
        return self._corpus(partition, None)

    def document_columns(self, *columns: str) -> pl.DataFrame:
        """Give `columns` of all documents, sorted by doc_id; the texts stay on disk unless they are asked for."""
        return self._corpus(None, ["doc_id", *(name for name in columns if name != "doc_id")]).select(columns)

    def _corpus(self, partition: str | None, columns: Sequence[str] | None) -> pl.DataFrame:
        names = self.partitions() if partition is None else [partition]
        parts = [read_table(self.folder / "corpus" / f"{name}.parquet", columns) for name in names]
        return parts[0] if len(parts) == 1 else pl.concat(parts).sort("doc_id")

    def queries(self) -> pl.DataFrame:
        """Give the queries, sorted by query_id."""
        return read_table(self.folder / "queries.parquet")

    def qrels(self) -> pl.DataFrame:
        """Give the judgements whose query and document exist, sorted by query, document and split."""
        return read_table(self.folder / "qrels.parquet")

    def quarantine(self) -> pl.DataFrame:
        """Give the rows that could not be used."""
        return read_table(self.folder / "quarantine.parquet")


def build_snapshot(source: SourceConfig, store: Store, progress: Progress = no_progress) -> SnapshotRef:
    """Read `source` into the `store`, unless the same files were read there before.

    Raises InputError where the source is not what it is said to be, or has more bad rows than it allows.
    """
    name = source_fingerprint(source)
    known = store.ref(SnapshotRef, name)
    if known is not None:
        return known
    progress(_STEP, 0, 3)
    tables = read_source(source)
    progress(_STEP, 1, 3)
    canonical = canonical_tables(tables, source)
    progress(_STEP, 2, 3)
    with store.staging() as staged:
        partition_contents = _write(canonical, source.partitions, staged)
        facts: dict[str, object] = {"counts": canonical.facts.model_dump(), "partition_contents": partition_contents}
        content = snapshot_content(canonical)
        ref = store.commit(SnapshotRef, name, content, canonical.corpus.height, staged, facts)
    progress(_STEP, 3, 3)
    return ref


def open_snapshot(store: Store, ref: SnapshotRef) -> Snapshot:
    """Open the snapshot that `ref` names, after checking its files."""
    folder = store.open(SnapshotRef.kind, ref.fingerprint)
    manifest = store.manifest(SnapshotRef.kind, ref.fingerprint)
    contents = manifest.facts.get("partition_contents")
    if not isinstance(contents, dict):
        message = f"{folder} says nothing of its partitions. Delete it and build again"
        raise ArtifactError(message)
    facts = SnapshotFacts.model_validate(manifest.facts.get("counts"))
    return Snapshot(folder, facts, manifest.content, {str(name): str(value) for name, value in contents.items()})


def snapshot_content(canonical: Canonical) -> str:
    """Hash the rows of the three tables, each in the order of its key."""
    return fingerprint(
        "snapshot",
        rows_digest(canonical.corpus, KEYS["corpus"]),
        rows_digest(canonical.queries, KEYS["snapshot_queries"]),
        rows_digest(canonical.qrels, KEYS["qrels"]),
    )


def partition_names(doc_ids: pl.Series, partitions: int) -> pl.Series:
    """Name the partition of each document: the bucket of its id's hash."""
    buckets = [
        int.from_bytes(hashlib.blake2b(doc_id.encode(), digest_size=8).digest(), "big") % partitions
        for doc_id in doc_ids
    ]
    return pl.Series("partition", [bucket_name(bucket, partitions) for bucket in buckets], dtype=pl.String)


def bucket_name(bucket: int, partitions: int) -> str:
    """Name one of `partitions` buckets."""
    return f"b{bucket:04d}of{partitions:04d}"


def _write(canonical: Canonical, partitions: int, staged: Path) -> dict[str, str]:
    """Write the tables to the folder `staged`; give the content of each partition."""
    (staged / "corpus").mkdir()
    corpus = canonical.corpus
    parts = corpus.with_columns(partition_names(corpus.get_column("doc_id"), partitions)).partition_by(
        "partition", as_dict=True, include_key=False
    )
    contents = {}
    for bucket in range(partitions):
        name = bucket_name(bucket, partitions)
        part = parts.get((name,), corpus.clear())
        write_table(part, "corpus", staged / "corpus" / f"{name}.parquet")
        contents[name] = rows_digest(part, KEYS["corpus"])
    write_table(canonical.queries, "snapshot_queries", staged / "queries.parquet")
    write_table(canonical.qrels, "qrels", staged / "qrels.parquet")
    write_table(canonical.quarantine, "quarantine", staged / "quarantine.parquet")
    return contents
