from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from llamatop.errors import InputError
from llamatop.events.kinds import Event, Tick
from llamatop.recording.files import journal_of
from llamatop.recording.journal import Head, Journal
from llamatop.recording.reader import open_recording, salvage
from llamatop.recording.schema import SCHEMA_VERSION, table_of, to_blob
from llamatop.recording.writer import Recorder
from tests.recording import runs

EVENTS = runs.without_text(runs.run())

DATA = Path(__file__).parents[1] / "data" / "recordings"


def record(path: Path, events: list[Event] = EVENTS) -> Path:
    recorder = Recorder(path)
    recorder.write(events)
    recorder.close()
    assert recorder.saved
    return path


def orphan(path: Path, events: list[Event] = EVENTS, schema: int = SCHEMA_VERSION) -> Path:
    """Leave a journal behind as a killed recorder does; the recording's name."""
    with closing(Journal.create(journal_of(path), Head(schema, "0.1.0", False))) as journal:
        for start in range(0, len(events), 50):
            journal.append(to_blob(table_of(events[start : start + 50], False)))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusal(path: str | Path) -> str:
    with pytest.raises(InputError) as refused:
        open_recording(path)
    assert str(refused.value).isprintable()
    return str(refused.value)


def test_an_orphaned_journal_becomes_the_recording(tmp_path: Path) -> None:
    path = orphan(tmp_path / "sweep.parquet", EVENTS[:-1])
    recording = open_recording(path)
    assert recording.events == EVENTS[:-1]
    assert not recording.complete
    count = len(EVENTS) - 1
    assert recording.notices == [
        f"recovered {count} events from {path}.journal (the run was cut off)"
    ]
    assert names(tmp_path) == ["sweep.parquet"]
    again = open_recording(path)
    assert (again.events, again.notices) == (EVENTS[:-1], [])


def test_a_journal_that_holds_the_end_is_complete(tmp_path: Path) -> None:
    assert open_recording(orphan(tmp_path / "a.parquet")).complete


def test_a_journal_may_be_named_itself(tmp_path: Path) -> None:
    path = orphan(tmp_path / "a.parquet")
    assert open_recording(f"{path}.journal").events == EVENTS
    assert open_recording(f"{path}.journal").path == path


def test_a_run_cut_off_before_its_first_event_is_an_empty_recording(tmp_path: Path) -> None:
    recording = open_recording(orphan(tmp_path / "a.parquet", []))
    assert recording.events == []
    assert not recording.complete
    assert "recovered 0 events" in recording.notices[0]


def test_a_damaged_journal_gives_its_prefix_and_says_so(tmp_path: Path) -> None:
    path = orphan(tmp_path / "a.parquet")
    journal = journal_of(path)
    data = journal.read_bytes()
    journal.write_bytes(data[: len(data) - 5000])
    recording = open_recording(path)
    assert 0 < len(recording.events) < len(EVENTS)
    assert recording.events == EVENTS[: len(recording.events)]
    assert "damaged end left out" in recording.notices[0]
    assert not recording.complete


@pytest.mark.parametrize("content", [b"", b"no journal at all", b"\0" * 50_000])
def test_a_journal_without_anything_to_recover_is_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    journal = tmp_path / "a.parquet.journal"
    journal.write_bytes(content)
    assert "nothing in it can be recovered" in refusal(tmp_path / "a.parquet")
    assert journal.read_bytes() == content
    assert names(tmp_path) == ["a.parquet.journal"]


def test_a_journal_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = orphan(tmp_path / "a.parquet", schema=SCHEMA_VERSION + 1)
    assert f"schema {SCHEMA_VERSION + 1}" in refusal(path)
    assert names(tmp_path) == ["a.parquet.journal"]


def test_a_journal_whose_blobs_cannot_be_decoded_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with closing(Journal.create(journal_of(path), Head(1, "0.1.0", False))) as journal:
        journal.append(b"no arrow stream")
    assert "cannot be recovered" in refusal(path)
    assert names(tmp_path) == ["a.parquet.journal"]


def test_leftovers_beside_a_whole_recording_are_removed(tmp_path: Path) -> None:
    path = record(tmp_path / "a.parquet")
    for ending in ("-wal", "-shm", "-tmp"):
        Path(f"{path}.journal{ending}").write_bytes(b"left")
    assert open_recording(path).events == EVENTS
    assert names(tmp_path) == ["a.parquet"]


def test_the_journal_of_a_finished_recording_is_removed(tmp_path: Path) -> None:
    path = orphan(tmp_path / "a.parquet")
    shutil.copy(journal_of(path), tmp_path / "kept")
    open_recording(path)
    shutil.move(tmp_path / "kept", journal_of(path))
    recording = open_recording(path)
    assert (recording.events, recording.notices) == (EVENTS, [])
    assert names(tmp_path) == ["a.parquet"]


