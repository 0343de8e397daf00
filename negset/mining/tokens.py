"""Texts as stemmed terms, by bm25s and Snowball."""

from collections.abc import Sequence

import bm25s
import numpy as np
import Stemmer
from numpy.typing import NDArray

from negset.errors import ConfigError, hint
from schemas.config import Bm25Config


def tokenise_texts(config: Bm25Config, texts: Sequence[str]) -> tuple[list[str], NDArray[np.int32], NDArray[np.int64]]:
    """Give the distinct terms of `texts`, the term of each token, and where each text's tokens end.

    The order of the terms is not fixed; the caller sorts them.
    """
    check_languages(config)
    stemmer = Stemmer.Stemmer(config.stemmer) if config.stemmer else None
    # A lone surrogate cannot be encoded, which the stemmer does: it is no letter, so nothing is lost by "?".
    clean = [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]
    found = bm25s.tokenize(clean, stopwords=config.stopwords or [], stemmer=stemmer, show_progress=False)
    terms = [term for term, _ in sorted(found.vocab.items(), key=lambda item: item[1])]
    ends = np.cumsum([len(ids) for ids in found.ids], dtype=np.int64)
    tokens = np.fromiter(
        (token for ids in found.ids for token in ids), dtype=np.int32, count=int(ends[-1]) if len(ends) else 0
    )
    return terms, tokens, ends


def check_languages(config: Bm25Config) -> None:
    """Raise ConfigError where `config` names a stemmer or a stop word list that does not exist."""
    known = Stemmer.algorithms()
    if config.stemmer and config.stemmer not in known:
        message = (
            f"mine.bm25.stemmer {config.stemmer!r} does not exist{hint(config.stemmer, known)}; "
            f"known: {', '.join(sorted(known))}, or empty for none"
        )
        raise ConfigError(message)
    try:
        bm25s.tokenize([], stopwords=config.stopwords or [], show_progress=False)
    except ValueError as error:
        message = (
            f"mine.bm25.stopwords {config.stopwords!r} does not exist; use a code such as en or de, or empty for none"
        )
        raise ConfigError(message) from error
