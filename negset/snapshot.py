"""A snapshot: corpus, queries and qrels of a source in canonical form, cut into partitions, kept in the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl

from negset.canonical import Canonical, SnapshotFacts, canonical_tables
from negset.errors import ArtifactError
from negset.fingerprint import fingerprint, rows_digest
from negset.partitions import Partition, PartitionFacts, Partitioning, cut_corpus, partitioning
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
    """An open snapshot. `content` depends on the rows alone: not on their order, nor on the partitions.

    Queries, judgements and the ids of documents are read once and kept; documents are read whenever they are asked for.
    """

    folder: Path
    facts: SnapshotFacts
    content: str
    partition_contents: Mapping[str, str]
    partitioning: Partitioning
    partition_facts: Mapping[str, PartitionFacts]

    def partitions(self) -> list[str]:
        """Name the partitions, in order."""
        return sorted(self.partition_contents)

    def documents(self, partition: str | None = None) -> pl.DataFrame:
        """Give the documents of one `partition`, or all, sorted by doc_id."""
        return self._corpus(partition, None)

    def document_columns(self, *columns: str) -> pl.DataFrame:
        """Give `columns` of all documents, sorted by doc_id; the texts stay on disk unless they are asked for."""
        if columns == ("doc_id",):
            return self._doc_ids
        return self._corpus(None, ["doc_id", *(name for name in columns if name != "doc_id")]).select(columns)

    @cached_property
    def _doc_ids(self) -> pl.DataFrame:
        return self._corpus(None, ["doc_id"])

    def _corpus(self, partition: str | None, columns: Sequence[str] | None) -> pl.DataFrame:
        names = self.partitions() if partition is None else [partition]
        parts = [read_table(self.folder / "corpus" / f"{name}.parquet", columns) for name in names]
        return parts[0] if len(parts) == 1 else pl.concat(parts).sort("doc_id")

    def queries(self) -> pl.DataFrame:
        """Give the queries, sorted by query_id."""
        return self._queries

    @cached_property
    def _queries(self) -> pl.DataFrame:
        return read_table(self.folder / "queries.parquet")

    def qrels(self) -> pl.DataFrame:
        """Give the judgements whose query and document exist, sorted by query, document and split."""
        return self._qrels

    @cached_property
    def _qrels(self) -> pl.DataFrame:
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
    how = partitioning(source)
    parts = cut_corpus(canonical.corpus, how)
    with store.staging() as staged:
        facts: dict[str, object] = {
            "counts": canonical.facts.model_dump(),
            "partitioning": how.model_dump(),
            "partition_contents": _write(canonical, parts, staged),
            "partition_facts": {part.name: part.facts.model_dump(mode="json") for part in parts},
        }
        content = snapshot_content(canonical)
        ref = store.commit(SnapshotRef, name, content, canonical.corpus.height, staged, facts)
    progress(_STEP, 3, 3)
    return ref


def open_snapshot(store: Store, ref: SnapshotRef) -> Snapshot:
    """Open the snapshot that `ref` names, after checking its files."""
    folder = store.open(SnapshotRef.kind, ref.fingerprint)
    manifest = store.manifest(SnapshotRef.kind, ref.fingerprint)
    contents, known = manifest.facts.get("partition_contents"), manifest.facts.get("partition_facts")
    if not isinstance(contents, dict) or not isinstance(known, dict):
        message = f"{folder} says nothing of its partitions. Delete it and build again"
        raise ArtifactError(message)
    return Snapshot(
        folder=folder,
        facts=SnapshotFacts.model_validate(manifest.facts.get("counts")),
        content=manifest.content,
        partition_contents={str(name): str(value) for name, value in contents.items()},
        partitioning=Partitioning.model_validate(manifest.facts.get("partitioning")),
        partition_facts={str(name): PartitionFacts.model_validate(value) for name, value in known.items()},
    )


def snapshot_content(canonical: Canonical) -> str:
    """Hash the rows of the three tables, each in the order of its key."""
    return fingerprint(
        "snapshot",
        rows_digest(canonical.corpus, KEYS["corpus"]),
        rows_digest(canonical.queries, KEYS["snapshot_queries"]),
        rows_digest(canonical.qrels, KEYS["qrels"]),
    )


def _write(canonical: Canonical, parts: Sequence[Partition], staged: Path) -> dict[str, str]:
    """Write the tables to the folder `staged`, the corpus in `parts`; give the content of each of these."""
    (staged / "corpus").mkdir()
    for part in parts:
        write_table(part.documents, "corpus", staged / "corpus" / f"{part.name}.parquet")
    write_table(canonical.queries, "snapshot_queries", staged / "queries.parquet")
    write_table(canonical.qrels, "qrels", staged / "qrels.parquet")
    write_table(canonical.quarantine, "quarantine", staged / "quarantine.parquet")
    return {part.name: rows_digest(part.documents, KEYS["corpus"]) for part in parts}
