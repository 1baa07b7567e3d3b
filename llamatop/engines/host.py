"""The engine's process: loads one model, runs the levels it is told to, sends events, and no more.

The main thread reads commands, one worker thread loads and runs, the sender thread writes. When
the parent's pipe ends, so does this process, at once, whatever it is doing.
"""

from __future__ import annotations

import gc
import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import BinaryIO, NoReturn

import msgspec

from llamatop.engines import offload_folder
from llamatop.engines.base import Engine, EngineMemoryError, Progress
from llamatop.engines.level import LevelRun
from llamatop.engines.outbox import Outbox, Sender
from llamatop.engines.scripted import Script, ScriptedEngine
from llamatop.errors import InputError
from llamatop.events.clock import MonotonicClock
from llamatop.events.kinds import DeviceAllocated, Event, ModelLoading, ModelRefused, RankSampled
from llamatop.events.wire import (
    AnyCommand,
    Cancel,
    Load,
    Pause,
    Quiet,
    Resize,
    RunLevel,
    Stop,
    Warm,
    claim_stdio,
    read_command,
)
from llamatop.hardware.host import memory
from llamatop.hardware.memory import limit_memory, resident_bytes, volunteer_for_oom
from llamatop.settings.config import RunConfig
from llamatop.text.formatting import size

ALLOCATED_SECONDS = 0.5
"""How often the accelerators' allocated memory is told."""

QUIET_SECONDS = 5.0
"""How long a loaded model waits for that before it is tuned all the same."""

MEMORY_MARGIN = 0.05
"""Share of the available memory that is left to others when memory is to end."""

SWITCH_SECONDS = 0.001
"""How long another thread may keep the scripted engine from taking what arrives."""

SCRIPTED_STEP = "LLAMATOP_SCRIPTED_STEP"
"""Environment variable: seconds from token to token of the scripted engine."""

EXIT_GAVE_UP = 70
"""Exit code when the model could not be loaded for a reason that is not bad input, or a thread of
this module broke."""


