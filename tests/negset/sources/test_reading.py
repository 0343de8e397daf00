import pytest

from negset.sources.reading import read_source
from schemas.config import SourceConfig

QUERIES = "".join(f'{{"query": "Question {number}", "positive": "answer {number}"}}\n' for number in range(2000))


def test_the_held_out_share_is_decided_by_the_normalised_text(files):
    folder = files({"a.jsonl": QUERIES, "b.jsonl": QUERIES.replace("Question", "  question ")})
    tables = read_source(SourceConfig(format="pairs", path=folder, held_out=0.25))
    splits = dict(tables.queries.select("text", "split").rows())
    test = [text for text, split in splits.items() if split == "test"]
    assert len(test) / len(splits) == pytest.approx(0.25, abs=0.03)
    assert all(splits[f"Question {number}"] == splits[f"  question  {number}"] for number in range(2000))
    judged = tables.qrels.join(tables.queries, on="query_id", suffix="_of_query")
    assert judged.filter(judged["split"] != judged["split_of_query"]).is_empty()


def test_splits_that_are_known_are_left_alone(files):
    rows = QUERIES.replace("}", ', "split": "dev"}')
    tables = read_source(SourceConfig(format="pairs", path=files({"a.jsonl": rows}), held_out=0.25))
    assert set(tables.queries.get_column("split")) == {"dev"}


def test_ids_are_padded_on_both_sides(files):
    folder = files(
        {
            "corpus.jsonl": "".join(f'{{"_id": "{key}", "text": "x"}}\n' for key in ("C-0046", "12345", "none")),
            "queries.jsonl": '{"_id": "1", "text": "q"}\n',
            "qrels/test.tsv": "query-id\tcorpus-id\tscore\n1\tC-46\t1\n1\tnone\t0\n",
        }
    )
    tables = read_source(SourceConfig(format="beir", path=folder, id_width=4))
    assert tables.corpus.get_column("doc_id").to_list() == ["C-0046", "12345", "none"]
    assert tables.qrels.select("query_id", "doc_id").rows() == [("1", "C-0046"), ("1", "none")]
