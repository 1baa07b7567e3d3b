"""Imported runs on the screen: what a file does not hold is said where it is missed."""

from __future__ import annotations

from pathlib import Path

from llamatop.tui.monitor.frame import Choices, Frame
from llamatop.tui.monitor.frame_figures import Figures
from llamatop.tui.monitor.views.requests import progress_text
from llamatop.tui.monitor.views.throughput import throughput
from tests.imports.peers import FOLDER, imported

TOKENLESS = FOLDER / "mlcommons-loadgen-6.0.17" / "Server" / "mlperf_log_trace.json"
TOLD = FOLDER / "guidellm-0.8.1" / "warmup-cooldown.json"


def shown(path: Path, folder: Path) -> str:
    """The throughput panel at the end of the run."""
    session = imported(path, folder)
    figures = Figures()
    figures.look(session)
    lines = throughput(Frame(session, figures, Choices()), 70, 9).lines
    return "\n".join("".join(text for text, _ in line) for line in lines)


def test_a_file_without_tokens_says_so(tmp_path: Path) -> None:
    assert "the file holds no tokens" in shown(TOKENLESS, tmp_path)


def test_one_with_tokens_has_its_chart(tmp_path: Path) -> None:
    text = shown(TOLD, tmp_path)
    assert "the file holds" not in text
    assert "\N{FULL BLOCK}" in text


def test_progress_that_is_not_known_at_all_is_one_word(tmp_path: Path) -> None:
    session = imported(TOKENLESS, tmp_path)
    assert {progress_text(request) for request in session.requests.values()} == {"N/A"}
