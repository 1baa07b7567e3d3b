"""Charts as text: what they hold, how wide they are, and no colour where none is wanted."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.cli import main
from llamatop.reports.runs import run_of
from llamatop.reports.terminal import _ticks, charts
from llamatop.session.reducer import Session

from .samples import run

TITLES = ("Throughput (tok/s)", "TTFT (ms)", "ITL (ms)", "The run over time (tok/s)")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("levels", [(1,), (1, 2, 4), tuple(range(1, 21))])
def test_every_chart_fits_its_width(width: int, levels: tuple[int, ...]) -> None:
    text = charts([run(levels)], width, colour=False)
    drawn = text.rpartition("\n\n")[0]
    assert all(title in drawn for title in TITLES)
    assert max(len(line) for line in drawn.splitlines()) <= width
    assert "\x1b" not in text


def test_colour_only_where_it_is_wanted() -> None:
    assert "\x1b[" in charts([run()], 80, colour=True)


def test_what_was_not_measured_has_no_chart() -> None:
    assert charts([run_of(Session())], 80, colour=False).strip() == "unknown model"


def test_several_runs_are_named() -> None:
    text = charts([run(seed=1), run(seed=2)], 100, colour=False)
    assert "seed 1" in text and "seed 2" in text


def test_the_command_writes_no_files(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sample = Path("recordings/samples/demo-sweep-cpu.parquet").resolve()
    monkeypatch.chdir(tmp_path)
    assert main(["plot", str(sample), "--terminal"]) == 0
    assert "Peak memory (MB)" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@given(st.floats(1e-6, 1e12))
def test_ticks_are_round_and_reach_the_highest(highest: float) -> None:
    ticks = _ticks(highest)
    assert ticks[0] == 0 and 3 <= len(ticks) <= 7
    assert ticks[-2] < highest * 1.001 and highest * 0.999 <= ticks[-1]
    assert f"{ticks[1]:.1e}"[:3] in ("1.0", "2.0", "2.5", "5.0")
