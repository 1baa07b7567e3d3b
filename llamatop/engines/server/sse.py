"""Bytes of a server-sent event stream to the data of its events. Knows no JSON and no time."""

from __future__ import annotations

MOST_BYTES = 4 << 20
"""A line, or the data of one event, of more than this is an error: memory stays bounded."""


class TooLongError(Exception):
    """A line or an event that does not end."""


class EventStream:
    """Fed with whatever a read brought; cuts anywhere give the same events."""

    __slots__ = ("_data", "_held", "_tail")

    def __init__(self) -> None:
        self._tail = b""
        """The beginning of a line."""
        self._data: list[bytes] = []
        """Data lines of an event that has not ended."""
        self._held = False
        """Whether the last byte was a CR, which an LF may complete."""

    def feed(self, data: bytes) -> list[bytes]:
        """The data of every event that these bytes complete, in order. Raises TooLongError."""
        if self._tail:
            data = self._tail + data
        if b"\r" in data or self._held:
            data = self._unix(data)
        lines = data.split(b"\n")
        self._tail = lines.pop()
        if len(self._tail) > MOST_BYTES:
            raise TooLongError(f"a line of more than {MOST_BYTES >> 20} MiB")
        events: list[bytes] = []
        pending = self._data
        for line in lines:
            if line[:5] == b"data:":
                pending.append(line[5:].strip())
            elif not line:
                if pending:
                    events.append(pending[0] if len(pending) == 1 else b"\n".join(pending))
                    pending.clear()
            elif line[:1] == b"{":  # an error that no frame was put around
                pending.append(line)
        if len(pending) > 1 and sum(map(len, pending)) > MOST_BYTES:
            raise TooLongError(f"an event of more than {MOST_BYTES >> 20} MiB")
        return events

    def end(self) -> list[bytes]:
        """What the end of the stream completes: an event that nothing ended."""
        return self.feed(b"\n\n")

    def _unix(self, data: bytes) -> bytes:
        """The same with LF alone at line ends; a CR at the end may be half of one."""
        if self._held and data[:1] == b"\n" and not self._tail:
            data = data[1:]
        self._held = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
