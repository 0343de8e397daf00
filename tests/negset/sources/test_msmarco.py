from negset.sources.msmarco import split_of
from negset.sources.reading import read_source
from schemas.config import SourceConfig


def test_headerless_tsv_files_and_their_splits(files):
    folder = files(
        {
            "collection.tsv": '0\tA "quoted passage\n0042\tother\n7\ttoo\tmany\n',
            "queries.train.tsv": "1\twhat\n",
            "queries.dev.small.tsv": "1e5\twhy\n",
            "qrels.train.tsv": "1\t0\t0\t1\n",
            "qrels.dev.tsv": "1e5 0 0042 1\n",
        }
    )
    tables = read_source(SourceConfig(format="msmarco", path=folder, max_bad_share=1))
    assert tables.corpus.select("doc_id", "text").rows() == [("0", 'A "quoted passage'), ("0042", "other")]
    assert sorted(tables.queries.select("query_id", "text", "split").rows()) == [
        ("1", "what", "train"),
        ("1e5", "why", "dev"),
    ]
    assert sorted(tables.qrels.select("query_id", "doc_id", "relevance", "split").rows()) == [
        ("1", "0", 1, "train"),
        ("1e5", "0042", 1, "dev"),
    ]
    assert tables.quarantine.select("line", "reason").rows() == [(3, "3 columns between tabs, not 2")]


def test_names_without_a_split():
    assert split_of("qrels.tsv") is None
    assert split_of("sub/queries.eval.tsv.gz") == "eval"
