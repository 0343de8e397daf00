"""Text as it is compared and as it is encoded."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

_SPACE = re.compile(r"\s+")


def normalise_text(text: str) -> str:
    """Fold `text` for comparing: NFKC, casefold, white space runs to one space, stripped. Never stored."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def document_text(title: str | None, text: str) -> str:
    """Join `title` and `text` into what is encoded and compared: the title's line, then the text."""
    return f"{title}\n{text}" if title and text else (title or text)


def text_digest(text: str) -> bytes:
    """Hash the normalised `text`; equal digests are twins."""
    return hashlib.sha256(normalise_text(text).encode()).digest()


def text_digests(texts: Iterable[str]) -> list[bytes]:
    """Hash each of `texts` as `text_digest` does."""
    return [text_digest(text) for text in texts]
