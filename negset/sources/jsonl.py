"""Tables of JSON lines with named columns: `corpus.jsonl`, `queries.jsonl`, `qrels.jsonl`, gzipped or not."""

from functools import partial

from negset.sources.files import Place, digests, find_place, pick
from negset.sources.intake import Add, Intake, check_columns, take_tables
from negset.sources.lines import Line, take_lines
from negset.sources.tables import SourceTables
from negset.sources.values import parse_object
from schemas.config import SourceConfig


def read(source: SourceConfig) -> SourceTables:
    """Read the three tables by the column names of `source`."""
    place = find_place(source.path)
    return take_tables(source, _files(place, source), partial(take_objects, place))


def contents(source: SourceConfig) -> dict[str, str]:
    """Hash the files that would be read."""
    place = find_place(source.path)
    return digests(place, [name for group in _files(place, source) for name in group])


def take_objects(place: Place, name: str, intake: Intake, add: Add, needed: tuple[str, ...] = ()) -> None:
    """Hand each JSON object of the file `name` to `add`.

    Raises InputError where the first of them lacks one of the `needed` columns: then all would be bad.
    """
    checked = not needed

    def take(line: Line) -> None:
        nonlocal checked
        row = parse_object(line.text)
        if not checked:
            check_columns(f"{place.shown}/{name}", needed, row)
            checked = True
        add(row, name, line.number)

    take_lines(place, name, intake.bad, take)


def _files(place: Place, source: SourceConfig) -> tuple[list[str], list[str], list[str]]:
    return (
        pick(place, source.corpus, ("corpus.jsonl", "corpus.jsonl.gz"), "corpus"),
        pick(place, source.queries, ("queries.jsonl", "queries.jsonl.gz"), "queries"),
        pick(place, source.qrels, ("qrels.jsonl", "qrels.jsonl.gz"), "qrels"),
    )
