"""Text as it is compared and as it is encoded."""

import polars as pl

from negset.text import document_text, document_texts, normalise_text, text_digest


def test_a_frame_is_joined_as_each_of_its_rows_is():
    rows = [(None, "text"), ("title", "text"), ("title", ""), ("", "text"), ("", ""), (None, "")]
    frame = pl.DataFrame(rows, schema={"title": pl.String, "text": pl.String}, orient="row")
    assert document_texts(frame).to_list() == ["text", "title\ntext", "title", "text", "", ""]
    assert document_texts(frame).to_list() == [document_text(title, text) for title, text in rows]


def test_twins_differ_in_case_white_space_and_width_alone():
    assert normalise_text("  Stra\u00dfe\t\uff11\n") == "strasse 1"
    assert text_digest("A  b") == text_digest("a B ") != text_digest("ab")
