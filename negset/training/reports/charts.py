"""Inline SVG charts of a run, drawn from numbers alone: losses over steps and epochs, groups before and after."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from negset.arrays import Floats
from negset.publishing.charts import HEIGHT, WIDTH
from negset.publishing.html import Html, joined, tag, text
from negset.training.reports.pair_losses import EpochLosses
from negset.training.reports.regressions import GroupChange

_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 12, 12, 26
POINTS: Final = 400
"""Points that a curve is drawn with at the most; more steps are averaged."""
MOST_LINES: Final = 20
"""Epochs beyond which no line parts them."""
NAME: Final = 24
"""Characters of the name of a group that are drawn."""
_ROW, _LABELS = 30, 215


def loss_chart(losses: Floats, per_epoch: Sequence[int]) -> Html:
    """Draw the loss of each step, averaged over neighbours where there are many; lines part the epochs.

    `per_epoch` counts the steps of each epoch. A sentence for fewer than two steps.
    """
    if len(losses) < 2:
        return tag("p", text("Too few steps to draw."), class_="quiet")
    parts = np.array_split(losses, min(POINTS, len(losses)))
    values = np.array([part.mean() for part in parts])
    ends = np.cumsum([len(part) for part in parts])
    frame = _Frame(1.0, float(len(losses)), float(values.min()), float(values.max()))
    places = [f"{frame.x(end):.1f} {frame.y(value):.1f}" for end, value in zip(ends, values, strict=True)]
    borders = np.cumsum(per_epoch)[:-1].tolist()
    lines = [_vertical(frame.x(border), "grid") for border in borders if len(borders) < MOST_LINES]
    averaged = f", each point the mean of {len(losses) / len(parts):.3g} steps" if len(parts) < len(losses) else ""
    path = tag("path", d="M" + " L".join(places), class_="curve negative")
    return _figure(f"Loss over {len(losses):,} steps{averaged}", _axes(frame), *lines, path)


def epoch_chart(epochs: Sequence[EpochLosses]) -> Html:
    """Draw the quantiles of the pairs' losses in each epoch: a line from 5 to 95 %, a box of the middle half."""
    if not epochs:
        return tag("p", text("The trainer kept no losses of pairs."), class_="quiet")
    low = min(one.quantiles[0] for one in epochs)
    high = max(one.quantiles[-1] for one in epochs)
    frame = _Frame(0.5, len(epochs) + 0.5, low, high)
    width = min(36.0, 0.5 * (WIDTH - _LEFT - _RIGHT) / len(epochs))
    boxes = [_box(frame, place, one, width) for place, one in enumerate(epochs, start=1)]
    title = "Loss of each pair by epoch: 5, 25, 50, 75 and 95 % of the pairs"
    return _figure(title, _axes(frame, whole=True), *boxes)


def group_chart(title: str, changes: Sequence[GroupChange]) -> Html:
    """Draw the change of each group with its 95 % interval, a row each, beside the line of no change."""
    if not changes:
        return joined()
    ends = [end for one in changes for end in (one.change.difference.low, one.change.difference.high, 0.0)]
    low, high = min(ends), max(ends)
    span = high - low or 1.0
    tall = _TOP + _ROW * len(changes) + _BOTTOM

    def x(value: float) -> float:
        return _LABELS + (WIDTH - _LABELS - 2 * _RIGHT) * (value - low) / span

    rows = [_change_row(one, _TOP + _ROW * place + _ROW / 2, x) for place, one in enumerate(changes)]
    zero = tag("line", x1=f"{x(0):.1f}", x2=f"{x(0):.1f}", y1=_TOP, y2=tall - _BOTTOM, class_="axis")
    anchors = {high: "end"} if high > 0 else {}
    marks = [
        tag("text", text(f"{value:+.3f}"), x=f"{x(value):.1f}", y=tall - 8, text_anchor=anchors.get(value, "middle"))
        for value in sorted({low, 0.0, high})
        if value == 0.0 or abs(x(value) - x(0)) > 40
    ]
    return _figure(title, zero, *rows, *marks, tall=tall)


class _Frame:
    def __init__(self, left: float, right: float, low: float, high: float) -> None:
        self.left, self.right = left, right if right > left else left + 1.0
        self.low, self.high = low, high if high > low else low + 1.0

    def x(self, value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - self.left) / (self.right - self.left)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - share)


def _figure(title: str, *drawn: Html, tall: float = HEIGHT) -> Html:
    picture = tag("svg", tag("title", text(title)), *drawn, viewBox=f"0 0 {WIDTH} {tall:g}", role="img", class_="chart")
    return tag("figure", tag("figcaption", text(title)), picture)


def _axes(frame: _Frame, *, whole: bool = False) -> Html:
    drawn = []
    for share in (0.0, 0.5, 1.0):
        value = frame.low + (frame.high - frame.low) * share
        y = frame.y(value)
        drawn.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"))
        drawn.append(tag("text", text(f"{value:.3g}"), x=_LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end"))
    last = int(frame.right) if whole else frame.right
    for at in (1, last) if last > 1 else (1,):
        anchor = "end" if at == last and not whole else "middle"
        drawn.append(tag("text", text(f"{at:,.0f}"), x=f"{frame.x(at):.1f}", y=HEIGHT - 8, text_anchor=anchor))
    return joined(*drawn)


def _vertical(x: float, kind: str) -> Html:
    return tag("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=_TOP, y2=HEIGHT - _BOTTOM, class_=kind)


def _box(frame: _Frame, place: int, one: EpochLosses, width: float) -> Html:
    x = frame.x(place)
    lowest, lower, middle, upper, highest = (frame.y(value) for value in one.quantiles)
    return tag(
        "g",
        tag("title", text(f"epoch {one.epoch + 1}: {one.pairs:,} pairs, mean {one.mean:.4f}")),
        tag("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=f"{highest:.1f}", y2=f"{lowest:.1f}", class_="whisker"),
        tag(
            "rect",
            x=f"{x - width / 2:.1f}",
            y=f"{upper:.1f}",
            width=f"{width:.1f}",
            height=f"{max(lower - upper, 1):.1f}",
            class_="box",
        ),
        tag(
            "line",
            x1=f"{x - width / 2:.1f}",
            x2=f"{x + width / 2:.1f}",
            y1=f"{middle:.1f}",
            y2=f"{middle:.1f}",
            class_="median",
        ),
    )


def _change_row(one: GroupChange, y: float, x: Callable[[float], float]) -> Html:
    found = one.change.difference
    kind = "down" if found.high < 0 else "up" if found.low > 0 else "level"
    name = one.name if len(one.name) <= NAME else f"{one.name[: NAME - 1]}…"
    return tag(
        "g",
        tag("title", text(f"{one.name}: {found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f})")),
        tag("text", text(name), x=_LABELS - 12, y=f"{y + 4:.1f}", text_anchor="end", class_="name"),
        tag("line", x1=f"{x(found.low):.1f}", x2=f"{x(found.high):.1f}", y1=f"{y:.1f}", y2=f"{y:.1f}", class_="span"),
        tag("circle", cx=f"{x(found.mean):.1f}", cy=f"{y:.1f}", r=5),
        class_=f"change {kind}",
    )
