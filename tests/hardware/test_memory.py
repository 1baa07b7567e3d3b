"""Limits that a process sets itself, each in a process of its own."""

import subprocess
import sys

import pytest

from llamatop.config import RunConfig
from llamatop.engines import host
from llamatop.errors import InputError
from llamatop.hardware.memory import resident_bytes

MIB = 2**20
LIMITED = """
from llamatop.hardware.memory import limit_memory, resident_bytes
assert limit_memory(resident_bytes() + {allowed})
first = bytearray({first})
try:
    second = bytearray({second})
    print("both", resident_bytes() > 0)
except MemoryError:
    print("first only")
"""


def allocated(allowed: int, first: int, second: int) -> str:
    code = LIMITED.format(allowed=allowed, first=first, second=second)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts mappings on Linux only")
def test_memory_ends_where_it_was_limited() -> None:
    assert allocated(100 * MIB, 60 * MIB, 60 * MIB) == "first only"
    assert allocated(100 * MIB, 40 * MIB, 40 * MIB) == "both True"


def test_less_than_the_libraries_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "limit_memory", lambda _: pytest.fail("not to be tried"))
    with pytest.raises(InputError, match="libraries alone take"):
        host.memory_limit(RunConfig(engine="scripted", memory=MIB))


def test_no_engine_takes_what_others_need(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    monkeypatch.setattr(host, "limit_memory", lambda size: limits.append(size) or True)
    assert host.memory_limit(RunConfig(engine="scripted")) is None
    huge = host.memory_limit(RunConfig(engine="scripted", memory=2**60))
    until_oom = host.memory_limit(RunConfig(engine="scripted", until_oom=True))
    small = host.memory_limit(RunConfig(engine="scripted", memory=(resident_bytes() or 0) + MIB))
    assert limits == [huge, until_oom, small]
    most = (resident_bytes() or 0) + host.memory().total
    assert huge and until_oom and small
    assert small < huge < most and small < until_oom < most
