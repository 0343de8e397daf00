"""HTML by construction: what is not `Html` cannot be put into a page without being escaped first."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from typing import NewType

Html = NewType("Html", str)
"""Text that is HTML already. Only this module makes it."""

_VOID = ("meta", "br", "input")
UNTAGGED = "\\u003c"
"""The sign < as JSON may write it, so that no text closes the element that holds it."""


def text(value: object) -> Html:
    """Escape `value`, so that whatever a source wrote is shown and never run."""
    return Html(escape(str(value), quote=True))


def tag(name: str, /, *children: Html, **attributes: str | float) -> Html:
    """Give the element `name` with `children`; an attribute's underscores become hyphens, a trailing one goes."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value), quote=True)}"' for key, value in attributes.items()
    )
    return Html(f"<{name}{given}>") if name in _VOID else Html(f"<{name}{given}>{''.join(children)}</{name}>")


def joined(*parts: Html) -> Html:
    """Put `parts` one after another."""
    return Html("".join(parts))


def style(css: str) -> Html:
    """Give our own style sheet `css` as an element; it is not escaped."""
    return Html(f"<style>{css}</style>")


def data_block(name: str, values: Mapping[str, object]) -> Html:
    """Give `values` as JSON in an element with the id `name`, for a script to read; no text in it ends the element."""
    written = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Html(f'<script type="application/json" id="{name}">{written.replace("<", UNTAGGED)}</script>')


def document(title: str, css: str, body: Html, script: str = "") -> str:
    """Give a whole page that loads nothing; its policy names its style sheet and our own `script` by their hashes.

    So no text can bring a style of its own either: an attribute `style` in `body` has no effect.
    """
    policy = f"default-src 'none'; style-src {_hashed(css)}; base-uri 'none'; form-action 'none'"
    if script:
        policy += f"; script-src {_hashed(script)}"
        body = joined(body, Html(f"<script>{script}</script>"))
    head = joined(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", text(title)),
        style(css),
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def _hashed(source: str) -> str:
    """Name `source` as a policy does."""
    return f"'sha256-{b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
