"""A table of a page: a caption, a head, a name for each row, and room to scroll on a narrow screen."""

from collections.abc import Sequence

from negset.publishing.html import Html, tag, text


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> Html:
    """Give `rows` under `head`: the first cell names its row, the first `words` are words, the others numbers.

    The `caption` is for who hears the page; a heading beside the table says the same to who sees it.
    """
    kinds = ["words" if place < words else "number" for place in range(len(head))]
    titles = [tag("th", text(name), scope="col", class_=kind) for name, kind in zip(head, kinds, strict=True)]
    lines = [
        tag(
            "tr",
            tag("th", text(first), scope="row"),
            *(tag("td", text(cell), class_=kind) for cell, kind in zip(cells, kinds[1:], strict=True)),
        )
        for first, *cells in rows
    ]
    whole = tag(
        "table",
        tag("caption", text(caption), class_="unseen"),
        tag("thead", tag("tr", *titles)),
        tag("tbody", *lines),
        class_="figures",
    )
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)
