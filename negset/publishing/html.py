"""HTML by construction: what is not `Html` cannot be put into a page without being escaped first."""

import hashlib
from base64 import b64encode
from html import escape
from typing import NewType

Html = NewType("Html", str)
"""Text that is HTML already. Only this module makes it."""

_VOID = ("meta", "br", "input")


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


def document(title: str, css: str, body: Html, script: str = "") -> str:
    """Give a whole page that loads nothing and runs nothing but our own `script`, which its policy names by hash."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    if script:
        digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
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
