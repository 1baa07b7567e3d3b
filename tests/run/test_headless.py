"""What a run without a screen tells on stderr."""

import signal
import subprocess
import sys

import msgspec
import pytest

from llamatop.events.kinds import EngineLost, LevelEnded, RunEnded
from llamatop.reports.run_text import headline
from llamatop.run import headless
from llamatop.run.replay import fold
from llamatop.settings.config import DtypeName, RunConfig
from tests.recording.runs import loaded, run, started
from tests.waiting import until


@pytest.mark.parametrize(
    ("has", "dtypes", "lines"),
    [
        (False, ("auto", "bfloat16"), 1),
        (True, ("auto", "bfloat16"), 0),
        (None, ("auto", "bfloat16"), 0),
        (False, ("bfloat16", "bfloat16"), 0),
        (False, ("auto", "float32"), 0),
    ],
)
def test_slow_bfloat16_is_told_once_where_nobody_asked_for_it(
    has: bool | None, dtypes: tuple[DtypeName, str], lines: int,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    host = msgspec.structs.replace(started().host, bfloat16=has)
    begun = msgspec.structs.replace(started(), config=RunConfig(dtype=dtypes[0]), host=host)
    session = fold([begun, msgspec.structs.replace(loaded(), device="cpu", dtype=dtypes[1])])
    progress = headless.Progress()
    progress.show(session, [])
    progress.show(session, [])
    assert capsys.readouterr().err.count("float32 is likely faster") == lines


def test_why_no_model_was_loaded_is_told() -> None:
    lost = fold([started(), EngineLost(1, 70, "OSError: no such layer")])
    assert headline(lost) == "no model was loaded: OSError: no such layer"
    assert headline(fold([started()])) == "no model was loaded"


def test_what_failed_or_was_cancelled_is_not_told_as_done() -> None:
    events = [event for event in run(8) if not isinstance(event, LevelEnded | RunEnded)]
    told = headless.state_line(fold(events))
    assert told.startswith("level 1 of 1, concurrency 2: 8 of 8 requests, 1 failed, 1 cancelled, ")
    assert len(told) < 80
    half = headless.state_line(fold(events[: len(events) // 2]))
    assert " of 8 requests, " in half and "failed" not in half


def test_a_second_signal_ends_a_process_that_hangs() -> None:
    """Whatever its first thread waits for; within the first second it does not hurry it."""
    code = (
        "import threading; from llamatop.run.headless import Signals\n"
        "with Signals():\n"
        "    print('hangs', flush=True); threading.Lock().acquire(); threading.Event().wait()"
    )
    hung = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert hung.stdout is not None
    assert hung.stdout.readline() == "hangs\n"
    hung.send_signal(signal.SIGTERM)

    def gone() -> bool:
        hung.send_signal(signal.SIGINT)
        return hung.poll() is not None

    until(gone, 60)
    assert hung.returncode == 130
    assert "llamatop replay" in hung.communicate()[1]
