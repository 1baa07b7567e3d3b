"""The list of faults in docs/reliability.md, and the tests that cause them, are the same list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults import PAGE, ROWS, rows_of

HERE = Path(__file__).parent


def test_every_row_has_its_tests_and_every_test_a_row() -> None:
    assert [row for row, _ in rows_of(PAGE)] == [*ROWS]


@pytest.mark.parametrize("row", ROWS)
def test_the_tests_of_a_row_are_there(row: str) -> None:
    for test in ROWS[row]:
        path, _, name = test.partition("::")
        assert re.search(rf"def {name}\b", (HERE / path).read_text(encoding="utf-8")), test
