"""Nothing of a server is left, however it is let go."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from llamatop.serve import leash
from llamatop.serve.child import KEPT_LINES, LINE_CHARACTERS, ServerProcess
from llamatop.serve.command import Plan
from tests.servers import stubborn_server
from tests.waiting import gone, until

STUBBORN = str(Path(stubborn_server.__file__))


def started(*arguments: str) -> ServerProcess:
    return ServerProcess(Plan((sys.executable, *arguments), 0, ""), lambda text: text)


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[Callable[[], list[psutil.Process]]]:
    """A server that hangs, on its leash; the processes of it, as soon as all run."""
    server = started(STUBBORN, "hang", "0", str(tmp_path / "pids"))

    def processes() -> list[psutil.Process]:
        until((tmp_path / "pids").exists)
        left, itself = map(int, (tmp_path / "pids").read_text().split())
        assert psutil.Process(left).ppid() not in (1, itself), "it was left to the leash"
        return [psutil.Process(server.pid), psutil.Process(itself), psutil.Process(left)]

    yield processes
    server.ask_to_end(0)
    assert server.wait(20)


def test_one_that_does_not_want_to_end_is_ended(stubborn: Callable[[], list[psutil.Process]],
                                                tmp_path: Path) -> None:  # fmt: skip
    found = stubborn()
    os.kill(found[0].pid, signal.SIGTERM)
    until(lambda: all(map(gone, found)))


def test_when_the_parent_is_killed_nothing_is_left(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE).wait()"
    command = [sys.executable, leash.__file__, sys.executable, STUBBORN, "hang", "0"]
    parent = subprocess.Popen([sys.executable, "-c", code, *command, str(tmp_path / "pids")])
    until((tmp_path / "pids").exists)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    assert len(children) >= 3
    until(lambda: all(map(gone, children)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="as Linux has it")
def test_when_the_leash_is_killed_its_server_ends(
    stubborn: Callable[[], list[psutil.Process]],
) -> None:
    itself, server, left = stubborn()
    itself.kill()
    until(lambda: gone(server))
    left.kill()


def test_one_that_ends_when_it_is_asked_has_the_time_for_it() -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_): print('saved'); sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(60)"
    )
    server = started("-c", code)
    until(lambda: "up" in server.lines)
    server.ask_to_end(60)
    assert server.wait(60)
    assert (server.exit_code, server.reason()) == (7, "exit code 7: saved")


def test_how_it_ended_is_told_with_its_last_words() -> None:
    killed = started("-c", "import os; print('so', flush=True); os.kill(os.getpid(), 11)")
    assert killed.wait(60)
    assert (killed.exit_code, killed.reason()) == (-11, "killed by SIGSEGV: so")
    absent = ServerProcess(Plan(("/no/such program",), 0, ""), lambda text: text)
    assert absent.wait(60)
    assert absent.exit_code == leash.NOT_STARTED
    assert absent.reason() == "exit code 127: /no/such program: No such file or directory"


def test_of_all_that_it_prints_the_last_lines_are_kept_clean_and_without_secrets() -> None:
    code = (
        "import sys; w = sys.stdout.write\n"
        "for n in range(20000): w(f'line {n}\\n')\n"
        "w('x' * 3_000_000 + '\\n'); w('\\x1b[31mred\\x1b[0m\\x07 50 %\\r51 % of sk-1\\n')\n"
        "sys.stdout.buffer.write(b'\\xff half\\n')"
    )
    server = ServerProcess(
        Plan((sys.executable, "-c", code), 0, ""), lambda text: text.replace("sk-1", "***")
    )
    assert server.wait(60)
    server.reason()
    kept = list(server.lines)
    assert len(kept) == KEPT_LINES
    assert kept[-3:] == ["red␇ 50 %", "51 % of ***", "� half"]
    assert kept[-5:-3] == ["line 19999", "x" * LINE_CHARACTERS]
