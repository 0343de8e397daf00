"""A corpus to fit on, as a snapshot gives it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl
import pytest

from negset.text import text_digest


@dataclass(frozen=True)
class Corpus:
    frame: pl.DataFrame
    content: str = "c0ffee"

    def documents(self, partition: str | None = None) -> pl.DataFrame:
        return self.frame


def make_corpus(texts: Sequence[str], content: str = "c0ffee") -> Corpus:
    digests = pl.Series([text_digest(text) for text in texts], dtype=pl.Binary)
    ids = [f"d{row:05}" for row in range(len(texts))]
    titles = pl.Series([None] * len(texts), dtype=pl.String)
    frame = pl.DataFrame({"doc_id": ids, "title": titles, "text": list(texts), "text_sha256": digests})
    return Corpus(frame=frame, content=content)


@pytest.fixture
def corpus_of() -> Callable[..., Corpus]:
    """Give the function that makes a corpus of texts, with ids d00000, d00001 ... in their order."""
    return make_corpus


@pytest.fixture
def corpus() -> Corpus:
    """Give 60 sentences about three subjects."""
    subjects = ("cat mouse fur paw", "planet orbit star moon", "bread oven flour yeast")
    texts = [
        f"the {words.split()[row % 4]} and {words} number {row} near {subject}"
        for row in range(20)
        for subject, words in enumerate(subjects)
    ]
    return make_corpus(texts)


@pytest.fixture
def grown(corpus: Corpus) -> Corpus:
    """Give the corpus with one sentence more."""
    return make_corpus([*corpus.documents().get_column("text").to_list(), "a comet crossed the kitchen"], "beef")
