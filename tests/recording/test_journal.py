from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from msgspec import MsgspecError

from llamatop.errors import InputError
from llamatop.recording.journal import Head, Journal
from llamatop.recording.pages import PAGE
from tests.examples import share

HEAD = Head(1, "0.1.0", True)


def blob(number: int) -> bytes:
    """Some are small, some fill pages of their own."""
    return random.Random(number).randbytes((40, 900, 3000, 9000)[number % 4])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of 60 blobs that was let go."""
    path = tmp_path_factory.mktemp("journals") / "a.parquet.journal"
    with closing(Journal.create(path, HEAD)) as journal:
        for number in range(60):
            journal.append(blob(number))
    return path


def read(path: Path) -> tuple[int, bool]:
    """How many blobs can be read, each verified here to be the right one; and if damage shows."""
    with closing(Journal.open(path)) as journal:
        blobs = list(journal.blobs())
        assert blobs == [blob(number) for number in range(len(blobs))]
        if blobs:
            assert journal.head() == HEAD
        return len(blobs), journal.damaged


def broken(whole: Path, tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / whole.name
    for old in tmp_path.iterdir():
        old.unlink()
    path.write_bytes(data)
    return path


def test_what_was_appended_comes_back(whole: Path) -> None:
    assert read(whole) == (60, False)


def test_a_journal_is_a_sqlite_file_that_others_can_look_into(whole: Path) -> None:
    with closing(sqlite3.connect(whole)) as database:
        assert database.execute("SELECT count(*) FROM blobs").fetchone() == (61,)
        assert database.execute("PRAGMA application_id").fetchone() == (0x6C6C746F,)


def test_cut_at_any_byte_leaves_a_prefix(
    whole: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    data = whole.read_bytes()
    cuts = [0, 1, 99, 100, 512, PAGE - 1, PAGE, PAGE + 1, len(data) - 1]
    cuts += range(PAGE + 77, len(data), 3 * PAGE + 501)
    lengths = {}
    for cut in sorted(cuts):
        lengths[cut], damaged = read(broken(whole, tmp_path, data[:cut]))
        assert damaged, cut
    assert list(lengths.values()) == sorted(lengths.values())
    assert lengths[len(data) - 1] >= 50
    assert 20 <= lengths[max(cut for cut in cuts if cut < len(data) // 2)] <= 30
    record_property("figure", f"{len(cuts)} cuts")


def test_flipped_bits_leave_a_prefix(
    whole: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    data = whole.read_bytes()
    chance = random.Random(1)
    places = [*range(0, 100, 3), *(chance.randrange(len(data)) for _ in range(120))]
    places += [PAGE + place for place in range(16)]
    read_back = []
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        read_back.append(read(broken(whole, tmp_path, bytes(flipped)))[0])
    assert min(read_back) < 60
    assert sorted(read_back)[len(read_back) // 2] >= 20
    record_property("figure", f"{len(places)} bits of a journal")


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 59)),
        st.tuples(st.just("crash"), st.just(0)),
        st.tuples(st.just("cut"), st.floats(0, 1)),
        st.tuples(st.just("flip"), st.floats(0, 1, exclude_max=True)),
    ),
    max_size=25,
)


@share(10, HealthCheck.function_scoped_fixture)
@given(ACTIONS)
def test_whatever_befalls_it_an_exact_prefix_is_left(tmp_path: Path, actions: list[Any]) -> None:
    """Appended to, left by a process that crashed, then cut and flipped, the WAL too."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    journal, written = Journal.create(folder / "a.parquet.journal", HEAD), 0
    with closing(journal):
        for _ in [what for what, _ in actions if what == "append"]:
            journal.append(blob(written))
            written += 1
        crashed = any(what == "crash" for what, _ in actions)
        left = Path(shutil.copytree(folder, folder.with_name(f"{folder.name}-left")))
        if not crashed:
            journal.close()
            left = folder
    path, harmed = left / "a.parquet.journal", False
    for what, place in actions:
        data = bytearray(path.read_bytes())
        if what == "cut":
            harmed, data = True, data[: int(place * len(data))]
        elif what == "flip" and data:
            harmed = True
            data[int(place * len(data))] ^= 1 << int(place * 1e6) % 8
        path.write_bytes(data)
    try:
        count, _ = read(path)
    except (OSError, sqlite3.Error, MsgspecError):
        assert harmed
        return
    assert count == written or harmed
    assert count <= written


