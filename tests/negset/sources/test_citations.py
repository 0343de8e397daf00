import itertools
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import InputError
from negset.sources.citations import cocited, component_splits
from negset.sources.reading import read_source, source_fingerprint
from negset.sources.recognise import recognise_source
from negset.sources.tables import TIME
from schemas.config import SourceConfig


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def world(files):
    """Give a function from citations to the tables of a source with the documents that they name, but for `without`."""

    def build(citations, without=(), more=(), **options):
        ids = sorted({one for pair in citations for one in pair} - set(without))
        corpus = [{"doc_id": one, "title": f"title {one}", "text": f"text {one}"} for one in ids] + list(more)
        rows = [{"citing_id": citing, "cited_id": cited} for citing, cited in citations]
        folder = files({"corpus.jsonl": lines(corpus), "citations.jsonl": lines(rows)})
        return read_source(SourceConfig(format="citations", path=folder, **options))

    return build


def positives(tables):
    return set(tables.qrels.select("query_id", "doc_id").rows())


def both_ways(*pairs):
    return {pair for a, b in pairs for pair in ((a, b), (b, a))}


def test_what_is_cited_together_is_positive_both_ways(world):
    tables = world([("x", "a"), ("x", "b"), ("y", "b"), ("y", "c")])
    assert positives(tables) == both_ways("ab", "bc")
    assert tables.qrels["relevance"].unique().to_list() == [1]
    assert dict(tables.queries.select("query_id", "text").rows()) == {one: f"title {one}" for one in "abc"}
    assert set(tables.corpus["doc_id"]) == set("abcxy")


def test_a_pair_below_the_count_is_no_positive(world):
    """a and b are cited together twice, a and c once."""
    citations = [("x", "a"), ("x", "b"), ("y", "a"), ("y", "b"), ("y", "c")]
    tables = world(citations, min_cocitations=2)
    assert positives(tables) == both_ways("ab")
    assert dict(tables.queries.select("query_id", "metadata").rows()) == dict.fromkeys("ab", '{"cited_with":["c"]}')
    assert positives(world(citations, min_cocitations=3)) == set()


def test_a_citation_that_stands_twice_counts_once(world):
    tables = world([("x", "a"), ("x", "b"), ("x", "a"), ("x", "b")], min_cocitations=2)
    assert positives(tables) == set()
    assert tables.notes == {"repeated citations": 2}


@pytest.mark.parametrize(("most", "pairs"), [(20, 0), (49, 0), (50, 50 * 49)])
def test_a_review_beyond_the_cap_pairs_nothing(world, most, pairs):
    tables = world([("review", f"d{at:02d}") for at in range(50)], max_citations=most)
    assert tables.qrels.height == pairs
    assert tables.notes == ({} if pairs else {"citations by documents that cite too many": 50})


def test_a_review_is_long_even_if_the_corpus_lacks_most_of_it(world):
    citations = [("review", f"d{at:02d}") for at in range(50)]
    assert world(citations, without=[f"d{at:02d}" for at in range(2, 50)], max_citations=20).qrels.is_empty()


def test_a_triangle_is_three_pairs(world):
    assert positives(world([("x", one) for one in "abc"])) == both_ways("ab", "ac", "bc")


def test_two_hops_are_no_positives(world):
    assert ("a", "c") not in positives(world([("x", "a"), ("x", "b"), ("y", "b"), ("y", "c")]))


def test_what_is_missing_empty_or_the_document_itself_is_dropped_and_counted(world):
    citations = [("a", "a"), ("a", "b"), ("a", "gone"), ("x", "b"), ("x", "c"), ("x", "blank")]
    tables = world(citations, without=("gone", "blank"), more=[{"doc_id": "blank", "text": " "}])
    assert positives(tables) == both_ways("bc")
    assert tables.notes == {"citations of itself": 1, "citations of documents that are missing or empty": 2}
    assert set(tables.queries["query_id"]) == {"b", "c"}


def test_who_cites_need_not_be_in_the_corpus(world):
    assert positives(world([("x", "a"), ("x", "b")], without=["x"])) == both_ways("ab")


def test_a_citation_without_an_id_is_set_aside_with_its_line(files):
    folder = files(
        {
            "corpus.jsonl": lines({"doc_id": one, "text": one} for one in "ab"),
            "citations.jsonl": lines([{"citing_id": "x", "cited_id": "a"}, {"citing_id": "x", "cited_id": None}]),
        }
    )
    tables = read_source(SourceConfig(format="citations", path=folder))
    assert tables.quarantine.select("file", "line", "column").rows() == [("citations.jsonl", 2, "cited_id")]


def chain(length):
    """Give citations under which each document is positive to the next."""
    names = [f"d{at:03d}" for at in range(length)]
    return [(f"x{at:03d}", one) for at, pair in enumerate(itertools.pairwise(names)) for one in pair]


