"""For `make coverage` alone: a child that is to be killed first writes down what it has run."""

import os
import subprocess

_kill = subprocess.Popen.kill


def _kill_later(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:  # it is halted, or busy outside Python
        _kill(process)


if "COVERAGE_FILE" in os.environ:
    subprocess.Popen.kill = _kill_later  # type: ignore[method-assign, assignment]