@pytest.mark.parametrize("page", [0, 1])
def test_rows_are_found_without_the_first_and_the_inner_pages(
    whole: Path, tmp_path: Path, page: int
) -> None:
    data = bytearray(whole.read_bytes())
    data[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    assert read(broken(whole, tmp_path, bytes(data))) == (60, True)


def test_a_missing_blob_in_the_middle_ends_the_prefix(whole: Path, tmp_path: Path) -> None:
    path = broken(whole, tmp_path, whole.read_bytes())
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM blobs WHERE sequence = 31")
        database.commit()
    assert read(path) == (30, True)


def test_a_journal_of_long_blobs_is_not_mistaken_for_another(tmp_path: Path) -> None:
    """Blobs of one journal do not continue the chain of another."""
    paths = [tmp_path / name for name in ("a", "b")]
    for number, path in enumerate(paths):
        with closing(Journal.create(path, Head(1, str(number), False))) as journal:
            journal.append(b"first %d" % number)
            journal.append(b"second")
    with closing(sqlite3.connect(paths[0])) as database:
        database.execute("ATTACH ? AS other", (str(paths[1]),))
        database.execute(
            "UPDATE blobs SET sealed = (SELECT sealed FROM other.blobs o WHERE o.sequence = 2)"
            " WHERE sequence = 2"
        )
        database.commit()
    with closing(Journal.open(paths[0])) as journal:
        assert list(journal.blobs()) == [b"first 0"]
        assert journal.damaged


@pytest.fixture
def crashed(tmp_path: Path) -> Iterator[Path]:
    """The files of a journal as a kill would leave them: with its WAL beside it."""
    living = tmp_path / "living" / "a.journal"
    living.parent.mkdir()
    dead = tmp_path / "dead"
    dead.mkdir()
    with closing(Journal.create(living, HEAD)) as journal:
        for number in range(20):
            journal.append(blob(number))
        for file in living.parent.iterdir():
            shutil.copy(file, dead)
    yield dead / living.name


def test_the_file_alone_is_whole_without_its_wal(crashed: Path) -> None:
    Path(f"{crashed}-wal").unlink()
    assert read(crashed) == (20, False)


def test_with_its_wal_cut_or_flipped_anywhere(crashed: Path) -> None:
    wal = Path(f"{crashed}-wal")
    good, data = wal.read_bytes(), crashed.read_bytes()
    assert good
    for place in range(0, len(good), 1501):
        for bad in (good[:place], good[:place] + b"\xff" + good[place + 1 :]):
            crashed.write_bytes(data)
            wal.write_bytes(bad)
            assert read(crashed) == (20, False)


def test_cut_beside_a_whole_wal(crashed: Path) -> None:
    wal = Path(f"{crashed}-wal")
    good, data = wal.read_bytes(), crashed.read_bytes()
    for cut in range(0, len(data) - 4 * PAGE, 2 * PAGE + 1001):
        crashed.write_bytes(data[:cut])
        wal.write_bytes(good)
        assert read(crashed)[0] < 20


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        with closing(Journal.create(tmp_path / "a", HEAD)) as journal:
            journal.append(b"blob")
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(mask)
    assert modes == {"a": 0o600, "a-wal": 0o600}


def test_a_journal_in_use_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet.journal"
    with closing(Journal.create(path, HEAD)) as journal:
        journal.append(blob(0))
        with pytest.raises(InputError, match="still recording"):
            Journal.open(path)
        with pytest.raises(InputError, match="is recording it"):
            Journal.create(path, HEAD)
        journal.append(blob(1))
    assert read(path) == (2, False)
    with pytest.raises(InputError, match=r"llamatop replay .*a\.parquet`"):
        Journal.create(path, HEAD)
    assert read(path) == (2, False)


def test_nobody_else_may_write_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with (
        closing(Journal.create(path, HEAD)),
        closing(sqlite3.connect(path, timeout=0)) as other,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("DELETE FROM blobs")


def test_appending_to_a_removed_journal_fails(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with closing(Journal.create(path, HEAD)) as journal:
        path.unlink()
        with pytest.raises(FileNotFoundError, match="removed"):
            journal.append(b"blob")


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "a", HEAD)
    journal.append(b"blob")
    journal.remove()
    journal.close()
    assert list(tmp_path.iterdir()) == []
