import numpy as np
import pytest

from negset.errors import ArtifactError
from negset.training.journal import Journal

SHAPE = np.dtype([("step", "<i8"), ("loss", "<f4")])


def rows(*given):
    return np.array(list(given), dtype=SHAPE)


def test_rows_come_back_in_their_order(tmp_path):
    journal = Journal(tmp_path / "it.bin", SHAPE)
    assert journal.rows() == 0
    assert journal.read().tolist() == []
    journal.add(rows((3, 0.5), (1, 0.25)))
    journal.add(rows())
    journal.add(rows((2, -1.0)))
    assert Journal(tmp_path / "it.bin", SHAPE).read().tolist() == [(3, 0.5), (1, 0.25), (2, -1.0)]


def test_what_comes_after_a_cut_follows_it(tmp_path):
    journal = Journal(tmp_path / "it.bin", SHAPE)
    journal.add(rows((1, 0.0), (2, 0.0), (3, 0.0)))
    journal.cut(1)
    journal.add(rows((9, 0.0)))
    assert [row["step"] for row in journal.read()] == [1, 9]
    journal.cut(0)
    assert journal.rows() == 0


def test_a_row_that_a_kill_left_half_written_is_none(tmp_path):
    journal = Journal(tmp_path / "it.bin", SHAPE)
    journal.add(rows((1, 0.0), (2, 0.0)))
    with (tmp_path / "it.bin").open("ab") as file:
        file.write(b"half")
    assert [row["step"] for row in journal.read()] == [1, 2]
    journal.cut(2)
    journal.add(rows((3, 0.5)))
    assert journal.read().tolist() == [(1, 0.0), (2, 0.0), (3, 0.5)]


def test_fewer_rows_than_were_written_are_no_journal(tmp_path):
    journal = Journal(tmp_path / "it.bin", SHAPE)
    journal.add(rows((1, 0.0)))
    with pytest.raises(ArtifactError, match="has 1 rows where 2 were written"):
        journal.cut(2)
