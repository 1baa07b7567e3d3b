"""An engine process in which one part is broken; in place of the real one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from llamatop.engines import host
from llamatop.engines.level import LevelRun
from llamatop.engines.outbox import Outbox
from llamatop.engines.scripted import ScriptedEngine, ScriptedText


def main(part: str) -> None:
    """Obey as the real one does, until that part is used."""
    BROKEN[part]()
    host.main()


def _boom(*_: Any, **__: Any) -> NoReturn:
    raise ValueError("boom")


def _drain_an_exit(*_: Any) -> NoReturn:
    sys.exit("boom")  # no Exception, as what Rust code panics with is none


def _imports() -> None:
    host.warm = lambda: None  # torch, which takes seconds


def _garbage() -> None:
    write: Callable[..., Any] = sys.modules["llamatop.events.wire"].write_frame
    host.Sender.flush = lambda self: write(self._pipe, b"boom")  # type: ignore[method-assign]


def _late() -> None:
    run = host.Host._run

    def later(self: host.Host, command: Any) -> None:
        time.sleep(0.5)
        run(self, command)

    host.Host._run = later  # type: ignore[method-assign]


BROKEN: dict[str, Callable[[], None]] = {
    "text": lambda: setattr(ScriptedText, "feed", _boom),
    "sender": lambda: setattr(Outbox, "_emissions", _drain_an_exit),
    "level": lambda: setattr(LevelRun, "__init__", _boom),
    "start": lambda: setattr(ScriptedEngine, "reset_peaks", _boom),
    "end": lambda: setattr(ScriptedEngine, "device_peak", _boom),
    "allocated": lambda: setattr(ScriptedEngine, "allocated", _boom),
    "garbage": _garbage,
    "late": _late,
    "imports": _imports,
}
