"""A headless Chromium, spoken to in its own protocol: enough to open pages, read them and keep pictures of them."""

import base64
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.integration.processes import kill, start

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find_browser() -> str | None:
    """Give the path of a Chromium, None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """The one page of a browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self._asked = connection, 0

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Have the browser do something and give its answer."""
        self._asked += 1
        self._connection.send(json.dumps({"id": self._asked, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.recv(timeout=60))
            if answer.get("id") == self._asked:
                if "error" in answer:
                    message = f"{method}: {answer['error']['message']}"
                    raise RuntimeError(message)
                found: dict[str, Any] = answer["result"]
                return found

    def evaluate(self, script: str) -> Any:
        """Give the value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    def open(self, url: str) -> None:
        """Go to `url`."""
        self.call("Page.navigate", url=url)

    def text(self) -> str:
        """Give the text that a reader of the page sees."""
        return str(self.evaluate("document.body ? document.body.innerText : ''") or "")

    def wait_for(self, *words: str, seconds: float = 60) -> str:
        """Wait until the page shows all of `words`, and give its text; raise TimeoutError with what it shows."""
        until = time.monotonic() + seconds
        while missing := [word for word in words if word.lower() not in self.text().lower()]:
            if time.monotonic() > until:
                message = f"the page never showed {missing}; it shows:\n{self.text()[:3000]}"
                raise TimeoutError(message)
            time.sleep(0.3)
        return self.text()

    def click(self, word: str) -> None:
        """Click the button, link or tab that is called `word`."""
        script = """(word => {
            const found = [...document.querySelectorAll('button, a, li')]
                .find(one => one.innerText.trim().toLowerCase() === word.toLowerCase());
            if (!found) return false;
            for (const kind of ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click'])
                found.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true, button: 0}));
            return true;
        })(%s)"""
        if not self.evaluate(script % json.dumps(word)):
            message = f"nothing on the page is called {word!r}:\n{self.text()[:3000]}"
            raise RuntimeError(message)

    def picture(self, path: Path) -> None:
        """Write what the page shows as a PNG."""
        time.sleep(1)  # what is drawn after the text
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browser(program: str) -> Iterator[Page]:
    """Run the browser at `program` with a profile of its own, and give its page."""
    folder = Path(tempfile.mkdtemp(prefix="negset-browser-"))
    switches = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    switches += ["--window-size=1440,1100", "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    process = start([program, *switches], {"PATH": "/usr/bin:/bin", "HOME": str(folder)}, folder / "log")
    try:
        port = _port(folder / "DevToolsActivePort")
        pages = httpx.get(f"http://127.0.0.1:{port}/json", timeout=30).json()
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        with connect(address, max_size=None) as connection:
            yield Page(connection)
    finally:
        kill(process)
        shutil.rmtree(folder, ignore_errors=True)


def _port(path: Path) -> int:
    until = time.monotonic() + 60
    while not path.exists() or not path.read_text().strip():
        if time.monotonic() > until:
            message = f"the browser did not start: {(path.parent / 'log').read_text()[-1000:]}"
            raise RuntimeError(message)
        time.sleep(0.2)
    return int(path.read_text().splitlines()[0])
