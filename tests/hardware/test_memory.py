"""Limits that a process sets itself, each in a process of its own."""

import ctypes
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llamatop.engines import host
from llamatop.errors import InputError
from llamatop.hardware.memory import give_back_pages_of_a_file, resident_bytes
from llamatop.settings.config import RunConfig

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


MAPPED = """
import ctypes
from contextlib import nullcontext
from llamatop.hardware.memory import mapped_blocks, resident_bytes
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def made(size):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    return block
with {context}():
    before = resident_bytes()
    freed = []
    for _ in range(100):
        freed.append(made(2**20))
        made(2**17)
    for block in freed:
        libc.free(block)
    print((resident_bytes() - before) / 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_blocks_mapped_one_by_one_leave_no_holes() -> None:
    """What is kept of 100 blocks of 1 MiB that were freed, each between two of 128 KiB."""

    def kept(context: str) -> float:
        env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2 * MIB)}
        code = MAPPED.format(context=context)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
        )
        return float(done.stdout)

    assert kept("nullcontext") > 100
    assert kept("mapped_blocks") < 20


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own counters")
def test_pages_of_a_file_are_given_back_and_read_again(tmp_path: Path) -> None:
    told = os.urandom(16 * MIB)
    (tmp_path / "weights").write_bytes(told)
    with (tmp_path / "weights").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    own = bytearray(told)
    address = {held: ctypes.addressof((ctypes.c_char * len(told)).from_buffer(block))
               for held, block in (("file", mapped), ("own", own))}  # fmt: skip
    assert bytes(mapped) == told
    before = resident_bytes() or 0
    give_back_pages_of_a_file(address["own"], len(told))
    give_back_pages_of_a_file(address["file"] + 1, len(told) - 2)
    after = resident_bytes() or 0
    assert 14 * MIB < before - after < 18 * MIB
    assert bytes(mapped) == told and own == told
