"""A table of a page: a caption, a head, a name for each row, and room to scroll on a narrow screen."""

from collections.abc import Container, Sequence
from typing import Final

from negset.publishing.html import Html, tag, text

_LONG: Final = 30
"""Characters of a cell from which its column keeps some width, so that a phone scrolls rather than cuts words up."""


def table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1, chosen: Container[int] = ()
) -> Html:
    """Give `rows` under `head`: the first cell names its row, the first `words` are words, the others numbers.

    The `caption` is for who hears the page; a heading beside the table says the same to who sees it. Rows whose
    places, from 0, are in `chosen` stand out.
    """
    long = [any(len(row[place]) >= _LONG for row in rows) for place in range(len(head))]
    kinds = ["number" if place >= words else "words long" if long[place] else "words" for place in range(len(head))]
    titles = [tag("th", text(name), scope="col", class_=kind) for name, kind in zip(head, kinds, strict=True)]
    lines = [
        tag(
            "tr",
            tag("th", text(first), scope="row"),
            *(tag("td", text(cell), class_=kind) for cell, kind in zip(cells, kinds[1:], strict=True)),
            **({"class_": "chosen"} if place in chosen else {}),
        )
        for place, (first, *cells) in enumerate(rows)
    ]
    whole = tag(
        "table",
        tag("caption", text(caption), class_="unseen"),
        tag("thead", tag("tr", *titles)),
        tag("tbody", *lines),
        class_="figures",
    )
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)
