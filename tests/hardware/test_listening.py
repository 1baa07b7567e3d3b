"""Whose memory it is that listens on a port: of real sockets of this process and of a child."""

from __future__ import annotations

import socket
import subprocess
import sys

import psutil

from llamatop.hardware.listening import Listeners
from tests.waiting import until

_LISTENS = """
import socket, sys
held = b"x" * 64_000_000
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(flush=True)
sys.stdin.read()
"""


def listening(port: int = 0) -> subprocess.Popen[bytes]:
    """A process that holds 64 MB and listens."""
    child = subprocess.Popen(
        [sys.executable, "-c", _LISTENS, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None and child.stdout.readline() == b"\n"
    return child


def test_a_process_with_two_ports_counts_once() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ports = [each.getsockname()[1] for each in (one, two)]
        both, alone = Listeners(ports).resident(), Listeners(ports[:1]).resident()
    assert both is not None and alone is not None
    assert both < 1.5 * alone and alone >= psutil.Process().memory_info().rss // 2


def test_it_is_unknown_while_nobody_was_seen_on_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as here, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (here, silent)]
        assert Listeners(ports).resident() is None


def test_one_that_is_gone_is_looked_for_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    first = listening(port)
    listeners = Listeners([port])
    size = listeners.resident()
    assert size is not None and size > 64_000_000
    first.communicate()
    assert listeners.resident() is None
    second = listening(port)
    until(lambda: (listeners.resident() or 0) > 64_000_000)
    second.communicate()
