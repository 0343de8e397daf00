"""Texts as stemmed terms: the words and stop words of bm25s, the stems of Snowball.

A word is a run of two or more letters, digits and underscores of the lower-cased text, as in `bm25s.tokenize`.
That splits one text at a time in Python; polars splits all at once, four times as fast.
"""

from typing import Final

import numpy as np
import polars as pl
import Stemmer
from bm25s.tokenization import Tokenizer
from numpy.typing import NDArray

from negset.errors import ConfigError, hint
from schemas.config import Bm25Config

WORD: Final = r"[\p{L}\p{N}_]{2,}"
"""What Python calls a word character; the `\\w` of polars takes in accents that stand alone, too."""

Rows = NDArray[np.int64]


def tokenise_texts(config: Bm25Config, texts: pl.Series) -> tuple[pl.Series, Rows, Rows]:
    """Give the distinct terms of `texts`, sorted, the place among them of each token, and the tokens of each text."""
    stemmer, stopwords = open_language(config)
    words = texts.str.to_lowercase().str.extract_all(WORD)
    frame = pl.DataFrame({"text": np.arange(len(texts), dtype=np.uint32), "word": words}).explode("word").drop_nulls()
    distinct = frame.get_column("word").unique()
    distinct = distinct.filter(~distinct.is_in(stopwords))
    stems = pl.Series(stemmer.stemWords(distinct.to_list()), dtype=pl.String) if stemmer else distinct
    terms = stems.unique().sort()
    known = pl.DataFrame({"word": distinct, "term": terms.search_sorted(stems)})
    tokens = frame.join(known, on="word", how="inner", maintain_order="left")
    lengths = np.bincount(tokens.get_column("text").to_numpy(), minlength=len(texts))
    return terms, tokens.get_column("term").to_numpy().astype(np.int64), lengths.astype(np.int64)


def open_language(config: Bm25Config) -> tuple[Stemmer.Stemmer | None, list[str]]:
    """Give the stemmer and the stop words of `config`; raise ConfigError where one does not exist."""
    known = Stemmer.algorithms()
    if config.stemmer and config.stemmer not in known:
        message = (
            f"mine.bm25.stemmer {config.stemmer!r} does not exist{hint(config.stemmer, known)}; "
            f"known: {', '.join(sorted(known))}, or empty for none"
        )
        raise ConfigError(message)
    try:
        stopwords = list(Tokenizer(stopwords=config.stopwords or []).stopwords)
    except ValueError as error:
        message = (
            f"mine.bm25.stopwords {config.stopwords!r} does not exist; use a code such as en or de, or empty for none"
        )
        raise ConfigError(message) from error
    return Stemmer.Stemmer(config.stemmer) if config.stemmer else None, stopwords
