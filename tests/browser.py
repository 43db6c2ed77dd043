"""A real browser without a window, driven through the DevTools protocol over a pair of pipes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

# Listed in conftest.py, so that only this skip passes.
NO_BROWSER = "no browser: chromium, chromium-browser, google-chrome or chrome must be on the PATH"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run",
    "--hide-scrollbars", "--window-size=1280,860", "--disable-background-networking", "--disable-component-update",
    "--enable-unsafe-swiftshader", "--use-angle=swiftshader",
)  # fmt: skip


class Browser:
    """One page in a browser, and the addresses it asked for."""

    def __init__(self, profile: Path) -> None:
        program = next((found for name in _NAMES if (found := shutil.which(name))), None)
        if program is None:
            pytest.skip(NO_BROWSER)
        reads, self._to = os.pipe()
        self._from, writes = os.pipe()
        # The browser reads commands from descriptor 3 and writes answers to descriptor 4.
        shell = f'exec "$0" "$@" 3<&{reads} 4>&{writes}'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", shell, program, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(reads, writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        self._buffer, self._number, self._session = b"", 0, None
        self.requests: list[str] = []
        self.problems: list[str] = []
        targets = self._send("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self._send("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for name in ("Network.enable", "Page.enable", "Runtime.enable", "Log.enable"):
            self._send(name)

    def open(self, path: Path, drawn: str = "tropnet.ready") -> None:
        """Open a file and wait until its figure is drawn, which a promise of the page tells."""
        self._send("Page.navigate", url=path.as_uri())
        self.value("new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))")
        self.value(f"({drawn}).then(() => true)")

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the page, awaited if it is a promise."""
        answer = self._send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def move_pointer(self, x: float, y: float) -> None:
        """Move the pointer to a place of the window, and wait for two frames."""
        self._send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.wait()

    def wait(self) -> None:
        """Wait for two frames: what was asked for is drawn then."""
        self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

    def screenshot(self, path: Path) -> None:
        """Write what is to be seen, as PNG."""
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self._send("Browser.close")
        self._process.wait(30)
        os.close(self._to)
        os.close(self._from)

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            command["sessionId"] = self._session
        os.write(self._to, json.dumps(command).encode() + b"\0")
        while True:
            message = self._receive()
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self._note(message)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._from, 1 << 20)
            if not part:
                raise RuntimeError(f"the browser ended with code {self._process.wait(30)}")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        match event["method"]:
            case "Network.requestWillBeSent" if not event["params"]["request"]["url"].startswith(("data:", "blob:")):
                # What such an address names is in the page.
                self.requests.append(event["params"]["request"]["url"])
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(event["params"]["exceptionDetails"]))
            case "Log.entryAdded" if event["params"]["entry"]["level"] == "error":
                self.problems.append(event["params"]["entry"]["text"])
