"""Some inputs of each reader; `make soak` tries a hundred thousand."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.fuzz.readers import READERS, attempt, tried

INPUTS = 4
FOUND = sorted((Path(__file__).parent / "corpus").glob("*/*"))
"""What was found once, in a folder named after its reader."""


@pytest.mark.parametrize("name", READERS)
def test_a_clean_error_or_an_answer(name: str, tmp_path: Path) -> None:
    for seed in range(INPUTS):
        attempt(READERS[name], random.Random(f"{name} {seed}"), tmp_path / "file")


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_was_found_once_is_not_found_again(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path / path.name))
    tried(READERS[path.parent.name.replace("-", " ")], copy)
