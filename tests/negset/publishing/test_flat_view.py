import polars as pl

from negset.publishing import flat_view
from negset.publishing.flat_view import split_slug
from negset.publishing.parts import part_files
from negset.tables import read_table


def test_rows_are_query_positive_and_negatives_by_rank(staged):
    train, test = staged.folder / "data/ntuples/train", staged.folder / "data/ntuples/test"
    assert read_table(train / "part-00000.parquet").rows() == [
        (
            "What is red",
            "Red\na colour of blood",
            "green is a colour <script>alert('d05')</script>",
            "Blue\nthe colour of the sky",
        ),
        (
            "what is  RED",
            "the colour at the long end",
            "green is a colour <script>alert('d05')</script>",
            "wine may be red",
        ),
    ]
    assert read_table(test / "part-00000.parquet").rows() == [
        ("how to swim", "move your arms and legs", "Blue\nthe colour of the sky", "Diving\nis not swimming")
    ]


def test_files_are_cut_without_changing_a_row(tiny_set, staged, tmp_path, monkeypatch):
    monkeypatch.setattr(flat_view, "TUPLE_ROWS", 1)
    cut = tiny_set.stage(tmp_path / "cut")
    assert len(part_files(cut.folder, "ntuples")) == 3
    rows = [pl.concat(map(read_table, part_files(one.folder, "ntuples"))).rows() for one in (cut, staged)]
    assert rows[0] == rows[1]


def test_a_split_never_leaves_its_folder():
    assert split_slug("train") == "train"
    hostile = ["../../evil", "/etc", "", ".", "a/b", "Train", "tráin", "dev-2", "x" * 300]
    slugs = [split_slug(name) for name in hostile]
    assert len(set(slugs)) == len(hostile)
    assert all(slug.replace("_", "").isalnum() and slug.isascii() and len(slug) < 64 for slug in slugs)
