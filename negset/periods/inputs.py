"""What the source of each partition holds now, by content, without running a room.

The files are hashed once for all partitions that read the same ones. Where their fingerprint is that of a snapshot in
the store, its content is known. Otherwise the files are read once, cut for each partition in question, and what was
found is remembered in the store under the fingerprint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from negset.canonical import canonical_tables
from negset.errors import InputError, NoDataError
from negset.fingerprint import canonical_json
from negset.snapshot import snapshot_content
from negset.sources.reading import file_contents, read_files, settled_tables, source_fingerprint
from negset.store import Store, make_folder, read_json, write_durably
from schemas.config import BuildConfig, SourceConfig
from schemas.partitions import SliceConfig
from schemas.refs import SnapshotRef

_COUNTED: Final = ("documents", "queries", "qrels")
_FOLDER: Final = "partition-inputs"


@dataclass(frozen=True)
class Inputs:
    """What the source of a partition is now: its fingerprint and content, or why there is none."""

    fingerprint: str = ""
    content: str = ""
    """Empty where it was not asked for, or there is nothing."""
    counts: Mapping[str, int] | None = None
    no_data: str = ""
    wrong: str = ""
    """Why the source cannot be read."""


def fingerprints(configs: Mapping[str, BuildConfig]) -> dict[str, Inputs]:
    """Give the fingerprint of the source of each of `configs`, hashing each file once."""
    hashed: dict[str, Mapping[str, str] | Inputs] = {}
    found = {}
    for key, config in configs.items():
        same = _whole(config.source)
        if same not in hashed:
            hashed[same] = _hash(config.source)
        contents = hashed[same]
        if isinstance(contents, Inputs):
            found[key] = contents
        else:
            found[key] = Inputs(fingerprint=source_fingerprint(config.source, contents))
    return found


def with_contents(
    known: Mapping[str, Inputs], configs: Mapping[str, BuildConfig], wanted: Sequence[str], store: Store
) -> dict[str, Inputs]:
    """Give `known` with the contents of the partitions `wanted`; files are read once, and only where need be."""
    found, unknown = dict(known), dict[str, list[str]]()
    for key in wanted:
        if not known[key].fingerprint:
            continue
        remembered = _remembered(store, known[key].fingerprint)
        if remembered is None:
            unknown.setdefault(_whole(configs[key].source), []).append(key)
        else:
            found[key] = remembered
    for keys in unknown.values():
        found |= _read(known, configs, keys, store)
    return found


def _whole(source: SourceConfig) -> str:
    """Name what is the same for all partitions that read the same files."""
    options = source.model_copy(update={"slice": SliceConfig(), "as_of": ""})
    return canonical_json(options.model_dump())


def _hash(source: SourceConfig) -> Mapping[str, str] | Inputs:
    try:
        return file_contents(source)
    except NoDataError as error:
        return Inputs(no_data=str(error))
    except InputError as error:
        return Inputs(wrong=str(error))


def _read(
    known: Mapping[str, Inputs], configs: Mapping[str, BuildConfig], keys: Sequence[str], store: Store
) -> dict[str, Inputs]:
    """Read the files that the partitions `keys` share, and cut them for each."""
    try:
        read = read_files(configs[keys[0]].source)
    except InputError as error:
        return {key: Inputs(known[key].fingerprint, wrong=str(error)) for key in keys}
    found = {}
    for key in keys:
        name, source = known[key].fingerprint, configs[key].source
        try:
            canonical = canonical_tables(settled_tables(read, source), source)
        except NoDataError as error:
            found[key] = Inputs(name, no_data=str(error))
        except InputError as error:
            found[key] = Inputs(name, wrong=str(error))
        else:
            counts = {what: int(getattr(canonical.facts, what)) for what in _COUNTED}
            found[key] = Inputs(name, snapshot_content(canonical), counts)
        _remember(store, found[key])
    return found


def _remembered(store: Store, fingerprint: str) -> Inputs | None:
    snapshot = store.find(SnapshotRef.kind, fingerprint)
    if snapshot is not None:
        counts = snapshot.facts.get("counts")
        known = counts if isinstance(counts, dict) else {}
        return Inputs(fingerprint, snapshot.content, {what: int(known[what]) for what in _COUNTED if what in known})
    path = _place(store, fingerprint)
    if not path.is_file():
        return None
    written = read_json(path)
    counts = written["counts"]
    return Inputs(
        fingerprint,
        str(written["content"]),
        {what: int(counts[what]) for what in _COUNTED} if isinstance(counts, dict) else None,
        str(written["no_data"]),
        str(written["wrong"]),
    )


def _remember(store: Store, inputs: Inputs) -> None:
    path = _place(store, inputs.fingerprint)
    make_folder(path.parent)
    written = {
        "content": inputs.content,
        "counts": dict(inputs.counts) if inputs.counts is not None else None,
        "no_data": inputs.no_data,
        "wrong": inputs.wrong,
    }
    write_durably(path, canonical_json(written).encode())


def _place(store: Store, fingerprint: str) -> Path:
    return store.root / _FOLDER / f"{fingerprint}.json"
