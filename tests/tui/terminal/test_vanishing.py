"""What is written to a terminal that has vanished."""

import io
import os

from llamatop.tui.terminal.vanishing import Lasting


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
