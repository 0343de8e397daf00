"""Inline SVG charts of an audit and a calibration, drawn from numbers alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from negset.publishing.charts import HEIGHT, WIDTH
from negset.publishing.html import Html, joined, tag, text

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 14, 40
_TALL = 320


@dataclass(frozen=True)
class RatePoint:
    """A recipe in the plot of rate against hardness, with its interval; `own` is the configured one."""

    label: str
    hardness: float
    rate: float
    low: float
    high: float
    own: bool


@dataclass(frozen=True)
class Curve:
    """Shares for rising settings, with the class that colours them."""

    label: str
    kind: str
    shares: Sequence[float]


def rate_chart(points: Sequence[RatePoint], x_label: str, y_label: str) -> Html:
    """Draw the rate of each of `points`, with its interval, over how hard its negatives are; a sentence for none."""
    if not points:
        return tag("p", text("No recipe has both a rate and a hardness to draw."), class_="quiet")
    xs = [point.hardness for point in points]
    low, high = min(xs), max(xs)
    pad = (high - low) * 0.12 or abs(high) * 0.1 or 0.1
    frame = _Frame(low - pad, high + pad, min(1.0, 1.1 * max(point.high for point in points)) or 1.0, _TALL)
    return tag(
        "figure",
        tag("figcaption", text(f"{y_label}, over {x_label}. Bars are 95 % intervals.")),
        tag(
            "svg",
            tag("title", text(f"{y_label} over {x_label}")),
            _axes(frame, x_label),
            *(_point(point, frame) for point in sorted(points, key=lambda point: (point.hardness, point.label))),
            viewBox=f"0 0 {WIDTH} {_TALL}",
            role="img",
            class_="chart",
        ),
    )


def curve_chart(title: str, settings: Sequence[float], curves: Sequence[Curve]) -> Html:
    """Draw `curves`, shares between 0 and 1, over rising `settings`."""
    if len(settings) < 2:
        return tag("p", text(f"{title}: too few settings to draw."), class_="quiet")
    frame = _Frame(settings[0], settings[-1], 1.0, HEIGHT)
    legend = [tag("span", tag("i", class_=f"dot {one.kind}"), text(one.label)) for one in curves]
    return tag(
        "figure",
        tag("figcaption", text(title)),
        tag(
            "svg",
            tag("title", text(title)),
            _axes(frame, ""),
            *(_curve(one, settings, frame) for one in curves),
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            role="img",
            class_="chart",
        ),
        tag("div", *legend, class_="legend"),
    )


@dataclass(frozen=True)
class _Frame:
    low: float
    high: float
    top: float
    tall: int

    def x(self, value: float) -> float:
        span = self.high - self.low or 1.0
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - self.low) / span

    def y(self, share: float) -> float:
        return _TOP + (self.tall - _TOP - _BOTTOM) * (1 - min(share, self.top) / self.top)


def _axes(frame: _Frame, x_label: str) -> Html:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value, across = frame.top * share, frame.low + (frame.high - frame.low) * share
        y, x = frame.y(value), frame.x(across)
        parts.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"))
        parts.append(tag("text", text(f"{value:.1%}"), x=_LEFT - 4, y=f"{y + 4:.1f}", text_anchor="end"))
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        base = frame.tall - _BOTTOM + 16
        parts.append(tag("text", text(f"{across:.3g}"), x=f"{x:.1f}", y=base, text_anchor=anchor))
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(tag("text", text(x_label), x=f"{middle:.1f}", y=frame.tall - 6, text_anchor="middle"))
    return joined(*parts)


def _point(point: RatePoint, frame: _Frame) -> Html:
    x, y = frame.x(point.hardness), frame.y(point.rate)
    late = x > WIDTH * 0.75
    return tag(
        "g",
        tag(
            "line",
            x1=f"{x:.1f}",
            x2=f"{x:.1f}",
            y1=f"{frame.y(point.low):.1f}",
            y2=f"{frame.y(point.high):.1f}",
            class_="bar ownbar" if point.own else "bar",
        ),
        tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=5, class_="point own" if point.own else "point"),
        tag(
            "text",
            text(point.label),
            x=f"{x - 9 if late else x + 9:.1f}",
            y=f"{y + 4:.1f}",
            text_anchor="end" if late else "start",
            class_="name",
        ),
    )


def _curve(curve: Curve, settings: Sequence[float], frame: _Frame) -> Html:
    places = [f"{frame.x(at):.1f} {frame.y(share):.1f}" for at, share in zip(settings, curve.shares, strict=True)]
    return tag("path", d="M" + " L".join(places), class_=curve.kind)
