import numpy as np
import polars as pl
import pytest
import torch

from negset.training.reports import health
from negset.training.reports.health import draw_sample, examine, pool_ndcg


@pytest.fixture
def run(planted):
    """Each test query finds the documents in the order of their ids."""
    ids = planted.documents()["doc_id"].to_list()
    queries = planted.queries().filter(split="test")["query_id"].to_list()
    rows = [(query, doc, -float(place)) for query in queries for place, doc in enumerate(ids)]
    return pl.DataFrame(rows, schema=["query_id", "doc_id", "score"], orient="row").sample(
        fraction=1.0, shuffle=True, seed=1
    )


def test_the_sample_holds_first_results_and_positives(planted, run):
    sample = draw_sample(run, planted.qrels(), planted, 3)
    texts = dict(planted.documents().select("text", "doc_id").iter_rows())
    drawn = [texts[text] for text in sample.documents]
    queries = planted.queries().filter(split="test")["query_id"].to_list()
    positives = planted.qrels().filter(pl.col("query_id").is_in(queries))
    assert set(drawn) == {"d0x0", "d0x1", "d0x2", *positives["doc_id"]}
    assert len(sample.queries) == 12
    for row, query in enumerate(queries):
        own = {drawn[place] for place in np.flatnonzero(sample.positive_QC[row])}
        assert own == set(positives.filter(query_id=query)["doc_id"])


def test_many_queries_are_drawn_by_lot_and_one_is_too_few(planted, run, monkeypatch):
    monkeypatch.setattr(health, "EXAMINED", 5)
    one, other = (draw_sample(frame, planted.qrels(), planted, 3) for frame in (run, run.reverse()))
    assert len(one.queries) == 5
    assert (one.queries, one.documents) == (other.queries, other.documents)
    assert draw_sample(run.filter(query_id="q0x0"), planted.qrels(), planted, 3) is None


def test_ndcg_among_a_few_documents_by_hand():
    queries = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    documents = np.array([[0.9, 0.0], [0.5, 0.8], [0.9, 0.1]], dtype=np.float32)
    positive = np.array([[False, False, True], [True, True, False], [False, False, False]])
    found = pool_ndcg(queries, documents, positive)
    # Documents 0 and 2 tie for query 0: the earlier one is first.
    assert found[0] == pytest.approx(1 / np.log2(3))
    assert found[1] == pytest.approx((1 + 1 / np.log2(4)) / (1 + 1 / np.log2(3)))
    assert found[2] == 0.0


class Table:
    """An encoder that looks vectors up."""

    def __init__(self, vectors):
        self.names = list(vectors)
        self.module = torch.nn.Embedding.from_pretrained(
            torch.tensor([vectors[name] for name in self.names]), freeze=False
        )

    def encode(self, texts, role):
        rows = self.module.weight.detach()[[self.names.index(text) for text in texts]]
        return torch.nn.functional.normalize(rows).numpy()


def test_a_model_is_examined_and_left_as_it_was():
    model = Table({"q": [1.0, 0.0], "r": [0.0, 1.0], "d": [1.0, 0.001], "e": [1.0, -0.001], "f": [0.0, 1.0]})
    before = model.module.weight.detach().clone()
    positive = np.array([[True, True, False], [False, False, True]])
    sample = health.Sample(["q", "r"], ["d", "e", "f"], positive)
    found = examine(model, sample)
    assert found.ndcg_at_10 == 1.0
    assert torch.equal(model.module.weight, before)
    assert examine(model, sample) == found
    assert set(found.numbers()) == {"ndcg_at_10", "shaken", "label_free"}
    narrow = health.Sample(["q", "r"], ["d", "e", "f"], np.array([[True, False, False], [False, False, True]]))
    assert examine(model, narrow).shaken < 1.0  # d and e are a hair apart: noise turns them round
