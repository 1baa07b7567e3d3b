"""`llamatop web` as a process, and Chromium's tab of it, whose terminal can be read."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyte
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions")
MISSING = "Chromium or playwright is not here"

_QUERY = re.compile("\x1b\\[\\?2026\\$p|\x1b\\]1[01];[^\x1b]*\x1b\\\\")
"""What pyte does not know, and would print."""


@contextmanager
def web(folder: Path, *arguments: str, **env: str) -> Iterator[tuple[str, psutil.Process]]:
    """The link that it prints, and its process, which ends with this."""
    command = [sys.executable, "-m", "llamatop", "web", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder, env=env
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), psutil.Process(process.pid)
        finally:
            process.terminate()


class Tab:
    """A page that playwright has opened; what its socket brought is on `screen`."""

    def __init__(self, page: Any, link: str) -> None:
        self.page = page
        self.screen = pyte.Screen(1, 1)
        self.asked: list[str] = []
        """Every address that the page asked for."""
        self.errors: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("websocket", self._connected)
        page.goto(link)
        self.until(lambda: page.locator("body.-first-byte").count())

    def _connected(self, socket: Any) -> None:
        size = re.search(r"width=(\d+)&height=(\d+)", socket.url)
        assert size
        self.screen = pyte.Screen(int(size[1]), int(size[2]))
        stream = pyte.ByteStream(self.screen)

        def received(content: str | bytes) -> None:
            if isinstance(content, bytes):
                stream.feed(_QUERY.sub("", content.decode()).encode())

        socket.on("framereceived", received)

    def until(self, condition: Callable[[], object], seconds: float = 120) -> None:
        for _ in range(int(seconds / 0.02)):
            if condition():
                return
            self.page.wait_for_timeout(20)
        raise AssertionError("\n".join(self.screen.display))

    def where(self, pattern: str) -> tuple[int, int] | None:
        """Column and row of what is shown; None where it is not."""
        for row, line in enumerate(self.screen.display):
            if found := re.search(pattern, line):
                return found.start(), row
        return None

    def shows(self, pattern: str) -> None:
        """Wait until it does."""
        self.until(lambda: self.where(pattern))

    def click(self, pattern: str, count: int = 1) -> None:
        """On what is shown, as a person points at it."""
        self.shows(pattern)
        column, row = self.where(pattern) or (0, 0)
        box = self.page.locator(".xterm-screen").bounding_box()
        wide, high = box["width"] / self.screen.columns, box["height"] / self.screen.lines
        x, y = box["x"] + (column + 0.5) * wide, box["y"] + (row + 0.5) * high
        self.page.mouse.click(x, y, click_count=count)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser that has begun, and ends with this."""
    playwright = pytest.importorskip("playwright.sync_api", reason=MISSING)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def open_tab(browser: Any, link: str, **options: object) -> Tab:
    """One of a browser, with which it is closed."""
    shown = {"viewport": {"width": 1200, "height": 760}, **options}
    return Tab(browser.new_page(**shown), link)


@contextmanager
def tab(link: str, **options: object) -> Iterator[Tab]:
    """A tab of a Chromium of its own, closed with this."""
    with chromium() as browser:
        yield open_tab(browser, link, **options)
