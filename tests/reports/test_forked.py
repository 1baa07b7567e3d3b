"""Jobs shared out among processes: all are done, whatever becomes of a process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from llamatop.errors import InputError
from llamatop.reports.charts.forked import every

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="copies no process")

HERE = os.getpid()


def once_both_are_there(folder: Path, place: int) -> tuple[int, int]:
    """The job's number and who did it; waits until two processes have begun one."""
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < 2:
        os.sched_yield()
    return place, os.getpid()


def test_results_stand_in_the_order_of_their_jobs(tmp_path: Path) -> None:
    jobs: list[Callable[[], tuple[int, int]]] = [
        partial(once_both_are_there, tmp_path, place) for place in range(20)
    ]
    done = every(jobs, 2)
    assert [place for place, _ in done] == list(range(20))
    assert len({process for _, process in done}) == 2


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_fewer_jobs_than_processes(at_once: int) -> None:
    assert every([], at_once) == []
    assert every([lambda: "done"], at_once) == ["done"]


def test_what_a_copy_does_not_finish_is_done_here() -> None:
    def job() -> int:
        if os.getpid() != HERE:
            os._exit(1)
        return os.getpid()

    assert every([job] * 8, 2) == [HERE] * 8


def test_what_a_job_raises_is_raised_and_no_copy_is_left() -> None:
    def job() -> None:
        raise InputError("no room")

    before = psutil.Process().children()
    with pytest.raises(InputError, match="no room"):
        every([job] * 8, 3)
    assert psutil.Process().children() == before


def test_no_memory_for_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", full)
    assert every([os.getpid] * 4, 3) == [HERE] * 4
