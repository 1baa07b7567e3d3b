"""The program behind one tab: started with the size of the tab, and ended with it.

What it says on stderr is shown where its screen was, as in a terminal. Its own process is ended
here; what it started ends with it, by its own doing.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from llamatop.events.sanitize import clean
from llamatop.recording.files import SUFFIX

DRIVER = "llamatop.tui.terminal.tab:TabDriver"
"""What the program draws with."""

FRAMES = 30
"""Pictures a second at most: as often as a key may change one."""

PATIENCE = 30.0
"""Seconds in which a program ends by itself, its recording made whole; then it is killed."""

BEGUN = b"__GANGLION__\n"
"""What the driver writes before its first packet."""

_MOST = (1_000, 500)
"""Columns and rows."""

_WORDS = 200
"""Lines of what it said that are shown."""

_BARE = (
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l"  # mouse, pasting
    b"\x1b[0m\x1b[?1049l\x1b[2J\x1b[H"  # colours, the screen
)
"""Gives the tab's terminal back."""


class Program(AppService):
    """One tab's; `arguments` is the program and its arguments, started without a shell.

    What it says when its tab is gone goes to `tell`.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        tab: web.WebSocketResponse,
        downloads: DownloadManager,
        tell: Callable[[str], None],
    ) -> None:
        super().__init__(
            "",
            write_bytes=tab.send_bytes,
            write_str=tab.send_str,
            close=self._close,
            download_manager=downloads,
        )
        self._tab = tab
        self._arguments = arguments
        self._tell = tell
        self._words = b""
        """What it said before its screen came, on stdout."""

    async def _close(self) -> None:
        await self._tab.close()

    @property
    def pid(self) -> int | None:
        """Of its process; None before there is one."""
        return self._process.pid if self._process is not None else None

    @property
    def recording(self) -> str | None:
        """The recording that it is making, as far as the kernel tells; None where there is none."""
        with suppress(psutil.Error, OSError):
            open_files = psutil.Process(self.pid).open_files() if self.pid is not None else []
            journals = (file.path for file in open_files if file.path.endswith(SUFFIX))
            return next((journal.removesuffix(SUFFIX) for journal in journals), None)
        return None

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        """A terminal that knows all colours and characters, whatever this one knows."""
        return super()._build_environment(*_bounded(width, height)) | {
            "TEXTUAL_DRIVER": DRIVER,
            "TEXTUAL_FPS": str(FRAMES),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LC_ALL": "C.UTF-8",
        }

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """In a session of its own: keys of the server's terminal are for the server."""
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=self._build_environment(width, height),
            start_new_session=True,
        )
        self._stdin = self._process.stdin
        return self._process

    async def set_terminal_size(self, width: int, height: int) -> None:
        """The tab has another size now, in cells."""
        await super().set_terminal_size(*_bounded(width, height))

    async def run(self) -> None:
        """Pass its pictures on until it ends, then its last words, and close the socket."""
        process = self._process
        if process is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("started, it has these")
        said = asyncio.create_task(_last(process.stderr))
        with suppress(asyncio.IncompleteReadError):
            if await self._begins(process.stdout):
                await self._pass_on(process.stdout)
        self._words += await _last(process.stdout)
        code = await process.wait()
        await self._say(_lines(self._words + await said, code))

    async def _say(self, lines: Sequence[str]) -> None:
        """The last words, where somebody reads them."""
        if self._tab.closed:
            self._tell("\n".join(lines))
            return
        with suppress(ConnectionError):
            await self.on_data(_BARE + "\r\n".join([*lines, ""]).encode())
            await self.remote_close()

    async def _begins(self, stdout: asyncio.StreamReader) -> bool:
        """Whether a screen comes; what is printed instead is kept."""
        async for line in stdout:
            if line == BEGUN:
                return True
            self._words += line
        return False

    async def _pass_on(self, stdout: asyncio.StreamReader) -> None:
        """Every packet to the tab; once that is gone they are only taken."""
        while (kind := await stdout.readexactly(1)) in _PACKETS:
            size = int.from_bytes(await stdout.readexactly(4), "big")
            payload = await stdout.readexactly(size)
            with suppress(ConnectionError):
                await _PACKETS[kind](self, payload)

    async def on_meta(self, data: bytes) -> None:
        """What the driver asks of the page; that it leaves is seen when its process has ended."""
        if b'"exit"' not in data:
            await super().on_meta(data)

    async def stop(self) -> None:
        """End it in good order; it has `PATIENCE`."""
        task, self._task = self._task, None
        if task is None:
            return
        await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
        await self.send_meta({"type": "quit"})
        self.stdin.close()
        done, _ = await asyncio.wait([task], timeout=PATIENCE)
        if not done and self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await asyncio.wait([task], timeout=1)
            task.cancel()  # where a process of another session holds its pipes


_PACKETS = {b"D": Program.on_data, b"M": Program.on_meta, b"P": Program.on_packed}
"""Kinds of packets, as Textual's web driver writes them: kind, size in four bytes, payload."""


async def _last(stream: asyncio.StreamReader, most: int = 65_536) -> bytes:
    """The end of what comes until it is closed."""
    kept = b""
    while part := await stream.read(most):
        kept = (kept + part)[-most:]
    return kept


def _lines(words: bytes, code: int) -> list[str]:
    """What it said, the end of it; without a word how it ended, unless as it should."""
    lines = clean(words.decode("utf-8", "replace")).splitlines()[-_WORDS:]
    if not lines and code != 0:
        return [f"llamatop ended: {f'signal {-code}' if code < 0 else f'exit code {code}'}"]
    return lines


def _bounded(width: int, height: int) -> tuple[int, int]:
    return min(max(int(width), 1), _MOST[0]), min(max(int(height), 1), _MOST[1])
