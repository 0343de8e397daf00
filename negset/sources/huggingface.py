"""Hugging Face `datasets`: a folder that `save_to_disk` wrote, a folder of data files, or a name with a commit.

Tables are the configs (or sub-folders, or splits of one saved dictionary) `corpus`, `queries` and `qrels`
(`default` in the layout of MTEB), or one table of pairs with a query and a positive column. `source.corpus`,
`source.queries` and `source.qrels` name other configs. A split of the judgements or pairs is theirs.
"""

import re
from collections.abc import Iterable
from typing import Final

import datasets
import polars as pl

from negset.errors import ConfigError, InputError, listed
from negset.sources.files import Place, digests, find_place
from negset.sources.intake import Intake, adders, check_columns, new_intake, take_frame
from negset.sources.pairs import known_query_column, pair_adder
from negset.sources.tables import PACKED, SourceTables
from schemas.config import ColumnsConfig, SourceConfig

Splits = dict[str, datasets.Dataset]

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_ALIASES: Final = {
    "doc_id": ("_id", "corpus-id", "corpus_id", "docid", "id"),
    "query_id": ("_id", "query-id", "qid", "id"),
    "relevance": ("score", "label"),
}
_MARKS: Final = ("dataset_dict.json", "state.json")


def read(source: SourceConfig) -> SourceTables:
    """Read a dataset as three tables where it has them, else as pairs."""
    place = _folder(source)
    tables = _tables(source, place)
    intake = new_intake(source)
    if tables is None:
        _take_pairs(_load(source, place, None), source, intake)
        return intake.tables()
    corpus, queries, qrels = tables
    _take(corpus, "corpus", ("doc_id", "doc_text"), source, intake)
    _take(queries, "queries", ("query_id", "query_text"), source, intake)
    _take(qrels, "qrels", ("query_id", "doc_id"), source, intake)
    return intake.tables()


def contents(source: SourceConfig) -> dict[str, str]:
    """Hash the files of a folder; a dataset read by name is known by its commit."""
    place = _folder(source)
    if place is not None:
        return digests(place, place.names)
    return {source.path: source.revision}


def _folder(source: SourceConfig) -> Place | None:
    """Open the folder that `source` names, or give None for the name of a dataset, which needs a commit."""
    try:
        return find_place(source.path)
    except InputError:
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source.path):
            raise
    if not _COMMIT.fullmatch(source.revision):
        message = (
            f"source.path {source.path!r} is no folder, so it names a dataset of the Hub, and that needs "
            f"source.revision: the 40 hex digits of a commit (a branch moves, and the set with it)"
        )
        raise ConfigError(message)
    return None


def _tables(source: SourceConfig, place: Place | None) -> tuple[Splits, Splits, Splits] | None:
    """Load corpus, queries and qrels, or give None where the dataset has no such tables."""
    names = (source.corpus or "corpus", source.queries or "queries", source.qrels or "qrels")
    if place is not None and "dataset_dict.json" in place.names:
        saved = _load(source, place, None)
        if not all(name in saved for name in names):
            return None
        corpus, queries, qrels = ({name: saved[name]} for name in names)
        return corpus, queries, qrels
    known = _configs(source, place)
    if names[0] not in known:
        return None
    third = names[2] if names[2] in known else "default"
    missing = [name for name in (names[1], third) if name not in known]
    if missing:
        message = f"dataset {source.path!r} lacks {', '.join(missing)}; it has {listed(known)}"
        raise InputError(message)
    return _load(source, place, names[0]), _load(source, place, names[1]), _load(source, place, third)


def _configs(source: SourceConfig, place: Place | None) -> list[str]:
    """Name the tables of a dataset: sub-folders that were saved apart, or its configs."""
    if place is not None and any(name.rpartition("/")[2] in _MARKS for name in place.names):
        return sorted({name.partition("/")[0] for name in place.names if "/" in name})
    try:
        return list(datasets.get_dataset_config_names(_where(source, place), revision=source.revision or None))
    except (OSError, ValueError, KeyError, TypeError, datasets.exceptions.DatasetsError) as error:
        raise _unreadable(source, error) from error


def _load(source: SourceConfig, place: Place | None, config: str | None) -> Splits:
    """Load one table of a dataset as a dictionary of splits."""
    where = _where(source, place)
    saved = place is not None and any(name.rpartition("/")[2] in _MARKS for name in place.names)
    try:
        if saved:
            loaded = datasets.load_from_disk(f"{where}/{config}" if config else where)
        else:
            loaded = datasets.load_dataset(where, config, revision=source.revision or None)
    except (OSError, ValueError, KeyError, TypeError, datasets.exceptions.DatasetsError) as error:
        raise _unreadable(source, error) from error
    return dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"": loaded}


def _where(source: SourceConfig, place: Place | None) -> str:
    return source.path if place is None else place.root


def _unreadable(source: SourceConfig, error: Exception) -> InputError:
    return InputError(f"cannot load the dataset {source.path!r}: {' '.join(str(error).split())[:300]}")


def _take(splits: Splits, table: str, needed: tuple[str, ...], source: SourceConfig, intake: Intake) -> None:
    """Put every split of one table into `intake`."""
    for split, dataset in splits.items():
        columns = _aliased(source.columns, dataset.column_names)
        name = f"{table}/{split}" if split and split != table else table
        check_columns(f"{source.path}: {name}", (getattr(columns, field) for field in needed), dataset.column_names)
        own = split if table == "qrels" and split not in ("", table) else None
        add = adders(intake, columns, own)
        adder = {"corpus": add.document, "queries": add.query, "qrels": add.judgement}[table]
        for first, frame in _frames(dataset):
            take_frame(frame, name, first, intake, adder)


def _take_pairs(splits: Splits, source: SourceConfig, intake: Intake) -> None:
    for split, dataset in splits.items():
        columns = known_query_column(source.columns, dataset.column_names)
        check_columns(f"{source.path}: {split}", (columns.query_text, columns.positive), dataset.column_names)
        for first, frame in _frames(dataset):
            take_frame(frame, split or "pairs", first, intake, pair_adder(intake, columns, split or None))


def _frames(dataset: datasets.Dataset) -> Iterable[tuple[int, pl.DataFrame]]:
    arrow = dataset.with_format("arrow")
    for start in range(0, len(dataset), PACKED):
        yield start + 1, pl.DataFrame(pl.from_arrow(arrow[start : start + PACKED]))


def _aliased(columns: ColumnsConfig, found: list[str]) -> ColumnsConfig:
    """Give `columns` with the names that BEIR and MTEB use where the configured ones are not `found`."""
    usual = {
        field: next((name for name in names if name in found), getattr(columns, field))
        for field, names in _ALIASES.items()
        if getattr(columns, field) not in found
    }
    return columns.model_copy(update=usual)
