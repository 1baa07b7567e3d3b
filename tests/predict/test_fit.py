"""Verdicts, sizes, published devices, residuals."""

from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.errors import InputError
from llamatop.predict import residuals
from llamatop.predict.devices import DEVICES, NAMED, named, smallest
from llamatop.predict.fit import BAND, QUANTIZED_BAND, largest, parse_size, verdict
from llamatop.predict.memory import Prediction
from llamatop.predict.residuals import Residual

sizes = st.integers(1, 2**45)


@given(sizes, sizes)
def test_a_verdict_says_fits_only_with_the_band_to_spare(peak: int, available: int) -> None:
    told = Prediction(peak, None, {"weights": peak // 2, "runtime": peak - peak // 2})
    said = verdict(peak, available, told.sure_bytes(BAND))
    assert (said == "does not fit") == (peak > available)
    assert (said == "fits") == (peak + BAND * (peak // 2) <= available)


def test_the_band_is_of_what_the_model_takes_not_of_libraries() -> None:
    """A small model in a large runtime: 5 % of the whole would be a fifth of what can be wrong."""
    small = Prediction(480, None, {"weights": 40, "kv cache": 60, "runtime": 380})
    assert small.own_bytes == 100 and small.sure_bytes(0.05) == 485
    device = Prediction(None, 100, {"weights": 100, "fragments": 20, "context": 1250})
    assert device.own_bytes == 120 and device.sure_bytes(0.05) == 1376


@given(sizes, sizes, sizes)
def test_more_memory_is_never_worse(peak: int, available: int, more: int) -> None:
    order = ["does not fit", "tight", "fits"]
    before, after = (verdict(peak, a, 1.05 * peak) for a in (available, available + more))
    assert order.index(after) >= order.index(before)


@given(st.integers(0, 10**6), st.integers(1, 10**4), st.integers(0, 10**8))
def test_the_largest_fits_and_the_next_does_not(base: int, each: int, limit: int) -> None:
    def peak(n: int) -> int:
        return base + each * n

    found = largest(peak, limit, 4096)
    assert 0 <= found <= 4096
    assert found == 0 or peak(found) <= limit
    assert found == 4096 or peak(found + 1) > limit


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=64), sizes, st.integers(0, 2**40))
def test_the_largest_agrees_with_the_verdict(steps: list[int], limit: int, more: int) -> None:
    peaks = list(accumulate(steps))

    def peak(requests: int) -> float:
        return peaks[requests - 1]

    most = largest(peak, limit, len(peaks))
    said = [verdict(peak(n), limit, 1.05 * peak(n)) for n in range(1, len(peaks) + 1)]
    assert [one != "does not fit" for one in said] == [n <= most for n in range(1, len(said) + 1)]
    worse = ["fits", "tight", "does not fit"]
    assert said == sorted(said, key=worse.index)
    assert most <= largest(peak, limit + more, len(peaks))


def test_sizes() -> None:
    assert parse_size("24GB") == 24_000_000_000
    assert parse_size("24 gib") == 24 * 2**30
    assert parse_size("1.5T") == 1_500_000_000_000
    assert parse_size("123456") == 123456
    for bad in ("", "GB", "0GB", "-1GB", "24XB", "many", "9" * 400, "9999999TB"):
        with pytest.raises(InputError, match="--memory"):
            parse_size(bad)


def test_devices_are_found_by_their_words() -> None:
    assert named("RTX 4090").bandwidth == 1008e9
    assert named("nvidia geforce rtx 4090").name == "RTX 4090"
    assert named("h100 sxm").flops == 989e12
    assert named("A100").name == "A100 40GB"
    assert named("A100-80").name == "A100 80GB"
    with pytest.raises(InputError, match="not known"):
        named("abacus")
    with pytest.raises(InputError):
        named("")


def test_the_smallest_device_that_has_enough() -> None:
    assert set(NAMED) <= {device.name for device in DEVICES}
    assert smallest(17e9) == (1, named("RTX 4090"))
    assert smallest(60e9) == (1, named("H100 SXM"))
    assert smallest(500e9) == (4, named("H200"))
    assert smallest(1e15) is None


def test_the_band_is_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMATOP_CACHE", str(tmp_path))
    assert residuals.band("cpu", "batch") == BAND
    for measured in range(1000, 1020):
        residuals.remember(Residual("cpu", "batch", 1000, measured * 1, 0))
    assert residuals.band("cpu", "batch") == 0.02
    for _ in range(20):
        residuals.remember(Residual("cpu", "batch", 1000, 1050, 500))
    assert residuals.band("cpu", "batch") == pytest.approx(0.1)
    assert residuals.band("cpu", "threads") == BAND
    assert residuals.band("cpu", "batch", quantized=True) == QUANTIZED_BAND
    for _ in range(20):
        residuals.remember(Residual("cpu", "batch", 1000, 1070, 0, quantized=True))
    assert residuals.band("cpu", "batch", quantized=True) == pytest.approx(0.07)
    assert residuals.band("cpu", "batch") == pytest.approx(0.1)
    with (tmp_path / "residuals.jsonl").open("a") as file:
        file.write("{broken\n")
        file.write('{"device":"cpu","engine":"batch","predicted":1000,"measured":1000}\n')
    assert len(residuals.recalled()) == 60
