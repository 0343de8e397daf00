import polars as pl
import pytest

from negset.errors import ArtifactError
from negset.training.examples import build_examples
from negset.training.reports.run_files import DEPTH, count_trained, first_results, read_records


def run_of(scores):
    return pl.DataFrame(
        [(query, doc, score) for query, docs in scores.items() for doc, score in docs.items()],
        schema=["query_id", "doc_id", "score"],
        orient="row",
    )


def test_first_results_by_score_then_id_whatever_the_order_of_the_run():
    docs = {f"d{place:02}": 1.0 - place / 100 for place in range(20)}
    before, after = run_of({"q": docs}), run_of({"q": {"b": 0.5, "a": 0.5, "c": 0.9}})
    found = first_results(before.sample(fraction=1.0, shuffle=True, seed=3), after.reverse())
    mine = found.filter(model="before").sort("rank")
    assert mine["doc_id"].to_list() == [f"d{place:02}" for place in range(DEPTH)]
    assert mine["rank"].to_list() == list(range(1, DEPTH + 1))
    assert found.filter(model="after").sort("rank")["doc_id"].to_list() == ["c", "a", "b"]


def test_words_of_query_positives_and_negatives_are_counted(planted):
    examples = build_examples(
        planted.tables(),
        pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String}),
        pl.Series(["nothing"]),
        split="train",
    )
    counted = count_trained(examples)
    assert counted["query_id"].to_list() == examples.query_ids
    row = counted.row(0, named=True)
    documents = dict(zip(examples.document_ids, examples.document_texts, strict=True))
    ids = planted.tables().positives.filter(query_id=row["query_id"])["doc_id"].to_list()
    hard = planted.tables().negatives.filter(query_id=row["query_id"])["doc_id"].to_list()
    assert (row["positives"], row["negatives"]) == (len(ids), len(hard))
    texts = [examples.query_texts[0], *(documents[name] for name in [*ids, *hard])]
    assert row["words"] == sum(len([word for word in text.split() if len(word) > 1]) for text in texts)


def test_a_run_that_is_not_finished_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"metrics\.json"):
        read_records(tmp_path)
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(ArtifactError, match="train again"):
        read_records(tmp_path)
