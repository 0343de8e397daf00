"""MS MARCO passages: `collection.tsv`, `queries.<split>.tsv`, `qrels.<split>.tsv`; no headers, no quoting."""

from collections.abc import Callable

from negset.sources.files import Place, digests, find_place, pick
from negset.sources.intake import Intake, new_intake, query_text_of
from negset.sources.judgements import take_trec_qrels
from negset.sources.lines import Line, take_lines
from negset.sources.quarantine import BadRow
from negset.sources.tables import SourceTables
from negset.sources.values import id_of
from schemas.config import SourceConfig


def read(source: SourceConfig) -> SourceTables:
    """Read the folder; `queries.dev.small.tsv` and `qrels.dev.tsv` are both of the split `dev`."""
    place = find_place(source.path)
    corpus, queries, qrels = _files(place, source)
    intake = new_intake(source)
    for name in corpus:
        _take_pairs(place, name, intake, _document_adder(intake, name))
    for name in queries:
        _take_pairs(place, name, intake, _query_adder(intake, name))
    for name in qrels:
        take_trec_qrels(place, name, intake, split_of(name))
    return intake.tables()


def contents(source: SourceConfig) -> dict[str, str]:
    """Hash the files that would be read."""
    place = find_place(source.path)
    return digests(place, [name for group in _files(place, source) for name in group])


def split_of(name: str) -> str | None:
    """Give the split in a file name: its second part, or None where the file has no such part."""
    parts = name.rpartition("/")[2].split(".")
    return parts[1] if len(parts) > 2 and parts[1] not in ("tsv", "txt") else None


def _take_pairs(place: Place, name: str, intake: Intake, add: Callable[[str, str, int], None]) -> None:
    """Hand the id, the text and the line number of each line of the file `name` to `add`."""

    def take(line: Line) -> None:
        cells = line.text.split("\t")
        if len(cells) != 2:
            raise BadRow(reason=f"{len(cells)} columns between tabs, not 2")
        add(cells[0], cells[1], line.number)

    take_lines(place, name, intake.bad, take)


def _document_adder(intake: Intake, name: str) -> Callable[[str, str, int], None]:
    return lambda key, text, line: intake.corpus.add((id_of(key, "doc_id"), None, text, None, None, name, line))


def _query_adder(intake: Intake, name: str) -> Callable[[str, str, int], None]:
    split = split_of(name)
    return lambda key, text, line: intake.queries.add(
        (id_of(key, "query_id"), query_text_of(text, "text"), split, None, None, name, line)
    )


def _files(place: Place, source: SourceConfig) -> tuple[list[str], list[str], list[str]]:
    return (
        pick(place, source.corpus, ("collection.tsv", "collection.tsv.gz"), "corpus"),
        pick(place, source.queries, ("queries.*tsv", "queries.*tsv.gz"), "queries"),
        pick(place, source.qrels, ("qrels.*tsv", "qrels.*tsv.gz"), "qrels"),
    )
