"""Moments of a recording that a person wants to find again.

Kept in the platform's state folder by what the recording holds, so that they outlive a move or a
copy of it; the recording itself is never touched.
"""

from __future__ import annotations

from bisect import insort
from contextlib import suppress
from pathlib import Path

import msgspec

from llamatop.events.clock import SECOND

NEAR = SECOND // 4
"""A bookmark so near (ns) is the one that is meant."""


class _Kept(msgspec.Struct):
    """The file."""

    recording: str
    times: list[int]


class Bookmarks:
    """Of one recording. Without a `path` they are forgotten in the end."""

    def __init__(self, path: Path | None = None, recording: str = "") -> None:
        self.times: list[int] = []
        """Times of the run (ns), ascending."""
        self._path = path
        self._recording = recording
        if path is not None:
            with suppress(OSError, msgspec.MsgspecError):  # none yet, or not ours: none
                kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
                self.times = sorted(set(kept.times))

    def turn(self, time: int) -> bool:
        """Set one at a time, or take away the one that is there; whether there is one now.

        Raises OSError where they cannot be kept; they hold until the end all the same.
        """
        near = min(self.times, key=lambda other: abs(other - time), default=None)
        found = near is not None and abs(near - time) <= NEAR
        if found and near is not None:
            self.times.remove(near)
        else:
            insort(self.times, time)
        self._save()
        return not found

    def outlive(self, path: Path, facts: dict[str, str]) -> None:
        """Keep those of a recording that is whole from now on; OSError where that cannot be."""
        kept = bookmarks_of(path, facts)
        self._path, self._recording = kept._path, kept._recording
        self.times[:] = sorted({*kept.times, *self.times})
        if self.times != kept.times:
            self._save()

    def _save(self) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".tmp")
        beside.write_bytes(msgspec.json.encode(_Kept(self._recording, self.times)))
        beside.replace(self._path)


def bookmarks_of(path: Path, facts: dict[str, str]) -> Bookmarks:
    """Those of a recording, known by its journal's checksum, else by its place."""
    import hashlib  # noqa: PLC0415  (only where it is needed)

    from platformdirs import user_state_path  # noqa: PLC0415  (only where it is needed)

    known = facts.get("journal") or str(path.absolute())
    name = hashlib.blake2b(known.encode(errors="replace"), digest_size=16).hexdigest()
    folder = user_state_path("llamatop") / "bookmarks"
    return Bookmarks(folder / f"{name}.json", path.name)
