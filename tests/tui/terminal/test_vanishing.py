"""What is written to a terminal that has vanished; and signals that come while it is written to."""

import asyncio
import io
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from llamatop.tui.terminal.vanishing import Lasting, LastingDriver


class Vanished(io.StringIO):
    """A file whose other end is gone."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error", text)


def test_what_cannot_be_written_is_dropped_and_told_once() -> None:
    told: list[bool] = []
    lasting = Lasting(Vanished(), lambda: told.append(True))
    for _ in range(100):
        lasting.write("frame")
        lasting.flush()
    assert told == [True]


def test_what_can_be_written_is() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as file:
        lasting = Lasting(file, lambda: None)
        lasting.write("frame")
        lasting.flush()
        assert lasting.fileno() == writing
        assert os.read(reading, 100) == b"frame"
    os.close(reading)


@pytest.fixture
def handlers() -> Iterator[None]:
    """Those of signals are as they were afterwards."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "does"),
    [
        (signal.SIGCONT, "resume_application_mode"),
        (signal.SIGTSTP, "suspend_application_mode"),
    ],
)
async def test_a_signal_waits_for_what_holds_a_lock(
    handlers: None, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, does: str
) -> None:
    """As a write does for a moment, in the midst of which a signal may come."""
    lock, drawn = threading.Lock(), asyncio.Event()

    def draw() -> None:
        assert lock.acquire(timeout=5), "it waits for itself"
        lock.release()
        drawn.set()

    driver = LastingDriver(cast("Any", None))
    monkeypatch.setattr(driver, does, draw)
    monkeypatch.setattr(os, "kill", lambda *_: None)  # SIGSTOP would halt the tests
    with lock:
        signal.raise_signal(number)
        assert not drawn.is_set()
    await asyncio.wait_for(drawn.wait(), 60)
