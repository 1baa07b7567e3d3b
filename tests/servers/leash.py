"""Runs a command and ends it, with all that it started, when this process's standard input ends.

So a server of the tests never outlives them, however they end.

    python leash.py COMMAND ...
"""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress


def main() -> int:
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    died = os.pidfd_open(child.pid)
    select.select([sys.stdin, died], [], [])
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
