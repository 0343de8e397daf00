"""Text files read line by line: numbered, cut at line feeds alone, strict about their bytes."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from negset.sources.files import BLOCK, Place, Readable, open_bytes
from negset.sources.quarantine import BadRow, Quarantine

MAX_LINE = 8 << 20
"""Bytes in a line. A longer one is a bad row; no more of it than this is ever in memory."""
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line: its number from 1, its bytes without the line end, its text, and why there is none, or ""."""

    number: int
    raw: bytes
    text: str
    problem: str


def read_lines(stream: Readable) -> Iterator[Line]:
    r"""Yield the lines of `stream`, cut at `\n` alone: U+2028 inside a JSON string is data.

    A `\r` before the `\n` and a byte order mark at the start are taken off.
    """
    number = 0
    rest = b""
    while block := stream.read(BLOCK):
        parts = (rest + block).split(b"\n")
        rest = parts.pop()[: MAX_LINE + 8]  # the rest of an endless line is dropped as it comes
        for raw in parts:
            number += 1
            yield _line(number, raw)
    if rest:
        yield _line(number + 1, rest)


def _line(number: int, raw: bytes) -> Line:
    raw = raw.removesuffix(b"\r")
    if number == 1:
        raw = raw.removeprefix(_BOM)
    if len(raw) > MAX_LINE:
        return Line(number, raw[: MAX_LINE + 1], "", f"line is longer than {MAX_LINE >> 20} MiB")
    if b"\0" in raw:
        return Line(number, raw, "", f"NUL at byte {raw.index(0) + 1}")
    try:
        return Line(number, raw, raw.decode("utf-8"), "")
    except UnicodeDecodeError as error:
        return Line(number, raw, "", f"invalid UTF-8 at byte {error.start + 1}: {error.reason}")


def take_lines(place: Place, name: str, bad: Quarantine, take: Callable[[Line], None]) -> None:
    """Hand each line of the file `name` to `take`; those it refuses with BadRow go to the quarantine `bad`.

    Blank lines are no rows.
    """
    with open_bytes(place, name) as stream:
        for line in read_lines(stream):
            if not line.raw.strip():
                continue
            bad.rows_read += 1
            try:
                if line.problem:
                    raise BadRow(reason=line.problem)
                take(line)
            except BadRow as refused:
                bad.add(name, line.number, refused, line.raw)
