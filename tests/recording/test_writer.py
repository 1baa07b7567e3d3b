from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from llamatop.errors import InputError
from llamatop.events.kinds import Event, Tick, TokensEmitted
from llamatop.recording import writer
from llamatop.recording.journal import Journal
from llamatop.recording.reader import open_recording
from llamatop.recording.writer import Recorder
from llamatop.run.replay import fold
from tests.recording import runs
from tests.waiting import until


def record(path: Path, events: list[Event], keep_text: bool = False) -> Recorder:
    recorder = Recorder(path, keep_text)
    for start in range(0, len(events), 7):
        recorder.write(events[start : start + 7])
    recorder.close()
    return recorder


@pytest.mark.parametrize("keep_text", [False, True])
def test_a_recorded_run_folds_to_the_same_session(tmp_path: Path, keep_text: bool) -> None:
    events = runs.run()
    recorder = record(tmp_path / "a.parquet", events, keep_text)
    assert (recorder.error, recorder.saved) == (None, True)
    recording = open_recording(tmp_path / "a.parquet")
    assert recording.events == (events if keep_text else runs.without_text(events))
    assert fold(recording.events) == fold(events)
    assert recording.complete
    assert recording.notices == []


def test_the_recording_alone_remains_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        record(tmp_path / "new" / "folder" / "a.parquet", runs.run())
    finally:
        os.umask(mask)
    (path,) = (tmp_path / "new" / "folder").iterdir()
    assert path.name == "a.parquet"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_text_lies_in_any_file_unless_asked_for(tmp_path: Path) -> None:
    word = "xylophonic"
    for keep_text in (True, False):
        path = tmp_path / f"{keep_text}.parquet"
        recorder = Recorder(path, keep_text)
        recorder.write([runs.started(), TokensEmitted(1, 1, 1, word)])
        until(lambda recorder=recorder: not recorder._queue)
        recorder.close()
        texts = pl.read_parquet(path)["text"].drop_nulls().to_list()
        assert texts == ([word] if keep_text else [])


def test_what_was_written_reaches_the_journal_while_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    recorder = Recorder(path)
    journal = Path(f"{path}.journal")
    before = journal.stat().st_mtime_ns
    recorder.write(runs.run())
    until(lambda: journal.stat().st_mtime_ns > before)
    assert not path.exists()
    until(lambda: open_recording(path).events == runs.without_text(runs.run()))
    recorder.close()


def test_write_is_cheap_and_silent_after_the_end(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.parquet")
    recorder.close()
    recorder.write([Tick(1)])
    recorder.close()
    assert not recorder._queue
    assert recorder.error is None


def test_closing_twice_and_discarding_after_closing_keeps_the_recording(tmp_path: Path) -> None:
    recorder = record(tmp_path / "a.parquet", runs.run())
    recorder.close()
    recorder.discard()
    assert open_recording(tmp_path / "a.parquet").complete


def test_discarding_leaves_no_file(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.parquet")
    recorder.write(runs.run())
    recorder.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_discarded_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    recorder = Recorder(tmp_path / "a.parquet")
    monkeypatch.setattr(Path, "unlink", unlink)
    recorder.discard()
    assert "not permitted" in str(recorder.error)


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="is a folder"):
        Recorder(tmp_path)
    with pytest.raises(InputError, match="exists already"):
        Recorder(path)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="exists already"):
        Recorder(path)


def test_a_second_recorder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    first = Recorder(path)
    first.write(runs.run())
    with pytest.raises(InputError, match="another llamatop is recording it"):
        Recorder(path)
    first.close()
    assert open_recording(path).complete


def test_a_name_taken_during_the_run_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    recorder = Recorder(path)
    recorder.write(runs.run())
    path.write_bytes(b"mine")
    recorder.close()
    assert recorder.error is not None
    assert "exists" in recorder.error
    assert not recorder.saved
    assert path.read_bytes() == b"mine"
    path.unlink()
    assert open_recording(path).complete


@pytest.mark.parametrize("name", ["", "/", "x.journal", "n" * 300, "a/b.parquet", "..", "nul\0"])
def test_names_that_cannot_be_recorded_to_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("no folder")
    with pytest.raises(InputError) as refused:
        Recorder(name)
    assert str(refused.value).isprintable()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_unwritable_folder_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="cannot be recorded to"):
        Recorder("/proc/llamatop/a.parquet")


