"""Recorders in this process flush often, so that no test waits for them; children do as they do."""

from __future__ import annotations

import pytest

from llamatop.recording import writer


@pytest.fixture(autouse=True)
def quick_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.02)
