"""What tests do on the server's pages beyond opening them: wait for words, click, keep a picture."""

import base64
import json
import time
from pathlib import Path

from benchmarks.browser import Tab


def text_of(tab: Tab) -> str:
    """Give the text that a reader of the page sees."""
    return str(tab.run("document.body ? document.body.innerText : ''") or "")


def wait_for_words(tab: Tab, *words: str, seconds: float = 60) -> None:
    """Wait until the page shows all of `words`; raise TimeoutError with what it shows."""
    until = time.monotonic() + seconds
    while missing := [word for word in words if word.lower() not in text_of(tab).lower()]:
        if time.monotonic() > until:
            message = f"the page never showed {missing}; it shows:\n{text_of(tab)[:3000]}"
            raise TimeoutError(message)
        time.sleep(0.3)


def click(tab: Tab, word: str) -> None:
    """Click the button, link or tab that is called `word`."""
    script = """(word => {
        const found = [...document.querySelectorAll('button, a, li')]
            .find(one => one.innerText.trim().toLowerCase() === word.toLowerCase());
        if (!found) return false;
        for (const kind of ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click'])
            found.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true, button: 0}));
        return true;
    })(%s)"""
    if not tab.run(script % json.dumps(word)):
        message = f"nothing on the page is called {word!r}:\n{text_of(tab)[:3000]}"
        raise RuntimeError(message)


def picture(tab: Tab, path: Path) -> None:
    """Write what the page shows as a PNG."""
    time.sleep(1)  # what is drawn after the text
    path.write_bytes(base64.b64decode(tab.call("Page.captureScreenshot", format="png")["data"]))
