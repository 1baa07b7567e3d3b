"""What the command line does with what a terminal cannot spell; its help, and what contradicts."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from llamatop.cli import _refuse_empty, _settle_streams, main
from llamatop.commands.names import COMMANDS
from llamatop.errors import InputError
from llamatop.text.formatting import MINUS


def test_a_number_keeps_its_sign_and_unit_where_the_terminal_knows_no_more_than_ascii(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", None)
    _settle_streams()
    sys.stdout.write(f"{MINUS}47.3 % of 850 µs ± 1 ∞\n")
    sys.stdout.flush()
    assert written.getvalue() == b"-47.3 % of 850 us ~ 1 ?\n"


def test_a_value_that_ends_like_an_empty_one_is_none() -> None:
    _refuse_empty(["--model=./a=", "--out", "b=.parquet", "replay", "c="])
    for arguments, option in ((["--model="], "--model"), (["--out", ""], "--out")):
        with pytest.raises(InputError, match=f"^{option}: an empty value"):
            _refuse_empty(arguments)


def test_help_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for words in (["--help"], ["help"], ["help", "show"], ["show", "--help"]):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] and told[2] == told[3] and "llamatop show" in told[2]


def test_help_tells_where_recordings_go(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    for folder in ("/data/llamatop/recordings", "recordings"):
        with pytest.raises(SystemExit):
            main(["--help"])
        told = " ".join(capsys.readouterr().out.split())
        assert f"Without --out a recording goes to {folder}." in told
        (tmp_path / "recordings").mkdir(exist_ok=True)


def test_every_command_stands_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert not [name for name in COMMANDS if f"  llamatop {name} " not in told]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--once", "--record"], "--once and --record"),
        (["--once", "--out", "x.parquet"], "--once records nothing"),
        (["--json"], "--json goes with --once or --record"),
    ],
)
def test_a_watch_passes_over_no_option(
    options: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["attach", "--url", "http://127.0.0.1:9", *options]) == 2
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--record", "--model", "demo"],
        ["--model", "demo"],
        ["replay", "run.parquet"],
        ["compare", "one.parquet", "two.parquet"],
        ["attach", "--once"],
    ],
)
def test_a_theme_that_is_not_there_is_bad_input_without_a_screen_too(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--theme", "nonsense"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("llamatop: --theme nonsense: there are llamatop-dark, ")
    assert told.err.count("\n") == 1
