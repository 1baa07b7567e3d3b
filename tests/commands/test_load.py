"""The options of the load: what they make of a run, and what is said where they cannot be."""

import json
from pathlib import Path

import pytest

from llamatop.commands.asked import config_of
from llamatop.errors import InputError
from llamatop.reports.recommend import command_of
from llamatop.settings.config import RunConfig
from tests.reports.samples import run


@pytest.fixture
def trace(tmp_path: Path) -> str:
    path = tmp_path / "trace.jsonl"
    lines = [{"timestamp": 10 * n, "input_length": 9, "output_length": 3} for n in range(30)]
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


def asked(*arguments: str) -> RunConfig:
    return config_of(["--record", *arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--rate 0", "--rate 0: must be at least 1e-05"),
        ("--rate 1e-308", "--rate 1e-308: must be at least 1e-05"),
        ("--rate nan", "--rate nan: must be at least 1e-05"),
        ("--seed 12345678901234567890123", "--seed 12345678901234567890123: must be a number"),
        ("--seed -9223372036854775809", "--seed -9223372036854775809: must be a number"),
        ("--burstiness 2", "--burstiness 2: goes with --rate"),
        ("--rate 2 --burstiness 0", "--burstiness 0: must be at least 0.001"),
        ("--rate 2 --burstiness nan", "--burstiness nan: must be at least 0.001"),
        ("--ramp 2", "--ramp 2: give two rates"),
        ("--ramp 2:x --max-time 5", "--ramp 2:x: give two rates"),
        ("--ramp 0:0 --max-time 5", "--ramp 0:0: a rate must be at least 0"),
        ("--ramp -1:3 --max-time 5", "--ramp -1:3: a rate must be at least 0"),
        ("--ramp 2:8", "--ramp 2:8: say with --max-time"),
        ("--ramp 2:8 --rate 3 --max-time 5", "--ramp and --rate: choose one"),
        ("--speed 2", "--speed 2: goes with --prompts"),
        ("--prefixes 3", "--prefixes 3: goes with --prefix-toks"),
        ("--prefix-toks -1", "--prefix-toks -1: must be between 1"),
        ("--prefix-toks 8 --prefixes 0", "--prefixes 0: must be between 1"),
        ("--turns 0", "--turns 0: must be between 1"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(arguments: str, said: str) -> None:
    words = arguments.replace(" -", "=-").replace("=--", " --").split()
    with pytest.raises(InputError) as refusal:
        asked(*words)
    assert str(refusal.value).startswith(said) and "\n" not in str(refusal.value)


def test_a_file_with_times_is_replayed_once(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    here = asked("--prompts", trace, "--speed", "2", "--engine", "scripted")
    assert (here.replayed, here.speed, here.requests, here.concurrency) == (True, 2.0, 30, (30,))
    assert asked("--prompts", trace, "--requests", "99").requests == 30
    assert asked("--prompts", trace, "--concurrency", "4").concurrency == (4,)
    assert not capsys.readouterr().err
    rated = asked("--prompts", trace, "--rate", "5")
    assert not rated.replayed and rated.rate == 5
    assert "its times are left aside" in capsys.readouterr().err


def test_a_ramp_lasts_as_long_as_it_is_given() -> None:
    ramp = asked("--ramp", "2:8", "--max-time", "5", "--burstiness", "0.5")
    assert (ramp.ramp, ramp.burstiness, ramp.requests_at(1)) == ((2.0, 8.0), 0.5, None)


@pytest.mark.parametrize(
    "arguments",
    [
        "--rate 3 --burstiness 0.5 --requests 4",
        "--ramp 2:8.5 --max-time 20",
        "--prompts TRACE --speed 2 --concurrency 3",
        "--prefix-toks 64 --prefixes 3 --prompt-toks 16",
        "--turns 3 --prompt-toks 8:16",
    ],
)
def test_the_command_told_asks_for_the_same_again(trace: str, arguments: str) -> None:
    config = asked(*arguments.replace("TRACE", trace).split())
    words = command_of(config, config.concurrency[0], run(requests=4)).split()[2:]
    again = asked(*words)
    for name in (
        "prompt_toks",
        "prefix_toks",
        "prefixes",
        "turns",
        "rate",
        "ramp",
        "burstiness",
        "replayed",
        "speed",
        "max_time",
    ):
        assert getattr(again, name) == getattr(config, name) or name == "max_time"