def test_a_chain_lies_on_one_side_where_a_split_of_queries_would_tear_it(world):
    tables = world(chain(100), held_out=0.5)
    assert tables.queries["split"].n_unique() == tables.qrels["split"].n_unique() == 1
    # What reading does for other formats: the text of each query decides by itself.
    from negset.sources.reading import _held_out

    torn = _held_out(tables, SourceConfig(format="pairs", held_out=0.5, split=tables.queries["split"][0]))
    if tables.queries["split"][0] == "test":
        torn = _held_out(world(chain(100), held_out=0.0), SourceConfig(format="pairs", held_out=0.5))
    split = dict(torn.queries.select("query_id", "split").rows())
    assert any(split[query] != split[doc] for query, doc in positives(torn))


def test_many_components_are_held_out_by_share(world):
    citations = [(f"x{at:03d}", f"{side}{at:03d}") for at in range(300) for side in "ab"]
    tables = world(citations, held_out=0.3)
    split = dict(tables.queries.select("query_id", "split").rows())
    assert all(split[query] == split[doc] for query, doc in positives(tables))
    assert tables.qrels["split"].to_list() == [split[query] for query in tables.qrels["query_id"]]
    assert 0.2 < sum(one == "test" for one in split.values()) / len(split) < 0.4
    assert set(world(citations).queries["split"]) == {"train"}


PAIRS = st.sets(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")).filter(lambda pair: pair[0] < pair[1])
)


@given(pairs=PAIRS, share=st.floats(0, 0.99))
def test_no_component_spans_two_splits_and_nothing_else_in_the_graph_matters(pairs, share):
    def splits(some):
        frame = pl.DataFrame(sorted(some), schema={"first": pl.String, "second": pl.String}, orient="row")
        return dict(component_splits(frame, share, "train").rows())

    whole = splits(pairs)
    assert set(whole) == {one for pair in pairs for one in pair}
    assert all(whole[first] == whole[second] for first, second in pairs)
    apart = splits({*pairs, ("y", "z")})
    assert {name: split for name, split in apart.items() if name not in "yz"} == whole


@given(cited=st.sets(st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcde"))), least=st.integers(1, 3))
def test_pairs_are_what_the_definition_says(cited, least):
    rows = [(citing, one, "f", line) for line, (citing, one) in enumerate(sorted(cited))]
    schema = {"citing": pl.String, "cited": pl.String, "file": pl.String, "line": pl.Int64}
    documents = pl.DataFrame(schema={"doc_id": pl.String, "created_at": TIME})
    found = cocited(pl.DataFrame(rows, schema=schema, orient="row"), documents, least)
    together = {
        (a, b): sum((citing, a) in cited and (citing, b) in cited for citing in "uvwxyz")
        for a, b in itertools.combinations("abcde", 2)
    }
    assert found.select("first", "second", "enough").rows() == sorted(
        (*pair, count >= least) for pair, count in together.items() if count
    )


def test_a_pair_is_known_from_the_day_it_was_cited_often_enough(files):
    years = {"a": 2000, "b": 2000, "x": 2010, "y": 2012, "z": 2014}
    corpus = [{"doc_id": one, "text": one, "created_at": f"{year}-01-01"} for one, year in years.items()]
    rows = [{"citing_id": citing, "cited_id": cited} for citing in "zxy" for cited in "ab"]
    folder = files({"corpus.jsonl": lines(corpus), "citations.jsonl": lines(rows)})
    judged = {}
    for as_of in ("2011-01-01", "2012-06-01"):
        source = SourceConfig(format="citations", path=folder, min_cocitations=2, as_of=as_of)
        judged[as_of] = read_source(source).qrels.height
    assert judged == {"2011-01-01": 0, "2012-06-01": 2}


def test_parquet_and_columns_of_other_names(tmp_path):
    pl.DataFrame({"paper": ["a", "b"], "text": ["one", "two"]}).write_parquet(tmp_path / "corpus.parquet")
    pl.DataFrame({"from": [7, 7], "to": ["a", "b"]}).write_parquet(tmp_path / "citations.parquet")
    columns = {"doc_id": "paper", "citing_id": "from", "cited_id": "to"}
    source = SourceConfig.model_validate({"format": "citations", "path": str(tmp_path), "columns": columns})
    tables = read_source(source)
    assert positives(tables) == both_ways("ab")
    assert set(tables.queries["text"]) == {"one", "two"}
    with pytest.raises(InputError, match="lacks the column 'citing_id'"):
        read_source(source.model_copy(update={"columns": source.columns.model_copy(update={"citing_id": "citing_id"})}))
    before = source_fingerprint(source)
    pl.DataFrame({"from": [7], "to": ["a"]}).write_parquet(tmp_path / "citations.parquet")
    assert source_fingerprint(source) != before


def test_the_order_of_rows_does_not_matter(world):
    citations = chain(12)
    one, other = world(citations, held_out=0.5), world(list(reversed(citations)), held_out=0.5)
    for table in ("queries", "qrels"):
        rows = [getattr(tables, table).drop("file", "line") for tables in (one, other)]
        assert rows[0].equals(rows[1])


def test_a_folder_is_recognised(files):
    found = recognise_source(files({"corpus.jsonl": "{}\n", "citations.jsonl": "{}\n"}))
    assert found.format == "citations"
    assert found.held_out > 0
