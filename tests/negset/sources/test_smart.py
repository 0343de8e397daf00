from negset.sources.reading import read_source
from schemas.config import SourceConfig

CORPUS = (
    ".I 1\n.T\nwings in\nflow .\n.A\nsmith,j.\n.B\nj. ae. 1958.\n.W\nwings in\nflow .\n  body of one .\n"
    ".I 2\n.T\nplates\n.W\nbody of two\n.I 3\n.T\n.A\n.B\n.W\n"
)
QUERIES = ".I 001\n.W\nfirst\nquery\n.I 004\n.W\nsecond\n.I 009\n.W\nthird\n"


def smart(files, qrels: str, queries: str = QUERIES, corpus: str = CORPUS):
    folder = files({"x.all.3": corpus, "x.qry": queries, "xqrel": qrels, "xqrel.readme": "words"})
    return read_source(SourceConfig(format="smart", path=folder, max_bad_share=1))


def test_queries_are_numbered_by_their_order_as_the_judgements_do(files):
    tables = smart(files, "1 1 2 \r\n3 2 -1\r\n")
    assert tables.queries.select("query_id", "text", "metadata").rows() == [
        ("1", "first query", '{"number_in_file":"001"}'),
        ("2", "second", '{"number_in_file":"004"}'),
        ("3", "third", '{"number_in_file":"009"}'),
    ]
    assert tables.qrels.select("query_id", "doc_id", "relevance").rows() == [("1", "1", 3), ("3", "2", 0)]


def test_queries_keep_their_numbers_where_the_judgements_use_them(files):
    tables = smart(files, "9 2 1\n", queries=QUERIES.replace("00", ""))
    assert tables.queries.get_column("query_id").to_list() == ["1", "4", "9"]


def test_cleverdons_codes_become_relevance(files):
    qrels = "".join(f"1 {document} {code}\n" for document, code in enumerate((1, 2, 3, 4, 5, -1), 1))
    tables = smart(files, qrels + "1 7 9\n")
    assert tables.qrels.get_column("relevance").to_list() == [4, 3, 2, 1, 0, 0]
    assert tables.quarantine.get_column("reason").to_list() == ["code 9 is not one of 1, 2, 3, 4, 5 and -1"]


def test_other_shapes_of_judgements(files):
    tables = smart(files, "1 2\n1 0 3 1\n1 1 0 0.000000\n")
    assert tables.qrels.select("doc_id", "relevance").rows() == [("2", 1), ("3", 1), ("1", 1)]


def test_the_title_is_not_repeated_in_the_text(files):
    tables = smart(files, "1 1 1\n")
    assert tables.corpus.select("doc_id", "title", "text", "metadata").rows() == [
        ("1", "wings in flow .", "body of one .", '{"author":"smith,j.","source":"j. ae. 1958."}'),
        ("2", "plates", "body of two", None),
        ("3", None, "", None),
    ]


def test_bad_records_are_set_aside(files):
    tables = smart(files, "1 1 1\n", corpus="words first\n.I 1\nloose\n.I 2\n.W\ngood\n")
    assert tables.corpus.get_column("doc_id").to_list() == ["2"]
    assert tables.quarantine.select("line", "reason").rows() == [
        (1, "stands where a record should start with .I and an id"),
        (2, "has text before its first field"),
    ]
