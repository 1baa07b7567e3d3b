import io

from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.kinds import Event, RequestFailed, Tick, TokensEmitted
from llamatop.events.wire import (
    Cancel,
    Command,
    Load,
    Pause,
    Resize,
    RunLevel,
    Stop,
    Watch,
    read_command,
    read_events,
    write_command,
    write_events,
)
from llamatop.settings.config import RunConfig

COMMANDS: list[Command] = [
    Load(RunConfig(concurrency=(1, 2)), 5),
    RunLevel(0, 1, None, 0, 2, 3),
    Resize(2),
    Pause(True),
    Cancel(3),
    Stop(),
    Watch(None),
    Watch(1, (8000, 8001)),
]


def test_commands_arrive_as_they_were() -> None:
    pipe = io.BytesIO()
    for command in COMMANDS:
        write_command(pipe, command)
    pipe.seek(0)
    assert [read_command(pipe) for _ in COMMANDS] == COMMANDS
    assert read_command(pipe) is None


EVENTS: list[Event] = [Tick(1), TokensEmitted(2, 3, 4, "é"), RequestFailed(5, 6, "why")]


@given(st.integers(0, 60))
def test_a_cut_frame_is_the_end(cut: int) -> None:
    whole = io.BytesIO()
    write_events(whole, EVENTS)
    write_events(whole, EVENTS)
    size = len(whole.getvalue()) // 2
    pipe = io.BytesIO(whole.getvalue()[: size + min(cut, size - 1)])
    assert read_events(pipe) == EVENTS
    assert read_events(pipe) is None


def test_text_that_is_no_unicode_is_sent_as_what_can_be_shown() -> None:
    pipe = io.BytesIO()
    write_events(pipe, [Tick(1), RequestFailed(5, 6, "no file \udcff")])
    pipe.seek(0)
    assert read_events(pipe) == [Tick(1), RequestFailed(5, 6, "no file \ufffd")]
