import csv
import io

import polars as pl
import pytest

from negset.audit.sampling import Question
from negset.audit.votes import COLUMNS, read_votes, write_questions
from negset.errors import InputError

VERSION = "0123456789abcdef"
NEGATIVES = pl.DataFrame({"query_id": ["q1", "q1", "q,2"], "doc_id": ["d1", "d2", 'd"3']})
HEAD = "version,query_id,doc_id,rater,vote"


def write(tmp_path, *rows, head=HEAD, name="votes.csv"):
    path = tmp_path / name
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_what_was_asked_comes_back_once_it_is_filled_in(tmp_path):
    """Through a spreadsheet's CSV: quotes, commas, line breaks in texts, a byte order mark, CRLF."""
    asked = write_questions(
        [
            Question("q1", "d1", "p1", "a query", 'line one\nline "two"', "=HYPERLINK(1)"),
            Question("q,2", 'd"3', "p2", "b", "c", "d"),
        ],
        VERSION,
    )
    rows = list(csv.DictReader(io.StringIO(asked)))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["negative"] == "'=HYPERLINK(1)"
    assert (rows[0]["rater"], rows[0]["vote"]) == ("", "")
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows([{**row, "rater": " ann ", "vote": "Yes"} for row in rows])
    path = tmp_path / "filled.csv"
    path.write_bytes(b"\xef\xbb\xbf" + out.getvalue().encode())
    found = read_votes([path], VERSION, NEGATIVES)
    assert found.rows() == [("q,2", 'd"3', "ann", "yes", True), ("q1", "d1", "ann", "yes", True)]


def test_rows_without_a_vote_are_left_out_and_files_add_up(tmp_path):
    ann = write(tmp_path, f"{VERSION},q1,d1,ann,no", f"{VERSION},q1,d2,,", name="ann.csv")
    bob = write(tmp_path, f"{VERSION},q1,d1,bob,unsure", name="bob.csv")
    assert read_votes([ann, bob], VERSION, NEGATIVES)["rater"].to_list() == ["ann", "bob"]


def test_a_file_may_say_which_negatives_no_lot_chose(tmp_path):
    rows = [f"{VERSION},q1,d1,ann,no,no", f"{VERSION},q1,d2,ann,yes,yes"]
    found = read_votes([write(tmp_path, *rows, head=f"{HEAD},drawn")], VERSION, NEGATIVES)
    assert found.select("doc_id", "drawn").rows() == [("d1", False), ("d2", True)]
    with pytest.raises(InputError, match="line 2: drawn is 'perhaps', not yes or no"):
        read_votes([write(tmp_path, f"{VERSION},q1,d1,ann,no,perhaps", head=f"{HEAD},drawn")], VERSION, NEGATIVES)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (f"{VERSION},q1,d1,ann,yess", r"line 3: vote 'yess' \(did you mean 'yes'\?\) is none of yes, no, unsure"),
        (f"{VERSION},q1,d9,ann,no", "line 3: query 'q1' has no negative 'd9' in version 0123"),
        (f"{VERSION},q9,d1,,", "line 3: query 'q9' has no negative 'd1'"),
        ("fedcba9876543210,q1,d1,ann,no", "line 3: the vote is on version 'fedcba9876543210', the set is 0123"),
        (f"{VERSION},q1,d1,,no", "line 3: a vote without a rater"),
        (f"{VERSION},q1,d2,ann,no", r"line 3: rater 'ann' voted on query 'q1', document 'd2' in .*line 2"),
        (f"{VERSION},q1,d1,ann", "line 3: the row has not as many fields"),
        (f"{VERSION},q1,d1,ann,no,more", "line 3: the row has not as many fields"),
        (f'{VERSION},q1,"d1"x,ann,no', "line 3: "),
    ],
)
def test_a_wrong_row_is_an_error_that_names_its_line(tmp_path, row, complaint):
    path = write(tmp_path, f"{VERSION},q1,d2,ann,no", row)
    with pytest.raises(InputError, match=complaint):
        read_votes([path], VERSION, NEGATIVES)


def test_a_line_is_counted_as_an_editor_counts_it(tmp_path):
    path = write(tmp_path, f'{VERSION},q1,d2,"a\nb",no', f"{VERSION},q1,d1,ann,maybe")
    with pytest.raises(InputError, match="line 4: vote 'maybe'"):
        read_votes([path], VERSION, NEGATIVES)


def test_a_file_without_votes_or_columns_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no votes in .*votes\.csv: fill the column vote"):
        read_votes([write(tmp_path, f"{VERSION},q1,d1,,")], VERSION, NEGATIVES)
    with pytest.raises(InputError, match="line 1: column rater is missing"):
        read_votes([write(tmp_path, head="version,query_id,doc_id,vote")], VERSION, NEGATIVES)
    with pytest.raises(InputError, match="cannot read votes"):
        read_votes([tmp_path / "absent.csv"], VERSION, NEGATIVES)
