"""Texts as wide as a terminal shows them."""

import pytest

from llamatop.reports.text import columns
from llamatop.text.cells import cells, padded


@pytest.mark.parametrize(
    ("text", "wide"), [("abc", 3), ("模型", 4), ("ﾓﾃﾞﾙ", 4), ("e\u0301", 1), ("모델-7B", 7)]
)
def test_cells_are_counted_not_characters(text: str, wide: int) -> None:
    assert cells(text) == wide
    assert cells(padded(text, 9)) == 9


def test_columns_stand_below_one_another() -> None:
    lines = columns(("run", "x"), [("模型.parquet", "1"), ("plain.parquet", "2")]).split("\n")
    assert {cells(line[: line.rindex(mark)]) for line, mark in zip(lines, "x12", strict=True)} == {
        15
    }
