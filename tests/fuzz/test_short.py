"""Some inputs of each reader; `make soak` tries a hundred thousand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.readers import READERS, attempt

INPUTS = 4


@pytest.mark.parametrize("name", READERS)
def test_a_clean_error_or_an_answer(name: str, tmp_path: Path) -> None:
    for seed in range(INPUTS):
        attempt(READERS[name], random.Random(f"{name} {seed}"), tmp_path / "file")
