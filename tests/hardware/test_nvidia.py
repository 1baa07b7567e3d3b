"""NVIDIA devices through the real `pynvml`, upon a made-up library that is built here.

The library is honest about being a fake: its device is called so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from llamatop.events.kinds import DeviceSampled, HostSampled
from llamatop.events.wire import read_events
from llamatop.hardware import nvidia
from llamatop.recording.reader import fold_recording

FAKE = Path(__file__).with_name("fake_nvml.c")

PROBE = """
import os, socket, sys, threading
from llamatop.events.clock import MonotonicClock
from llamatop.events.wire import Watch
from llamatop.hardware.probe import Probe
listening = socket.create_server(("127.0.0.1", 0))
os.environ["FAKE_PID"] = str(os.getpid())
probe = Probe(sys.stdout.buffer, MonotonicClock(), 0.01)
probe.watch(Watch(None, (listening.getsockname()[1],)))
probe.start()
sys.stdin.read()
"""

SAMPLE = """
import msgspec
from llamatop.hardware import nvidia
from llamatop.recording.reader import fold_recording
nvml = nvidia.open_nvml()
print(msgspec.json.encode(nvidia.sample(nvml, 7)).decode())
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory):
    """The environment of a fake library, built with some of its questions left out."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler")

    def build(*defines: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("nvml")
        library = folder / "libnvidia-ml.so.1"
        flags = [f"-D{define}" for define in defines]
        subprocess.run([compiler, "-shared", "-fPIC", *flags, "-o", library, FAKE], check=True)
        return {**os.environ, "LD_LIBRARY_PATH": str(folder)}

    return build


@pytest.fixture(scope="module")
def sample(built):
    """Samples all devices of a fake library."""

    def take(*defines: str, **env: str) -> list[DeviceSampled]:
        told = subprocess.run(
            [sys.executable, "-c", SAMPLE],
            env={**built(*defines), **env},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return msgspec.json.decode(told.stdout, type=list[DeviceSampled])

    return take


def test_a_device_tells_memory_load_power_heat_and_what_slows_it_down(sample):
    (device,) = sample(FAKE_REASONS=hex(0x04 | 0x40))
    assert device == DeviceSampled(
        7,
        0,
        "Fake GPU (made up by a test)",
        used_bytes=3_000_000_000,
        total_bytes=8_000_000_000,
        utilization=87.0,
        power_watts=312.5,
        temperature=91.0,
        throttle=("sw_power_cap", "hw_thermal_slowdown"),
    )


def test_idleness_and_what_a_person_has_set_are_no_slowdown(sample):
    (device,) = sample(FAKE_REASONS=hex(0x01 | 0x02 | 0x10 | 0x100))
    assert device.throttle == ()


def test_an_older_driver_is_asked_by_the_older_name(sample):
    (device,) = sample("OLD_NAME", FAKE_REASONS="0x20")
    assert device.throttle == ("sw_thermal_slowdown",)


def test_what_a_driver_does_not_tell_is_unknown(sample):
    (device,) = sample("NO_REASONS")
    assert device.throttle is None
    assert device.temperature == 91.0


def test_what_a_servers_processes_hold_of_devices_is_told_beside_their_memory(built):
    probe = subprocess.Popen(
        [sys.executable, "-c", PROBE], env=built(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert probe.stdout is not None
    held: set[int | None] = set()
    while 5_000_000_000 not in held:
        events = read_events(probe.stdout)
        assert events is not None, held
        samples = [event for event in events if isinstance(event, HostSampled)]
        held |= {sample.server_device_bytes for sample in samples}
        assert all(sample.server_bytes for sample in samples)
    probe.kill()
    probe.communicate()
    assert held <= {None, 5_000_000_000}, "of its own alone, or not known yet"


def test_a_binding_without_either_name_knows_nothing():
    assert nvidia._slowdowns(object(), None) is None


def test_a_gpu_that_is_lost_keeps_its_row_with_nothing_known(sample):
    (device,) = sample("LOST")
    known = (device.used_bytes, device.total_bytes, device.utilization, device.power_watts)
    assert (*known, device.temperature, device.throttle) == (None,) * 6


@pytest.mark.slow
@pytest.mark.parametrize("fate", ["LOST", "CRASH", "HANG"])
def test_a_gpu_that_fails_costs_its_figures_alone(built, fate: str, tmp_path: Path):
    run = ["--record", "--engine", "scripted", "--requests", "8", "--gen-toks", "100", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "llamatop", *run, "--out", str(tmp_path / "run.parquet")],
        env={**built(fate), "LLAMATOP_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = json.loads(done.stdout)
    assert (done.returncode, told["complete"], told["error"]) == (0, True, None), done.stderr
    assert told["levels"][0]["completed"] == 8
    session = fold_recording(tmp_path / "run.parquet").session
    samples = [one for device in session.devices.values() for one in device]
    assert all(one.used_bytes is None and one.utilization is None for one in samples)
    assert bool(samples) == (fate == "LOST")
