"""What every test of the start screen stands on."""

from __future__ import annotations

import pytest

from llamatop.predict import memory
from llamatop.recording import holding


@pytest.fixture(autouse=True)
def no_processor_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a model takes depends on what the processor can do: here it can do nothing special."""
    monkeypatch.setattr(memory, "cpu_has", lambda *_: False)


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests record at the same time is not listed."""
    monkeypatch.setattr(holding, "held_now", list)
