from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from negset.errors import ConfigError, MissingColumnsError
from negset.training.examples import SetTables, build_examples

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
NO_TEXTS = pl.Series([], dtype=pl.String)


def tables(queries, documents, positives, negatives) -> SetTables:
    return SetTables(
        pl.DataFrame(queries, schema={"query_id": pl.String, "text": pl.String, "split": pl.String}, orient="row"),
        pl.DataFrame(
            [(doc, None, text) for doc, text in documents],
            schema={"doc_id": pl.String, "title": pl.String, "text": pl.String},
            orient="row",
        ),
        pl.DataFrame(positives, schema={"query_id": pl.String, "doc_id": pl.String}, orient="row"),
        pl.DataFrame(negatives, schema={"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32}, orient="row"),
    )


def small(**changes) -> SetTables:
    parts = {
        "queries": [("q2", "two", "train"), ("q1", "one", "train"), ("q9", "nine", "test")],
        "documents": [("d1", "first"), ("d2", "second"), ("d3", "third"), ("d4", "fourth")],
        "positives": [("q1", "d1"), ("q2", "d2"), ("q9", "d3")],
        "negatives": [("q1", "d3", 2), ("q1", "d4", 1), ("q2", "d1", 1), ("q9", "d1", 1)],
    }
    return tables(**{**parts, **changes})


def ids(examples, group, place):
    return [examples.document_ids[row] for row in group.take(np.array([place]))[1].tolist()]


def test_queries_of_the_split_are_numbered_by_id_and_negatives_stand_by_rank():
    examples = build_examples(small(), NO_KNOWN, NO_TEXTS, split="train")
    assert examples.query_ids == ["q1", "q2"]
    assert examples.query_texts == ["one", "two"]
    assert ids(examples, examples.negatives, 0) == ["d4", "d3"]
    assert ids(examples, examples.positives, 1) == ["d2"]
    assert examples.left_out == {}


def test_rows_in_any_order_give_the_same_numbers():
    once = build_examples(small(), NO_KNOWN, NO_TEXTS, split="train")
    turned = SetTables(
        *(getattr(small(), name).reverse() for name in ("queries", "documents", "positives", "negatives"))
    )
    again = build_examples(turned, NO_KNOWN, NO_TEXTS, split="train")
    assert again.document_ids == once.document_ids
    assert again.negatives.rows.tolist() == once.negatives.rows.tolist()
    assert again.known.rows.tolist() == once.known.rows.tolist()


def test_a_query_whose_text_is_held_out_never_trains_and_is_counted():
    examples = build_examples(small(), NO_KNOWN, pl.Series(["  ONE ", "nine"]), split="train")
    assert examples.query_ids == ["q2"]
    assert examples.left_out == {"held_out_text": 1}


def test_a_query_without_a_positive_is_counted():
    examples = build_examples(small(positives=[("q2", "d2")]), NO_KNOWN, NO_TEXTS, split="train")
    assert examples.query_ids == ["q2"]
    assert examples.left_out == {"no_positive": 1}


def test_a_query_without_negatives_trains_only_in_batch():
    few = small(negatives=[("q1", "d3", 1)])
    assert build_examples(few, NO_KNOWN, NO_TEXTS, split="train").query_ids == ["q1", "q2"]
    alone = build_examples(few, NO_KNOWN, NO_TEXTS, split="train", in_batch=False)
    assert alone.query_ids == ["q1"]
    assert alone.left_out == {"no_negative": 1}


def test_known_positives_are_no_negatives():
    known = pl.DataFrame({"query_id": ["q1", "q1"], "doc_id": ["d4", "elsewhere"]})
    shared = small(negatives=[("q1", "d3", 2), ("q1", "d4", 1), ("q2", "d4", 1)])
    examples = build_examples(shared, known, NO_TEXTS, split="train")
    assert ids(examples, examples.negatives, 0) == ["d3"]
    assert ids(examples, examples.negatives, 1) == ["d4"]
    assert ids(examples, examples.known, 0) == ["d1", "d4"]


def test_known_positives_are_shared_by_queries_of_one_text():
    twins = small(queries=[("q1", "Same  text", "train"), ("q2", "same text", "train")])
    examples = build_examples(twins, NO_KNOWN, NO_TEXTS, split="train")
    assert ids(examples, examples.known, 0) == ["d1", "d2"]
    assert ids(examples, examples.negatives, 1) == []


def test_a_twin_of_a_positive_is_that_positive():
    twins = small(documents=[("d1", "first"), ("d2", "second"), ("d3", " First"), ("d4", "fourth")])
    examples = build_examples(twins, NO_KNOWN, NO_TEXTS, split="train")
    assert "d3" not in examples.document_ids
    assert ids(examples, examples.negatives, 0) == ["d4"]


def test_the_first_negatives_are_kept_where_fewer_are_wanted():
    examples = build_examples(small(), NO_KNOWN, NO_TEXTS, split="train", negatives=1)
    assert ids(examples, examples.negatives, 0) == ["d4"]


def test_a_title_is_part_of_the_text():
    titled = small()
    documents = titled.documents.with_columns(title=pl.lit("T"))
    examples = build_examples(
        SetTables(titled.queries, documents, titled.positives, titled.negatives), NO_KNOWN, NO_TEXTS, split="train"
    )
    assert examples.document_texts[0] == "T\nfirst"


def test_an_unknown_split_names_those_there_are():
    with pytest.raises(ConfigError, match="'dev'; its splits are test, train"):
        build_examples(small(), NO_KNOWN, NO_TEXTS, split="dev")


def test_nothing_left_to_train_on_says_why():
    with pytest.raises(ConfigError, match="held_out_text: 2"):
        build_examples(small(), NO_KNOWN, pl.Series(["one", "two"]), split="train")


def test_a_missing_column_is_named():
    broken = small()
    with pytest.raises(MissingColumnsError, match="'negatives' lacks rank"):
        build_examples(
            SetTables(broken.queries, broken.documents, broken.positives, broken.negatives.drop("rank")),
            NO_KNOWN,
            NO_TEXTS,
            split="train",
        )


def test_what_the_set_suspects_counts_as_known_and_is_no_positive():
    plain = small()
    suspects = pl.DataFrame({"query_id": ["q1", "q2"], "doc_id": ["d2", "d1"]})
    masked = replace(plain, false_negatives=suspects)
    bare, shy = (build_examples(one, NO_KNOWN, NO_TEXTS, split="train") for one in (plain, masked))
    assert ids(bare, bare.known, 0) == ["d1"]
    assert ids(shy, shy.known, 0) == ["d1", "d2"]
    assert ids(shy, shy.positives, 0) == ["d1"]
    assert ids(shy, shy.negatives, 1) == []
