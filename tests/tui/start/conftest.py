"""What every test of the start screen stands on."""

from __future__ import annotations

import pytest

from llamatop.predict import memory


@pytest.fixture(autouse=True)
def no_processor_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a model takes depends on what the processor can do: here it can do nothing special."""
    monkeypatch.setattr(memory, "cpu_has", lambda *_: False)
