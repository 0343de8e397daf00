"""Small inline SVG charts, drawn from numbers alone and coloured by the page's style sheet."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from negset.publishing.html import Html, joined, tag, text

WIDTH, HEIGHT = 560, 190
BINS = 40
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 12, 26


@dataclass(frozen=True)
class Series:
    """Values to count, with a label and the class that colours them."""

    label: str
    kind: str
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Counted:
    """Values that were counted already: how many lie in each bin."""

    label: str
    kind: str
    counts: NDArray[np.int64]


def histogram(title: str, series: Sequence[Series], bins: int = BINS) -> Html:
    """Draw the distributions of `series` over one another, each scaled to its own share of values.

    Series without values are left out; without any, a sentence says so.
    """
    shown = [one for one in series if one.values.size]
    if not shown:
        return tag("p", text("No scores to draw."), class_="quiet")
    edges = _edges([one.values for one in shown], bins)
    counted = [Counted(one.label, one.kind, np.histogram(one.values, edges)[0]) for one in shown]
    return counted_histogram(title, counted, float(edges[0]), float(edges[-1]))


def counted_histogram(title: str, series: Sequence[Counted], low: float, high: float) -> Html:
    """Draw `series`, counted in bins of equal width from `low` to `high`, as `histogram` does."""
    shown = [one for one in series if one.counts.sum()]
    if not shown:
        return tag("p", text(f"{title}: no scores to draw."), class_="quiet")
    shares = [one.counts / one.counts.sum() for one in shown]
    highest = max(float(share.max()) for share in shares)
    steps = [_steps(one.kind, share / highest) for one, share in zip(shown, shares, strict=True)]
    picture = tag(
        "svg",
        tag("title", text(title)),
        tag("desc", text("; ".join(f"{one.label}: {_middle(one, low, high)}" for one in shown))),
        *steps,
        _axis(low, high),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        class_="chart",
    )
    return tag("figure", tag("figcaption", text(title)), picture, _legend(shown))


def bar(share: float, kind: str) -> Html:
    """Draw `share`, between 0 and 1, as a bar in a track; who cannot see it reads the number beside it."""
    filled = tag("rect", width=f"{100 * share:.2f}%", height="100%", class_=f"bar {kind}")
    return tag("svg", filled, class_="track", aria_hidden="true")


def _edges(values: Sequence[NDArray[np.float64]], bins: int) -> NDArray[np.float64]:
    """Give the borders of `bins` bins that hold all `values`, at least a hair wide."""
    low = min(float(part.min()) for part in values)
    high = max(float(part.max()) for part in values)
    return np.linspace(low, high if high > low else low + 1.0, bins + 1)


def _steps(kind: str, heights: NDArray[np.float64]) -> Html:
    """Draw `heights` as one outline: overlapping series stay readable, in print by their dashes too."""
    step = (WIDTH - _LEFT - _RIGHT) / heights.size
    room = HEIGHT - _TOP - _BOTTOM
    line = "".join(
        f"V{_TOP + room * (1 - height):.1f}H{_LEFT + (place + 1) * step:.1f}"
        for place, height in enumerate(heights.tolist())
    )
    return tag("path", d=f"M{_LEFT} {HEIGHT - _BOTTOM}{line}V{HEIGHT - _BOTTOM}", class_=f"steps {kind}")


def _middle(one: Counted, low: float, high: float) -> str:
    """Say how many values `one` has and about where their median lies."""
    total = int(one.counts.sum())
    place = int(np.searchsorted(np.cumsum(one.counts), total / 2))
    median = low + (high - low) * (place + 0.5) / one.counts.size
    return f"{total:,} values, median about {median:.2f}"


def _axis(low: float, high: float) -> Html:
    base = HEIGHT - _BOTTOM
    marks = [
        tag(
            "text",
            text(f"{round(low + (high - low) * share, 2) + 0.0:.2f}"),  # no minus before a zero
            x=f"{_LEFT + (WIDTH - _LEFT - _RIGHT) * share:.1f}",
            y=f"{base + 17}",
            text_anchor="start" if share == 0 else "end" if share == 1 else "middle",
        )
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    return joined(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=base, y2=base, class_="axis"), *marks)


def _legend(series: Sequence[Counted]) -> Html:
    entries = [
        tag("span", tag("i", class_=f"dot {one.kind}"), text(f"{one.label} · {int(one.counts.sum()):,}"))
        for one in series
    ]
    return tag("div", *entries, class_="legend")