def test_a_folder_removed_in_the_middle_stops_the_recording_only(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    recorder = Recorder(folder / "a.parquet")
    recorder.write(runs.run())
    shutil.rmtree(folder)
    recorder.write([Tick(1)])
    until(lambda: recorder.error)
    recorder.write([Tick(2)])
    recorder.close()
    assert str(recorder.error).endswith("removed while it was written; nothing is left of it")
    assert not recorder.kept
    assert not folder.exists()


def test_an_event_that_cannot_be_stored_stops_the_recording_only(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.parquet")
    recorder.write([Tick(1)])
    until(lambda: not recorder._queue)
    recorder.write([TokensEmitted(1, 2**40, 1)])
    until(lambda: recorder.error)
    recorder.write([Tick(2)])
    recorder.close()
    assert "\n" not in str(recorder.error)
    assert recorder.saved
    recording = open_recording(tmp_path / "a.parquet")
    assert recording.events == [Tick(1)]
    assert not recording.complete


def test_a_panic_of_polars_stops_the_recording_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def panic(*_: object) -> None:
        raise pl.exceptions.PanicException("it panicked")

    recorder = Recorder(tmp_path / "a.parquet")
    monkeypatch.setattr(writer, "to_blob", panic)
    monkeypatch.setattr(writer, "write_table", panic)
    recorder.write([Tick(1)])
    until(lambda: recorder.error)
    recorder.close()
    assert (recorder.saved, recorder.kept) == (False, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet.journal"]


def test_a_file_that_reads_back_differently_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    right = writer.write_table
    monkeypatch.setattr(
        writer, "write_table", lambda file, tables, facts: right(file, list(tables)[1:], facts)
    )
    recorder = Recorder(path)
    recorder.write([Tick(1)])
    until(lambda: not recorder._queue)
    recorder.write([Tick(2)])
    recorder.close()
    monkeypatch.undo()
    assert "differently" in str(recorder.error)
    assert not path.exists()
    assert open_recording(path).events == [Tick(1), Tick(2)]


def test_without_hard_links_a_file_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "a.parquet"
    assert record(path, runs.run()).saved
    assert [path] == list(tmp_path.iterdir())
    assert open_recording(path).complete


def test_a_long_run_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    recorder = Recorder(path)
    for n in range(30):
        recorder.write([Tick(n * 10_000 + i) for i in range(10_000)])
    recorder.close()
    assert open_recording(path).events == [Tick(n) for n in range(300_000)]


def noise(start: int, count: int = 200) -> list[Event]:
    """Events that do not compress."""
    chance = random.Random(start)
    return [TokensEmitted(start + n, n, 1, chance.randbytes(60).hex()) for n in range(count)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("nothing may be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(recorder: Recorder) -> list[Event]:
    """Write until recording stops; all that was written."""
    written: list[Event] = []
    while recorder.error is None:
        assert len(written) < 100_000
        recorder.write(more := noise(len(written)))
        written += more
        until(lambda: not recorder._queue)
    return written


def test_a_full_disk_stops_the_recording_only(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.02)
    path = small_disk / "a.parquet"
    recorder = Recorder(path, keep_text=True)
    written = fill(recorder)
    assert "a.parquet: database or disk is full; it goes as far as " in str(recorder.error)
    recorder.write([Tick(1)])
    recorder.close()
    if not recorder.saved:
        assert "`llamatop replay` recovers" in recorder.error
        assert not path.exists()
        with pytest.raises(InputError, match=r"cannot be recovered: .*(space|full)"):
            open_recording(path)
        moved = tmp_path / "moved"
        shutil.copytree(small_disk, moved)
        path = moved / path.name
    recording = open_recording(path)
    assert recording.events == written[: len(recording.events)]
    assert len(recording.events) >= 200
    assert not recording.complete


LIMITED = """
import resource, sys
from llamatop.recording import writer
from tests.recording.test_writer import fill, noise
writer.FLUSH_SECONDS = 0.02
recorder = writer.Recorder(sys.argv[1], keep_text=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
fill(recorder)
recorder.write(noise(0))
recorder.close()
print(recorder.error)
"""


def test_a_limit_on_file_sizes_stops_the_recording_only(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True
    )
    assert "None" not in done.stdout
    assert done.stderr == ""
    recording = open_recording(path)
    everything = [event for n in range(0, 20_000, 200) for event in noise(n)]
    assert recording.events == everything[: len(recording.events)]
    assert len(recording.events) >= 200


def test_a_slow_disk_delays_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    written: list[bytes] = []
    append = Journal.append

    def stuck(self: Journal, blob: bytes) -> None:
        assert release.wait(60)
        written.append(blob)
        append(self, blob)

    recorder = Recorder(tmp_path / "a.parquet")
    monkeypatch.setattr(Journal, "append", stuck)
    recorder.write([Tick(0)])
    until(lambda: not recorder._queue)
    for n in range(1, 1000):
        recorder.write([Tick(n)])
    assert not written, "nobody waited for the disk"
    release.set()
    recorder.close()
    assert len(open_recording(tmp_path / "a.parquet").events) == 1000
