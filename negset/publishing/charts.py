"""Small inline SVG charts, drawn from numbers alone and coloured by the page's style sheet."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from negset.publishing.html import Html, joined, tag, text

WIDTH, HEIGHT = 560, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 12, 26


@dataclass(frozen=True)
class Series:
    """Values to count, with a label and the class that colours them."""

    label: str
    kind: str
    values: NDArray[np.float64]


def histogram(title: str, series: Sequence[Series], bins: int = 40) -> Html:
    """Draw the distributions of `series` over one another, each scaled to its own share of values.

    Series without values are left out; without any, a sentence says so.
    """
    shown = [one for one in series if one.values.size]
    if not shown:
        return tag("p", text("No scores to draw."), class_="quiet")
    edges = _edges([one.values for one in shown], bins)
    shares = [np.histogram(one.values, edges)[0] / one.values.size for one in shown]
    highest = max(float(share.max()) for share in shares) or 1.0
    bars = [_bars(one.kind, share / highest) for one, share in zip(shown, shares, strict=True)]
    picture = tag(
        "svg",
        tag("title", text(title)),
        *bars,
        _axis(float(edges[0]), float(edges[-1])),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        class_="chart",
    )
    return tag("figure", tag("figcaption", text(title)), picture, _legend(shown))


def _edges(values: Sequence[NDArray[np.float64]], bins: int) -> NDArray[np.float64]:
    """Give the borders of `bins` bins that hold all `values`, at least a hair wide."""
    low = min(float(part.min()) for part in values)
    high = max(float(part.max()) for part in values)
    return np.linspace(low, high if high > low else low + 1.0, bins + 1)


def _bars(kind: str, heights: NDArray[np.float64]) -> Html:
    step = (WIDTH - _LEFT - _RIGHT) / heights.size
    room = HEIGHT - _TOP - _BOTTOM
    bars = [
        tag(
            "rect",
            x=f"{_LEFT + place * step + 0.5:.1f}",
            y=f"{_TOP + room * (1 - height):.1f}",
            width=f"{max(step - 1, 0.5):.1f}",
            height=f"{room * height:.1f}",
            rx="1",
        )
        for place, height in enumerate(heights.tolist())
        if height > 0
    ]
    return tag("g", *bars, class_=f"bars {kind}")


def _axis(low: float, high: float) -> Html:
    base = HEIGHT - _BOTTOM
    marks = [
        tag(
            "text",
            text(f"{low + (high - low) * share:.2f}"),
            x=f"{_LEFT + (WIDTH - _LEFT - _RIGHT) * share:.1f}",
            y=f"{base + 17}",
            text_anchor="start" if share == 0 else "end" if share == 1 else "middle",
        )
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    return joined(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=base, y2=base, class_="axis"), *marks)


def _legend(series: Sequence[Series]) -> Html:
    entries = [
        tag("span", tag("i", class_=f"dot {one.kind}"), text(f"{one.label} · {one.values.size:,}")) for one in series
    ]
    return tag("div", *entries, class_="legend")
