"""Older versions of a published set, by age: the newest has age 1."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from negset.publishing.publish import read_history
from negset.publishing.reading import VERSIONS, read_set
from negset.snapshot import Snapshot
from negset.store import MANIFEST
from negset.training.examples import SetTables


@dataclass(frozen=True)
class ListedVersion:
    """A version in the history of a set. `folder` is None where it was deleted since."""

    version: str
    age: int
    folder: Path | None


def listed_versions(version_folder: Path) -> Sequence[ListedVersion]:
    """List the version in `version_folder`, age 1, and those that were the latest of its set before it, by age.

    A version that was the latest more than once is as old as the last time. A version that stands by itself, outside
    of the folder of a set, has no older ones.
    """
    name, home = version_folder.name, version_folder.parent.parent
    history = [entry.id for entry in read_history(home)] if version_folder.parent.name == VERSIONS else []
    before = history[: len(history) - history[::-1].index(name) - 1] if name in history else []
    older = list(dict.fromkeys(one for one in reversed(before) if one != name))
    found = [ListedVersion(name, 1, version_folder)]
    for age, version in enumerate(older, start=2):
        folder = home / VERSIONS / version
        found.append(ListedVersion(version, age, folder if (folder / MANIFEST).is_file() else None))
    return found


def with_replay(tables: SetTables, version_folder: Path, snapshot: Snapshot) -> SetTables:
    """Give `tables` with the negatives of older versions, and the documents of these that the set has no more.

    Pairs of a query that the set has no more, or of a document that the corpus has no more, are left out: what was
    deleted does not come back.
    """
    queries = tables.queries.select("query_id")
    corpus = snapshot.document_columns("doc_id").select("doc_id")
    pairs, documents = [], [tables.documents]
    for one in listed_versions(version_folder)[1:]:
        if one.folder is None:
            continue
        opened = read_set(one.folder)
        found = opened.table("negatives").select("query_id", "doc_id", "rank", version=pl.lit(one.version))
        pairs.append(found.join(queries, on="query_id", how="semi").join(corpus, on="doc_id", how="semi"))
        documents.append(opened.table("documents").select(tables.documents.columns))
    if not pairs:
        return tables
    replayed = pl.concat(pairs)
    known = pl.concat(documents).unique("doc_id", keep="first", maintain_order=True)
    needed = pl.concat([tables.documents.select("doc_id"), replayed.select("doc_id")]).unique()
    return replace(tables, documents=known.join(needed, on="doc_id", how="semi"), replayed=replayed)
