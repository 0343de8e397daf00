"""A headless Chromium to open pages in, driven over its own protocol: what tests and benchmarks of pages need.

It is looked for under its usual names and in CHROMIUM. Only what is asked for here is implemented; a library for it
would bring a browser of its own.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import ProxyHandler, build_opener

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_START, _WAIT = 60.0, 30.0
Message = dict[str, Any]


def find_chromium() -> str | None:
    """Give the program of a Chromium on this machine, None where there is none."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Tab:
    """An open tab. `said` collects what the console and the browser complained of, `asked` every address requested."""

    socket: ClientConnection
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    _events: list[Message] = field(default_factory=list)
    _last: int = 0

    def call(self, method: str, **params: object) -> Message:
        """Send a command and give its result; raise RuntimeError where Chromium refuses it."""
        self._last += 1
        self.socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while (message := self._receive()).get("id") != self._last:
            pass
        if "error" in message:
            text = f"{method}: {message['error']}"
            raise RuntimeError(text)
        result: Message = message["result"]
        return result

    def open(self, address: str) -> float:
        """Open `address` and give the seconds from the request until the page has loaded and painted."""
        self._events.clear()
        start = time.perf_counter()
        self.call("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._receive()
        self.run("new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(1), 0)))")
        return time.perf_counter() - start

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever JavaScript gives
        """Evaluate `script` in the page, wait for a promise, and give its value."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"]))
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press and let go a key, as a person does."""
        codes = {"Tab": 9, "Enter": 13}
        code = codes.get(key, ord(key[0].upper()))
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def _receive(self) -> Message:
        message: Message = json.loads(self.socket.recv(timeout=_WAIT))
        if "method" in message:
            self._events.append(message)
            self._note(message["method"], message["params"])
        return message

    def _note(self, method: str, params: Message) -> None:
        if method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.said.append(json.dumps(params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.said.append(json.dumps(params["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.said.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")


@contextmanager
def chromium(downloads: Path | None = None, width: int = 1400, height: int = 900) -> Iterator[Tab]:
    """Start Chromium without a window and give a tab; files that a page saves go to `downloads`.

    Raises RuntimeError where there is no Chromium or it does not start.
    """
    program = find_chromium()
    if program is None:
        message = "no Chromium on this machine: install one, or name it in CHROMIUM"
        raise RuntimeError(message)
    with TemporaryDirectory() as home:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
        options += [f"--user-data-dir={home}", f"--window-size={width},{height}", "about:blank"]
        process = subprocess.Popen(
            [program, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            with connect(_address(Path(home), process), max_size=None, proxy=None) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Network", "Log"):
                    tab.call(f"{domain}.enable")
                if downloads is not None:
                    tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
                yield tab
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(0.1)  # its children write into the home until they are gone


def _address(home: Path, process: "subprocess.Popen[bytes]") -> str:
    """Wait for the address of the first tab."""
    ends = time.monotonic() + _START
    listed = build_opener(ProxyHandler({}))
    while time.monotonic() < ends and process.poll() is None:
        try:
            port = int((home / "DevToolsActivePort").read_text().split()[0])
            with listed.open(f"http://127.0.0.1:{port}/json", timeout=5) as answer:
                tabs = json.load(answer)
            return str(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
        except (OSError, IndexError, ValueError, StopIteration):
            time.sleep(0.05)
    message = f"Chromium did not open a tab within {_START:g} s"
    raise RuntimeError(message)
