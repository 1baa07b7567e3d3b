"""What is known of the processor, and that what is not known is not denied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llamatop.hardware import processor
from llamatop.hardware.host import host_facts


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    processor._cpu_flags.cache_clear()
    yield
    processor._cpu_flags.cache_clear()


@pytest.mark.parametrize(
    ("lines", "known"),
    [
        ({"flags": ["fpu avx512f amx_bf16"]}, True),
        ({"Features": ["fp asimd bf16"]}, True),
        ({"flags": ["fpu avx2"]}, False),
        ({}, None),
    ],
    ids=["x86", "arm", "older", "not Linux"],
)
def test_bfloat16_is_not_denied_where_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, lines: dict[str, list[str]], known: bool | None
) -> None:
    monkeypatch.setattr(processor, "cpu_lines", lambda key: lines.get(key, []))
    assert processor.cpu_has_bfloat16() is known
    assert host_facts().bfloat16 is known
    assert processor.cpu_has("amx_bf16", "bf16") is (known is True)