class Host:
    """Carries out commands; long ones, one after another, on the worker thread."""

    def __init__(self, events: BinaryIO) -> None:
        self._outbox = Outbox()
        self._sender = Sender(self._outbox, events)
        self._long: queue.SimpleQueue[Warm | Load | LevelRun] = queue.SimpleQueue()
        self._clock = MonotonicClock()
        self._config = RunConfig()
        self._engine: Engine | None = None
        self._level: LevelRun | None = None
        self._warmed = False
        self._limit: int | None = None
        """Bytes that this process may take."""
        self._paused = False
        self._quiet = threading.Event()
        """Whether nothing else of the run computes."""

    def start(self) -> None:
        """Begin to send and to work."""
        self._begin(self._sender.run, "sender")
        self._begin(self._work, "worker")

    def obey(self, command: AnyCommand) -> None:
        """Take one command; returns at once."""
        level = self._level
        match command:
            case Warm() | Load():
                self._long.put(command)
            case Quiet():
                self._quiet.set()
            case RunLevel():
                self._plan(command)
            case Pause(paused):
                self._paused = paused
                if level is not None:
                    level.pause(paused)
            case Resize(concurrency) if level is not None:
                level.resize(concurrency)
            case Cancel(request) if level is not None:
                level.cancel(request)
            case Stop() if level is not None:
                level.stop()

    def _work(self) -> None:
        while True:
            command = self._long.get()
            match command:
                case Warm():
                    warm()
                case Load():
                    self._load(command)
                case LevelRun():
                    self._run(command)

    def _load(self, command: Load) -> None:
        self._clock, self._config = MonotonicClock(command.origin), command.config
        try:
            limit = memory_limit(command.config)
            engine = make_engine(
                command.config, self._clock, self._progress, self._tell, self._wait_for_quiet
            )
        except InputError as refusal:
            self._outbox.put(ModelRefused(self._clock.now(), str(refusal)))
            return
        self._engine = engine
        if command.config.text:
            self._outbox.detokenizer = engine.detokenizer
        self._limit = limit
        self._renew_limit()
        now = self._clock.now()
        self._outbox.put(msgspec.structs.replace(engine.facts, time=now, memory_limit=limit))
        if engine.allocated():
            self._begin(self._tell_allocated, "allocated")
        if engine.followers:
            self._begin(self._tell_ranks, "ranks")

    def _begin(self, task: Callable[[], None], name: str) -> None:
        """Run `task` in a thread; if it breaks the process ends, so that nobody waits for it."""
        threading.Thread(target=self._guard, args=(task,), name=name, daemon=True).start()

    def _guard(self, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as problem:  # also what Rust code panics with
            self._give_up(problem)

    def _give_up(self, problem: BaseException) -> NoReturn:
        """End the process; its last line tells the parent why."""
        with suppress(BaseException):  # the reason is told, whatever else cannot be
            self._sender.close()
        memory_ended = isinstance(problem, EngineMemoryError | MemoryError)
        kind = "out of memory: " if memory_ended else ""
        os.write(2, f"{kind}{type(problem).__name__}: {problem}\n".encode("utf-8", "replace"))
        os._exit(EXIT_GAVE_UP)

    def _plan(self, command: RunLevel) -> None:
        """Make the level here, so that it hears what is asked of it before it begins."""
        if self._engine is None:
            return
        config = self._config
        if command.rate is not None:
            config = msgspec.structs.replace(config, rate=command.rate)
        self._level = LevelRun(self._engine, config, command, self._clock, self._outbox)
        self._level.pause(self._paused)
        self._long.put(self._level)

    def _renew_limit(self) -> None:
        """Threads have reserved memory for themselves, which is not what may be taken."""
        if self._limit is not None:
            limit_memory(self._limit)

    def _run(self, level: LevelRun) -> None:
        self._renew_limit()
        level.run(first=not self._warmed)
        self._warmed = True
        self._sender.flush()

    def _progress(self, stage: str, done: int, total: int | None) -> None:
        self._outbox.put(ModelLoading(self._clock.now(), stage, done, total))

    def _tell(self, event: Event) -> None:
        """What has no time happens now."""
        now = event.time or self._clock.now()
        self._outbox.put(msgspec.structs.replace(event, time=now))

    def _wait_for_quiet(self) -> None:
        self._quiet.wait(QUIET_SECONDS)

    def _tell_allocated(self) -> None:
        pause = threading.Event()
        engine = self._engine
        while engine is not None and not pause.wait(ALLOCATED_SECONDS):
            for device, allocated, reserved in engine.allocated():
                now = self._clock.now()
                self._outbox.put(DeviceAllocated(now, device, allocated, reserved))

    def _tell_ranks(self) -> None:
        pause = threading.Event()
        engine = self._engine
        while engine is not None:
            kind = engine.facts.device.partition(":")[0]
            for rank, pid in enumerate((None, *engine.followers)):
                device = kind if kind == "cpu" else f"{kind}:{rank}"
                self._outbox.put(RankSampled(self._clock.now(), rank, device, resident_bytes(pid)))
            pause.wait(ALLOCATED_SECONDS)


def memory_limit(config: RunConfig) -> int | None:
    """Limit this process's memory where the config wants it to end; the bytes it may take.

    Short of what is available, so that nothing else on the machine ends with it. On a GPU memory
    ends by itself. Raises InputError where the limit asked for cannot be.
    """
    if config.memory is None and not config.until_oom:
        return None
    if config.loads_model:
        warm()  # what the libraries take is not the model's
        if import_module("llamatop.engines.devices").pick_device(config.device).type != "cpu":
            if config.memory is not None:
                raise InputError("--memory: only an engine on the CPU can be limited")
            return None
    taken = resident_bytes() or 0
    most = int(taken + memory().available * (1 - MEMORY_MARGIN))
    limit = min(config.memory or most, most)
    if limit <= taken:
        raise InputError(
            f"--memory {size(limit)}: the libraries alone take {size(taken)}; give more"
        )
    if limit_memory(limit):
        return limit
    if config.memory is not None:
        raise InputError("--memory: this system cannot limit a process; leave it out")
    return None


def make_engine(
    config: RunConfig,
    clock: MonotonicClock,
    progress: Progress,
    tell: Callable[[Event], None],
    quiet: Callable[[], None],
) -> Engine:
    """The engine that the config asks for, loaded. Raises InputError, EngineMemoryError.

    `tell` is for what an engine alone knows: of servers, of the client that drives them, of what
    is quickest here. `quiet` returns when nothing else computes.
    """
    if config.engine == "scripted":
        sys.setswitchinterval(SWITCH_SECONDS)
        step = float(os.environ.get(SCRIPTED_STEP, Script().step))
        scripted = ScriptedEngine(config, clock, Script(step=step))
        gc.freeze()  # what is imported stays: a collection that looks at it lasts milliseconds
        return scripted
    if config.engine == "server":
        from llamatop.engines.server.engine import ServerEngine  # noqa: PLC0415  (aiohttp)

        engine = ServerEngine(config, clock, progress, tell)
        gc.freeze()  # it stays: a collection that looks at it keeps the loop from reading
        return engine
    progress("imports", 0, None)
    from llamatop.engines.models import load_engine  # noqa: PLC0415  (torch, only where needed)

    return load_engine(config, progress, tell, quiet)


def warm() -> None:
    """Import what every model needs; what is wrong with it will show when one is loaded."""
    with suppress(Exception):
        import_module("llamatop.engines.models").libraries()


def main() -> None:
    """Obey until stdin ends."""
    commands, events = claim_stdio()
    volunteer_for_oom()
    host = Host(events)
    host.start()
    while (command := read_command(commands)) is not None:
        host.obey(command)
    offload_folder.remove(os.getpid())  # the parent is gone
    os._exit(0)
