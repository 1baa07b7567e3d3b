"""What one test has learnt of this machine no other takes for its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llamatop.predict.runtime import recalled_runtime


@pytest.fixture(autouse=True)
def runtime_forgotten() -> Iterator[None]:
    """It is looked up once for a process; each test may have a cache folder of its own."""
    recalled_runtime.cache_clear()
    yield
    recalled_runtime.cache_clear()
