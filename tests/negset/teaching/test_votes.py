import numpy as np
import polars as pl
import pytest

from negset.errors import ConfigError, InputError, MissingColumnsError
from negset.teaching.votes import Votes, read_votes, require_file

QUERIES, DOCUMENTS = pl.Series(["p", "q"]), pl.Series(["a", "b", "c"])
HEADER = "query_id,doc_id,vote,rater\n"


@pytest.fixture
def read(tmp_path):
    def make(text, name="votes.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return read_votes(tmp_path / name, QUERIES, DOCUMENTS)

    return make


def counted(yes, no, unsure):
    """Give votes on one pair."""
    return Votes(np.array([0]), *(np.array([float(count)]) for count in (yes, no, unsure)))


@pytest.mark.parametrize(
    ("counts", "share", "agreement"),
    [
        ((60, 5, 0), 0.923, 0.923),
        ((33, 32, 0), 0.508, 0.508),
        ((5, 60, 0), 0.077, 0.923),
        ((0, 0, 7), 0.5, 0.0),
        ((7, 0, 3), 0.85, 0.7),
        ((1, 0, 0), 1.0, 1.0),
    ],
)
def test_votes_are_a_share_and_never_a_majority(counts, share, agreement):
    """A majority would give the first two pairs the same label, though one is nearly even."""
    votes = counted(*counts)
    assert round(votes.share()[0], 3) == share
    assert round(votes.agreement(1)[0], 3) == agreement


def test_too_few_votes_agree_on_nothing():
    assert counted(4, 0, 0).agreement(5).tolist() == [0.0]
    assert counted(5, 0, 0).agreement(5).tolist() == [1.0]


def test_rows_are_added_up_by_pair_and_unvoted_ones_left_out(read):
    votes = read(HEADER + "q,b,yes,r1\nq,b,No,r2\nq,b,unsure,r3\np,c,0.25,r1\nq,a,,\nq,b,yes,\nq,b,yes,\n")
    assert votes.pairs.tolist() == [2, 4]
    assert votes.share().tolist() == [0.25, 3.5 / 5]
    assert votes.agreement(1).tolist() == [0.75, 3 / 5]
    found = votes.of(votes.share(), np.array([4, 0, 2, 5]))
    assert found[[0, 2]].tolist() == [0.7, 0.25]
    assert np.isnan(found[[1, 3]]).all()


def test_columns_for_people_may_stand_anywhere_and_hold_lines(read):
    text = '\ufeffversion,rater,query,doc_id,query_id,vote\n1,r,"two\nlines",a,q,yes\n1,r,"x",nowhere,q,yes\n'
    with pytest.raises(InputError, match="1 wrong rows: line 4: unknown document 'nowhere'"):
        read(text)


def test_every_wrong_line_is_named(read):
    text = HEADER + "x,a,yes,r\nq,y,no,r\nq,a,maybe,r\nq,a,1.5,s\nq,a,nan,t\nq,b,yes,r\nq,b,yes,r\n"
    with pytest.raises(InputError) as found:
        read(text)
    for said in (
        "6 wrong rows",
        "line 2: unknown query 'x'",
        "line 3: unknown document 'y'",
        "line 4: vote 'maybe' is none of yes, no, unsure nor a number from 0 to 1",
        "line 5: vote '1.5'",
        "line 6: vote 'nan'",
        "line 8: rater 'r' voted on this pair in line 7",
    ):
        assert said in str(found.value)


def test_parquet_gives_what_csv_gives(read, tmp_path):
    rows = {
        "query_id": ["q", "q", "p"],
        "doc_id": ["b", "b", "a"],
        "vote": ["yes", None, "no"],
        "rater": [None, "r", "r"],
    }
    pl.DataFrame(rows).write_parquet(tmp_path / "votes.parquet")
    votes = read_votes(tmp_path / "votes.parquet", QUERIES, DOCUMENTS)
    same = read(HEADER + "q,b,yes,\nq,b,,r\np,a,no,r\n")
    assert votes.pairs.tolist() == same.pairs.tolist() == [0, 4]
    assert votes.share().tolist() == same.share().tolist() == [0.0, 1.0]
    pl.DataFrame(rows | {"doc_id": ["b", "b", "z"]}).write_parquet(tmp_path / "votes.parquet")
    with pytest.raises(InputError, match="row 3: unknown document 'z'"):
        read_votes(tmp_path / "votes.parquet", QUERIES, DOCUMENTS)


def test_what_is_no_file_of_votes_is_refused(read, tmp_path):
    with pytest.raises(InputError, match="has no votes"):
        read(HEADER + "q,a,,r\n")
    with pytest.raises(MissingColumnsError, match="lacks doc_id, rater"):
        read("query_id,vote\nq,yes\n")
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(InputError, match="cannot read votes"):
        read_votes(tmp_path / "bad.parquet", QUERIES, DOCUMENTS)
    (tmp_path / "bad.csv").write_bytes(HEADER.encode() + b"q,\xff,yes,r\n")
    with pytest.raises(InputError, match="cannot read votes"):
        read_votes(tmp_path / "bad.csv", QUERIES, DOCUMENTS)
    for path, said in (("", "it is empty"), (str(tmp_path / "gone"), "there is no file")):
        with pytest.raises(ConfigError, match=rf"teach\.votes\.path: {said}"):
            require_file(path)
