"""Resident memory of processes, and of this one its peak, from the kernel's own counters.

Linux only; elsewhere every answer is None and whoever asks falls back to samples.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MMAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` of glibc's malloc.h."""
_MAPPED_FROM = 64 * 1024
_UNUSED = 4
"""`MADV_DONTNEED` of the kernel's mman-common.h."""


def resident_bytes(pid: int | None = None) -> int | None:
    """Resident size of a process (this one by default) in bytes."""
    try:
        pages = Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def total(sizes: Iterable[int | None]) -> int | None:
    """Their sum; None where one is not known."""
    known = list(sizes)
    return None if None in known else sum(size for size in known if size is not None)


def reset_peak(pid: int | None = None) -> bool:
    """Start a process's peak anew (this one's by default); False where that cannot be."""
    try:
        Path(f"/proc/{pid or 'self'}/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def give_back() -> None:
    """Let the C library return what it keeps of freed memory, so that a peak is a level's own."""
    import ctypes  # noqa: PLC0415  (not for the first paint)

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def give_back_pages_of_a_file(address: int, size: int) -> None:
    """Let the system take back what is resident of a file that is mapped there; it is read again
    where somebody still asks. Other memory is left alone. What was written to it is lost."""
    import ctypes  # noqa: PLC0415  (not for the first paint)

    page = os.sysconf("SC_PAGE_SIZE")
    first, end = -(-address // page) * page, (address + size) // page * page
    if first < end and _is_of_a_file(first, end):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _UNUSED)


def _is_of_a_file(first: int, end: int) -> bool:
    """Whether one mapping of a file with a name holds these addresses."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return False
    for line in lines:
        begins, _, ends = line.partition(" ")[0].partition("-")
        if int(begins, 16) <= first < int(ends, 16):
            return end <= int(ends, 16) and "/" in line
    return False


@contextmanager
def mapped_blocks() -> Iterator[None]:
    """Blocks made meanwhile are mapped one by one: freed ones leave no holes between those kept.

    The C library would fill such holes later with what fits none of them well. Does nothing where
    `MALLOC_MMAP_THRESHOLD_` does not say from which size on blocks are mapped otherwise.
    """
    usual = os.environ.get("MALLOC_MMAP_THRESHOLD_")
    if usual is None:
        yield
        return
    _map_from(_MAPPED_FROM)
    try:
        yield
    finally:
        _map_from(int(usual))


def _map_from(size: int) -> None:
    import ctypes  # noqa: PLC0415  (not for the first paint)

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, size)


def peak_bytes(pid: int | None = None) -> int | None:
    """Peak resident size of a process (this one by default) since `reset_peak`, in bytes."""
    return _status_bytes("VmHWM", pid)


def _status_bytes(name: str, pid: int | None = None) -> int | None:
    """What the kernel says of a process under that name, in bytes."""
    try:
        lines = Path(f"/proc/{pid or 'self'}/status").read_text().splitlines()
    except OSError:
        return None
    values = (line.partition(":")[2] for line in lines if line.startswith(f"{name}:"))
    return next((int(value.split()[0]) * 1024 for value in values), None)


def volunteer_for_oom() -> None:
    """Let the kernel end this process first when memory ends."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:
        return


def limit_memory(size: int) -> bool:
    """Let this process's resident size grow to `size` bytes and no further; False if impossible.

    The limit is on private writable memory (RLIMIT_DATA), so that an allocation fails in this
    process before the kernel has to choose whom to end. What it has reserved without touching it
    until now comes on top: call it again when that has changed, as when threads were started.
    """
    resident, reserved = resident_bytes(), _status_bytes("VmData")
    if resident is None or reserved is None:
        return False
    most = max(size + reserved - resident, 0)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))
    except (OSError, ValueError):
        return False
    return True


def oom_kills() -> int | None:
    """Processes that the kernel has killed for memory so far: of this container, else of all."""
    for path, key in (
        ("/sys/fs/cgroup/memory.events", "oom_kill"),
        ("/proc/vmstat", "oom_kill"),
    ):
        try:
            lines = Path(path).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition(" ")
            if name == key:
                return int(value)
    return None
