"""What can be run here, looked for in a thread behind the first paint."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump

from llamatop.events.sanitize import one_line
from llamatop.reports.models import Choice
from llamatop.tui.start.state import LOOKS

Looks = dict[str, Callable[[], Any]]
"""How each of `LOOKS` is found, in their order; called in a thread."""


class Found(Message):
    """One of `LOOKS` is known; or it cannot be, and `problem` says why."""

    def __init__(self, what: str, found: Any, problem: str = "") -> None:
        super().__init__()
        self.what, self.found, self.problem = what, found, problem


def looks() -> Looks:
    """How this machine is looked over."""
    from llamatop.reports.this_machine import machine  # noqa: PLC0415  (not for the first paint)
    from llamatop.tui.start import answering, scan  # noqa: PLC0415  (not for the first paint)

    found = (machine, scan.models, scan.recordings, answering.found)
    return dict(zip(LOOKS, found, strict=True))


def named(name: str) -> Choice:
    """What is known at once of a model that is typed."""
    from llamatop.tui.start import scan  # noqa: PLC0415  (not for the first paint)

    return scan.named(name)


def look_around(how: Callable[[], Looks], to: MessagePump) -> None:
    """Post `Found` for one thing after another; the thread ends with the program."""
    Thread(target=_look, args=(how, to), name="start screen", daemon=True).start()


def _look(how: Callable[[], Looks], to: MessagePump) -> None:
    with suppress(RuntimeError):  # the screen is gone, and its loop
        for what, find in how().items():
            to.post_message(_found(what, find))


def _found(what: str, find: Callable[[], Any]) -> Found:
    """What an unreadable file or a strange machine raises is told, not thrown."""
    try:
        return Found(what, find())
    except Exception as error:
        return Found(what, None, one_line(f"{what}: {type(error).__name__}: {error}"))
