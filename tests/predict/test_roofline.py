"""Floors and shares by hand."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.figures.roofline import (
    Roofs,
    decode_ceiling,
    distinct_experts,
    held_back_by,
    mbu,
    mfu,
    prefill_floor,
    roof_beaten,
    step_floor,
    step_weight_bytes,
)
from llamatop.hardware.measured import Measured
from llamatop.hardware.roofs import cached_machine
from llamatop.predict import machine
from llamatop.predict.machine import measure_machine
from llamatop.predict.traced import LayerKind, Trace

LLAMA_8B = Trace(
    dtype="bfloat16", parameters=8_030_261_248, active_parameters=8_030_261_248,
    weights_bytes=16_060_522_496, read_bytes=15_010_000_000, expert_bytes=0, experts=0,
    experts_per_token=0, attention_width=32 * 32 * 128, context=131072,
    kinds=(LayerKind(32, 4096, None),), peaks=(),
)  # fmt: skip
EXPERTS = Trace(
    dtype="bfloat16", parameters=1000, active_parameters=400, weights_bytes=2000,
    read_bytes=500, expert_bytes=1600, experts=8, experts_per_token=2, attention_width=0,
    context=None, kinds=(LayerKind(1, 10, 4),), peaks=(),
)  # fmt: skip
H100 = Roofs(3350e9, 989e12)


@pytest.mark.parametrize(("requests", "published"), [(1, 221), (8, 1669), (64, 9163), (256, 17659)])
def test_ceilings_of_llama_8b_on_an_h100(requests: int, published: float) -> None:
    assert decode_ceiling(LLAMA_8B, requests, 1000, H100) == pytest.approx(published, rel=0.02)


def test_a_slow_processor_is_the_roof_of_a_large_batch() -> None:
    roofs = Roofs(1e15, 1e12)
    assert step_floor(LLAMA_8B, 4, 10, roofs) == pytest.approx(2 * 8_030_261_248 * 4 / 1e12)


def test_prefill_by_hand() -> None:
    computed = 2 * 8_030_261_248 * 2 * 512 + 2 * 32 * 32 * 128 * 512**2 * 2
    assert prefill_floor(LLAMA_8B, 2, 512, H100) == pytest.approx(computed / 989e12)
    reads = 15_010_000_000 / 3350e9
    assert prefill_floor(LLAMA_8B, 1, 1, H100) == pytest.approx(reads)


def test_distinct_experts() -> None:
    assert distinct_experts(8, 2, 1) == pytest.approx(2)
    assert distinct_experts(8, 2, 2) == pytest.approx(8 * (1 - 0.75**2))
    assert distinct_experts(0, 0, 5) == 0
    assert step_weight_bytes(EXPERTS, 1) == pytest.approx(500 + 1600 / 4)
    assert step_weight_bytes(EXPERTS, 1000) == pytest.approx(500 + 1600)


def test_a_window_ends_the_growth_of_the_floor() -> None:
    roofs = Roofs(1.0, 1e30)
    assert step_floor(EXPERTS, 1, 4, roofs) == step_floor(EXPERTS, 1, 400, roofs)


def test_shares() -> None:
    assert mbu(80, 20, 2, 100) == 0.5
    assert mbu(80, 20, 0, 100) is None
    assert mfu(50, 2, 100) == 0.25
    assert mfu(50, 2, 0) is None


def test_what_holds_a_run_back() -> None:
    assert held_back_by(0.8, 0.1) == "memory bandwidth"
    assert held_back_by(0.1, 0.7) == "arithmetic"
    assert held_back_by(0.1, 0.2) == "overhead"
    assert held_back_by(0.8, 0.1, queue_share=0.5) == "queueing"
    assert held_back_by(0.8, 0.1, memory_ended=True) == "memory capacity"
    assert held_back_by(None, None) is None


@given(st.integers(1, 500), st.integers(0, 10_000))
def test_more_requests_never_take_less_time_nor_give_fewer_tokens(n: int, context: int) -> None:
    for trace in (LLAMA_8B, EXPERTS):
        assert step_floor(trace, n + 1, context, H100) >= step_floor(trace, n, context, H100)
        if trace is LLAMA_8B:
            more, fewer = (decode_ceiling(trace, k, context, H100) for k in (n + 1, n))
            assert more >= fewer * (1 - 1e-9)


MEASURED = Measured("a CPU", "bfloat16", 2, 40e9, 30e9, 50e9, 20e9, 1e12, "2.13")


def test_a_busy_machine_lowers_no_roof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMATOP_CACHE", str(tmp_path))
    busy = msgspec.structs.replace(MEASURED, triad=10e9, flops=2e12)
    answers = iter([MEASURED, busy])
    monkeypatch.setattr(machine, "ask", lambda *_: next(answers))
    assert measure_machine("cpu", "bfloat16", fresh=True) == MEASURED
    best = measure_machine("cpu", "bfloat16", fresh=True)
    assert (best.triad, best.flops) == (50e9, 2e12)
    assert best == measure_machine("cpu", "bfloat16") == cached_machine("cpu", "bfloat16")


def test_the_roof_of_arithmetic_is_that_of_the_fastest_kernel() -> None:
    slow = msgspec.structs.replace(MEASURED, flops=1e9)
    assert slow.roofs.flops == 20e9  # two operations for each weight of two bytes
    assert msgspec.structs.replace(slow, dtype="float32").roofs.flops == 10e9
    assert MEASURED.roofs == Roofs(50e9, 1e12)


def test_a_run_beats_its_roofs_where_it_reads_as_more_than_all_of_them() -> None:
    assert roof_beaten(1.01, None) and roof_beaten(0.2, 1.3)
    assert not roof_beaten(1.004, 0.9) and not roof_beaten(None, None)
