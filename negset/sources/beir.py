"""BEIR: `corpus.jsonl`, `queries.jsonl` (both may be gzipped) and `qrels/<split>.tsv`."""

from negset.sources.files import Place, digests, find_place, pick
from negset.sources.intake import adders, new_intake
from negset.sources.jsonl import take_objects
from negset.sources.judgements import take_tsv_qrels
from negset.sources.tables import SourceTables
from schemas.config import ColumnsConfig, SourceConfig

COLUMNS = ColumnsConfig(doc_id="_id", query_id="_id")
CORPUS_FILES = ("corpus.jsonl", "corpus.jsonl.gz")
QUERIES_FILES = ("queries.jsonl", "queries.jsonl.gz")
QRELS_FILES = ("qrels/*.tsv", "qrels/*.tsv.gz", "qrels.tsv", "qrels.tsv.gz")


def read(source: SourceConfig) -> SourceTables:
    """Read a BEIR folder; the split of a judgement is the name of its file."""
    place = find_place(source.path)
    corpus, queries, qrels = _files(place, source)
    intake = new_intake(source)
    add = adders(intake, COLUMNS)
    for name in corpus:
        take_objects(place, name, intake, add.document)
    for name in queries:
        take_objects(place, name, intake, add.query)
    for name in qrels:
        take_tsv_qrels(place, name, intake, split_of(name))
    return intake.tables()


def contents(source: SourceConfig) -> dict[str, str]:
    """Hash the files that would be read."""
    place = find_place(source.path)
    return digests(place, [name for group in _files(place, source) for name in group])


def split_of(name: str) -> str | None:
    """Give the split that a qrels file is named after; a file named `qrels` names none."""
    stem = name.rpartition("/")[2].removesuffix(".gz").removesuffix(".tsv")
    return None if stem == "qrels" else stem


def _files(place: Place, source: SourceConfig) -> tuple[list[str], list[str], list[str]]:
    return (
        pick(place, source.corpus, CORPUS_FILES, "corpus"),
        pick(place, source.queries, QUERIES_FILES, "queries"),
        pick(place, source.qrels, QRELS_FILES, "qrels"),
    )
