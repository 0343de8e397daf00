"""Text as it is compared and as it is encoded."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

import polars as pl

_SPACE = re.compile(r"\s+")


def normalise_text(text: str) -> str:
    """Fold `text` for comparing: NFKC, casefold, white space runs to one space, stripped. Never stored."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def document_text(title: str | None, text: str) -> str:
    """Join `title` and `text` into what is encoded and compared: the title's line, then the text."""
    return f"{title}\n{text}" if title and text else (title or text)


def document_texts(documents: pl.DataFrame) -> pl.Series:
    """Join the title and the text of each of `documents` as `document_text` does."""
    title, text = pl.col("title").fill_null(""), pl.col("text")
    both = (title != "") & (text != "")
    joined = pl.when(both).then(title + "\n" + text).otherwise(title + text)
    return documents.select(joined.alias("text")).get_column("text")


def text_digest(text: str) -> bytes:
    """Hash the normalised `text`; equal digests are twins."""
    return hashlib.sha256(normalise_text(text).encode()).digest()


def text_digests(texts: Iterable[str]) -> list[bytes]:
    """Hash each of `texts` as `text_digest` does."""
    return [text_digest(text) for text in texts]
