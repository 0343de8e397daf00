import io
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.sources import lines
from negset.sources.lines import read_lines


def texts(raw: bytes) -> list[str]:
    return [line.text for line in read_lines(io.BytesIO(raw))]


def test_lines_are_cut_at_line_feeds_alone():
    raw = "a\u2028b\x0bc\x85d\re\n f \n".encode()
    assert texts(raw) == ["a\u2028b\x0bc\x85d\re", " f "]


@pytest.mark.parametrize("raw", [b"a\nb", b"a\nb\n", b"a\r\nb\r\n", b"\xef\xbb\xbfa\nb\n"])
def test_line_ends_and_byte_order_mark_leave_no_trace(raw):
    assert texts(raw) == ["a", "b"]


def test_a_byte_order_mark_later_on_is_data():
    assert texts(b"a\n\xef\xbb\xbfb\n") == ["a", "\ufeffb"]


def test_bad_bytes_are_named_by_their_place():
    found = list(read_lines(io.BytesIO(b"good\nab\xffc\nx\0y\n")))
    assert [(line.number, line.problem) for line in found] == [
        (1, ""),
        (2, "invalid UTF-8 at byte 3: invalid start byte"),
        (3, "NUL at byte 2"),
    ]


def test_an_endless_line_is_one_bad_row_and_the_next_is_read():
    with patch.object(lines, "MAX_LINE", 100), patch.object(lines, "BLOCK", 64):
        found = list(read_lines(io.BytesIO(b"x" * 1000 + b"\nshort\n" + b"y" * 100 + b"\n")))
    assert [(line.number, bool(line.problem), line.text[:5]) for line in found] == [
        (1, True, ""),
        (2, False, "short"),
        (3, False, "yyyyy"),
    ]
    assert len(found[0].raw) == 101


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 40))
def test_lines_do_not_depend_on_the_block_size(raw, block):
    usual = list(read_lines(io.BytesIO(raw)))
    with patch.object(lines, "BLOCK", block):
        assert list(read_lines(io.BytesIO(raw))) == usual
    assert len(usual) == raw.count(b"\n") + (not raw.endswith(b"\n") and raw != b"")
