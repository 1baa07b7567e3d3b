"""A journal is read while it is written, at every point of joining."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llamatop.recording.journal import Head, Journal
from llamatop.recording.pages import PAGE
from llamatop.recording.tail import Tail
from tests.recording.test_journal import blob
from tests.waiting import until

HEAD = Head(1, "0.1.0", True, "a machine")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal.create(tmp_path / "a.parquet.journal", HEAD)) as journal:
        yield journal


def test_whoever_joins_gets_all_that_was_appended_and_then_what_is(journal: Journal) -> None:
    """Of blobs that fill pages of their own too, in a tree with inner pages."""
    joined = []
    for number in range(48):
        joined.append((Tail(journal.path), list[bytes]()))
        journal.append(blob(number))
        for tail, taken in joined[-3:]:
            taken.extend(tail.take())
            assert len(taken) == number + 1
    for tail, taken in joined:
        taken.extend(tail.take())
        assert taken == [blob(number) for number in range(48)]
        assert (tail.head, tail.digest) == (HEAD, journal.digest)
        tail.close()


def test_a_reader_that_never_rests_sees_nothing_but_whole_blobs(journal: Journal) -> None:
    taken: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        with closing(Tail(journal.path)) as tail:
            while not done.is_set():
                taken.extend(tail.take())
            taken.extend(tail.take())

    reader = threading.Thread(target=read)
    reader.start()
    written = [random.Random(n).randbytes(n * 397 % 30_000) for n in range(150)]
    for one in written:
        journal.append(one)
    done.set()
    reader.join()
    assert taken == written


def test_what_was_removed_is_read_to_its_end(journal: Journal) -> None:
    with closing(Tail(journal.path)) as tail:
        journal.append(blob(1))
        assert tail.in_place
        journal.append(blob(2))
        journal.remove()
        assert not tail.in_place
        assert list(tail.take()) == [blob(1), blob(2)]


def test_it_is_held_as_long_as_its_writer_lives(journal: Journal) -> None:
    with closing(Tail(journal.path)) as tail, closing(Tail(journal.path)) as other:
        assert tail.held and other.held
        journal.close()
        assert not tail.held and not other.held


def test_asking_who_holds_it_keeps_nobody_from_it(journal: Journal) -> None:
    """A lock is tried again while one that asks has it for a moment."""
    journal.close()
    asking, done = threading.Event(), threading.Event()

    def ask() -> None:
        with closing(Tail(journal.path)) as tail:
            while not done.is_set():
                tail.held  # noqa: B018
                asking.set()

    asker = threading.Thread(target=ask)
    asker.start()
    asking.wait()
    try:
        for _ in range(20):
            Journal.open(journal.path).close()
    finally:
        done.set()
        asker.join()


def test_whatever_its_pages_hold_a_prefix_is_read(journal: Journal, tmp_path: Path) -> None:
    for number in range(40):
        journal.append(blob(number))
    until(lambda: journal.path.stat().st_size > 20 * PAGE)
    data, chance = journal.path.read_bytes(), random.Random(1)
    read = []
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(chance.choice((1, 20))):
            broken[chance.randrange(100, len(broken))] = chance.randrange(256)
        path = tmp_path / "broken"
        path.write_bytes(broken[: chance.choice((len(data), chance.randrange(len(data))))])
        with closing(Tail(path)) as tail:
            taken = list(tail.take())
        assert taken == [blob(number) for number in range(len(taken))]
        read.append(len(taken))
    assert min(read) < 10 and max(read) > 20
