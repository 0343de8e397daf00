"""Recognise the format of a folder or file by the names in it, for a first config."""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Final

from negset.errors import InputError, listed
from negset.sources.files import Place, find_place
from negset.sources.pairs import first_names, known_query_column
from negset.sources.reading import read_source
from schemas.config import ColumnsConfig, SourceConfig

HELD_OUT: Final = 0.2
"""Share of the queries held out in a first config of a source that knows no splits, so that training can be judged."""


def recognise_source(path: str) -> SourceConfig:
    """Say how to read what lies at `path`; empty stands for the docstrings of the installed packages.

    Raises InputError listing what was looked for and what was found.
    """
    if not path:
        return SourceConfig(format="docstrings", held_out=HELD_OUT)
    place = find_place(path)
    for recognise in _SIGNS.values():
        found = recognise(place, path)
        if found is not None:
            return found
    message = (
        f"cannot tell what {place.shown} is; looked for {'; '.join(_SIGNS)}. "
        f"Found {listed(place.names, 12) or 'no file'}. Write the [source] section by hand: format, path and file names"
    )
    raise InputError(message)


def _has(place: Place, *patterns: str) -> bool:
    """Say whether each of `patterns` (alternatives between bars) has a file at `place`."""
    return all(
        any(fnmatchcase(name, each) for name in place.names for each in pattern.split("|")) for pattern in patterns
    )


def _huggingface(place: Place, path: str) -> SourceConfig | None:
    saved = _has(place, "dataset_dict.json|*/dataset_dict.json|state.json|*/state.json")
    return SourceConfig(format="huggingface", path=path) if saved else None


def _beir(place: Place, path: str) -> SourceConfig | None:
    files = ("corpus.jsonl|corpus.jsonl.gz", "queries.jsonl|queries.jsonl.gz", "qrels/*.tsv|qrels/*.tsv.gz|qrels.tsv")
    return SourceConfig(format="beir", path=path) if _has(place, *files) else None


def _parquet(place: Place, path: str) -> SourceConfig | None:
    tables = [f"{table}.parquet|{table}/*.parquet" for table in ("corpus", "queries", "qrels")]
    return SourceConfig(format="parquet", path=path) if _has(place, *tables) else None


def _jsonl(place: Place, path: str) -> SourceConfig | None:
    tables = [f"{table}.jsonl|{table}.jsonl.gz" for table in ("corpus", "queries", "qrels")]
    return SourceConfig(format="jsonl", path=path) if _has(place, *tables) else None


def _citations(place: Place, path: str) -> SourceConfig | None:
    files = [f"{table}.parquet|{table}/*.parquet|{table}.jsonl|{table}.jsonl.gz" for table in ("corpus", "citations")]
    return SourceConfig(format="citations", path=path, held_out=HELD_OUT) if _has(place, *files) else None


def _msmarco(place: Place, path: str) -> SourceConfig | None:
    files = ("collection.tsv|collection.tsv.gz", "queries.*tsv*", "qrels.*tsv*")
    return SourceConfig(format="msmarco", path=path) if _has(place, *files) else None


def _stackexchange(place: Place, path: str) -> SourceConfig | None:
    files = ("Posts.xml|Posts.xml.gz", "PostLinks.xml|PostLinks.xml.gz")
    return SourceConfig(format="stackexchange", path=path, held_out=HELD_OUT) if _has(place, *files) else None


def _smart(place: Place, path: str) -> SourceConfig | None:
    files = ("*.all|*.ALL|*.all.*|*.ALL.*", "*.qry|*.QRY|query.text", "*qrel|*qrels|*.REL|*.rel|qrels.text")
    return SourceConfig(format="smart", path=path, held_out=HELD_OUT) if _has(place, *files) else None


def _trec(place: Place, path: str) -> SourceConfig | None:
    if not _has(place, "topics*|*.topics", "qrels*|*.qrels"):
        return None
    plain = SourceConfig(format="trec", path=path, held_out=HELD_OUT)
    return plain.model_copy(update={"id_width": _id_width(plain)})


def _id_width(source: SourceConfig) -> int:
    """Give the width to which ids must be padded for judgements to meet their documents, or 0."""
    tables = read_source(source)
    documents = set(tables.corpus.get_column("doc_id"))
    strangers = [key for key in tables.qrels.get_column("doc_id").unique() if key not in documents]
    widths = {len(number[0]) for key in documents if (number := re.search(r"[0-9]+$", key))}
    if len(widths) != 1 or not strangers:
        return 0
    width = widths.pop()
    padded = (re.sub(r"[0-9]+$", lambda number: number[0].zfill(width), key) for key in strangers)
    return width if any(key in documents for key in padded) else 0


def _pairs(place: Place, path: str) -> SourceConfig | None:
    """Recognise pairs by the columns of the first file: a query and a positive, or two columns between tabs."""
    names = [name for name in place.names if re.search(r"\.(jsonl|tsv)(\.gz)?$|\.parquet$", name)]
    if not names or len(names) != len(place.names):
        return None
    found = first_names(place, names[0])
    columns = known_query_column(ColumnsConfig(), found)
    named = {columns.query_text, columns.positive} <= set(found)
    if not named and not (names[0].endswith((".tsv", ".tsv.gz")) and len(found) == 2):
        return None
    return SourceConfig(format="pairs", path=path, columns=columns, held_out=HELD_OUT)


def _docstrings(place: Place, path: str) -> SourceConfig | None:
    python = _has(place, "*.py") and "file" in place.fs.protocol
    return SourceConfig(format="docstrings", path=path, held_out=HELD_OUT) if python else None


_SIGNS: Final[dict[str, Callable[[Place, str], SourceConfig | None]]] = {
    "datasets saved to disk (dataset_dict.json, state.json)": _huggingface,
    "BEIR (corpus.jsonl, queries.jsonl, qrels/*.tsv)": _beir,
    "Parquet tables (corpus, queries, qrels)": _parquet,
    "JSON lines tables (corpus, queries, qrels)": _jsonl,
    "documents and citations (corpus, citations; Parquet or JSON lines)": _citations,
    "MS MARCO (collection.tsv, queries.*.tsv, qrels.*.tsv)": _msmarco,
    "Stack Exchange (Posts.xml, PostLinks.xml)": _stackexchange,
    "SMART (*.all.*, *.qry, *qrel)": _smart,
    "TREC (documents, topics*, qrels*)": _trec,
    "pairs (one JSON lines, Parquet or TSV file with a query and a positive)": _pairs,
    "Python packages (*.py)": _docstrings,
}
