"""Key phrases of texts by RAKE (Rose and others 2010, "Automatic keyword extraction from individual documents").

Candidates are the runs of words between stop words and punctuation. A word counts by its degree, the words that it
stands beside in runs, itself included, over how often it occurs; a phrase by the sum over its words.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from negset.mining.tokens import open_language
from negset.text import normalise_text
from schemas.config import Bm25Config

PHRASES: Final = 5
"""Phrases of a text, at the most."""
LONGEST: Final = 3
"""Words of a phrase, at the most: longer runs hardly ever return in another text."""
TEXT_LIMIT: Final = 2000
"""Characters of a text that are read."""
_WORD: Final = re.compile(r"\w+|[^\w\s]")


def key_phrases(texts: Iterable[str]) -> list[tuple[str, ...]]:
    """Give the PHRASES best phrases of each of `texts`, lower-cased, best first, equals in the order of letters.

    Stop words are English. Each text is judged by itself, so neither others nor their order matter.
    """
    stopwords = frozenset(open_language(Bm25Config())[1])
    return [_best(_runs(normalise_text(text)[:TEXT_LIMIT].lower(), stopwords)) for text in texts]


def _runs(text: str, stopwords: frozenset[str]) -> list[tuple[str, ...]]:
    runs: list[tuple[str, ...]] = []
    run: list[str] = []
    for token in (*_WORD.findall(text), "."):
        if token in stopwords or len(token) < 2 or not (token[0].isalnum() or token[0] == "_"):
            runs += [tuple(run)] if 0 < len(run) <= LONGEST else []
            run = []
        else:
            run.append(token)
    return runs


def _best(runs: list[tuple[str, ...]]) -> tuple[str, ...]:
    often: Counter[str] = Counter()
    degree: Counter[str] = Counter()
    for run in runs:
        for word in run:
            often[word] += 1
            degree[word] += len(run)
    worth = {" ".join(run): sum(degree[word] / often[word] for word in run) for run in runs}
    return tuple(sorted(worth, key=lambda phrase: (-worth[phrase], phrase))[:PHRASES])
