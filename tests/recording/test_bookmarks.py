from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.clock import SECOND
from llamatop.recording.bookmarks import NEAR, Bookmarks, bookmarks_of


def test_they_are_kept_and_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    marks = Bookmarks(path)
    assert marks.turn(5 * SECOND) and marks.turn(2 * SECOND)
    assert Bookmarks(path).times == [2 * SECOND, 5 * SECOND]
    assert not marks.turn(5 * SECOND + NEAR)
    assert Bookmarks(path).times == [2 * SECOND]
    assert [one.name for one in path.parent.iterdir()] == ["a.json"]


@given(st.lists(st.integers(0, 10 * SECOND), max_size=20))
def test_they_are_in_order_and_apart(times: list[int]) -> None:
    marks = Bookmarks()
    for time in times:
        before = list(marks.times)
        assert marks.turn(time) == (len(marks.times) > len(before))
    assert marks.times == sorted(marks.times)
    assert all(b - a > NEAR for a, b in pairwise(marks.times))


@pytest.mark.parametrize("content", [b"", b"{}", b'{"recording":"a","times":["x"]}', b"\xff"])
def test_a_file_that_is_not_theirs_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert Bookmarks(path).times == []


def test_they_hold_where_they_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    marks = Bookmarks(tmp_path / "file" / "a.json")
    with pytest.raises(OSError):
        marks.turn(7)
    assert marks.times == [7]


def test_a_recording_is_known_by_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    bookmarks_of(Path("a.parquet"), {"journal": "../../etc"}).turn(3)
    assert bookmarks_of(Path("moved/b.parquet"), {"journal": "../../etc"}).times == [3]
    assert bookmarks_of(Path("a.parquet"), {"journal": "ff"}).times == []
    assert bookmarks_of(Path("a.parquet"), {}).times == []
    (kept,) = (tmp_path / "llamatop" / "bookmarks").iterdir()
    assert kept.suffix == ".json"
