"""The text of an HTML page or fragment, as a reader would see it."""

from html.parser import HTMLParser
from typing import Final

_BLOCKS: Final = frozenset(
    "address article blockquote br dd div dl dt figure footer h1 h2 h3 h4 h5 h6 header hr li main ol p pre section "
    "table td th tr ul".split()
)
_HIDDEN: Final = frozenset(("script", "style", "title"))


class _Collector(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._inside = tag
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self.title.append(data)
        elif not self._inside:
            self.parts.append(data)


def html_text(markup: str) -> tuple[str, str]:
    """Give the title and the text of `markup`: tags off, entities resolved, line breaks kept, scripts left out."""
    collector = _Collector()
    collector.feed(markup)
    collector.close()
    return " ".join("".join(collector.title).split()), "".join(collector.parts)


def one_line(text: str) -> str:
    """Run all white space of `text` to single spaces."""
    return " ".join(text.split())