def test_the_journal_of_another_run_is_left_alone(tmp_path: Path) -> None:
    path = orphan(tmp_path / "a.parquet", [Tick(1)])
    journal_of(path).rename(tmp_path / "kept")
    record(path)
    (tmp_path / "kept").rename(journal_of(path))
    recording = open_recording(path)
    assert recording.events == EVENTS
    assert "does not belong" in recording.notices[0]
    assert names(tmp_path) == ["a.parquet", "a.parquet.journal"]


def test_a_damaged_recording_makes_room_for_its_whole_journal(tmp_path: Path) -> None:
    path = orphan(tmp_path / "a.parquet")
    path.write_bytes(b"PAR1 half")
    recording = open_recording(path)
    assert recording.events == EVENTS
    assert len(recording.notices) == 2
    assert (tmp_path / "a.parquet.damaged").read_bytes() == b"PAR1 half"
    assert names(tmp_path) == ["a.parquet", "a.parquet.damaged"]


def test_a_damaged_recording_beside_a_useless_journal_is_refused(tmp_path: Path) -> None:
    path = orphan(tmp_path / "a.parquet", [])
    path.write_bytes(b"PAR1 half")
    assert "not a whole Parquet file" in refusal(path)
    assert path.read_bytes() == b"PAR1 half"


def test_files_that_are_no_recordings_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    told = {
        "empty": "empty",
        "text": "not a Parquet file",
        "pipe": "not a file",
        "missing": "no such recording",
        "text/under": "cannot be read",
        "n" * 300: "cannot be read",
        "": "is a folder",
        "nul\0": "cannot be read",
    }
    for name, reason in told.items():
        assert reason in refusal(f"{tmp_path}/{name}"), name
    assert "is a folder" in refusal("/")
    assert "is a folder" in refusal("")


@pytest.mark.parametrize(
    "name",
    [
        "br[1].parquet",
        "*.parquet",
        "~.parquet",
        "-rf",
        "a b%20?.parquet",
        "esc\x1b[31m\n",
        "\udcff",
    ],
)
def test_names_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.parquet").write_bytes(b"not this one")
    record(Path(name))
    assert open_recording(name).events == EVENTS
    Path(name).unlink()
    (notice,) = open_recording(orphan(Path(name))).notices
    assert notice.isprintable()
    Path(name).write_bytes(b"PAR1")
    refusal(name)


READ_ONLY = """
import os, sys, numpy  # while the interpreter's own files may be read
from llamatop.recording.reader import open_recording, salvage
os.setuid(65534)
recording = open_recording(sys.argv[1])
print(len(recording.events), recording.notices)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user's folder")
def test_a_recording_in_a_folder_of_somebody_else_can_be_read() -> None:
    folder = Path("/tmp") / f"llamatop-test-{os.getpid()}"
    folder.mkdir()
    try:
        path = record(folder / "a.parquet")
        path.chmod(0o644)
        Path(f"{path}.journal-wal").touch()
        folder.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(folder)
    assert done.stdout == f"{len(EVENTS)} []\n", done.stderr


@pytest.mark.parametrize("place", [0, 1, 3])
def test_what_follows_a_damaged_part_is_recovered_where_asked_for(
    tmp_path: Path, place: int
) -> None:
    """Without asking nothing is lost: the journal stays, and the line names the option."""
    path = orphan(tmp_path / "a.parquet")
    with closing(sqlite3.connect(journal_of(path))) as database:
        ((blob,),) = database.execute("SELECT sealed FROM blobs WHERE sequence = ?", (place,))
        flipped = blob[:-3] + bytes([blob[-3] ^ 1]) + blob[-2:]
        database.execute("UPDATE blobs SET sealed = ? WHERE sequence = ?", (flipped, place))
        database.commit()
    assert "--salvage" in refusal(path)
    assert names(tmp_path) == ["a.parquet.journal"]
    assert "recovered" in salvage(path)[0]
    lost = range(50 * (place - 1), 50 * place) if place else ()
    recording = open_recording(path)
    assert recording.events == [e for at, e in enumerate(EVENTS) if at not in lost]
    assert not recording.complete
    assert "was salvaged: 1 part" in recording.notices[0]


def test_a_flipped_bit_in_the_first_part_of_a_real_journal(tmp_path: Path) -> None:
    name = "jf029-bit-flip-11196.parquet.journal"
    (tmp_path / name).write_bytes((DATA / name).read_bytes())
    path = tmp_path / name.removesuffix(".journal")
    assert "--salvage" in refusal(path)
    salvage(path)
    assert len(open_recording(path).events) > 100


def test_a_run_of_several_is_told_by_the_names_of_its_parts(tmp_path: Path) -> None:
    for name in ("run.2.parquet.journal", "run.1.parquet", "run.old.parquet", "other.1.parquet"):
        (tmp_path / name).touch()
    with pytest.raises(
        InputError, match=r"recording; name one of run\.1\.parquet, run\.2\.parquet$"
    ):
        open_recording(tmp_path / "run.parquet")
