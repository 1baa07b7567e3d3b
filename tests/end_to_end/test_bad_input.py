"""Whatever a person may get wrong is told in one line with exit code 2, and nothing is left."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from llamatop.catalog import demo_folder

from .conftest import LLAMATOP, Llamatop

TOO_LONG = ["--prompts", "good.jsonl", "--gen-toks", "4000"]

GPTQ = '{"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--concurrency", "0"], "--concurrency 0"),
        (["--concurrency", "-1"], "--concurrency"),
        (["--concurrency", "abc"], "abc"),
        (["--concurrency", "100000"], "100000"),
        (["--prompt-toks", "0"], "--prompt-toks 0"),
        (["--prompt-toks", "abc"], "--prompt-toks abc: give a number"),
        (["--prompt-toks", "512:64"], "--prompt-toks 512:64"),
        (["--gen-toks", "normal:5"], "--gen-toks normal:5"),
        (["--prompt-toks", "64:100000"], "100000"),
        (["--prompts", "nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
        (["--prompts", "empty"], "empty: cannot be read"),
        (["--prompts", "bad.jsonl"], "bad.jsonl, line 2: "),
        (["--prompts", "good.jsonl", "--prompt-toks", "5"], "--prompt-toks"),
        (TOO_LONG, "good.jsonl, line 1: 10 tokens"),
        (["--prompts", "good.jsonl", "--weights", "random"], "has no tokenizer"),
        (["--requests", "0"], "--requests 0"),
        (["--max-time", "0"], "--max-time 0"),
        (["--max-time", "inf"], "--max-time inf"),
        (["--rate", "inf"], "--rate inf"),
        (["--until-ci", "5"], "--until-ci 5"),
        (["--until-ci", "0.1", "--until-oom"], "--until-oom"),
        (["--bogus"], "--bogus"),
        (["--no-save"], "--no-save goes with the UI"),
        (["--model", "./x\udcff"], "--model: the name is not valid UTF-8"),
        (["--model", "nobody/no-such-model"], "nobody/no-such-model"),
        (["--model", "meta-llama/Llama-3.1-8B-Instruct"], "--weights random"),
        (["--model", "./no-such-folder"], "no-such-folder"),
        (["--model", "empty"], "config.json"),
        (["--prompt-toks", "100000"], "100000"),
        (["--device", "cuda:7"], "cuda:7"),
        (["--quantize", "int3"], "int3"),
        (["--offload", "tape"], "tape"),
        (["--offload", "cpu", "--device", "cpu"], "on the CPU already; use disk"),
        (["--offload", "disk", "--weights", "random"], "use a local checkpoint"),
        (["--offload", "disk", "--engine", "continuous"], "use --engine batch"),
        (["--offload", "disk", "--engine", "threads"], "use --engine batch"),
        (["--offload", "disk", "--engine", "scripted"], "--engine scripted cannot offload"),
        (["--offload", "disk", "--quantize", "int8"], "choose one"),
        (["--offload", "disk", "--check-oom"], "not foretold"),
        (["--tp", "0"], "--tp 0: must be between 1 and 64"),
        (["--tp", "2", "--engine", "threads"], "--engine threads cannot; use --engine batch"),
        (["--tp", "2", "--quantize", "int8"], "choose one"),
        (["--tp", "2", "--offload", "disk"], "choose one"),
        (["--tp", "2", "--until-oom"], "not limited"),
        (["--tp", "2", "--check-oom"], "not foretold"),
        (["--tp", "2", "--url", "http://127.0.0.1:9"], "--tp and --url: the model is the server's"),
        (["--quantize", "int8", "--engine", "scripted"], "--engine scripted has no weights"),
        (
            ["--quantize", "int4", "--model", "./gptq", "--weights", "random"],
            "quantised already (gptq)",
        ),
        (
            ["--quantize", "int8", "--model", "openai/gpt-oss-20b", "--weights", "random"],
            "quantised already (mxfp4)",
        ),
    ],
)
def test_bad_settings(
    llamatop: Llamatop, arguments: list[str], said: str, request: pytest.FixtureRequest
) -> None:
    (llamatop.folder / "empty").mkdir()
    (llamatop.folder / "gptq").mkdir()
    (llamatop.folder / "gptq" / "config.json").write_text(GPTQ)
    (llamatop.folder / "good.jsonl").write_text('"What sets the pace of decoding?"\n')
    (llamatop.folder / "bad.jsonl").write_text('"fine"\n{"prompt": 1}\n')
    if arguments == TOO_LONG:  # its model is read for it, and so traced
        request.getfixturevalue("foretold")("--record", *arguments)
    done = llamatop("--record", "--out", "out/run.parquet", *arguments)
    assert done.code == 2
    assert done.err.count("\n") == 1 and said in done.err, done.err
    assert "Traceback" not in done.err and not done.out
    assert not list((llamatop.folder / "out").glob("*"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--record", "--out", ""],
        ["--record", "--model="],
        ["--memory", "", "--record"],
        ["plot", "run.parquet", "--out", ""],
        ["plot", "run.parquet", "--html="],
        ["export", "run.parquet", "--format", "csv", "--out", ""],
        ["check", "--device-name", ""],
        ["replay", ""],
        [""],
    ],
)
def test_an_empty_value_is_not_taken_for_the_default(
    llamatop: Llamatop, arguments: list[str]
) -> None:
    done = llamatop(*arguments)
    assert done.code == 2 and not done.out
    assert done.err.count("\n") == 1 and "an empty value" in done.err, done.err
    assert not list(llamatop.folder.iterdir())


def test_names_of_files_give_a_terminal_no_orders(llamatop: Llamatop) -> None:
    name = "\x1b]0;owned\x07\x9b31m.parquet"
    folder = "\x1b[31m"
    done = [
        llamatop("--record", "--engine", "scripted", "--requests", "1", "--out", name),
        llamatop("--record", "--engine", "scripted", "--out", name),
        llamatop("plot", name, "--out", folder, "--format", "svg"),
        llamatop("plot", name, "--html", f"{folder}.html"),
        llamatop("plot", name, "--html", f"{name}/x.html"),
        llamatop("plot", name, "--out", f"{name}/x"),
        llamatop("export", name, "--format", "csv"),
        llamatop("export", name, "--format", "csv", "--out", f"{name}/x"),
        llamatop("compare", name, name),
        llamatop("recommend", name, name),
        llamatop("replay", f"{name}?"),
        llamatop(f"--{folder}"),
    ]
    assert [one.code for one in done] == [0, 2, 0, 0, 2, 2, 0, 2, 0, 0, 2, 2]
    for one in done:
        assert not {"\x1b", "\x07", "\x9b"} & set(one.out + one.err)
        assert one.code == 0 or one.err.count("\n") == 1, one.err


@pytest.mark.parametrize("command", ["models", "doctor"])
def test_a_cache_that_cannot_be_read_holds_nothing(llamatop: Llamatop, command: str) -> None:
    done = llamatop(command, HF_HOME=str(llamatop.folder / ("a" * 300)))
    assert done.code == 0 and done.out and not done.err, done.err


@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-", "<&- >&- 2>&-"])
def test_where_nothing_can_be_told_the_exit_code_is_the_same(
    llamatop: Llamatop, streams: str
) -> None:
    for arguments, code in ((["replay", "nowhere.parquet"], 2), ([], 2), (["doctor"], 0)):
        line = f"{shlex.join([*LLAMATOP, *arguments])} {streams}"
        done = subprocess.run(
            ["sh", "-c", line], env=llamatop.env, cwd=llamatop.folder, check=False
        )
        assert done.returncode == code


def test_the_screen_needs_a_terminal(llamatop: Llamatop) -> None:
    done = llamatop("--model", "demo")
    assert done.code == 2 and "--record" in done.err
    done = llamatop("attach", "--url", "http://127.0.0.1:9")
    assert done.code == 2 and "attach --record, or --once" in done.err


def test_nothing_is_overwritten(llamatop: Llamatop) -> None:
    (llamatop.folder / "run.parquet").write_text("mine")
    done = llamatop("--record", "--engine", "scripted", "--out", "run.parquet")
    assert done.code == 2 and "run.parquet" in done.err
    assert (llamatop.folder / "run.parquet").read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1PAR1", b"hello\n" * 1000, None])
def test_no_recording(llamatop: Llamatop, content: bytes | None) -> None:
    file = llamatop.folder / "x.parquet"
    if content is not None:
        file.write_bytes(content)
    done = llamatop("replay", "x.parquet", "--json")
    assert done.code == 2
    assert done.err.count("\n") == 1 and "x.parquet" in done.err, done.err


def test_a_folder_that_is_no_decoder(llamatop: Llamatop, tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    folder.mkdir()
    config = {"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 32}
    (folder / "config.json").write_text(json.dumps(config))
    done = llamatop("--record", "--model", "bert", "--weights", "random")
    assert done.code == 2 and done.err.count("\n") == 1, done.err


@pytest.mark.slow
def test_a_tokenizer_that_is_damaged_is_named(llamatop: Llamatop, tmp_path: Path) -> None:
    folder = shutil.copytree(demo_folder(), tmp_path / "model")
    (folder / "tokenizer.json").write_text("{")
    done = llamatop("--record", "--model", str(folder), "--requests", "1", "--gen-toks", "1")
    assert done.code == 2
    assert f"{folder / 'tokenizer.json'} cannot be read" in done.err
    assert "Traceback" not in done.err and "memory not foretold" not in done.err


def test_what_cannot_fit_is_told_before_it_is_tried(llamatop: Llamatop) -> None:
    model = ("--model", "meta-llama/Llama-4-Scout-17B-16E-Instruct", "--weights", "random")
    done = llamatop("--record", "--check-oom", *model, "--out", "run.parquet")
    assert done.code == 3
    assert "does not fit" in done.err and "what would fit" in done.err
    assert not list(llamatop.folder.glob("run.parquet*"))


def in_a_shell(llamatop: Llamatop, before: str) -> subprocess.CompletedProcess[str]:
    """A short run after a few words to the shell."""
    command = shlex.join([*LLAMATOP, "--record", "--engine", "scripted", "--out", "run.parquet"])
    return subprocess.run(
        ["sh", "-c", f"{before}; exec {command}"],
        cwd=llamatop.folder,
        env=llamatop.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("ulimit -n 40", "only 40 files may be open at a time"),
        ("mkdir gone && cd gone && rmdir ../gone", "the folder that it was started in is gone"),
    ],
)
def test_what_the_shell_left_too_little_of_is_one_line(
    llamatop: Llamatop, before: str, told: str
) -> None:
    done = in_a_shell(llamatop, before)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not [*llamatop.folder.glob("run*")]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["show", "replay", "compare", "plot", "recommend", "export"])
def test_a_pipe_in_place_of_a_recording_keeps_nobody_waiting(
    llamatop: Llamatop, command: str
) -> None:
    os.mkfifo(llamatop.folder / "pipe.parquet")
    more = {"compare": ["pipe.parquet"], "export": ["--format", "csv", "--out", "x"]}
    done = llamatop(command, "pipe.parquet", *more.get(command, []))
    assert done.code == 2
    assert done.err == "llamatop: pipe.parquet is no recording: it is not a file\n"


@pytest.mark.parametrize(
    "megabytes", [150, *(pytest.param(n, marks=pytest.mark.slow) for n in (300, 400, 600, 1200))]
)
def test_too_little_address_space_is_told_before_anything_begins(
    llamatop: Llamatop, megabytes: int
) -> None:
    done = in_a_shell(llamatop, f"ulimit -v {megabytes * 10**6 // 1024}")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"the address space is limited to {megabytes} MB" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not [*llamatop.folder.glob("run*")]
