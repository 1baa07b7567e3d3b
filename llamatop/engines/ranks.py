"""Tensor parallel ranks: this process is rank 0, the others are started by it and end with it.

All are of this machine and meet on its loopback, with the environment that torchrun would give
them. Knows processes and torch's groups; nothing of models, requests or what is sent.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

import torch
import torch.distributed as dist

from llamatop.errors import InputError
from llamatop.events.wire import Load, write_command
from llamatop.hardware.host import usable_cores
from llamatop.settings.config import RunConfig

EXIT_LOST = 70
"""Exit code of rank 0 when another was lost, or when it left them behind."""

JOINING = timedelta(minutes=5)
"""All must have met after so long."""

WAITING = timedelta(days=365)
"""A wave may be long in coming: a person may have paused."""

TELLING_SECONDS = 5
"""So long an error of rank 0 waits for a loss that would explain it."""

_ROOT = Path(__file__).resolve().parents[2]

_FOLLOWER = (
    f"import sys; sys.path.append({str(_ROOT)!r}); "
    "from llamatop.engines.follower import main; main()"
)


class Ranks:
    """The group that this process belongs to. What is sent goes over gloo, whatever the device."""

    def __init__(self, rank: int, size: int, device: torch.device, store: dist.Store) -> None:
        """Waits until all have met."""
        self.rank, self.size = rank, size
        self.device = _own(device, rank)
        self.pids: tuple[int, ...] = ()
        """Of the ranks after this one, where it is rank 0."""
        backend = "gloo" if device.type == "cpu" else "nccl"
        if device.type == "cpu":
            torch.set_num_threads(max(usable_cores() // size, 1))
        else:
            torch.cuda.set_device(self.device)
        dist.init_process_group(
            backend,
            store=store,
            rank=rank,
            world_size=size,
            timeout=WAITING,
            device_id=None if device.type == "cpu" else self.device,
        )
        self._told = dist.new_group(backend="gloo", timeout=WAITING)
        self._flag = torch.zeros(1, dtype=torch.uint8)

    def send(self, what: Any) -> Any:
        """What rank 0 gives, in each rank."""
        told = [what]
        dist.broadcast_object_list(told, src=0, group=self._told)
        return told[0]

    def goes_on(self, flag: bool = True) -> bool:
        """Whether rank 0 goes on, in each rank; called by all of them after each step."""
        self._flag[0] = flag
        dist.broadcast(self._flag, src=0, group=self._told)
        return bool(self._flag.item())

    def total(self, number: int) -> int:
        """The sum of what each rank gives."""
        numbers: list[Any] = [None] * self.size
        dist.all_gather_object(numbers, number, group=self._told)
        return sum(numbers)

    def give_up(self, error: BaseException) -> NoReturn:
        """End this process, and so the others: they wait where it no longer is."""
        time.sleep(TELLING_SECONDS)  # unless one of them was lost, which `_watch` tells
        _end(" ".join(f"{type(error).__name__}: {error}".split()))


def check_devices(config: RunConfig, device: torch.device) -> None:
    """Raise InputError where there are not as many devices of that kind as ranks."""
    there = usable_cores() if device.type == "cpu" else torch.cuda.device_count()
    kind = "cores" if device.type == "cpu" else "GPUs"
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"--tp {config.tp}: goes over CUDA GPUs, or cores with --device cpu")
    if config.tp > there:
        raise InputError(f"--tp {config.tp}: there are {there} {kind} here; use --tp {there}")
    found = torch.accelerator.current_accelerator()
    if device.type == "cpu" and found is not None:
        raise InputError(
            f"--tp {config.tp} --device cpu: transformers would take the {found.type} that is "
            "here; hide it, as by CUDA_VISIBLE_DEVICES=''"
        )
    if device.index:
        raise InputError(f"--tp {config.tp}: takes the first GPUs; use --device cuda")


def lead(config: RunConfig, device: torch.device) -> Ranks:
    """Start the other ranks and meet them. When one is lost, this process ends with the reason."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    _settle(0, config.tp, port)
    store = dist.TCPStore(
        "127.0.0.1", port, config.tp, True, JOINING,
        wait_for_workers=False, master_listen_fd=listening.detach(),
    )  # fmt: skip
    followers = [_start(rank, config) for rank in range(1, config.tp)]
    ranks = Ranks(0, config.tp, device, store)
    ranks.pids = tuple(process.pid for process in followers)
    return ranks


def follow(config: RunConfig, device: torch.device) -> Ranks:
    """Meet rank 0, as the environment says."""
    rank, port = int(os.environ["RANK"]), int(os.environ["MASTER_PORT"])
    store = dist.TCPStore("127.0.0.1", port, config.tp, False, JOINING)
    return Ranks(rank, config.tp, device, store)


def _own(device: torch.device, rank: int) -> torch.device:
    return device if device.type == "cpu" else torch.device(device.type, rank)


def _settle(rank: int, size: int, port: int) -> dict[str, str]:
    """torchrun's environment, for this process too where it is rank 0."""
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    names = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": loopback,
    }
    if rank == 0:
        os.environ.update(names)
    return names


def _start(rank: int, config: RunConfig) -> subprocess.Popen[bytes]:
    """One follower; the pipe to its stdin is its leash, and what it prints last is kept."""
    log = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
    port = int(os.environ["MASTER_PORT"])
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _FOLLOWER],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env={**os.environ, **_settle(rank, config.tp, port)},
    )
    pipe = cast("BinaryIO", process.stdin)
    write_command(pipe, Load(config, 0))
    pipe.flush()
    arguments = (rank, process, log)
    threading.Thread(target=_watch, args=arguments, name=f"rank {rank}", daemon=True).start()
    return process


def _watch(rank: int, process: subprocess.Popen[bytes], log: Any) -> None:
    """No rank goes on without another: when that ends, so does this process."""
    code = process.wait()
    log.seek(0)
    words = log.read().decode("utf-8", "replace").strip().splitlines()
    ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    _end(f"rank {rank} {ended}" + (f": {words[-1]}" if words and code >= 0 else ""))


def _end(reason: str) -> NoReturn:
    """The last line on stderr is what the run tells as the reason."""
    sys.stderr.write(f"\ntensor parallel: {reason}\n")
    sys.stderr.flush()
    os._exit(EXIT_LOST)
