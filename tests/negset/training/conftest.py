import numpy as np
import polars as pl
import pytest
import torch

from negset.text import document_text, text_digest
from negset.training.examples import SetTables
from negset.training.model import StaticStart


class Planted:
    """A world that training must help in: a query's word for a topic is never a word of its documents.

    Each topic has its own word in queries and another in documents; only labelled pairs say which belong
    together. No query is in both splits. The positives of a test query are documents that no train query has,
    or with `whole_topics` all of its topic.
    """

    def __init__(self, *, whole_topics: bool = False, topics: int = 6, per_topic: int = 6) -> None:
        documents, queries, qrels = [], [], []
        for topic in range(topics):
            for place in range(per_topic):
                name = f"{topic}x{place}"
                documents.append((f"d{name}", None, f"body{topic} filler{place} noise{(topic + place) % 5}"))
                split = "test" if place % 3 == 0 else "train"
                queries.append((f"q{name}", f"ask{topic} word{place} noise{(topic * place) % 5}", split))
                whole = whole_topics and split == "test"
                same = [other for other in range(per_topic) if whole or (other % 3 == 0) == (split == "test")]
                qrels += [(f"q{name}", f"d{topic}x{other}", 1) for other in same]
        self._documents = pl.DataFrame(
            documents, schema={"doc_id": pl.String, "title": pl.String, "text": pl.String}, orient="row"
        ).sort("doc_id")
        self._queries = pl.DataFrame(queries, schema=["query_id", "text", "split"], orient="row").sort("query_id")
        self._qrels = pl.DataFrame(qrels, schema=["query_id", "doc_id", "relevance"], orient="row")

    def partitions(self) -> list[str]:
        return ["b0000of0001"]

    def documents(self, partition: str | None = None) -> pl.DataFrame:
        texts = [document_text(title, text) for title, text in self._documents.select("title", "text").iter_rows()]
        return self._documents.with_columns(text_sha256=pl.Series([text_digest(t) for t in texts], dtype=pl.Binary))

    def document_columns(self, *columns: str) -> pl.DataFrame:
        return self.documents().select(columns)

    def queries(self) -> pl.DataFrame:
        digests = [text_digest(text) for text in self._queries.get_column("text").to_list()]
        return self._queries.with_columns(text_sha256=pl.Series(digests, dtype=pl.Binary))

    def qrels(self) -> pl.DataFrame:
        return self._qrels

    def tables(self) -> SetTables:
        """Give a set in which each query has two documents of other topics as negatives."""
        ids = self._documents.get_column("doc_id").to_list()
        rows = [
            (query, [doc for doc in ids if doc[1] != query[1]][(int(query[1]) * 7 + rank * 5) % 25], rank)
            for query in self._queries.get_column("query_id").to_list()
            for rank in (1, 2)
        ]
        negatives = pl.DataFrame(rows, schema=["query_id", "doc_id", "rank"], orient="row")
        return SetTables(self._queries, self._documents, self._qrels.select("query_id", "doc_id"), negatives)

    def start(self, dimensions: int = 16) -> StaticStart:
        """Give random embeddings of all words, the same each time."""
        texts = [*self._documents.get_column("text").to_list(), *self._queries.get_column("text").to_list()]
        words = sorted({word for text in texts for word in text.split()})
        drawn = torch.randn(len(words), dimensions, generator=torch.Generator().manual_seed(5))
        return StaticStart(words, drawn.numpy().astype(np.float32))


@pytest.fixture
def planted() -> Planted:
    return Planted()


@pytest.fixture(scope="session")
def planted_once() -> Planted:
    """Give the planted world to fixtures that live longer than a test."""
    return Planted()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Give the folder of a two-layer BERT with random weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    words = [f"{kind}{place}" for kind in ("ask", "body", "word", "filler", "noise") for place in range(6)]
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        settings = BertConfig(
            vocab_size=len(words) + 5, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
        )
        BertModel(settings).save_pretrained(folder / "bert")
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    bert = Transformer(str(folder / "bert"))
    pooling = Pooling(bert.get_embedding_dimension())
    SentenceTransformer(modules=[bert, pooling], device="cpu").save(str(folder / "model"), create_model_card=False)
    return folder / "model"


@pytest.fixture
def register(monkeypatch):
    """Give what registers a loss for one test alone."""
    from negset.training import objective

    objective.losses()
    monkeypatch.setattr(objective, "_REGISTRY", dict(objective._REGISTRY))
    return objective.loss
