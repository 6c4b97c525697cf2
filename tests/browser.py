"""Opens an HTML file in headless Chromium and says what a person would have met: plots, errors, requests.

Chromium is driven over the pipe of its own debugging protocol (``--remote-debugging-pipe``): no driver, no port. The
protocol reports each request before it is sent, so nothing fetched from outside can go unseen, and each error that
the console would show.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

__all__ = ["PageInspection", "chromium", "inspect_page"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless_shell")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_BECOME = "import os, sys; a = sys.argv; os.dup2(int(a[1]), 3); os.dup2(int(a[2]), 4); os.execv(a[3], a[3:])"
_INSIDE = ("file:", "data:", "blob:", "about:", "chrome-error:")
#: Counts plotly's graphs, and those that hold a drawing with marks in it, of a size that can be seen or in a fold.
_COUNT_PLOTS = """(() => {
  const plots = [...document.querySelectorAll('.js-plotly-plot, .plotly-graph-div, .plot')];
  const unique = plots.filter((plot) => !plots.some((other) => other !== plot && other.contains(plot)));
  const drawn = unique.filter((plot) => {
    const picture = plot.querySelector('.main-svg, canvas');
    const marks = plot.querySelector('.trace, .heatmaplayer image, .contourlayer g, .bars, canvas, .pielayer *');
    const size = picture && picture.getBoundingClientRect();
    return picture && marks && (plot.closest('details:not([open])') || (size.width > 40 && size.height > 40));
  });
  return JSON.stringify([unique.length, drawn.length, document.title]);
})()"""


@dataclass
class PageInspection:
    """What was found.

    Attributes:
        title: The page's title.
        plots: plotly graphs on the page.
        drawn: Those with marks drawn in them.
        console_errors: Errors and uncaught exceptions.
        outside_requests: URLs asked for that are neither the file itself nor embedded data.
        screenshot: Path of a PNG of the whole page, where one was asked for.
    """

    title: str = ""
    plots: int = 0
    drawn: int = 0
    console_errors: list[str] = field(default_factory=list)
    outside_requests: list[str] = field(default_factory=list)
    screenshot: Path | None = None

    def assert_sound(self, *, at_least: int = 0) -> None:
        """Fail unless every plot is drawn (``at_least`` so many), without errors or requests to the outside."""
        assert self.plots >= at_least, f"{self.plots} plots on the page, expected {at_least} or more"
        assert self.drawn == self.plots, f"{self.drawn} of {self.plots} plots are drawn"
        assert not self.console_errors, self.console_errors
        assert not self.outside_requests, self.outside_requests


def chromium() -> str:
    """Path of an installed Chromium or Chrome; skips the calling test where there is none."""
    for name in (os.environ.get("CHROMIUM", ""), *_NAMES):
        if name and (path := shutil.which(name)):
            return path
    pytest.skip("no Chromium or Chrome is installed (looked for " + ", ".join(_NAMES) + "; or set CHROMIUM)")


def inspect_page(
    path: str | Path,
    *,
    screenshot: str | Path | None = None,
    width: int = 1280,
    dark: bool = False,
    media: str = "",
    settle: float = 0.3,
    limit: float = 60.0,
) -> PageInspection:
    """Open ``path`` and report what it shows and does.

    Args:
        path: An HTML file.
        screenshot: Where to write a PNG of the whole page.
        width: Of the window, in pixels.
        dark: Ask for the dark colour scheme.
        media: CSS media to emulate, such as ``print``.
        settle: Seconds to wait after the last plot is drawn.
        limit: Seconds until the page must have loaded and drawn its plots.
    """
    found = PageInspection()
    with _session() as page:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        page.call("Emulation.setEmulatedMedia", media=media, features=scheme)
        page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        page.call("Page.navigate", url=Path(path).resolve().as_uri())
        page.wait_for_event("Page.loadEventFired", limit)
        deadline, since = time.monotonic() + limit, None
        while time.monotonic() < deadline:
            found.plots, found.drawn, found.title = json.loads(page.evaluate(_COUNT_PLOTS))
            if found.plots == found.drawn:
                since = since or time.monotonic()
                if time.monotonic() - since >= settle:
                    break
            page.drain(0.1)
        if screenshot is not None:
            found.screenshot = Path(screenshot)
            found.screenshot.write_bytes(page.picture(width))
        found.console_errors = list(page.errors)
        found.outside_requests = [url for url in page.requests if not url.startswith(_INSIDE)]
    return found


@contextmanager
def _session() -> Iterator[_Session]:
    binary = chromium()
    with tempfile.TemporaryDirectory(prefix="foretune-chromium-", ignore_cleanup_errors=True) as profile:
        # Chromium reads commands from descriptor 3 and answers on 4; a few lines of Python put ours there and become
        # Chromium. They are moved above 20 first, so that one copy cannot overwrite the other's source.
        theirs_in, ours_out = _high_pipe()
        ours_in, theirs_out = _high_pipe()
        become = (sys.executable, "-S", "-E", "-c", _BECOME, str(theirs_in), str(theirs_out))
        process = subprocess.Popen(
            [*become, binary, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield _Session(ours_in, ours_out)
        finally:
            os.close(ours_out)
            os.close(ours_in)
            _end(process)


def _high_pipe() -> tuple[int, int]:
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20))
        os.close(end)
    return ends[0], ends[1]


def _end(process: subprocess.Popen[bytes]) -> None:
    # The pipe's end tells the browser to leave; its helpers share its session and are ended with it.
    with suppress(subprocess.TimeoutExpired):
        process.wait(3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Session:
    """One page, commanded over the pipe."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink, self._buffer, self._last, self._page = source, sink, b"", 0, ""
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._seen: set[str] = set()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._page = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._page:
            message["sessionId"] = self._page
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._sink, data) :]
        deadline = time.monotonic() + 60
        while True:
            answer = self._next(deadline - time.monotonic())
            if answer is None:
                raise TimeoutError(f"Chromium did not answer {method}")
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression on the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def picture(self, width: int) -> bytes:
        """PNG of the whole page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": width, "height": min(size["height"], 16000), "scale": 1}
        return base64.b64decode(
            self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        )

    def drain(self, seconds: float) -> None:
        """Take in what the page reports for so long."""
        deadline = time.monotonic() + seconds
        while self._next(deadline - time.monotonic()) is not None:
            pass

    def wait_for_event(self, name: str, limit: float) -> None:
        """Return once an event has been reported."""
        deadline = time.monotonic() + limit
        while name not in self._seen:
            if self._next(deadline - time.monotonic()) is None:
                raise TimeoutError(f"no {name} within {limit:g} s")

    def _next(self, seconds: float) -> dict[str, Any] | None:
        deadline = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._source], [], [], left)[0]:
                return None
            if not (chunk := os.read(self._source, 1 << 16)):
                raise RuntimeError("Chromium ended before it was asked to")
            self._buffer += chunk
        first, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(first)
        self._take(message.get("method", ""), message.get("params", {}))
        return message

    def _take(self, method: str, params: dict[str, Any]) -> None:
        self._seen.add(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(params["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.errors.append(
                " ".join(str(part.get("value", part.get("description"))) for part in params["args"])
            )
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
