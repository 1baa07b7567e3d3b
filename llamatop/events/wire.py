"""How the processes of a run talk: length-prefixed msgpack frames on plain pipes.

The parent sends one command a frame to a child's stdin, a child sends lists of events on what
was its stdout. Knows nothing of what either does.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from functools import cache
from typing import BinaryIO

import msgspec

from llamatop.events.kinds import AnyEvent, Event
from llamatop.events.sanitize import clean_event
from llamatop.settings.config import RunConfig

_LENGTH = struct.Struct("<I")


class Command(msgspec.Struct, frozen=True, tag=True):
    """What the parent may ask of an engine process."""


class Warm(Command, frozen=True):
    """Import what a model will need, while nobody knows yet which."""


class Load(Command, frozen=True):
    """Resolve, load and get ready the model of `config`; `origin` is the run's clock's."""

    config: RunConfig
    origin: int


class Quiet(Command, frozen=True):
    """Nothing else of the run computes now: what is to be measured may be."""


class RunLevel(Command, frozen=True):
    """Run one level to its end; request ids start at `first_request`.

    It is number `place`, from 1, of `places` that are planned.
    """

    level: int
    concurrency: int
    requests: int | None
    first_request: int
    place: int = 0
    places: int = 0
    rate: float | None = None
    """Arrivals a second, where that is another than the run's own."""


class Resize(Command, frozen=True):
    """From now on so many requests in flight, as the next level."""

    concurrency: int


class Pause(Command, frozen=True):
    """Hold new requests back, or let them go on."""

    paused: bool


class Cancel(Command, frozen=True):
    """Take one request back."""

    request: int


class Stop(Command, frozen=True):
    """End the level now; what is in flight is cancelled."""


class Watch(Command, frozen=True):
    """Ask the probe to watch this engine process; None: there is none now."""

    engine: int | None
    ports: tuple[int, ...] = ()
    """Where servers of the run listen on this machine, if they all do."""
    followers: bool = False
    """Whether its children hold parts of its model, and so count with it."""
    server: int | None = None
    """The process whose descendants the server of the run is, where the run started it."""


AnyCommand = Warm | Load | Quiet | RunLevel | Resize | Pause | Cancel | Stop | Watch

_encode = msgspec.msgpack.Encoder().encode


@cache  # made where the first frame comes: not for the first paint
def _events() -> msgspec.msgpack.Decoder[list[AnyEvent]]:
    return msgspec.msgpack.Decoder(list[AnyEvent])


@cache
def _commands() -> msgspec.msgpack.Decoder[AnyCommand]:
    return msgspec.msgpack.Decoder(AnyCommand)


def write_events(pipe: BinaryIO, events: Sequence[Event]) -> None:
    """Send events as one frame; raises OSError when nobody listens."""
    try:
        body = _encode(events)
    except UnicodeEncodeError:  # a lone surrogate, as in the name of a file
        body = _encode([clean_event(event) for event in events])
    write_frame(pipe, body)


def read_events(pipe: BinaryIO) -> list[Event] | None:
    """The next frame of events; None at end of file, also in the middle of a frame."""
    frame = read_frame(pipe)
    return None if frame is None else list(_events().decode(frame))


def write_command(pipe: BinaryIO, command: Command) -> None:
    """Send one command; raises OSError when nobody listens."""
    write_frame(pipe, _encode(command))


def read_command(pipe: BinaryIO) -> AnyCommand | None:
    """The next command; None at end of file."""
    frame = read_frame(pipe)
    return None if frame is None else _commands().decode(frame)


def claim_stdio(log: int | None = None) -> tuple[BinaryIO, BinaryIO]:
    """In a child: take stdin and stdout for frames, and send fd 1 to fd 2 (or to `log`).

    A library that prints then cannot break a frame, nor draw over the parent's screen.
    Returns (commands in, events out).
    """
    commands = os.fdopen(os.dup(0), "rb")
    events = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2 if log is None else log, 1)
    if log is not None:
        os.dup2(log, 2)
    return commands, events


def write_frame(pipe: BinaryIO, body: bytes) -> None:
    """Send any bytes as one frame; raises OSError when nobody listens."""
    frame = memoryview(_LENGTH.pack(len(body)) + body)
    while frame:
        frame = frame[pipe.write(frame) or 0 :]


def read_frame(pipe: BinaryIO) -> bytes | None:
    """The bytes of the next frame; None at end of file, also in the middle of a frame."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = pipe.read(length)
    return body if len(body) == length else None
