"""No command fails where stdout and stderr know ASCII alone, and its JSON is the same."""

import json
from pathlib import Path

import pytest

from llamatop.commands import check

from .conftest import Llamatop

SAMPLES = Path(__file__).parents[2] / "recordings" / "samples"
ONE, OTHER = (str(SAMPLES / f"{name}-cpu.parquet") for name in ("demo-sweep", "llama-3.2-1b"))
SCRIPTED = ("--record", "--engine", "scripted", "--requests", "4", "--gen-toks", "4")

CHECK = ("check", "--model", "demo", "--memory", "24GB", "--device", "cpu")

ASCII_ALONE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    "arguments",
    [
        (*SCRIPTED, "--until-ci", "0.5", "--verbose"),
        (*SCRIPTED, "--no-such-±-option"),
        ("replay", ONE, "--json"),
        ("replay", ONE, "--dialect", "guidellm"),
        CHECK,
        ("models",),
        ("plot", ONE, OTHER, "--terminal"),
        ("plot", ONE, "--out", "Kurven ±"),
        ("compare", ONE, OTHER),
        ("recommend", ONE, OTHER, "--slo", "ttft=0.5"),
        ("export", ONE, "--format", "csv", "--out", "Tabellen …"),
        ("export", ONE, "--format", "csv", "--table", "levels", "--out", "-"),
        ("doctor",),
        ("--help",),
    ],
    ids=lambda arguments: " ".join(Path(word).name for word in arguments),
)
def test_every_command(
    llamatop: Llamatop,
    arguments: tuple[str, ...],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if arguments == CHECK:
        request.getfixturevalue("traced_here")
        with monkeypatch.context() as patch:
            patch.setenv("LLAMATOP_CACHE", llamatop.env["LLAMATOP_CACHE"])
            for _ in range(2):  # the second asks with what the first has learnt of the libraries
                check.main([*CHECK[1:]])
    done = llamatop(*arguments, **ASCII_ALONE)
    assert done.code == (2 if "--no-such-±-option" in arguments else 0), done.err
    assert "Traceback" not in done.err
    assert (done.out + done.err).isascii()


def test_json_is_the_same(llamatop: Llamatop) -> None:
    asked = ("compare", ONE, OTHER, "--json")
    assert json.loads(llamatop(*asked, **ASCII_ALONE).out) == llamatop(*asked).json


def test_curves_can_be_told_apart(llamatop: Llamatop) -> None:
    out = llamatop("plot", ONE, OTHER, "--terminal", PYTHONIOENCODING="ascii").out
    assert "?" not in out and {".", "*"} <= set(out)
