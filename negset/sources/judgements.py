"""Qrels in text files: three columns with a header (BEIR) or four without (TREC, MS MARCO)."""

from negset.sources.files import Place
from negset.sources.intake import Intake
from negset.sources.lines import Line, take_lines
from negset.sources.quarantine import BadRow
from negset.sources.values import id_of, relevance_of

_HEADS = {"score", "relevance", "label", "rel", "grade"}


def take_tsv_qrels(place: Place, name: str, intake: Intake, split: str | None) -> None:
    """Read `query-id, corpus-id, score` between tabs, with a header. Quotes mean nothing: they are characters."""

    def take(line: Line) -> None:
        cells = line.text.split("\t")
        if line.number == 1 and cells[-1].strip().casefold() in _HEADS:
            intake.bad.pass_over()
            return
        if len(cells) != 3:
            raise BadRow(reason=f"{len(cells)} columns between tabs, not 3")
        query, document, relevance = cells
        _add(intake, query, document, relevance, split, name, line.number)

    take_lines(place, name, intake.bad, take)


def take_trec_qrels(place: Place, name: str, intake: Intake, split: str | None) -> None:
    """Read `query, iteration, document, relevance` between white space, as trec_eval does."""

    def take(line: Line) -> None:
        cells = line.text.split()
        if len(cells) != 4:
            raise BadRow(reason=f"{len(cells)} columns between white space, not 4")
        _add(intake, cells[0], cells[2], cells[3], split, name, line.number)

    take_lines(place, name, intake.bad, take)


def _add(intake: Intake, query: str, document: str, relevance: str, split: str | None, name: str, line: int) -> None:
    row = (
        id_of(query, "query_id"),
        id_of(document, "doc_id"),
        relevance_of(relevance, "relevance"),
        split,
        name,
        line,
    )
    intake.qrels.add(row)
