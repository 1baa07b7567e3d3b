"""NVIDIA devices through the real `pynvml`, upon a made-up library that is built here.

The library is honest about being a fake: its device is called so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from llamatop.events.kinds import DeviceSampled
from llamatop.hardware import nvidia

FAKE = Path(__file__).with_name("fake_nvml.c")

SAMPLE = """
import msgspec
from llamatop.hardware import nvidia
nvml = nvidia.open_nvml()
print(msgspec.json.encode(nvidia.sample(nvml, 7)).decode())
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory):
    """Samples all devices of a fake library, built with some of its questions left out."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler")

    def take(*defines: str, **env: str) -> list[DeviceSampled]:
        folder = tmp_path_factory.mktemp("nvml")
        library = folder / "libnvidia-ml.so.1"
        flags = [f"-D{define}" for define in defines]
        subprocess.run([compiler, "-shared", "-fPIC", *flags, "-o", library, FAKE], check=True)
        told = subprocess.run(
            [sys.executable, "-c", SAMPLE],
            env={**os.environ, "LD_LIBRARY_PATH": str(folder), **env},
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


def test_a_binding_without_either_name_knows_nothing():
    assert nvidia._slowdowns(object(), None) is None
