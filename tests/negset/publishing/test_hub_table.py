import polars as pl

from negset.publishing.hub_table import SHOWN, document_uses, hub_section


def test_documents_count_once_for_each_query_and_ties_go_by_id():
    pairs = [("q1", "b"), ("q2", "b"), ("q1", "c"), ("q2", "c"), ("q1", "a")]
    found = document_uses(pl.DataFrame(pairs, schema=["query_id", "doc_id"], orient="row"))
    assert found.rows() == [("b", 2), ("c", 2), ("a", 1)]


def test_the_section_names_the_most_used_and_how_uneven_uses_are():
    uses = pl.DataFrame({"doc_id": [f"d{n:03}" for n in range(200)], "queries": [50, 10] + [1] * 198})
    drawn = hub_section(uses, 100, 1000, {"d000": "a <b> text"})
    assert "200 of 1,000 documents" in drawn
    assert "2 at least 10 times" in drawn
    assert f"makes {60 / 258:.1%} of all negatives" in drawn
    assert "a &lt;b&gt; text" in drawn
    assert '<td class="number">50</td><td class="number">50.00%</td>' in drawn
    assert drawn.count('scope="row"') == SHOWN


def test_a_set_without_negatives_has_no_hubs():
    empty = pl.DataFrame(schema={"doc_id": pl.String, "queries": pl.Int64})
    assert "0 of 3 documents" in hub_section(empty, 0, 3, {})
