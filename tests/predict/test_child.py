"""A child that answers one question, and what becomes of it when nobody waits any more."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from llamatop.errors import InputError
from llamatop.predict.child import Asker, ask
from tests.waiting import gone, until

ASK = (
    "import sys; from llamatop.predict.child import ask; "
    "ask('tests.predict.sleeper', sys.argv[1], str)"
)


@pytest.mark.parametrize("stopped", [False, True])
def test_it_ends_with_its_parent(tmp_path: Path, stopped: bool) -> None:
    path = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", ASK, str(path)])
    until(path.exists)
    child = psutil.Process(int(path.read_text()))
    if stopped:
        if not sys.platform.startswith("linux"):
            pytest.skip("only Linux ends a process that is stopped with its parent")
        child.send_signal(signal.SIGSTOP)
    parent.kill()
    parent.wait()
    try:
        until(lambda: gone(child))
    finally:
        if not gone(child):
            child.kill()


def test_a_question_that_is_taken_back_ends_its_child(tmp_path: Path) -> None:
    path, said = tmp_path / "pid", []

    def question() -> None:
        for _ in range(2):
            try:
                ask("tests.predict.sleeper", str(path), str)
            except InputError as refusal:
                said.append(str(refusal))

    asker = Asker(question)
    asker.start()
    until(path.exists)
    child = psutil.Process(int(path.read_text()))
    asker.take_back()
    asker.join()
    assert gone(child)
    assert len(said) == 2, "the second question, asked after that, is not answered either"
