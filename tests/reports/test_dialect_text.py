import pytest

from llamatop.commands import replay as command
from llamatop.engines.scripted import script
from llamatop.figures.dialects import DIALECTS
from llamatop.reports.dialect_text import dialect_text
from llamatop.run.replay import fold
from llamatop.settings.config import RunConfig


def test_the_command_knows_every_dialect() -> None:
    assert command.DIALECTS == DIALECTS


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_level_and_the_reasons(dialect: str) -> None:
    text = dialect_text(fold(script(RunConfig(engine="scripted", concurrency=(1, 2)))), dialect)
    assert "concurrency 1: 8 completed" in text
    assert "concurrency 2: 16 completed" in text
    assert "TTFT" in text and "\n- " in text
