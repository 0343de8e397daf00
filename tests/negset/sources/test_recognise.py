import polars as pl
import pytest

from negset.errors import InputError
from negset.sources.recognise import HELD_OUT, recognise_source

DOC = "<DOC>\n<DOCNO>{}</DOCNO>\ntext\n</DOC>\n"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["corpus.jsonl.gz", "queries.jsonl", "qrels/test.tsv"], "beir"),
        (["corpus.jsonl", "queries.jsonl", "qrels.jsonl"], "jsonl"),
        (["corpus.parquet", "queries.parquet", "qrels.parquet", "edges.parquet"], "parquet"),
        (["collection.tsv", "queries.dev.tsv", "qrels.dev.tsv"], "msmarco"),
        (["Posts.xml.gz", "PostLinks.xml.gz", "Tags.xml.gz"], "stackexchange"),
        (["cran.all.1400", "cran.qry", "cranqrel", "cranqrel.readme"], "smart"),
        (["dataset_dict.json", "train/state.json"], "huggingface"),
        (["pack/__init__.py"], "docstrings"),
    ],
)
def test_names_tell_the_format(files, names, expected):
    folder = files(dict.fromkeys(names, ""))
    found = recognise_source(folder)
    assert (found.format, found.path) == (expected, folder)


def test_trec_ids_are_padded_where_that_lets_them_meet(files):
    folder = files({"a.sgml": DOC.format("X-0046"), "topics": DOC.format("1"), "qrels": "1 0 X-46 1\n"})
    assert recognise_source(folder).id_width == 4
    (meeting := {"qrels": "1 0 X-0046 1\n"})
    assert recognise_source(files(meeting)).id_width == 0


def test_pairs_are_known_by_their_columns(files, tmp_path):
    folder = files({"a.jsonl": '{"anchor": "how", "positive": "so"}\n'})
    found = recognise_source(f"{folder}/a.jsonl")
    assert (found.format, found.columns.query_text, found.held_out) == ("pairs", "anchor", HELD_OUT)
    pl.DataFrame({"text": ["how"], "positive": ["so"]}).write_parquet(tmp_path / "a.parquet")
    assert recognise_source(str(tmp_path / "a.parquet")).format == "pairs"
    (tmp_path / "b.tsv").write_text("how\tso\n")
    assert recognise_source(str(tmp_path / "b.tsv")).format == "pairs"


def test_no_path_is_the_demo():
    assert recognise_source("").format == "docstrings"


def test_what_is_not_known_is_said_with_what_was_looked_for(files):
    with pytest.raises(InputError, match=r"cannot tell what .*BEIR \(corpus\.jsonl.*Found notes\.docx"):
        recognise_source(files({"notes.docx": ""}))
