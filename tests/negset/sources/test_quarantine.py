import hashlib

import pytest

from negset.errors import InputError
from negset.sources.quarantine import EMPTY, BadRow, Quarantine, check_limit
from schemas.config import SourceConfig


def bad_rows(count: int, rows_read: int, source: SourceConfig, reason: str = "broken") -> Quarantine:
    quarantine = Quarantine(source)
    quarantine.rows_read = rows_read
    for line in range(1, count + 1):
        quarantine.add("a.tsv", line, BadRow(column="score", reason=reason), b"raw")
    return quarantine


def test_a_bad_row_keeps_its_place_and_the_hash_of_its_bytes():
    frame = bad_rows(1, 5000, SourceConfig(format="beir")).frame()
    assert frame.row(0) == ("a.tsv", 1, "score", "broken", hashlib.sha256(b"raw").hexdigest())


@pytest.mark.parametrize(("count", "rows", "stops"), [(1, 1000, False), (2, 1000, True), (1, 100, True), (0, 0, False)])
def test_the_share_decides(count, rows, stops):
    source = SourceConfig(format="beir")
    frame = bad_rows(count, rows, source).frame()
    if stops:
        with pytest.raises(InputError, match=r"a\.tsv:1: column 'score': broken.*source\.max_bad_share"):
            check_limit(frame, rows, source)
    else:
        check_limit(frame, rows, source)


def test_the_number_decides_too_and_stops_reading_at_once():
    source = SourceConfig(format="beir", max_bad_rows=7)
    with pytest.raises(InputError, match="8 of 1000000 rows"):
        bad_rows(100, 1_000_000, source)


def test_empty_documents_are_not_held_against_the_source():
    source = SourceConfig(format="beir")
    check_limit(bad_rows(50, 100, source, reason=EMPTY).frame(), 100, source)
